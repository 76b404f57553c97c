// The 5-tuple that names a client's allocation (RFC 8656 §2.1, §3.1): transport, client, server.
#pragma once

#include <cstddef>
#include <cstdint>

#include "stun/endpoint.h"

namespace bedside::turn {

// How the client talks to us. The transport is part of the identity: the same addresses over UDP
// and TCP are two clients.
enum class ClientTransport : std::uint8_t { udp, tcp, tls, dtls };

[[nodiscard]] constexpr bool is_stream(ClientTransport transport) noexcept {
  return transport == ClientTransport::tcp || transport == ClientTransport::tls;
}

struct FiveTuple {
  ClientTransport transport = ClientTransport::udp;
  stun::Endpoint client;
  stun::Endpoint server;  // the address the client sent to, not the wildcard we listen on

  friend constexpr bool operator==(const FiveTuple&, const FiveTuple&) noexcept = default;
};

// Clients choose most of the key, so the seed must be random and secret (see stun::SeededMix).
struct FiveTupleHash {
  std::uint64_t seed = 0;
  [[nodiscard]] std::size_t operator()(const FiveTuple& tuple) const noexcept {
    return stun::SeededMix(seed)
        .add(tuple.client)
        .add(tuple.server)
        .add(static_cast<std::uint64_t>(tuple.transport))
        .value();
  }
};

}  // namespace bedside::turn
