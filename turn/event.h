#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <variant>

#include "stun/endpoint.h"
#include "turn/five_tuple.h"
#include "turn/peer_policy.h"
#include "turn/relay_ports.h"

namespace bedside::turn {

// Unique per server start: the shard's number in the top 16 bits, a counter below.
struct AllocationSerial {
  std::uint64_t value = 0;
  friend bool operator==(AllocationSerial, AllocationSerial) = default;
};

struct Traffic {
  std::uint64_t packets = 0;  // datagrams; none of a TCP allocation
  std::uint64_t bytes = 0;    // payload, without any header
};

// Who an event is about. Owned copies: events outlive allocations.
struct Party {
  FiveTuple client;
  std::string subject;      // quota subject (Account::name)
  std::string participant;  // empty for credentials that belong to no participant
};

enum class CloseReason : std::uint8_t {
  client,             // Refresh with LIFETIME 0
  expired,            // not refreshed in time
  connection_closed,  // TCP/TLS connection ended
  revoked,            // participant left or was removed; user disabled
  shutdown,
};

struct AllocationOpened {
  AllocationSerial serial;
  Party party;
  std::array<std::optional<stun::Endpoint>, 2> relayed;  // IPv4, IPv6
  std::chrono::seconds lifetime{};
  PeerTransport relayed_transport = PeerTransport::udp;
};

struct AllocationClosed {
  AllocationSerial serial;
  Party party;
  CloseReason reason = CloseReason::client;
  std::chrono::seconds duration{};
  Traffic to_peer;
  Traffic to_client;
  PeerTransport relayed_transport = PeerTransport::udp;
};

// A client asked for a peer the policy refuses.
struct PeerDenied {
  Party party;
  DeniedRange range{};
};

enum class AuthFailure : std::uint8_t { unknown_user, wrong_key, wrong_realm, other_user };
struct AuthFailed {
  FiveTuple client;
  AuthFailure failure = AuthFailure::unknown_user;
};

enum class QuotaKind : std::uint8_t {
  user_allocations,
  source_allocations,
  server_allocations,
  ports,
  permissions,  // per allocation, or new ones per second
  channels,
  peer_connections,  // per allocation, or of the shard
  not_accepting,     // draining, or the audit trail cannot take more
};
struct QuotaReached {
  Party party;
  QuotaKind kind = QuotaKind::user_allocations;
};

using Event =
    std::variant<AllocationOpened, AllocationClosed, PeerDenied, AuthFailed, QuotaReached>;

}  // namespace bedside::turn
