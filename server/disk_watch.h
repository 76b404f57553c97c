#pragma once

// The space on the disk of the database: an alarm before it is gone, and no new rooms while what is
// left is kept for those that exist (joins, leaves, their records).

#include <atomic>
#include <chrono>
#include <cstdint>
#include <deque>
#include <filesystem>
#include <functional>
#include <optional>
#include <string_view>

namespace bedside::server {

struct DiskSpace {
  std::uint64_t free = 0;  // bytes that this user may write
  std::uint64_t size = 0;
};

// Nothing when the system does not tell.
std::optional<DiskSpace> measure_disk(const std::filesystem::path& folder);

enum class DiskState : std::uint8_t {
  plenty,
  low,     // less than a tenth is free, or it would be full in 30 days if it went on like this
  scarce,  // less than 512 MB, or a twentieth of a small disk: no new rooms
};
std::string_view name(DiskState state);

class DiskWatch {
 public:
  using Measure = std::function<std::optional<DiskSpace>()>;

  using Clock = std::function<std::chrono::steady_clock::time_point()>;

  explicit DiskWatch(Measure measure, Clock clock = std::chrono::steady_clock::now)
      : measure_(std::move(measure)), clock_(std::move(clock)) {}

  // One thread. The state when it is another one than before: a better one only once there is a
  // fiftieth of the disk more than its limit, so that a disk at the limit does not ring all day.
  std::optional<DiskState> look();

  // Any thread.
  DiskState state() const { return state_; }
  std::uint64_t free() const { return free_; }

 private:
  // Of the last week's average, once a day is known.
  bool ends_soon(std::uint64_t free, std::uint64_t days);

  struct Day {
    std::chrono::steady_clock::time_point at;
    std::uint64_t free = 0;
  };

  Measure measure_;
  Clock clock_;
  std::deque<Day> days_;  // oldest first, a week of them
  std::atomic<DiskState> state_ = DiskState::plenty;
  std::atomic<std::uint64_t> free_ = 0;
};

}  // namespace bedside::server
