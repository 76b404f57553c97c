#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <vector>

#include "faulty_vfs.h"
#include "store_fixture.h"

namespace bedside::store {
namespace {

using Fault = FaultyVfs::Fault;

// A commit that writes state and record of the same name; its record's size makes the WAL grow in
// steps.
Commit numbered(int i) {
  const std::string name = "n" + std::to_string(i);
  Commit commit = commit_of(name, std::string(static_cast<std::size_t>(i % 4) * 5000, 'x'));
  commit.changes = {SettingSet{name, "v"}};
  return commit;
}

struct Life {
  std::vector<CommitResult> results;
  int fatal_calls = 0;
  bool taken_after_fatal = false;
  bool struck = false;
  bool full_at_the_end = false;
};

// `./run io-faults` strikes at each of the first 500 calls; the short version at each of a life of
// six commits.
std::uint64_t struck_calls() {
  const char* text = std::getenv("BEDSIDE_IO_CALLS");
  return text == nullptr ? 0 : std::strtoull(text, nullptr, 10);
}
const int kCommits = std::max(6, static_cast<int>(struck_calls()));

// One life of a store whose disk fails at the nth chance.
Life live(const std::string& path, Fault fault, std::uint64_t nth, bool for_good) {
  FaultyVfs vfs;
  std::atomic<int> fatal_calls = 0;
  Options options;
  options.path = path;
  options.vfs = vfs.name();
  options.on_fatal = [&](const std::string&) { ++fatal_calls; };
  Life run;
  {
    const auto store = open_or_die(std::move(options));
    vfs.fail(fault, nth, for_good);
    for (int i = 0; i < kCommits; ++i) run.results.push_back(commit_and_wait(*store, numbered(i)));
    if (fatal_calls > 0) run.taken_after_fatal = store->submit(numbered(kCommits), {});
    if (fault == Fault::full || fault == Fault::short_write) {
      run.struck = !vfs.armed();
      vfs.heal();  // space returns
      run.results.push_back(commit_and_wait(*store, numbered(kCommits)));
      run.full_at_the_end = store->stats().full;
    }
    store->close();
  }
  if (fault != Fault::full && fault != Fault::short_write) run.struck = !vfs.armed();
  run.fatal_calls = fatal_calls;
  return run;
}

// Everything acknowledged is there, whole; nothing refused for want of space is there.
void expect_promises_kept(const std::string& path, const Life& run) {
  const auto store = open_or_die(path);  // recovery, and the checks at start
  const Reader reader = reader_or_die(path);
  for (std::size_t i = 0; i < run.results.size(); ++i) {
    const std::string name = "n" + std::to_string(i);
    const CommitResult& result = run.results[i];
    const bool there = reader.setting(name).value().has_value();
    if (result.ok()) {
      EXPECT_TRUE(there) << name;
      const auto row = reader.audit_row(result.first_seq).value();
      ASSERT_TRUE(row.has_value()) << name;
      EXPECT_EQ(row->type, name);
    } else if (result.status == CommitStatus::full) {
      EXPECT_FALSE(there) << name;
    }
  }
  expect_gapless(path);
}

class NoSpace : public testing::TestWithParam<Fault> {};

TEST_P(NoSpace, AtAnyWriteIsAnsweredAndSurvivedWithoutRestart) {
  for (const bool for_good : {false, true}) {
    std::uint64_t nth = 1;
    for (; struck_calls() == 0 || nth <= struck_calls(); ++nth) {
      SCOPED_TRACE("full at write " + std::to_string(nth) + (for_good ? " and later" : ""));
      const TemporaryFolder folder;
      const Life run = live(folder.database(), GetParam(), nth, for_good);
      if (!run.struck) break;
      EXPECT_EQ(run.fatal_calls, 0);
      EXPECT_TRUE(run.results.back().ok());
      EXPECT_FALSE(run.full_at_the_end);
      for (const CommitResult& result : run.results) {
        EXPECT_TRUE(result.ok() || result.status == CommitStatus::full);
      }
      expect_promises_kept(folder.database(), run);
      if (testing::Test::HasFailure()) return;
    }
    EXPECT_GT(nth, std::max<std::uint64_t>(20, struck_calls()));  // it did strike in many places
  }
}

INSTANTIATE_TEST_SUITE_P(EveryWrite, NoSpace, testing::Values(Fault::full, Fault::short_write),
                         [](const auto& param) {
                           return param.param == Fault::full ? "none" : "half";
                         });

class FatalFault : public testing::TestWithParam<Fault> {};

TEST_P(FatalFault, EndsTheStoreAndKeepsWhatWasAcknowledged) {
  std::uint64_t nth = 1;
  for (; struck_calls() == 0 || nth <= struck_calls(); ++nth) {
    SCOPED_TRACE("failing call " + std::to_string(nth));
    const TemporaryFolder folder;
    const Life run = live(folder.database(), GetParam(), nth, false);
    if (!run.struck) break;
    EXPECT_EQ(run.fatal_calls, 1);
    EXPECT_FALSE(run.taken_after_fatal);
    bool over = false;  // nothing is acknowledged after the first failure
    for (const CommitResult& result : run.results) {
      EXPECT_FALSE(over && result.ok());
      over = over || result.status == CommitStatus::failed;
    }
    expect_promises_kept(folder.database(), run);
    if (testing::Test::HasFailure()) return;
  }
  EXPECT_GT(nth, std::max<std::uint64_t>(5, struck_calls()));
}

INSTANTIATE_TEST_SUITE_P(EveryCall, FatalFault,
                         testing::Values(Fault::write_error, Fault::sync_error, Fault::read_error),
                         [](const auto& param) {
                           return param.param == Fault::sync_error   ? "sync"
                                  : param.param == Fault::read_error ? "read"
                                                                     : "write";
                         });

TEST(FailingDisk, AnswersEverybodyWhoWaitsBehindAFatalError) {
  const TemporaryFolder folder;
  FaultyVfs vfs;
  Options options;
  options.path = folder.database();
  options.vfs = vfs.name();
  const auto store = open_or_die(std::move(options));
  std::promise<void> enter;
  std::promise<void> go_on;
  ASSERT_TRUE(store->submit(commit_of("gate"), [&](const CommitResult&) {
    enter.set_value();
    go_on.get_future().wait();
  }));
  enter.get_future().wait();
  vfs.fail(Fault::sync_error, 1, false);
  std::atomic<int> failed = 0;
  for (int i = 0; i < 500; ++i) {
    Commit commit = commit_of("x");
    commit.keep = i % 2 == 0;
    ASSERT_TRUE(store->submit(std::move(commit), [&](const CommitResult& result) {
      failed += result.status == CommitStatus::failed;
    }));
  }
  go_on.set_value();
  store->close();
  EXPECT_EQ(failed, 500);
  EXPECT_TRUE(store->stats().fatal);
}

TEST(FailingDisk, ThatCannotBeReadAtStartIsAnErrorNotACrash) {
  const TemporaryFolder folder;
  open_or_die(folder.database())->close();
  FaultyVfs vfs;
  vfs.fail(Fault::write_error, 1, true);
  Options options;
  options.path = folder.database();
  options.vfs = vfs.name();
  const auto store = Store::open(std::move(options));
  if (store) {  // nothing to write at start: then the first commit meets it
    EXPECT_EQ(commit_and_wait(**store, commit_of("x")).status, CommitStatus::failed);
  } else {
    EXPECT_EQ(store.error().kind, OpenError::Kind::io);
  }
}

}  // namespace
}  // namespace bedside::store
