// The machine under the server, on a disk that is really full.
#include "server/host_watch.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <string>
#include <vector>

#include "tests/server/scratch_folder.h"
#include "tests/server/small_disk.h"

namespace bedside::server {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

class HostWatchTest : public testing::Test {
 protected:
  void SetUp() override {
    if (disk_.mounted()) return;
    GTEST_SKIP() << "NOT TESTED: what is recorded of a full disk; mounting a tmpfs needs root: "
                 << std::strerror(errno);
  }
  // What one look leaves in the audit log about the disk.
  static std::vector<std::string> recorded(HostWatch& watch, bool full) {
    constexpr std::array<std::uint8_t, 32> kKey{1};
    std::vector<std::string> told;
    watch.look(full, [&](const AdminAction& action) {
      for (const store::AuditRecord& record : AuditTrail(kKey, kKey).commit(action, {}).records) {
        if (!record.type.starts_with("storage.")) continue;  // somebody may set this clock
        told.push_back(record.type + " " + record.reason + record.detail.text());
      }
    });
    return told;
  }

  ScratchFolder folder_;
  SmallDisk disk_{folder_.path() / "disk", 8};
};

TEST_F(HostWatchTest, RecordsThatTheDiskIsNearlyFullOnce) {
  HostWatch watch(folder_.path() / "disk", 0);
  EXPECT_THAT(recorded(watch, false), IsEmpty());
  EXPECT_TRUE(watch.space_for_rooms());
  disk_.fill();
  EXPECT_THAT(recorded(watch, false),
              ElementsAre(R"(storage.low scarce{"free_mb":0,"size_mb":8})"));
  EXPECT_THAT(recorded(watch, false), IsEmpty());
  EXPECT_FALSE(watch.space_for_rooms());
  disk_.make_space();
  EXPECT_THAT(recorded(watch, false), IsEmpty()) << "that is for the log of the service";
  EXPECT_TRUE(watch.space_for_rooms());
}

TEST_F(HostWatchTest, RecordsThatTheBallastWasGivenUp) {
  HostWatch watch(folder_.path() / "disk", std::uint64_t{1} << 20);
  EXPECT_THAT(recorded(watch, false), IsEmpty());
  EXPECT_THAT(recorded(watch, true), ElementsAre(R"(storage.full {"ballast_mb":1})"));
  EXPECT_FALSE(watch.space_for_rooms());
  EXPECT_THAT(recorded(watch, false), IsEmpty());
  EXPECT_TRUE(watch.space_for_rooms()) << "made again: there is plenty";
}

}  // namespace
}  // namespace bedside::server
