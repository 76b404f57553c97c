#include "signaling/outbox.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "signaling/limits.h"

namespace bedside::signaling {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::SizeIs;

constexpr std::size_t kAll = kOutboxBytes;

TEST(Outbox, NumbersMessagesFromOne) {
  Outbox outbox;
  outbox.push(R"({"type":"a"})");
  outbox.push(R"({"type":"b"})");
  EXPECT_THAT(outbox.take(kAll), ElementsAre(R"({"seq":1,"type":"a"})", R"({"seq":2,"type":"b"})"));
  EXPECT_THAT(outbox.take(kAll), IsEmpty());
}

TEST(Outbox, TakesAboutAsManyBytesAsAskedButAtLeastOneMessage) {
  Outbox outbox;
  for (int i = 0; i < 3; ++i) outbox.push(R"({"type":"a"})");
  EXPECT_THAT(outbox.take(1), SizeIs(1));
  EXPECT_THAT(outbox.take(21), SizeIs(2));
}

TEST(Outbox, ReplaysWhatWasTakenUntilTheClientHasIt) {
  Outbox outbox;
  for (int i = 0; i < 4; ++i) outbox.push(R"({"type":"a"})");
  outbox.take(kAll);
  ASSERT_TRUE(outbox.can_resume(2));
  outbox.resume(2);
  EXPECT_THAT(outbox.take(kAll), SizeIs(2));
  EXPECT_FALSE(outbox.can_resume(1)) << "the client said it has 2";
  EXPECT_FALSE(outbox.can_resume(5)) << "never sent";
  EXPECT_TRUE(outbox.can_resume(4));
}

TEST(Outbox, ForgetsTheOldestDeliveredMessagesFirst) {
  Outbox outbox;
  for (std::size_t i = 0; i < kOutboxMessages; ++i) outbox.push(R"({"type":"a"})");
  outbox.take(kAll);
  outbox.push(R"({"type":"b"})");
  EXPECT_FALSE(outbox.lost());
  EXPECT_THAT(outbox.take(kAll), SizeIs(1));
  EXPECT_FALSE(outbox.can_resume(0));
  EXPECT_TRUE(outbox.can_resume(1));
  EXPECT_EQ(outbox.size(), kOutboxMessages);
}

TEST(Outbox, LosesEverythingRatherThanAPartWhenTheUndeliveredDoNotFit) {
  Outbox outbox;
  for (std::size_t i = 0; i <= kOutboxMessages; ++i) outbox.push(R"({"type":"a"})");
  EXPECT_TRUE(outbox.lost());
  EXPECT_EQ(outbox.bytes(), 0U);
  EXPECT_FALSE(outbox.can_resume(0));
  outbox.restart(R"({"type":"resync"})");
  outbox.push(R"({"type":"b"})");
  EXPECT_THAT(outbox.take(kAll),
              ElementsAre(R"({"seq":257,"type":"resync"})", R"({"seq":258,"type":"b"})"));
}

TEST(Outbox, RepeatsARestartToWhoHasNotHeardIt) {
  Outbox outbox;
  EXPECT_FALSE(outbox.can_repeat(0)) << "nothing to repeat";
  for (int i = 0; i < 3; ++i) outbox.push(R"({"type":"a"})");
  EXPECT_FALSE(outbox.can_repeat(0)) << "no restart";
  outbox.restart(R"({"type":"resync"})");  // 4
  outbox.push(R"({"type":"b"})");
  outbox.take(kAll);
  ASSERT_TRUE(outbox.can_repeat(2));
  outbox.repeat();
  EXPECT_THAT(outbox.take(kAll), SizeIs(2));
  EXPECT_FALSE(outbox.can_repeat(4)) << "heard it";
  EXPECT_FALSE(outbox.can_repeat(9)) << "never sent";
  outbox.resume(4);
  EXPECT_FALSE(outbox.can_repeat(2)) << "acknowledged, hence gone";
}

TEST(Outbox, IsBoundedInBytes) {
  Outbox outbox;
  const std::string large = R"({"x":")" + std::string(60'000, 'x') + R"("})";
  for (int i = 0; i < 100; ++i) {
    outbox.push(large);
    outbox.take(kAll);
    EXPECT_LE(outbox.bytes(), kOutboxBytes);
  }
  EXPECT_FALSE(outbox.lost());
}

}  // namespace
}  // namespace bedside::signaling
