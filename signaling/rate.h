// A token bucket: kMessagesPerSecond with bursts of kMessageBurst.
#pragma once

#include <algorithm>
#include <chrono>
#include <optional>

#include "signaling/limits.h"
#include "signaling/now.h"

namespace bedside::signaling {

class Rate {
 public:
  // False when the bucket is empty: the message is one too many.
  bool take(const Now& now) {
    if (last_) {
      const std::chrono::duration<double> passed = now.mono - *last_;
      tokens_ = std::min(kMessageBurst, tokens_ + passed.count() * kMessagesPerSecond);
    }
    last_ = now.mono;
    if (tokens_ < 1.0) return false;
    tokens_ -= 1.0;
    return true;
  }

 private:
  double tokens_ = kMessageBurst;
  std::optional<std::chrono::milliseconds> last_;
};

}  // namespace bedside::signaling
