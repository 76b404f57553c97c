// How often a network may ask for what costs a commit and an audit record each time, and what a
// stranger may ask for: creating rooms and joining them.
#pragma once

#include <chrono>
#include <cstdint>

#include "stun/endpoint.h"
#include "turn/source_limiter.h"

namespace bedside::server {

// Generous on purpose: one address may be a whole clinic behind its router, or a ward full of
// patients behind a hospital's. Three hundred people may come in the same second, and 36,000 an
// hour after that, which no practice reaches; a flood from one network costs ten commits a
// second.
struct EntryLimits {
  turn::SourceRate narrow{10, 300};  // one IPv4 address or IPv6 /64
  turn::SourceRate wide{40, 1200};   // one IPv4 /24 or IPv6 /56
  // Behind a proxy on this machine every visitor comes from loopback: they must not share one
  // allowance, and it is the proxy that can tell them apart.
  bool count_loopback = false;
};

// Fixed memory, nothing is ever evicted: turn/source_limiter.h. Control thread only.
class EntryLimiter {
 public:
  // Long enough for a token to come back, whatever the rate.
  static constexpr std::chrono::seconds kRetryAfter{1};

  explicit EntryLimiter(const EntryLimits& limits);

  // False: too many came from this network, ask again after kRetryAfter. `now` of any steady clock.
  [[nodiscard]] bool admit(const stun::IpAddress& source, std::chrono::milliseconds now);

 private:
  const bool count_loopback_;
  turn::SourceLimiter limiter_;
};

}  // namespace bedside::server
