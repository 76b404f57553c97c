#include "server/audit_words.h"

#include "server/audit_types.h"

namespace bedside::server {

namespace type = audit_type;

std::string_view word(signaling::Role role) {
  return role == signaling::Role::host ? "host" : "guest";
}

std::string_view word(signaling::Transport transport) {
  return transport == signaling::Transport::socket ? "socket" : "poll";
}

std::string_view word(signaling::LeaveReason reason) {
  switch (reason) {
    case signaling::LeaveReason::left:
      return "left";
    case signaling::LeaveReason::disconnected:
      return "disconnected";
    case signaling::LeaveReason::superseded:
      return "superseded";
    case signaling::LeaveReason::lapsed:
      return "lapsed";
    case signaling::LeaveReason::room_ended:
      return "room-ended";
  }
  return "unknown";
}

std::string_view word(signaling::EndReason reason) {
  switch (reason) {
    case signaling::EndReason::requested:
      return "requested";
    case signaling::EndReason::admin:
      return "admin";
    case signaling::EndReason::host:
      return "host";
    case signaling::EndReason::expired:
      return "expired";
  }
  return "unknown";
}

std::string_view word(turn::CloseReason reason) {
  switch (reason) {
    case turn::CloseReason::client:
      return "client";
    case turn::CloseReason::expired:
      return "expired";
    case turn::CloseReason::connection_closed:
      return "connection-closed";
    case turn::CloseReason::revoked:
      return "revoked";
    case turn::CloseReason::shutdown:
      return "shutdown";
  }
  return "unknown";
}

std::string_view word(turn::ClientTransport transport) {
  switch (transport) {
    case turn::ClientTransport::udp:
      return "udp";
    case turn::ClientTransport::tcp:
      return "tcp";
    case turn::ClientTransport::tls:
      return "tls";
    case turn::ClientTransport::dtls:
      return "dtls";
  }
  return "unknown";
}

std::string_view type_of(Abuse kind) {
  switch (kind) {
    case Abuse::malformed:
    case Abuse::malformed_request:
    case Abuse::malformed_message:
    case Abuse::malformed_checkpoint:
      return type::kMalformed;
    case Abuse::rate_limited:
      return type::kRateLimited;
    case Abuse::wrong_token:
      return type::kWrongToken;
    case Abuse::token_denied:
      return type::kTokenDenied;
    case Abuse::origin_rejected:
      return type::kOriginRejected;
    case Abuse::csrf_rejected:
      return type::kCsrfRejected;
    case Abuse::login_throttled:
      return type::kLoginThrottled;
    case Abuse::login_denied:
      return type::kLoginDenied;
    case Abuse::turn_auth:
      return type::kTurnAuth;
    case Abuse::turn_quota:
      return type::kTurnQuota;
    case Abuse::peer_denied:
      return type::kPeerDenied;
  }
  return type::kMalformed;
}

std::string_view detail_of(Abuse kind) {
  switch (kind) {
    case Abuse::malformed:
      return "http";
    case Abuse::malformed_request:
      return "request";
    case Abuse::malformed_message:
      return "message";
    case Abuse::malformed_checkpoint:
      return "checkpoint";
    case Abuse::rate_limited:
    case Abuse::wrong_token:
    case Abuse::token_denied:
    case Abuse::origin_rejected:
    case Abuse::csrf_rejected:
    case Abuse::login_throttled:
    case Abuse::login_denied:
    case Abuse::turn_auth:
    case Abuse::turn_quota:
    case Abuse::peer_denied:
      break;
  }
  return {};
}

}  // namespace bedside::server
