#pragma once

// Whether the wall clock can be believed: it is compared with a clock nobody can set, and the
// kernel is asked whether something keeps it right. One thread; the readings are passed in.

#include <chrono>
#include <optional>

namespace bedside::server {

struct ClockReading {
  std::chrono::microseconds wall{};  // Unix time
  std::chrono::microseconds boot{};  // CLOCK_BOOTTIME: goes on while the machine sleeps
  // Kept right by NTP or the like; nothing when the system does not tell.
  std::optional<bool> synchronized;
};

// All at one moment, as far as a thread that may be interrupted can.
ClockReading read_clocks();

class ClockWatch {
 public:
  // Less than a second is what NTP may do to a clock that was right.
  static constexpr std::chrono::microseconds kStep = std::chrono::seconds(1);
  // Steps within it are told as one: a clock that is torn to and fro cannot fill the log.
  static constexpr std::chrono::microseconds kBetweenSteps = std::chrono::minutes(1);

  struct Finding {
    std::optional<std::chrono::milliseconds> stepped;  // positive: forward
    std::optional<bool> synchronized;                  // when it is another one than before
  };

  explicit ClockWatch(const ClockReading& now);
  // Call every few seconds: drift between two calls counts as a step when it is as large as one.
  Finding look(const ClockReading& now);

 private:
  static std::chrono::microseconds offset(const ClockReading& at) { return at.wall - at.boot; }

  std::chrono::microseconds offset_;
  std::optional<std::chrono::microseconds> told_;  // CLOCK_BOOTTIME of the last step
  std::optional<bool> synchronized_;
};

}  // namespace bedside::server
