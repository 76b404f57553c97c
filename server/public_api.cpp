#include "server/public_api.h"

#include <nlohmann/json.hpp>
#include <string>
#include <utility>

namespace bedside::server {

net::HttpResponse signaling_refusal(int status, std::string_view error) {
  return net::HttpResponse::json(status, signaling::failure_body(error));
}

tl::expected<signaling::Action, net::HttpResponse> read_signaling_request(
    const net::HttpRequest& request) {
  if (request.method == "OPTIONS") {
    net::HttpResponse empty;
    empty.set("Allow", "GET, POST, DELETE, OPTIONS");
    return tl::unexpected(std::move(empty));
  }
  if (request.method == "POST") {
    auto action = signaling::parse_action(request.body);
    if (!action) {
      return tl::unexpected(
          net::HttpResponse::json(action.error().status, std::move(action.error().body)));
    }
    return std::move(*action);
  }
  const std::string room = request.query_value("roomId").value_or("");
  if (request.method == "GET") {
    if (room.empty()) {
      return tl::unexpected(signaling_refusal(400, "roomId query parameter is required"));
    }
    return signaling::GetRoom{room};
  }
  if (request.method == "DELETE") {
    if (room.empty()) return tl::unexpected(signaling_refusal(400, "roomId is required"));
    return signaling::EndRoom{room, signaling::EndReason::requested};
  }
  net::HttpResponse refused = signaling_refusal(405, "Method not allowed");
  refused.set("Allow", "GET, POST, DELETE, OPTIONS");
  return tl::unexpected(std::move(refused));
}

net::HttpResponse signaling_response(const signaling::Answer& answer, std::string_view receipt) {
  std::string body = answer.body;
  if (!receipt.empty() && answer.status == 200 && body.ends_with('}')) {
    body.back() = ',';
    body += "\"receipt\":" + nlohmann::json(receipt).dump() + "}";
  }
  net::HttpResponse response = net::HttpResponse::json(answer.status, std::move(body));
  if (answer.retry_after) response.set("Retry-After", std::to_string(answer.retry_after->count()));
  return response;
}

}  // namespace bedside::server
