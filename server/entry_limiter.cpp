#include "server/entry_limiter.h"

#include "server/config.h"
#include "server/source_counts.h"

namespace bedside::server {

EntryLimiter::EntryLimiter(const EntryLimits& limits)
    : count_loopback_(limits.count_loopback), limiter_(random_seed(), limits.narrow, limits.wide) {}

bool EntryLimiter::admit(const stun::IpAddress& source, std::chrono::milliseconds now) {
  if (!count_loopback_ && is_loopback(source.unmapped())) return true;
  return limiter_.admit(source, {now, {}});
}

}  // namespace bedside::server
