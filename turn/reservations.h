#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "stun/endpoint.h"
#include "turn/now.h"

namespace bedside::turn {

// RESERVATION-TOKEN (RFC 8656 §18.10): eight unguessable bytes.
using ReservationToken = std::array<std::uint8_t, 8>;

// The odd port after an even one, kept for the second Allocate of an RTP/RTCP pair.
struct Reservation {
  ReservationToken token{};
  stun::Family family = stun::Family::ipv4;
  std::uint16_t port = 0;
  std::chrono::nanoseconds expires{};  // mono
};

// The pending reservations of one server. A plain value; whoever shares it between threads locks
// it. Bounded: when full, `add` fails and the client is told 508. Expiry is decided at use, and
// expired entries make room for new ones, so nobody has to sweep.
class Reservations {
 public:
  explicit Reservations(std::size_t limit) : limit_(limit) {}

  // False when the table is full of live reservations or the port is already reserved.
  bool add(const Reservation& reservation, const Now& now);
  // Removes and returns the live reservation of this token.
  std::optional<Reservation> claim(const ReservationToken& token, const Now& now);
  bool holds(stun::Family family, std::uint16_t port, const Now& now) const;
  std::size_t size() const { return entries_.size(); }

 private:
  std::size_t limit_;
  std::vector<Reservation> entries_;
};

}  // namespace bedside::turn
