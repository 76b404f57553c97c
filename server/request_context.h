// What every HTTP handler knows about a request besides the request itself.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "server/net/http_message.h"
#include "stun/endpoint.h"

namespace bedside::server {

struct RequestContext {
  std::uint64_t request_id =
      0;                 // unique in this process; in the audit record of what the request did
  std::string listener;  // "http", "https"
  stun::Endpoint client;
  bool tls = false;
  std::string
      origin;  // our own origin as this client sees it, e.g. "https://visit.example.org:8443"
};

// Called at most once, on the control thread, at once or later; a call after the connection is gone
// does nothing.
using Respond = std::function<void(net::HttpResponse)>;

}  // namespace bedside::server
