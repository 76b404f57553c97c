#include "server/epoch_watch.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace bedside::server {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;

std::string said(EpochWatch& watch, const char* trouble) {
  testing::internal::CaptureStderr();
  watch.look(trouble);
  return testing::internal::GetCapturedStderr();
}

TEST(EpochWatch, TellsEachChangeOnce) {
  EpochWatch watch;
  EXPECT_THAT(said(watch, ""), IsEmpty());
  EXPECT_THAT(said(watch, "keys/2.key: cannot be made"),
              testing::AllOf(HasSubstr("error"), HasSubstr("keys/2.key: cannot be made")));
  EXPECT_THAT(said(watch, "keys/2.key: cannot be made"), IsEmpty());
  EXPECT_THAT(said(watch, "no space"), HasSubstr("no space"));
  EXPECT_THAT(said(watch, ""), HasSubstr("under a new key"));
  EXPECT_THAT(said(watch, ""), IsEmpty());
}

}  // namespace
}  // namespace bedside::server
