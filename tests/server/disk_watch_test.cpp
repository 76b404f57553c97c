#include "server/disk_watch.h"

#include <gtest/gtest.h>

namespace bedside::server {
namespace {

constexpr std::uint64_t kMega = std::uint64_t{1} << 20;
constexpr std::uint64_t kGiga = std::uint64_t{1} << 30;

class DiskWatchTest : public testing::Test {
 protected:
  std::optional<DiskState> with_free(std::uint64_t free) {
    space_->free = free;
    return watch_.look();
  }
  std::optional<DiskSpace> space_ = DiskSpace{0, 40 * kGiga};
  DiskWatch watch_{[this] { return space_; }};
};

TEST_F(DiskWatchTest, TellsEachStateOnce) {
  EXPECT_EQ(with_free(30 * kGiga), std::nullopt);
  EXPECT_EQ(with_free(4 * kGiga), std::nullopt);
  EXPECT_EQ(with_free(4 * kGiga - 1), DiskState::low);
  EXPECT_EQ(with_free(kGiga), std::nullopt);
  EXPECT_EQ(with_free(511 * kMega), DiskState::scarce);
  EXPECT_EQ(with_free(0), std::nullopt);
  EXPECT_EQ(watch_.state(), DiskState::scarce);
  EXPECT_EQ(with_free(30 * kGiga), DiskState::plenty);
}

TEST_F(DiskWatchTest, DoesNotRingAllDayAtItsLimit) {
  EXPECT_EQ(with_free(4 * kGiga - 1), DiskState::low);
  EXPECT_EQ(with_free(4 * kGiga + 1), std::nullopt);  // a fiftieth more is wanted
  EXPECT_EQ(with_free(4 * kGiga - 1), std::nullopt);
  EXPECT_EQ(with_free(4 * kGiga + 40 * kGiga / 50), DiskState::plenty);
  EXPECT_EQ(with_free(500 * kMega), DiskState::scarce);
  EXPECT_EQ(with_free(600 * kMega), std::nullopt);
  EXPECT_EQ(with_free(2 * kGiga), DiskState::low);
}

TEST_F(DiskWatchTest, KeepsATwentiethOfASmallDisk) {
  space_->size = kGiga;
  EXPECT_EQ(with_free(60 * kMega), DiskState::low);
  EXPECT_EQ(with_free(50 * kMega), DiskState::scarce);
}

TEST_F(DiskWatchTest, SaysNothingOfADiskItCannotMeasure) {
  space_.reset();
  EXPECT_EQ(watch_.look(), std::nullopt);
  space_ = DiskSpace{0, 0};
  EXPECT_EQ(watch_.look(), std::nullopt);
  EXPECT_EQ(watch_.state(), DiskState::plenty);
}

TEST(DiskWatchRunway, RingsWhenTheDiskWouldBeFullInAMonth) {
  std::chrono::steady_clock::time_point now;
  DiskSpace space{30 * kGiga, 40 * kGiga};
  DiskWatch watch([&] { return space; }, [&] { return now; });
  const auto after_a_day_with = [&](std::uint64_t used) {
    now += std::chrono::hours(24);
    space.free -= used;
    return watch.look();
  };
  EXPECT_EQ(watch.look(), std::nullopt);
  EXPECT_EQ(after_a_day_with(100 * kMega), std::nullopt) << "300 days";
  EXPECT_EQ(after_a_day_with(3 * kGiga), DiskState::low) << "17 days at this rate";
  for (int day = 0; day < 6; ++day) after_a_day_with(0);
  EXPECT_EQ(after_a_day_with(0), std::nullopt);
  EXPECT_EQ(watch.state(), DiskState::plenty) << "it was one day only";
}

TEST(MeasureDisk, MeasuresARealOne) {
  const auto space = measure_disk("/");
  ASSERT_TRUE(space);
  EXPECT_GT(space->size, 0U);
  EXPECT_LE(space->free, space->size);
  EXPECT_FALSE(measure_disk("/no such folder"));
}

}  // namespace
}  // namespace bedside::server
