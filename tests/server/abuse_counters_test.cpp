#include "server/abuse_counters.h"

#include <gtest/gtest.h>

namespace bedside::server {
namespace {

using std::chrono::milliseconds;

TEST(AbuseCounters, GiveOneRowForAKindAndNetworkWhenTheMinuteIsOver) {
  AbuseCounters counters;
  const milliseconds start{5'000};
  EXPECT_TRUE(counters.count(Abuse::malformed, "a/24", "public", start));
  EXPECT_FALSE(counters.count(Abuse::malformed, "a/24", "public", start + milliseconds(1)));
  EXPECT_TRUE(counters.count(Abuse::malformed, "b/24", "private", start));
  EXPECT_TRUE(counters.count(Abuse::wrong_token, "a/24", "public", start));
  EXPECT_TRUE(counters.take_due(start + milliseconds(59'999)).empty());
  const auto rows = counters.take_due(start + milliseconds(60'000));
  ASSERT_EQ(rows.size(), 3U);
  EXPECT_EQ(rows[0].network, "a/24");
  EXPECT_EQ(rows[0].ip_class, "public");
  EXPECT_EQ(rows[0].count, 2U);
  EXPECT_EQ(rows[1].count, 1U);
  EXPECT_TRUE(counters.empty());
  // The next minute begins with the next event, and its first is a first again.
  EXPECT_TRUE(counters.count(Abuse::malformed, "a/24", "public", milliseconds(200'000)));
  EXPECT_EQ(counters.due(), milliseconds(260'000));
}

TEST(AbuseCounters, HoldABoundedNumberOfRowsAndCountTheRestTogether) {
  AbuseCounters counters;
  for (int i = 0; i < 100'000; ++i) {
    counters.count(Abuse::turn_auth, "network " + std::to_string(i), "public", milliseconds(1));
  }
  const auto rows = counters.take_all();
  EXPECT_EQ(rows.size(), AbuseCounters::kMaxRows + 1);
  std::uint64_t total = 0;
  std::uint64_t many = 0;
  for (const auto& row : rows) {
    total += row.count;
    if (row.network == "many") many = row.count;
  }
  EXPECT_EQ(total, 100'000U);
  EXPECT_EQ(many, 100'000U - AbuseCounters::kMaxRows);
}

TEST(AbuseCounters, NameABoundedNumberOfNetworksADay) {
  AbuseCounters counters;
  std::size_t named = 0;
  std::size_t rows = 0;
  for (milliseconds now{0}; now < std::chrono::hours(24); now += std::chrono::minutes(1)) {
    for (int i = 0; i < 100; ++i) {
      counters.count(Abuse::turn_auth, "network " + std::to_string(i), "public", now);
    }
    for (const auto& row : counters.take_due(now + AbuseCounters::kWindow)) {
      ++rows;
      named += row.network == "many" ? 0 : 1;
    }
  }
  EXPECT_EQ(named, AbuseCounters::kMaxRowsADay);
  EXPECT_LT(rows, AbuseCounters::kMaxRowsADay + 24 * 60);
  EXPECT_TRUE(counters.count(Abuse::turn_auth, "network 1", "public", std::chrono::hours(24)));
}

}  // namespace
}  // namespace bedside::server
