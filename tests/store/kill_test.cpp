#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cstdint>
#include <iostream>
#include <random>
#include <thread>

#include "store_fixture.h"

namespace bedside::store {
namespace {

// What the child says of each acknowledged commit.
struct Ack {
  std::uint64_t seq = 0;
  std::uint64_t number = 0;
};

// Commits from two threads as fast as the disk allows, telling each acknowledgement, until it is
// killed.
[[noreturn]] void run_child(const std::string& path, int acks, std::uint64_t first_number) {
  Options options;
  options.path = path;
  auto opened = Store::open(std::move(options));
  if (!opened) _exit(3);
  Store& store = **opened;
  const auto submit_for_ever = [&](std::uint64_t number) {
    for (;; number += 2) {
      Commit commit = commit_of("killed", std::to_string(number));
      commit.changes = {SettingSet{"n" + std::to_string(number), "v"}};
      const auto tell = [acks, number](const CommitResult& result) {
        const Ack ack{result.first_seq, number};
        if (!result.ok() || write(acks, &ack, sizeof(ack)) != sizeof(ack)) _exit(4);
      };
      while (!store.submit(commit, tell)) std::this_thread::yield();
    }
  };
  std::thread other(submit_for_ever, first_number + 1);
  submit_for_ever(first_number);
  _exit(5);
}

class Child {
 public:
  Child(const std::string& path, std::uint64_t first_number) {
    std::array<int, 2> ends{};
    if (pipe(ends.data()) != 0) std::abort();
    pid_ = fork();
    if (pid_ == 0) {
      close(ends[0]);
      run_child(path, ends[1], first_number);
    }
    close(ends[1]);
    acks_ = ends[0];
  }
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;
  ~Child() { close(acks_); }

  bool next(Ack& ack) { return read(acks_, &ack, sizeof(ack)) == sizeof(ack); }
  int kill_and_wait() {
    kill(pid_, SIGKILL);
    int status = 0;
    waitpid(pid_, &status, 0);
    return status;
  }

 private:
  pid_t pid_ = -1;
  int acks_ = -1;
};

TEST(Kill, LosesNoAcknowledgedCommit) {
  constexpr int kCycles = 25;
  const auto seed = std::random_device{}();
  std::cout << "seed " << seed << '\n';
  std::mt19937 random(seed);
  const TemporaryFolder folder;
  std::uint64_t number = 0;
  std::size_t acknowledged = 0;
  for (int cycle = 0; cycle < kCycles; ++cycle) {
    SCOPED_TRACE("cycle " + std::to_string(cycle) + ", seed " + std::to_string(seed));
    Child child(folder.database(), number);
    number += 1'000'000;
    std::vector<Ack> acks;
    Ack ack;
    const std::size_t enough = 1 + random() % 400;
    while (acks.size() < enough && child.next(ack)) acks.push_back(ack);
    EXPECT_TRUE(WIFSIGNALED(child.kill_and_wait()));
    while (child.next(ack)) acks.push_back(ack);
    ASSERT_GE(acks.size(), enough);
    acknowledged += acks.size();

    // The lock went with the process; recovery is part of opening.
    open_or_die(folder.database())->close();
    const Reader reader = reader_or_die(folder.database());
    for (const Ack& one : acks) {
      const auto row = reader.audit_row(one.seq).value();
      ASSERT_TRUE(row.has_value()) << one.seq;
      ASSERT_NE(row->body.find("\"object\":\"" + std::to_string(one.number) + "\""),
                std::string::npos);
      ASSERT_TRUE(reader.setting("n" + std::to_string(one.number)).value().has_value());
    }
    expect_gapless(folder.database());
  }
  // State and record are one transaction, also for what was not acknowledged any more.
  RawDatabase raw(folder.database());
  EXPECT_EQ(raw.value("SELECT count(*) FROM audit"), raw.value("SELECT count(*) FROM settings"));
  std::cout << acknowledged << " acknowledged commits survived " << kCycles << " kills\n";
}

}  // namespace
}  // namespace bedside::store
