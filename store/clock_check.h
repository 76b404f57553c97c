#pragma once

// What a log says about the clocks of its machine: each record has the wall clock and the time
// since boot, whose difference changes only when somebody sets the wall clock. One thread; records
// in their order.

#include <cstdint>
#include <map>
#include <optional>
#include <string>

#include "store/canonical_reader.h"

namespace bedside::store {

// The wall clock was set while a boot lasted, and the records that tell of it (time.step) do not
// add up to that. It is no proof of anything: it may have been set while no server ran.
struct UntoldClockStep {
  std::uint64_t seq = 0;   // the first record after it
  std::int64_t by_us = 0;  // all of that boot, less what is told; positive: forward
};

class ClockCheck {
 public:
  // False: its time since boot is before that of the record before it, within one boot.
  [[nodiscard]] bool follow(std::uint64_t seq, const CanonicalObject& body);
  // The first boot whose steps are not told.
  std::optional<UntoldClockStep> untold() const;

 private:
  struct Boot {
    std::int64_t offset_us = 0;  // wall clock less time since boot, of its first record
    std::int64_t last_us = 0;    // of its last
    std::int64_t told_us = 0;
    std::uint64_t stepped = 0;  // the first record after a step
  };

  void follow_offset(std::uint64_t seq, const std::string& boot_id, std::int64_t offset);

  std::map<std::string, Boot, std::less<>> boots_;
  std::string boot_id_;  // of the record before
  Boot* boot_ = nullptr;
  std::string ordered_boot_id_;  // of the one before that was stamped in order
  std::int64_t ordered_boot_us_ = 0;
};

}  // namespace bedside::store
