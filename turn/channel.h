#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "stun/endpoint.h"
#include "turn/now.h"

namespace bedside::turn {

// A number in 0x4000–0x4FFF that stands for one peer (RFC 8656 §12). RFC 5766 allowed up to 0x7FFF;
// `wide` accepts those for old test clients only.
class ChannelNumber {
 public:
  static std::optional<ChannelNumber> from(std::uint16_t value, bool wide) {
    if (value < 0x4000 || value > (wide ? 0x7FFF : 0x4FFF)) return std::nullopt;
    return ChannelNumber(value);
  }
  std::uint16_t value() const { return value_; }
  friend bool operator==(ChannelNumber, ChannelNumber) = default;

 private:
  explicit ChannelNumber(std::uint16_t value) : value_(value) {}
  std::uint16_t value_;
};

struct Channel {
  ChannelNumber number;
  // The peer is one of this server's own addresses: usable only while it is a live relayed address.
  bool own_relay = false;
  stun::Endpoint peer;
  std::chrono::nanoseconds expires{};  // mono; dead from this instant on
};

// The channels of one allocation: a short array, scanned. Expiry is decided at use, so a number or
// a peer is free again from the instant its binding ends (clients wait five minutes, RFC 8656 §12;
// the server tolerates an immediate rebind).
class ChannelTable {
 public:
  enum class Bound : std::uint8_t { created, refreshed, conflict, full };

  // What bind would answer, without changing anything.
  Bound judge(ChannelNumber number, const stun::Endpoint& peer, std::size_t limit,
              const Now& now) const;
  // One number ↔ one peer, both ways (RFC 8656 §12.2). Nothing changes on conflict and full.
  Bound bind(const Channel& channel, std::size_t limit, const Now& now);

  // Borrowed until the next bind; null when there is no live binding.
  const Channel* find(ChannelNumber number, const Now& now) const;
  const Channel* find(const stun::Endpoint& peer, const Now& now) const;

  void remove_family(stun::Family family);
  template <typename Predicate>
  void remove_if(Predicate is_refused) {
    std::erase_if(entries_, [&](const Channel& c) { return is_refused(c.peer); });
  }
  std::size_t live(const Now& now) const;
  std::size_t size() const { return entries_.size(); }

 private:
  std::vector<Channel> entries_;
};

}  // namespace bedside::turn
