#include "turn/source_limiter.h"

#include <gtest/gtest.h>

#include "tests/support/seeded_random.h"

namespace bedside::turn {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr std::uint64_t kSeed = 0x5EED;
constexpr SourceRate kRate{10, 20};
constexpr SourceRate kPlenty{1'000'000, 1'000'000};

stun::IpAddress source_ip(std::string_view text) { return *stun::IpAddress::parse(text); }
Now at(milliseconds mono) { return {mono, seconds{0}}; }

// How many of `tries` replies to this source are admitted at once.
int admitted(SourceLimiter& limiter, const stun::IpAddress& source, milliseconds mono,
             int tries = 1000) {
  int count = 0;
  for (int i = 0; i < tries; ++i) count += limiter.admit(source, at(mono)) ? 1 : 0;
  return count;
}

TEST(SourceLimiter, admits_a_burst_and_then_the_rate) {
  SourceLimiter limiter(kSeed, kRate, kPlenty);
  const auto source = source_ip("198.51.100.1");
  EXPECT_EQ(admitted(limiter, source, seconds{100}), 20);
  EXPECT_EQ(admitted(limiter, source, seconds{100} + milliseconds{99}), 0);
  EXPECT_EQ(admitted(limiter, source, seconds{100} + milliseconds{100}), 1);
  EXPECT_EQ(admitted(limiter, source, seconds{101}), 9);
  EXPECT_EQ(admitted(limiter, source, seconds{200}), 20) << "never more than the burst";
}

TEST(SourceLimiter, counts_every_ipv4_address_alone_and_its_24_together) {
  SourceLimiter narrow(kSeed, kRate, kPlenty);
  EXPECT_EQ(admitted(narrow, source_ip("198.51.100.1"), seconds{1}), 20);
  EXPECT_EQ(admitted(narrow, source_ip("198.51.100.2"), seconds{1}), 20);

  SourceLimiter wide(kSeed, kPlenty, kRate);
  EXPECT_EQ(admitted(wide, source_ip("198.51.100.1"), seconds{1}), 20);
  EXPECT_EQ(admitted(wide, source_ip("198.51.100.254"), seconds{1}), 0);
  EXPECT_EQ(admitted(wide, source_ip("198.51.101.1"), seconds{1}), 20);
}

TEST(SourceLimiter, counts_every_ipv6_64_alone_and_its_56_together) {
  SourceLimiter narrow(kSeed, kRate, kPlenty);
  EXPECT_EQ(admitted(narrow, source_ip("2001:db8:0:1::1"), seconds{1}), 20);
  EXPECT_EQ(admitted(narrow, source_ip("2001:db8:0:1:ffff::2"), seconds{1}), 0) << "same /64";
  EXPECT_EQ(admitted(narrow, source_ip("2001:db8:0:2::1"), seconds{1}), 20);

  SourceLimiter wide(kSeed, kPlenty, kRate);
  EXPECT_EQ(admitted(wide, source_ip("2001:db8:0:1::1"), seconds{1}), 20);
  EXPECT_EQ(admitted(wide, source_ip("2001:db8:0:ff::1"), seconds{1}), 0) << "same /56";
  EXPECT_EQ(admitted(wide, source_ip("2001:db8:0:100::1"), seconds{1}), 20);
}

TEST(SourceLimiter, treats_a_mapped_source_as_its_ipv4_address) {
  SourceLimiter limiter(kSeed, kRate, kPlenty);
  EXPECT_EQ(admitted(limiter, source_ip("198.51.100.1"), seconds{1}), 20);
  EXPECT_EQ(admitted(limiter, source_ip("::ffff:198.51.100.1"), seconds{1}), 0);
}

TEST(SourceLimiter, does_not_charge_the_prefix_for_refused_replies) {
  SourceLimiter limiter(kSeed, kRate, SourceRate{10, 30});
  EXPECT_EQ(admitted(limiter, source_ip("198.51.100.1"), seconds{1}), 20);
  EXPECT_EQ(admitted(limiter, source_ip("198.51.100.2"), seconds{1}), 10)
      << "the 980 refusals before took nothing from the /24";
}

TEST(SourceLimiter, bounds_all_replies_under_a_flood_of_sources) {
  testing_support::SeededRandom random(0xF100D);
  constexpr std::size_t kBuckets = 64;
  SourceLimiter limiter(kSeed, kRate, kPlenty, kBuckets);
  std::size_t admitted_total = 0;
  for (int i = 0; i < 100'000; ++i) {
    const auto source =
        stun::IpAddress::v4(random.byte(), random.byte(), random.byte(), random.byte());
    admitted_total += limiter.admit(source, at(seconds{5})) ? 1 : 0;
  }
  EXPECT_EQ(admitted_total, kBuckets * kRate.burst) << "no source gets a bucket by eviction";
}

TEST(SourceLimiter, lets_one_source_pass_while_another_floods) {
  SourceLimiter limiter(kSeed);
  EXPECT_LT(admitted(limiter, source_ip("198.51.100.1"), seconds{1}, 100'000), 100'000);
  EXPECT_EQ(admitted(limiter, source_ip("192.0.2.1"), seconds{1}, 100), 100);
}

TEST(SourceLimiter, keeps_working_when_its_clock_wraps) {
  SourceLimiter limiter(kSeed, kRate, kPlenty);
  const milliseconds wrap{(std::int64_t{1} << 32) - 50};
  const auto source = source_ip("198.51.100.1");
  EXPECT_EQ(admitted(limiter, source, wrap), 20);
  EXPECT_EQ(admitted(limiter, source, wrap + milliseconds{99}), 0);
  EXPECT_EQ(admitted(limiter, source, wrap + milliseconds{100}), 1);
}

}  // namespace
}  // namespace bedside::turn
