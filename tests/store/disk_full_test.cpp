#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <fstream>
#include <iostream>
#include <thread>

#include "faulty_vfs.h"
#include "store_fixture.h"

namespace bedside::store {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

Options on(const TemporaryFolder& folder, const FaultyVfs& vfs) {
  Options options = sealed_options(folder);
  options.vfs = vfs.name();
  options.retry_deferred = std::chrono::hours(1);  // only where a test wants it sooner
  return options;
}

TEST(DiskFull, RefusesGrantsKeepsLeavesAndWritesThemWhenSpaceReturns) {
  const TemporaryFolder folder;
  FaultyVfs vfs;
  const auto store = open_or_die(on(folder, vfs));
  Commit join;
  join.changes = {room_created("r"), joined("r", "p")};
  ASSERT_TRUE(commit_and_wait(*store, std::move(join)).ok());

  vfs.set_capacity(kNoSpace);
  EXPECT_EQ(commit_and_wait(*store, commit_of("room.created")).status, CommitStatus::full);
  Commit leave = kept("room.leave", "p");
  leave.changes = {ParticipantLeft{"p"}};
  EXPECT_EQ(commit_and_wait(*store, std::move(leave)).status, CommitStatus::deferred);
  EXPECT_EQ(commit_and_wait(*store, commit_of("room.created")).status, CommitStatus::full);
  EXPECT_TRUE(store->stats().full);
  EXPECT_EQ(store->stats().deferred, 1U);

  vfs.set_capacity(0);
  EXPECT_TRUE(commit_and_wait(*store, commit_of("room.created")).ok());
  EXPECT_FALSE(store->stats().full);
  EXPECT_TRUE(store->load()->participants.empty());
  expect_whole(folder.database());
  RawDatabase raw(folder.database());
  EXPECT_THAT(raw.types(),
              ElementsAre(kEpochRecord, "room.leave", "storage.recovered", "room.created"));
  EXPECT_THAT(raw.column("SELECT json_extract(CAST(body AS TEXT), '$.late') FROM audit"
                         " ORDER BY seq"),
              ElementsAre("", "1", "", ""));
  EXPECT_THAT(raw.value("SELECT json_extract(CAST(body AS TEXT), '$.detail') FROM audit"
                        " WHERE type = 'storage.recovered'"),
              HasSubstr(R"("late":1,"lost":0,"refused":2)"));
}

TEST(DiskFull, WritesWhatItKeptWithoutBeingAsked) {
  const TemporaryFolder folder;
  FaultyVfs vfs;
  Options options = on(folder, vfs);
  options.retry_deferred = std::chrono::milliseconds(1);
  const auto store = open_or_die(std::move(options));
  vfs.set_capacity(kNoSpace);
  EXPECT_EQ(commit_and_wait(*store, kept("room.leave")).status, CommitStatus::deferred);
  vfs.set_capacity(0);
  while (store->stats().full) std::this_thread::yield();
  EXPECT_THAT(RawDatabase(folder.database()).types(),
              ElementsAre(kEpochRecord, "room.leave", "storage.recovered"));
}

TEST(DiskFull, KeepsABoundedNumberAndCountsWhatItLost) {
  const TemporaryFolder folder;
  FaultyVfs vfs;
  Options options = on(folder, vfs);
  options.max_deferred = 3;
  const auto store = open_or_die(std::move(options));
  vfs.set_capacity(kNoSpace);
  for (const char* name : {"1", "2", "3"}) {
    EXPECT_EQ(commit_and_wait(*store, kept(name)).status, CommitStatus::deferred);
  }
  EXPECT_EQ(commit_and_wait(*store, kept("4")).status, CommitStatus::full);
  EXPECT_EQ(store->stats().lost, 1U);
  vfs.set_capacity(0);
  EXPECT_TRUE(commit_and_wait(*store, kept("5")).ok());
  RawDatabase raw(folder.database());
  EXPECT_THAT(raw.types(), ElementsAre(kEpochRecord, "1", "2", "3", "storage.recovered", "5"));
  EXPECT_THAT(raw.value("SELECT CAST(body AS TEXT) FROM audit WHERE type = 'storage.recovered'"),
              HasSubstr(R"("lost":1)"));
}

// It has happened and was answered: the record is written, only the change is not made.
TEST(DiskFull, KeepsTheRecordOfALateCommitWhoseChangeContradictsTheState) {
  const TemporaryFolder folder;
  FaultyVfs vfs;
  const auto store = open_or_die(on(folder, vfs));
  vfs.set_capacity(kNoSpace);
  const auto commit_late = [&](const char* name, Change change) {
    Commit commit = kept(name);
    commit.changes = {std::move(change)};
    EXPECT_EQ(commit_and_wait(*store, std::move(commit)).status, CommitStatus::deferred);
  };
  commit_late("first", room_created("room"));
  commit_late("second", joined("no such room", "p"));
  commit_late("third", joined("room", "p"));
  vfs.set_capacity(0);
  EXPECT_TRUE(commit_and_wait(*store, commit_of("after")).ok());
  EXPECT_EQ(store->load()->participants.size(), 1U);
  expect_whole(folder.database());
  RawDatabase raw(folder.database());
  EXPECT_THAT(raw.types(),
              ElementsAre(kEpochRecord, "first", "second", "third", "storage.recovered", "after"));
  EXPECT_THAT(raw.value("SELECT CAST(body AS TEXT) FROM audit WHERE type = 'storage.recovered'"),
              HasSubstr(R"("late":3,"lost":0)"));
}

TEST(DiskFull, SaysAtCloseHowMuchItCouldNotWrite) {
  const TemporaryFolder folder;
  FaultyVfs vfs;
  const auto store = open_or_die(on(folder, vfs));
  vfs.set_capacity(kNoSpace);
  EXPECT_EQ(commit_and_wait(*store, kept("1")).status, CommitStatus::deferred);
  EXPECT_EQ(store->close(), 1U);
  vfs.set_capacity(0);
  EXPECT_TRUE(commit_and_wait(*open_or_die(sealed_options(folder)), commit_of("2")).ok());
}

TEST(DiskFull, DoesNotMakeAHugeCommitFailItsNeighbours) {
  const TemporaryFolder folder;
  FaultyVfs vfs;
  const auto store = open_or_die(on(folder, vfs));
  std::promise<void> enter;
  std::promise<void> go_on;
  ASSERT_TRUE(store->submit(commit_of("gate"), [&](const CommitResult&) {
    enter.set_value();
    go_on.get_future().wait();
  }));
  enter.get_future().wait();
  Commit huge;
  for (int i = 0; i < 200; ++i) huge.records.push_back(record_of("huge", std::string(9000, 'x')));
  std::vector<CommitStatus> statuses;
  const auto note = [&](const CommitResult& result) { statuses.push_back(result.status); };
  ASSERT_TRUE(store->submit(commit_of("before"), note));
  ASSERT_TRUE(store->submit(huge, note));
  ASSERT_TRUE(store->submit(commit_of("after"), note));
  vfs.set_capacity(std::filesystem::file_size(folder.database()) +
                   std::filesystem::file_size(folder.database() + "-wal") + 200'000);
  go_on.set_value();
  store->close();
  EXPECT_THAT(statuses,
              ElementsAre(CommitStatus::committed, CommitStatus::full, CommitStatus::committed));
  expect_whole(folder.database());
}

// The same with the kernel's own ENOSPC.
class SmallDisk {
 public:
  explicit SmallDisk(std::string path) : path_(std::move(path)) {
    mkdir(path_.c_str(), 0700);
    mounted_ = mount("tmpfs", path_.c_str(), "tmpfs", 0, "size=4m,mode=0700") == 0;
  }
  ~SmallDisk() {
    if (mounted_) umount2(path_.c_str(), MNT_DETACH);
  }
  SmallDisk(const SmallDisk&) = delete;
  SmallDisk& operator=(const SmallDisk&) = delete;
  bool mounted() const { return mounted_; }

 private:
  std::string path_;
  bool mounted_ = false;
};

TEST(DiskFull, OfTheKernelIsSurvivedLikeTheSimulatedOne) {
  const TemporaryFolder folder;
  const SmallDisk disk(folder.path() + "/data");
  if (!disk.mounted()) {
    GTEST_SKIP() << "NOT TESTED: a real full disk; mounting a tmpfs needs root: "
                 << std::strerror(errno);
  }
  const std::string filler = folder.path() + "/data/filler";
  for (const std::size_t size : {3'000'000U, 3'400'000U, 3'700'000U}) {
    SCOPED_TRACE(size);
    std::ofstream(filler, std::ios::binary) << std::string(size, 'f');
    const auto store = open_or_die(sealed_options(folder));
    std::size_t written = 0;
    CommitStatus last = CommitStatus::committed;
    while (last == CommitStatus::committed && ++written < 2000) {
      last = commit_and_wait(*store, commit_of("x", std::string(3000, 'x'))).status;
    }
    EXPECT_EQ(last, CommitStatus::full);
    EXPECT_EQ(commit_and_wait(*store, kept("leave")).status, CommitStatus::deferred);
    std::filesystem::remove(filler);
    EXPECT_TRUE(commit_and_wait(*store, commit_of("after")).ok());
    EXPECT_EQ(store->close(), 0U);
    expect_whole(folder.database());
    std::filesystem::remove(folder.database());
    std::filesystem::remove(folder.database() + "-wal");
    std::filesystem::remove(folder.database() + "-shm");
    std::filesystem::remove_all(folder.keys());
  }
}

}  // namespace
}  // namespace bedside::store
