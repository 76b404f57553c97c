#include "turn/deadlines.h"

#include <gtest/gtest.h>

#include <map>
#include <random>

namespace bedside::turn {
namespace {

using std::chrono::nanoseconds;

TEST(Deadlines, Come_due_in_order_and_not_before) {
  Deadlines deadlines;
  deadlines.set(7, nanoseconds(30));
  deadlines.set(2, nanoseconds(10));
  deadlines.set(4, nanoseconds(20));
  EXPECT_EQ(deadlines.earliest(), nanoseconds(10));
  EXPECT_EQ(deadlines.pop_due(nanoseconds(9)), std::nullopt);
  EXPECT_EQ(deadlines.pop_due(nanoseconds(25)), 2U);
  EXPECT_EQ(deadlines.pop_due(nanoseconds(25)), 4U);
  EXPECT_EQ(deadlines.pop_due(nanoseconds(25)), std::nullopt);
  EXPECT_EQ(deadlines.size(), 1U);
}

TEST(Deadlines, Clearing_what_is_not_there_changes_nothing) {
  Deadlines deadlines;
  deadlines.clear(3);
  deadlines.set(1, nanoseconds(5));
  deadlines.clear(900);
  deadlines.clear(0);
  EXPECT_EQ(deadlines.earliest(), nanoseconds(5));
}

TEST(Deadlines, Agree_with_a_sorted_map_whatever_is_set_and_cleared) {
  constexpr std::uint64_t kSeed = 20260101;
  SCOPED_TRACE("seed " + std::to_string(kSeed));
  std::mt19937_64 random(kSeed);
  Deadlines deadlines;
  std::map<std::uint32_t, nanoseconds> model;
  for (int step = 0; step < 20'000; ++step) {
    const auto slot = static_cast<std::uint32_t>(random() % 64);
    const nanoseconds when(static_cast<std::int64_t>(random() % 1000));
    const std::uint64_t what = random() % 4;
    if (what < 2) {
      deadlines.set(slot, when);
      model[slot] = when;
    } else if (what == 2) {
      deadlines.clear(slot);
      model.erase(slot);
    } else if (const auto due = deadlines.pop_due(when)) {
      for (const auto& [other, instant] : model) ASSERT_GE(instant, model.at(*due));
      ASSERT_LE(model.at(*due), when);
      model.erase(*due);
    } else {
      for (const auto& [other, instant] : model) ASSERT_GT(instant, when);
    }
    ASSERT_EQ(deadlines.size(), model.size());
  }
}

}  // namespace
}  // namespace bedside::turn
