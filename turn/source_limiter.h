// Limits the replies a stranger can draw from us, per source prefix (checklist A.9): the sources of
// UDP are forged, and every unauthenticated reply may be hitting somebody who did not ask.
//
// Fixed memory: two tables of token buckets, one for narrow prefixes (IPv4 /32, IPv6 /64) and one
// for wide ones (IPv4 /24, IPv6 /56); a reply needs a token of both. A prefix is hashed with a
// secret seed to its bucket and shares it with whoever falls into the same one: nothing is ever
// evicted, so a flood of sources cannot give an old offender a fresh bucket. Sharing errs towards
// silence, and UDP clients retry. Established allocations never ask here. One object per relay, one
// thread.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "stun/endpoint.h"
#include "turn/limits.h"
#include "turn/now.h"

namespace bedside::turn {

class SourceLimiter {
 public:
  // `seed` is random and secret. `buckets` is a power of two.
  explicit SourceLimiter(std::uint64_t seed, SourceRate narrow = limits::kNarrowSourceRate,
                         SourceRate wide = limits::kWideSourceRate,
                         std::size_t buckets = limits::kSourceBuckets);

  // Takes one token for a reply to this source. False: say nothing.
  [[nodiscard]] bool admit(const stun::IpAddress& source, const Now& now) noexcept;

 private:
  struct Bucket {
    std::uint32_t updated_ms = 0;  // since the limiter's origin; wraps after 49 days, harmlessly
    std::uint32_t used = 0;        // thousandths of a token taken and not yet given back
  };
  [[nodiscard]] std::size_t slot(const stun::IpAddress& source,
                                 unsigned prefix_bits) const noexcept;
  static void give_back(Bucket& bucket, const SourceRate& rate, std::uint32_t now_ms) noexcept;
  [[nodiscard]] static bool has_token(const Bucket& bucket, const SourceRate& rate) noexcept;

  std::uint64_t seed_;
  SourceRate narrow_rate_;
  SourceRate wide_rate_;
  std::vector<Bucket> narrow_;
  std::vector<Bucket> wide_;
};

}  // namespace bedside::turn
