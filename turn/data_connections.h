#pragma once

#include <cstdint>

#include "stun/bytes.h"
#include "stun/endpoint.h"
#include "turn/relay_ports.h"

namespace bedside::turn {

// CONNECTION-ID (RFC 6062 §6.2.1): names one connection between a relayed address and a peer, from
// its first SYN to the end of the client data connection that was bound to it.
struct ConnectionId {
  std::uint32_t value = 0;
  friend bool operator==(ConnectionId, ConnectionId) = default;
};

// The shard that keeps it: an id begins with its number.
inline constexpr unsigned kConnectionShardShift = 26;
[[nodiscard]] constexpr std::uint16_t shard_of(ConnectionId id) noexcept {
  return static_cast<std::uint16_t>(id.value >> kConnectionShardShift);
}

// A verdict: connect from that relay port to the peer (RFC 6062 §5.2). Relay::on_connected or
// on_connect_failed answers the client later.
struct ToConnect {
  ConnectionId id;
  RelayPortId from;
  stun::Endpoint to;
};

// A verdict: bytes for the client that sent the request, and behind them its connection is no
// longer STUN: it carries what the peer connection `id` carries (RFC 6062 §5.4).
struct ToJoin {
  ConnectionId id;
  stun::Bytes bytes;
};

// A verdict: the client's connection belongs to that shard, where the connection with the peer is
// that it wants. It goes there with this message unread; here nothing is answered.
struct ToShard {
  std::uint16_t shard;
};

// What a Relay says to a peer's connection that it keeps: the indication for the port's owner. What
// the peer sends waits until the connection is joined.
struct Attempted {
  ConnectionId id;
  stun::Bytes bytes;
};

// Why a connection to a peer did not come about.
enum class ConnectFailure : std::uint8_t {
  exists,  // 446: the system has a connection between these two endpoints
  failed,  // 447: refused, unreachable, or nothing left to connect with
};

enum class DataDirection : std::uint8_t { to_peer, to_client };

// The data connections of TCP allocations (RFC 6062), as a Relay sees them. Called on the Relay's
// thread, only from inside its calls, and must not call back into it.
class DataConnections {
 public:
  virtual ~DataConnections() = default;

  // Ends the connection with the peer, whether it is established or not, and the client's that was
  // joined to it, at once. Nothing more is to be told about this id.
  virtual void close(ConnectionId id) = 0;

  // The same for a connection the client still waits for: `answer` goes to the owner of the relay
  // port it was to leave from.
  virtual void give_up(ConnectionId id, RelayPortId from, stun::Bytes answer) = 0;
};

}  // namespace bedside::turn
