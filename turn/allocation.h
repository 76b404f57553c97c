#pragma once

#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include "stun/endpoint.h"
#include "stun/message.h"
#include "turn/channel.h"
#include "turn/credentials.h"
#include "turn/data_connections.h"
#include "turn/event.h"
#include "turn/five_tuple.h"
#include "turn/mobility.h"
#include "turn/now.h"
#include "turn/permission.h"
#include "turn/rate_meter.h"
#include "turn/relay_ports.h"
#include "turn/reservations.h"

namespace bedside::turn {

// One relayed transport address of an allocation with the time it has left. RFC 8656 allows one per
// family; each can be refreshed or deleted on its own (§8).
struct RelayedHalf {
  RelayPort port;
  std::chrono::nanoseconds expires{};  // mono; dead from this instant on
};

// What the first success reply said, kept to answer a retransmitted Allocate identically (§7.2).
struct AllocateReply {
  stun::TransactionId transaction{};
  std::chrono::nanoseconds sent{};  // mono
  std::chrono::seconds lifetime{};
  std::optional<ReservationToken> token;
  // Why the other family of a dual request is missing (ADDRESS-ERROR-CODE); 0: nothing is missing.
  int other_family_error = 0;
};

// Everything a client owns on the relay: RFC 8656's allocation. A value in the AllocationTable; the
// rules live in Relay.
struct Allocation {
  AllocationSerial serial;
  FiveTuple client;
  Account account;  // of the request that made it; all later ones must be of the same user (§5)
  std::array<std::optional<RelayedHalf>, 2> halves;  // IPv4, IPv6
  PeerTransport relayed_transport = PeerTransport::udp;
  PermissionTable permissions;
  ChannelTable channels;
  AllocateReply reply;
  std::chrono::nanoseconds opened{};  // mono
  Traffic to_peer;
  Traffic to_client;
  RateMeter packet_rate;  // both directions together
  RateMeter bit_rate;     // both directions together
  RateMeter new_peer_rate;
  RateMeter icmp_rate;
  std::uint32_t slot = 0;                   // its place in the AllocationTable
  stun::IpAddress source;                   // whose quota it counts against, also after a move
  std::optional<MobilityTickets> mobility;  // when the client asked for it (RFC 8016)
  std::vector<ConnectionId> connections;    // with peers, of a TCP allocation (RFC 6062)

  static std::size_t index(stun::Family family) { return family == stun::Family::ipv4 ? 0 : 1; }
  const std::optional<RelayedHalf>& half(stun::Family family) const {
    return halves[index(family)];
  }
  std::optional<RelayedHalf>& half(stun::Family family) { return halves[index(family)]; }
  bool empty() const { return !halves[0] && !halves[1]; }
  bool relays_tcp() const { return relayed_transport == PeerTransport::tcp; }

  // When the next half ends; only meaningful while not empty().
  std::chrono::nanoseconds deadline() const {
    if (!halves[0]) return halves[1]->expires;
    if (!halves[1]) return halves[0]->expires;
    return std::min(halves[0]->expires, halves[1]->expires);
  }
};

}  // namespace bedside::turn
