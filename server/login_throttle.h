#pragma once

// How fast somebody may guess. Counts failed attempts per source network and per account name and
// asks for a growing pause after each. An attempt counts as failed from the moment it is admitted
// until succeeded() takes it back, so a burst of parallel guesses gains nothing.
//
// The pause of an account stays short (a minute at most): a stranger can slow the owner down, not
// lock them out. The pause of a source may grow to a quarter of an hour.
//
// Control thread only. Time is passed in. Nothing here is stored.

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <unordered_map>

#include "stun/endpoint.h"

namespace bedside::server {

struct ThrottleRule {
  std::size_t entries;     // bound of the table; beyond, the least suspicious entry is forgotten
  unsigned free_attempts;  // failures without any pause
  std::chrono::seconds max_pause;  // 1 s, 2 s, 4 s … up to this
};

struct ThrottleRules {
  ThrottleRule source{4096, 5, std::chrono::minutes(15)};
  ThrottleRule account{1024, 5, std::chrono::minutes(1)};
  std::chrono::seconds forget_after = std::chrono::hours(1);  // without a further attempt
};

class LoginThrottle {
 public:
  using Time = std::chrono::milliseconds;  // of any steady clock

  // `seed` makes the table's hashes unpredictable.
  explicit LoginThrottle(std::uint64_t seed, ThrottleRules rules = {});

  struct Admission {
    std::chrono::milliseconds wait{};  // zero: go on, the attempt is counted
    bool first_refusal = false;        // of this pause: worth a record; the others are only counted
    bool granted() const { return wait == std::chrono::milliseconds::zero(); }
  };

  // A refused attempt is not counted and must not be carried out.
  Admission admit(const stun::IpAddress& source, std::string_view account, Time now);

  // The last admitted attempt was right: both counters start again.
  void succeeded(const stun::IpAddress& source, std::string_view account);

  // The last admitted attempt was not carried out (the server was busy): it does not count.
  void taken_back(const stun::IpAddress& source, std::string_view account);

  std::size_t sources() const { return sources_.size(); }
  std::size_t accounts() const { return accounts_.size(); }

 private:
  struct Entry {
    unsigned failures = 0;
    Time last{};
    Time open_at{};     // no attempt is admitted before
    bool told = false;  // a refusal of this pause was reported as the first
  };
  using Table = std::unordered_map<std::uint64_t, Entry>;

  std::uint64_t source_key(const stun::IpAddress& source) const;
  std::uint64_t account_key(std::string_view account) const;
  static Entry* paused(Table& table, std::uint64_t key, Time now);
  void count(Table& table, const ThrottleRule& rule, std::uint64_t key, Time now);
  void make_room(Table& table, std::size_t limit, Time now) const;

  std::uint64_t seed_;
  ThrottleRules rules_;
  Table sources_;
  Table accounts_;
};

}  // namespace bedside::server
