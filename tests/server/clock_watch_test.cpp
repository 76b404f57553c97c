#include "server/clock_watch.h"

#include <gtest/gtest.h>

namespace bedside::server {
namespace {

using namespace std::chrono_literals;

class ClockWatchTest : public testing::Test {
 protected:
  // After `later` of real time, the wall clock having been set by `by`.
  ClockWatch::Finding after(std::chrono::microseconds later, std::chrono::microseconds by = 0us) {
    now_.boot += later;
    now_.wall += later + by;
    return watch_.look(now_);
  }
  ClockReading now_{1'795'442'400s, 100s, true};
  ClockWatch watch_{now_};
};

TEST_F(ClockWatchTest, TellsAStepForwardAndBack) {
  EXPECT_EQ(after(10s).stepped, std::nullopt);
  EXPECT_EQ(after(10s, 3600s).stepped, 3600s);
  EXPECT_EQ(after(10s).stepped, std::nullopt);
  EXPECT_EQ(after(1min, -1s).stepped, -1s);
  EXPECT_EQ(after(1min).stepped, std::nullopt);
}

TEST_F(ClockWatchTest, ASlewedClockWasNotSet) {
  for (int i = 0; i < 1000; ++i) EXPECT_EQ(after(10s, 5ms).stepped, std::nullopt);
}

TEST_F(ClockWatchTest, AMachineThatSleptWasNotSet) { EXPECT_EQ(after(8h).stepped, std::nullopt); }

TEST_F(ClockWatchTest, StepsWithinAMinuteAreToldAsOne) {
  EXPECT_EQ(after(10s, 5s).stepped, 5s);
  EXPECT_EQ(after(10s, 2s).stepped, std::nullopt);
  EXPECT_EQ(after(10s, 3s).stepped, std::nullopt);
  EXPECT_EQ(after(41s).stepped, 5s);
  EXPECT_EQ(after(10s, 4s).stepped, std::nullopt);
  EXPECT_EQ(after(10s, -4s).stepped, std::nullopt);
  EXPECT_EQ(after(2min).stepped, std::nullopt);
}

TEST_F(ClockWatchTest, TellsWhenItIsKeptRightNoMoreAndAgain) {
  EXPECT_EQ(after(10s).synchronized, std::nullopt);
  now_.synchronized = false;
  EXPECT_EQ(after(10s).synchronized, false);
  EXPECT_EQ(after(10s).synchronized, std::nullopt);
  now_.synchronized.reset();  // not allowed to ask
  EXPECT_EQ(after(10s).synchronized, std::nullopt);
  now_.synchronized = true;
  EXPECT_EQ(after(10s).synchronized, true);
}

TEST(ReadClocksTest, TheSystemsClocksAreNotTakenForSetOnes) {
  ClockWatch watch(read_clocks());
  EXPECT_EQ(watch.look(read_clocks()).stepped, std::nullopt);
}

}  // namespace
}  // namespace bedside::server
