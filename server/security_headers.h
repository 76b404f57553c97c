#pragma once

// Who may call from a browser, and what browsers are told about every answer.
//
// Pure functions of their arguments; any thread.

#include <string>
#include <string_view>
#include <vector>

#include "server/net/http_message.h"
#include "server/request_context.h"

namespace bedside::server {

struct OriginPolicy {
  // Compared exactly: "https://portal.example.org".
  std::vector<std::string> allowed;
  // Names under which this server knows itself, besides localhost and IP addresses. A Host header
  // with another name is not ours: a page of a stranger could have pointed that name here.
  std::vector<std::string> own_hosts;
  // Strict-Transport-Security on answers over TLS: for a server with a real certificate.
  bool strict_transport = false;
};

// "https://visit.example.org:8443" for what this client sees as our origin; empty when the Host
// header is absent or not ours.
std::string own_origin(const OriginPolicy& policy, const net::HttpRequest& request, bool tls);

enum class OriginVerdict : std::uint8_t {
  absent,  // no Origin header: not a cross-site browser request
  own,
  allowed,  // on the operator's list
  refused,
};
OriginVerdict judge_origin(const OriginPolicy& policy, const net::HttpRequest& request,
                           const RequestContext& context);

// Headers of every answer: a Content-Security-Policy without inline script or style, no framing, no
// referrer, no sniffing; camera, microphone and screen for our own pages only. Keeps a
// Cache-Control the handler has set, otherwise nothing is stored.
void add_security_headers(const OriginPolicy& policy, const RequestContext& context,
                          net::HttpResponse& response);

// Access-Control-* for the signaling API: echoes an allow-listed origin, never "*". `preflight`:
// the answer to an OPTIONS request.
void add_cors_headers(OriginVerdict verdict, std::string_view origin, bool preflight,
                      net::HttpResponse& response);

}  // namespace bedside::server
