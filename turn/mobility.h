// Mobility with TURN (RFC 8016): by what a client proves that an allocation was its own.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string_view>

#include "stun/bytes.h"
#include "turn/relay_ports.h"

namespace bedside::turn {

// A MOBILITY-TICKET: where the allocation lies in its table, and 96 random bits. Text, because old
// clients keep it as a string. A value; the credential is checked besides it.
class MobilityTicket {
 public:
  static constexpr std::size_t kSize = 32;

  static MobilityTicket make(std::uint32_t slot, Random& random);
  // Which slot a client's ticket speaks of; nothing when it cannot be one of ours.
  static std::optional<std::uint32_t> slot_in(stun::Bytes ticket);

  bool matches(stun::Bytes ticket) const;  // in constant time
  std::string_view text() const { return {text_.data(), text_.size()}; }

 private:
  std::array<char, kSize> text_{};
};

// The tickets of a mobile allocation. The one before the last is good until the last one is used:
// the answer that carried the new one may have been lost on the way.
struct MobilityTickets {
  MobilityTicket current;
  std::optional<MobilityTicket> previous;

  bool accept(stun::Bytes ticket) const {
    return current.matches(ticket) || (previous && previous->matches(ticket));
  }
  // The client has arrived with `used` and gets `next`.
  void rotate(stun::Bytes used, const MobilityTicket& next) {
    if (current.matches(used)) previous = current;
    current = next;
  }
};

}  // namespace bedside::turn
