#pragma once

// /api/webrtc-signaling as HTTP sees it (protocol.md 1.1): methods, query and body become a
// signaling action, or an answer at once.
//
// Pure; any thread.

#include <tl/expected.hpp>

#include "server/net/http_message.h"
#include "signaling/message.h"
#include "signaling/output.h"

namespace bedside::server {

// An action for the hub, or the complete answer to a request that needs none.
tl::expected<signaling::Action, net::HttpResponse> read_signaling_request(
    const net::HttpRequest& request);

// `receipt` (store/receipt.h) becomes a field of the answer; may be empty.
net::HttpResponse signaling_response(const signaling::Answer& answer,
                                     std::string_view receipt = {});

net::HttpResponse signaling_refusal(int status, std::string_view error);

}  // namespace bedside::server
