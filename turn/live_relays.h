#pragma once

#include <cstdint>
#include <optional>

#include "stun/endpoint.h"
#include "turn/relay_ports.h"

namespace bedside::turn {

// Where a live relayed transport address of this server is served: by the Relay with that number
// (RelaySettings::shard), under that port.
struct LiveRelay {
  std::uint16_t shard = 0;
  RelayPortId port;
  friend bool operator==(const LiveRelay&, const LiveRelay&) = default;
};

// The relayed transport addresses of this server that are alive, of every shard. Implemented by the
// server; called on a relay's thread for each packet to a peer, so it must not block.
//
// An answer may be stale when it is used: whoever delivers to the port makes sure that it still has
// the address that was asked for.
class LiveRelayAddresses {
 public:
  virtual ~LiveRelayAddresses() = default;
  // Of UDP allocations. `relayed` as clients and peers see it, the external mapping applied.
  [[nodiscard]] virtual std::optional<LiveRelay> locate(
      const stun::Endpoint& relayed) const noexcept = 0;
  [[nodiscard]] bool contains(const stun::Endpoint& relayed) const noexcept {
    return locate(relayed).has_value();
  }
  // Whether this is the relayed address of a TCP allocation (RFC 6062).
  [[nodiscard]] virtual bool listens(const stun::Endpoint& relayed) const noexcept = 0;
};

}  // namespace bedside::turn
