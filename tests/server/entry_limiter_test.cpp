#include "server/entry_limiter.h"

#include <gtest/gtest.h>

#include <string_view>

namespace bedside::server {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

// How many of `tries` at this moment are let in.
int let_in(EntryLimiter& limiter, std::string_view source, milliseconds now, int tries) {
  int count = 0;
  for (int i = 0; i < tries; ++i) {
    count += limiter.admit(*stun::IpAddress::parse(source), now) ? 1 : 0;
  }
  return count;
}

TEST(EntryLimiter, AWholeClinicBehindOneAddressComesInAtOnceAndAFloodDoesNot) {
  EntryLimiter limiter{EntryLimits{}};
  EXPECT_EQ(let_in(limiter, "203.0.113.5", seconds{100}, 10'000), 300);
  EXPECT_EQ(let_in(limiter, "203.0.113.5", seconds{101}, 10'000), 10);
  // 36,000 an hour, for ever.
  for (int i = 1; i <= 100; ++i) {
    EXPECT_EQ(let_in(limiter, "203.0.113.5", seconds{101 + i}, 10), 10);
  }
  EXPECT_EQ(let_in(limiter, "2001:db8::1", seconds{100}, 10'000), 300);
}

TEST(EntryLimiter, ARefusalIsOverAfterRetryAfter) {
  EntryLimiter limiter{EntryLimits{{1, 1}, {1000, 10'000}, false}};
  const milliseconds now = seconds{50};
  EXPECT_EQ(let_in(limiter, "203.0.113.5", now, 2), 1);
  EXPECT_EQ(let_in(limiter, "203.0.113.5", now + EntryLimiter::kRetryAfter, 2), 1);
}

TEST(EntryLimiter, ManyAddressesOfOneNetworkShareAWiderAllowance) {
  EntryLimiter limiter{EntryLimits{}};
  int total = 0;
  for (int i = 0; i < 256; ++i) {
    total += let_in(limiter, "203.0.113." + std::to_string(i), seconds{100}, 100);
  }
  EXPECT_EQ(total, 1200);
}

TEST(EntryLimiter, VisitorsOfAProxyOnThisMachineShareNothing) {
  EntryLimiter limiter{EntryLimits{}};
  for (const char* loopback : {"127.0.0.1", "127.9.9.9", "::1"}) {
    EXPECT_EQ(let_in(limiter, loopback, seconds{100}, 5000), 5000) << loopback;
  }
}

}  // namespace
}  // namespace bedside::server
