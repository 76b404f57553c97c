#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>

#include "turn/now.h"

namespace bedside::turn {

// A rate with a burst, prepared so that taking from it needs no division: nanoseconds per unit, in
// 1/1024ths. A rate of 0 means no limit.
class Rate {
 public:
  constexpr Rate(std::uint64_t units_per_second, std::uint64_t burst_units)
      : per_unit_(units_per_second == 0 ? 0
                                        : (std::int64_t{1'000'000'000} << 10) /
                                              static_cast<std::int64_t>(units_per_second)),
        tolerance_(cost(burst_units)) {}

  constexpr std::int64_t cost(std::uint64_t units) const {
    return (static_cast<std::int64_t>(units) * per_unit_) >> 10;
  }
  constexpr std::int64_t tolerance() const { return tolerance_; }

 private:
  std::int64_t per_unit_;
  std::int64_t tolerance_;
};

// How much of a rate has been used: a token bucket in eight bytes, kept as the instant at which it
// would be full again.
class RateMeter {
 public:
  // Takes `units` when they fit into the burst; false and unchanged otherwise.
  bool take(const Rate& rate, std::uint64_t units, const Now& now) {
    const std::int64_t cost = rate.cost(units);
    const std::int64_t base = std::max(full_again_, now.mono.count());
    if (base + cost - now.mono.count() > rate.tolerance()) return false;
    full_again_ = base + cost;
    return true;
  }

  // Takes `units` whether they fit or not. How long until what was taken is within the burst.
  std::chrono::nanoseconds charge(const Rate& rate, std::uint64_t units, const Now& now) {
    full_again_ = std::max(full_again_, now.mono.count()) + rate.cost(units);
    const std::int64_t excess = full_again_ - now.mono.count() - rate.tolerance();
    return std::chrono::nanoseconds(std::max<std::int64_t>(excess, 0));
  }

 private:
  std::int64_t full_again_ = 0;  // mono, nanoseconds
};

}  // namespace bedside::turn
