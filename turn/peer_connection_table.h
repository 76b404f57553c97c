#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "stun/endpoint.h"
#include "stun/message.h"
#include "stun/password_algorithm.h"
#include "turn/data_connections.h"
#include "turn/deadlines.h"
#include "turn/relay_ports.h"

namespace bedside::turn {

// How the Connect that waits for its answer was asked.
struct OpenConnect {
  stun::TransactionId transaction{};
  stun::AlgorithmChoice algorithm;
  bool fingerprint = false;
};

// One connection between a relayed address and a peer (RFC 6062's peer data connection).
struct PeerConnection {
  enum class Phase : std::uint8_t {
    connecting,  // a Connect waits for its answer
    unbound,     // established; ends unless a ConnectionBind comes in time
    bound,
  };
  ConnectionId id;
  std::uint32_t allocation = 0;  // Allocation::slot
  RelayPortId port;
  stun::Endpoint peer;
  Phase phase = Phase::connecting;
  bool incoming = false;  // the peer has connected to us
  OpenConnect request;    // while connecting
};

// The peer connections of one Relay, by id and by deadline. Bounded: at most
// limits::kMaxPeerConnections. Entries do not move while they live, until the next insert.
//
// An id is the entry's place, the shard's number and random bits: places are used again, ids for a
// long time are not. It is no secret: binding takes the credentials of the allocation.
class PeerConnectionTable {
 public:
  explicit PeerConnectionTable(std::uint16_t shard) : shard_(shard) {}

  bool full() const;
  std::size_t size() const { return slots_.size() - free_.size(); }

  // Precondition: not full(). Fills in the id; `salt` is random.
  PeerConnection& insert(PeerConnection connection, std::uint32_t salt,
                         std::chrono::nanoseconds deadline);
  PeerConnection* find(ConnectionId id);
  void set_deadline(ConnectionId id, std::chrono::nanoseconds deadline);
  void clear_deadline(ConnectionId id);
  void erase(ConnectionId id);

  std::optional<std::chrono::nanoseconds> next_deadline() const { return deadlines_.earliest(); }
  // A connection whose time is over by now; it has no deadline any more.
  PeerConnection* pop_due(std::chrono::nanoseconds now);

  // Visits every connection; the visitor must not insert or erase.
  template <typename Visitor>
  void for_each(Visitor visit) {
    for (auto& slot : slots_) {
      if (slot) visit(*slot);
    }
  }

 private:
  std::uint16_t shard_;
  std::vector<std::optional<PeerConnection>> slots_;
  std::vector<std::uint32_t> free_;
  Deadlines deadlines_;
};

}  // namespace bedside::turn
