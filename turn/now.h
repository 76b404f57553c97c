// The time a call happens at, passed in by whoever owns a clock (design: cores never read one).
#pragma once

#include <chrono>

namespace bedside::turn {

struct Now {
  // Steady; any origin, but the same one for all shards of a process. Every lifetime is counted
  // here.
  std::chrono::nanoseconds mono{};
  // Since the Unix epoch; only for what is agreed with other machines (credential expiry).
  std::chrono::seconds wall{};
};

}  // namespace bedside::turn
