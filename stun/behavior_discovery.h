// NAT behaviour discovery (RFC 5780): Binding answered from another address or port of the server,
// so that a client can find out how its NAT maps and filters. Off by default: turn/README.md.
#pragma once

#include <array>
#include <cstdint>

#include "stun/bytes.h"
#include "stun/endpoint.h"
#include "stun/message.h"

namespace bedside::stun {

// The two addresses and the two ports of one family. All four pairs are listened on.
struct DiscoveryAddresses {
  std::array<IpAddress, 2> addresses;
  std::array<std::uint16_t, 2> ports{};

  [[nodiscard]] bool has(const Endpoint& endpoint) const noexcept;
  // The endpoint that differs in what is asked for; `endpoint` must be one of the four.
  [[nodiscard]] Endpoint other(const Endpoint& endpoint, bool address, bool port) const noexcept;
};

struct DiscoveryAnswer {
  Bytes bytes;    // borrows `out`; empty: not a Binding request, or `out` is too small
  Endpoint from;  // leaves from here, one of the four
  Endpoint to;    // the source, with its port or that of RESPONSE-PORT
};

// Answers a Binding request that came from `source` to `server`, one of the four, with
// XOR-MAPPED-ADDRESS, MAPPED-ADDRESS, RESPONSE-ORIGIN and OTHER-ADDRESS (RFC 5780 §6.1, §7): 68
// bytes for IPv4, 116 for IPv6.
//
// A change of address or port, RESPONSE-PORT and PADDING make sense only where each datagram stands
// for itself (§3.2, §3.3, §3.5): with any of them a request over a stream or DTLS (`datagram`
// false) is answered with 400, and so are RESPONSE-PORT together with PADDING (§6.1), and values
// nobody can mean: RESPONSE-PORT 0, which §7.5 allows, is no port anybody hears at.
//
// PADDING is answered with as much of it as makes the answer no larger than the request: who is
// reflected to gets no byte more than was sent, and a request that had to be fragmented still has
// an answer that has to be.
[[nodiscard]] DiscoveryAnswer answer_discovery(const MessageView& request, const Endpoint& source,
                                               const Endpoint& server, bool datagram,
                                               const DiscoveryAddresses& addresses,
                                               MutableBytes out) noexcept;

}  // namespace bedside::stun
