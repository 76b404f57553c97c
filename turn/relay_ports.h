#pragma once

#include <cstdint>
#include <optional>
#include <tl/expected.hpp>

#include "stun/bytes.h"
#include "stun/endpoint.h"
#include "turn/now.h"
#include "turn/reservations.h"

namespace bedside::turn {

// Names one open relay port of one Relay. Ids are small and dense (RelayPorts hands out the lowest
// free one), because the Relay finds the owner of a peer's datagram by plain indexing.
struct RelayPortId {
  std::uint32_t value = 0;
  friend bool operator==(RelayPortId, RelayPortId) = default;
};

// How peers talk to an allocation: IANA's protocol numbers, as in REQUESTED-TRANSPORT.
enum class PeerTransport : std::uint8_t { tcp = 6, udp = 17 };

// An open port on which peers talk to one allocation (RFC 8656's relayed transport address). No
// number is open for both transports at once.
struct RelayPort {
  RelayPortId id;
  stun::Endpoint relayed;  // as clients and peers see it: the external mapping is applied
  stun::Endpoint local;    // as the kernel sees it
};

enum class PortError : std::uint8_t {
  in_use,              // taken, reserved or still resting after its last owner: try another one
  exhausted,           // no more descriptors or memory: trying others is pointless (508)
  family_unavailable,  // this server relays nothing for that family (440)
};

// The operating system as a Relay sees it. Called on the Relay's thread, only from inside its
// calls.
//
// Reservations (EVEN-PORT with the R bit, RFC 8656 §7.2) hold no socket: a reserved number is one
// that `open` refuses until its token is claimed. So a token works on every shard of the server.
class RelayPorts {
 public:
  virtual ~RelayPorts() = default;

  // Opens exactly this port; one for TCP accepts connections from now on. `now` decides whether a
  // freed port has rested long enough.
  virtual tl::expected<RelayPort, PortError> open(PeerTransport transport, stun::Family family,
                                                  std::uint16_t port, const Now& now) = 0;

  // Closes the port and lets its number rest (limits.h) so that late datagrams of the last owner's
  // peers do not reach the next owner. Afterwards no datagram or connection may be delivered under
  // this id until `open` returns it again.
  virtual void close(RelayPortId id, const Now& now) = 0;

  // The port belongs to whoever sent the request being handled now: its client has moved (RFC
  // 8016), or its connection ended and nobody can be reached until it moves.
  virtual void hand_over(RelayPortId id) = 0;

  // Keeps a number free for whoever presents `token`. False when it is taken or the table is full.
  virtual bool reserve(const Reservation& reservation, const Now& now) = 0;

  // Ends the reservation; the caller is the only one who may open that number next. Single use.
  virtual std::optional<Reservation> claim(const ReservationToken& token, const Now& now) = 0;
};

// Cryptographically strong randomness from outside (ports, reservation tokens). Must not fail.
class Random {
 public:
  virtual ~Random() = default;
  virtual void fill(stun::MutableBytes out) = 0;
};

}  // namespace bedside::turn
