#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <filesystem>
#include <random>
#include <vector>

#include "faulty_vfs.h"
#include "store_fixture.h"
#include "tests/support/sanitized.h"

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

std::string name_of(Fault fault) {
  switch (fault) {
    case Fault::full:
      return "none";
    case Fault::short_write:
      return "half";
    case Fault::sync_error:
      return "sync";
    case Fault::read_error:
      return "read";
    default:
      return "write";
  }
}

// `./run io-faults` strikes at each of the first 500 calls; the short version at each of a life of
// four commits, one of each size.
std::uint64_t struck_calls() {
  const char* text = std::getenv("BEDSIDE_IO_CALLS");
  return text == nullptr ? 0 : std::strtoull(text, nullptr, 10);
}
const int kCommits = std::max(4, static_cast<int>(struck_calls()));

// Where a sanitizer makes each life slow, the short version strikes at every third call, and at
// others each time. Syncs are few.
std::uint64_t stride(Fault fault) {
  const bool all = !testing_support::kSanitized || struck_calls() > 0;
  return all || fault == Fault::sync_error ? 1 : 3;
}
std::uint64_t first_call(Fault fault) { return 1 + std::random_device{}() % stride(fault); }

// One life of a store whose disk fails at the nth chance.
Life live(const TemporaryFolder& folder, Fault fault, std::uint64_t nth, bool for_good) {
  FaultyVfs vfs;
  std::atomic<int> fatal_calls = 0;
  Options options = sealed_options(folder);
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

// Everything acknowledged is there, whole and sealed, before the next start and after it; nothing
// refused for want of space is there.
void expect_promises_kept(const TemporaryFolder& folder, const Life& run) {
  expect_whole(folder.database());
  const auto store = open_or_die(sealed_options(folder));  // recovery, and the checks at start
  const Reader reader = reader_or_die(folder.database());
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
  expect_whole(folder.database());
}

class NoSpace : public testing::TestWithParam<Fault> {};

TEST_P(NoSpace, AtAnyWriteIsAnsweredAndSurvivedWithoutRestart) {
  for (const bool for_good : {false, true}) {
    std::uint64_t nth = first_call(GetParam());
    for (; struck_calls() == 0 || nth <= struck_calls(); nth += stride(GetParam())) {
      SCOPED_TRACE("full at write " + std::to_string(nth) + (for_good ? " and later" : ""));
      const TemporaryFolder folder;
      const Life run = live(folder, GetParam(), nth, for_good);
      if (!run.struck) break;
      EXPECT_EQ(run.fatal_calls, 0);
      EXPECT_TRUE(run.results.back().ok());
      EXPECT_FALSE(run.full_at_the_end);
      for (const CommitResult& result : run.results) {
        EXPECT_TRUE(result.ok() || result.status == CommitStatus::full);
      }
      expect_promises_kept(folder, run);
      if (testing::Test::HasFailure()) return;
    }
    EXPECT_GT(nth, std::max<std::uint64_t>(20, struck_calls()));  // it did strike in many places
  }
}

INSTANTIATE_TEST_SUITE_P(EveryWrite, NoSpace, testing::Values(Fault::full, Fault::short_write),
                         [](const auto& param) { return name_of(param.param); });

class FatalFault : public testing::TestWithParam<Fault> {};

TEST_P(FatalFault, EndsTheStoreAndKeepsWhatWasAcknowledged) {
  std::uint64_t nth = first_call(GetParam());
  for (; struck_calls() == 0 || nth <= struck_calls(); nth += stride(GetParam())) {
    SCOPED_TRACE("failing call " + std::to_string(nth));
    const TemporaryFolder folder;
    const Life run = live(folder, GetParam(), nth, false);
    if (!run.struck) break;
    EXPECT_EQ(run.fatal_calls, 1);
    EXPECT_FALSE(run.taken_after_fatal);
    bool over = false;  // nothing is acknowledged after the first failure
    for (const CommitResult& result : run.results) {
      EXPECT_FALSE(over && result.ok());
      over = over || result.status == CommitStatus::failed;
    }
    expect_promises_kept(folder, run);
    if (testing::Test::HasFailure()) return;
  }
  EXPECT_GT(nth, std::max<std::uint64_t>(5, struck_calls()));
}

INSTANTIATE_TEST_SUITE_P(EveryCall, FatalFault,
                         testing::Values(Fault::write_error, Fault::sync_error, Fault::read_error),
                         [](const auto& param) { return name_of(param.param); });

// What a killed server left: records in the WAL that no checkpoint brought to the file, and the key
// of its epoch. Its start recovers the WAL, checks the seal, hands over to a new key and erases the
// old one.
class StartOfAKilledOne : public testing::TestWithParam<Fault> {
 protected:
  static constexpr int kWritten = 4;

  StartOfAKilledOne() {
    const auto store = open_or_die(sealed_options(running_));
    for (int i = 0; i < kWritten; ++i) {
      results_.push_back(commit_and_wait(*store, numbered(i)));
      EXPECT_TRUE(results_.back().ok());
    }
    for (const char* tail : {"", "-wal"}) {
      std::filesystem::copy(running_.database() + tail, killed_.path() + "/bedside.db" + tail);
    }
    std::filesystem::copy(running_.keys(), killed_.path() + "/keys");
  }
  void lay_out(const TemporaryFolder& folder) const {
    folder.make_keys_folder();
    std::filesystem::copy(killed_.path(), folder.path() + "/data",
                          std::filesystem::copy_options::recursive |
                              std::filesystem::copy_options::overwrite_existing);
  }

  TemporaryFolder running_;
  TemporaryFolder killed_;
  std::vector<CommitResult> results_;
};

TEST_P(StartOfAKilledOne, LosesNothingWhicheverCallFails) {
  std::uint64_t nth = first_call(GetParam());
  int refused = 0;
  for (bool struck = true; struck; nth += stride(GetParam())) {
    SCOPED_TRACE("call " + std::to_string(nth));
    const TemporaryFolder folder;
    lay_out(folder);
    FaultyVfs vfs;
    std::atomic<int> fatal_calls = 0;
    Life run{results_};
    Options options = sealed_options(folder);
    options.vfs = vfs.name();
    options.on_fatal = [&](const std::string&) { ++fatal_calls; };
    vfs.fail(GetParam(), nth, false);
    if (auto store = Store::open(std::move(options))) {
      run.results.push_back(commit_and_wait(**store, numbered(kWritten)));
      const CommitStatus status = run.results.back().status;
      EXPECT_EQ(status == CommitStatus::failed, fatal_calls == 1);
      (*store)->close();
    } else {
      ++refused;
      EXPECT_FALSE(vfs.armed());
      EXPECT_THAT(store.error().text, testing::Not(testing::IsEmpty()));
    }
    struck = !vfs.armed();
    expect_promises_kept(folder, run);
    if (testing::Test::HasFailure()) return;
  }
  EXPECT_GT(nth, 5U);
  EXPECT_GT(refused, 0);
}

INSTANTIATE_TEST_SUITE_P(EveryCall, StartOfAKilledOne,
                         testing::Values(Fault::full, Fault::short_write, Fault::write_error,
                                         Fault::sync_error, Fault::read_error),
                         [](const auto& param) { return name_of(param.param); });

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
