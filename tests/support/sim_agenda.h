// The one clock of a simulated visit, and what is to happen when. Single thread; nothing here ever
// waits.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <utility>

#include "signaling/now.h"
#include "turn/now.h"

namespace bedside::sim {

using std::chrono::milliseconds;
using std::chrono::seconds;

// How late a deadline may be met.
inline constexpr milliseconds kTick{5};

class Agenda {
 public:
  milliseconds now() const { return now_; }
  milliseconds wall() const { return kWallStart + now_; }
  signaling::Now hub_now() const { return {now_, wall()}; }
  turn::Now relay_now() const { return {now_, std::chrono::duration_cast<seconds>(wall())}; }

  // Equal times keep the order in which they were asked for.
  void after(milliseconds delay, std::function<void()> what) {
    events_.emplace(std::pair(now_ + delay, ++last_), std::move(what));
  }

  // Time of the next event.
  std::optional<milliseconds> next() const {
    if (events_.empty()) return std::nullopt;
    return events_.begin()->first.first;
  }

  void advance_to(milliseconds at) { now_ = std::max(now_, at); }

  // Runs one event that is due; false when none is.
  bool run_one() {
    if (events_.empty() || events_.begin()->first.first > now_) return false;
    auto event = events_.extract(events_.begin());
    event.mapped()();
    return true;
  }

 private:
  static constexpr milliseconds kWallStart{1'800'000'000'000};

  milliseconds now_{1'000'000};
  std::uint64_t last_ = 0;
  std::map<std::pair<milliseconds, std::uint64_t>, std::function<void()>> events_;
};

}  // namespace bedside::sim
