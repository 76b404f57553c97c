// A token bucket; without more words kMessagesPerSecond with bursts of kMessageBurst.
#pragma once

#include <algorithm>
#include <chrono>
#include <optional>

#include "signaling/limits.h"
#include "signaling/now.h"

namespace bedside::signaling {

class Rate {
 public:
  explicit Rate(double per_second = kMessagesPerSecond, double burst = kMessageBurst)
      : per_second_(per_second), burst_(burst), tokens_(burst) {}

  // False when the bucket is empty: the message is one too many.
  bool take(const Now& now) {
    if (last_) {
      const std::chrono::duration<double> passed = now.mono - *last_;
      tokens_ = std::min(burst_, tokens_ + passed.count() * per_second_);
    }
    last_ = now.mono;
    if (tokens_ < 1.0) return false;
    tokens_ -= 1.0;
    return true;
  }

 private:
  double per_second_;
  double burst_;
  double tokens_;
  std::optional<std::chrono::milliseconds> last_;
};

}  // namespace bedside::signaling
