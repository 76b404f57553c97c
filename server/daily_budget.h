#pragma once

// How often something may happen a day. One thread; time is passed in, of any steady clock.

#include <chrono>
#include <cstddef>

namespace bedside::server {

class DailyBudget {
 public:
  explicit DailyBudget(std::size_t limit) : limit_(limit) {}

  // Whether something of it is left; a day after the last one began, another begins.
  bool left(std::chrono::milliseconds now) {
    if (now - since_ >= std::chrono::hours(24)) {
      since_ = now;
      spent_ = 0;
    }
    return spent_ < limit_;
  }
  void spend() { ++spent_; }

 private:
  std::size_t limit_;
  std::size_t spent_ = 0;
  std::chrono::milliseconds since_{};
};

}  // namespace bedside::server
