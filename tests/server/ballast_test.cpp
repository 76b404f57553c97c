#include "server/ballast.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include "tests/server/scratch_folder.h"

namespace bedside::server {
namespace {

using Finding = Ballast::Finding;
constexpr std::uint64_t kBytes = std::uint64_t{1} << 20;

class BallastTest : public testing::Test {
 protected:
  std::filesystem::path file() const { return folder_.path() / "ballast"; }
  // The disk, with this much free.
  static DiskSpace with(std::uint64_t free) { return {free, 100 * kBytes}; }
  std::uint64_t blocks() const {
    struct stat facts {};
    return ::stat(file().c_str(), &facts) == 0 ? static_cast<std::uint64_t>(facts.st_blocks) : 0;
  }
  ScratchFolder folder_;
  Ballast ballast_{file(), kBytes};
};

TEST_F(BallastTest, TakesRealSpaceWhenThereIsPlenty) {
  EXPECT_EQ(ballast_.look(with(4 * kBytes), false), Finding::taken);
  EXPECT_EQ(std::filesystem::file_size(file()), kBytes);
  EXPECT_GE(blocks() * 512, kBytes);
  EXPECT_EQ(std::filesystem::status(file()).permissions(),
            std::filesystem::perms::owner_read | std::filesystem::perms::owner_write);
  EXPECT_EQ(ballast_.look(with(3 * kBytes), false), Finding::nothing);
}

TEST_F(BallastTest, IsGivenUpWhenAWriteFoundNoSpace) {
  ballast_.look(with(4 * kBytes), false);
  EXPECT_FALSE(ballast_.given_up());
  EXPECT_EQ(ballast_.look(with(2 * kBytes), true), Finding::released);
  EXPECT_FALSE(std::filesystem::exists(file()));
  EXPECT_EQ(ballast_.look(with(50 * kBytes), true), Finding::nothing);
  EXPECT_TRUE(ballast_.given_up());
  EXPECT_EQ(ballast_.look(with(4 * kBytes), false), Finding::taken);
  EXPECT_FALSE(ballast_.given_up());
}

TEST_F(BallastTest, IsGivenUpBeforeTheLastBlockIsGone) {
  ballast_.look(with(4 * kBytes), false);
  EXPECT_EQ(ballast_.look(with(kBytes / 8), false), Finding::nothing);
  EXPECT_EQ(ballast_.look(with(kBytes / 8 - 1), false), Finding::released);
  EXPECT_FALSE(std::filesystem::exists(file()));
}

TEST_F(BallastTest, IsMadeAgainOnlyWhenThereIsMuchMoreThanItTakes) {
  ballast_.look(with(4 * kBytes), false);
  ballast_.look(with(0), true);
  EXPECT_EQ(ballast_.look(with(kBytes), false), Finding::nothing);
  EXPECT_EQ(ballast_.look(with(4 * kBytes - 4), false), Finding::nothing);
  EXPECT_FALSE(std::filesystem::exists(file()));
  EXPECT_EQ(ballast_.look(with(4 * kBytes), false), Finding::taken);
}

TEST_F(BallastTest, HalfAFileOfAKilledProcessIsNone) {
  folder_.write("ballast", "half", 0600);
  EXPECT_EQ(ballast_.look(with(4 * kBytes), false), Finding::taken);
  EXPECT_EQ(std::filesystem::file_size(file()), kBytes);
}

TEST_F(BallastTest, GoesWithTheConfiguration) {
  ballast_.look(with(4 * kBytes), false);
  Ballast none(file(), 0);
  EXPECT_EQ(none.look(with(90 * kBytes), false), Finding::nothing);
  EXPECT_FALSE(std::filesystem::exists(file()));
}

TEST(BallastFolderTest, AMissingFolderIsNoError) {
  Ballast ballast("/nowhere/ballast", kBytes);
  EXPECT_EQ(ballast.look({90 * kBytes, 100 * kBytes}, false), Finding::nothing);
}

}  // namespace
}  // namespace bedside::server
