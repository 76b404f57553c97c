#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <future>
#include <iostream>
#include <memory>
#include <random>
#include <set>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "store_fixture.h"
#include "tests/support/sanitized.h"

namespace bedside::store {
namespace {

// What the child says of each acknowledged commit.
struct Ack {
  std::uint64_t seq = 0;
  std::uint64_t number = 0;
};

constexpr std::uint64_t kClients = 64;
constexpr std::uint64_t kNumbersOfALife = 1'000'000;

// 64 clients, each of whom waits for its answer before it asks again and tells each
// acknowledgement, until all are killed.
[[noreturn]] void run_child(const TemporaryFolder& folder, int acks, std::uint64_t first_number) {
  auto opened = Store::open(sealed_options(folder));
  if (!opened) _exit(3);
  Store& store = **opened;
  const auto submit_for_ever = [&](std::uint64_t number) {
    for (;; number += kClients) {
      Commit commit = commit_of("killed", std::to_string(number));
      commit.changes = {SettingSet{"n" + std::to_string(number), "v"}};
      std::promise<void> answered;
      const auto tell = [&](const CommitResult& result) {
        const Ack ack{result.first_seq, number};
        if (!result.ok() || write(acks, &ack, sizeof(ack)) != sizeof(ack)) _exit(4);
        answered.set_value();
      };
      if (!store.submit(std::move(commit), tell)) _exit(6);
      answered.get_future().wait();
    }
  };
  std::vector<std::thread> clients;
  for (std::uint64_t i = 1; i < kClients; ++i)
    clients.emplace_back(submit_for_ever, first_number + i);
  submit_for_ever(first_number);
  _exit(5);
}

class Child {
 public:
  Child(const TemporaryFolder& folder, std::uint64_t first_number) {
    std::array<int, 2> ends{};
    if (pipe(ends.data()) != 0) std::abort();
    pid_ = fork();
    if (pid_ == 0) {
      close(ends[0]);
      run_child(folder, ends[1], first_number);
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

// What has happened to one log so far.
struct Log {
  TemporaryFolder folder;
  std::uint64_t next_number = 0;
  std::set<std::uint64_t> seqs;  // acknowledged

  // From opening what the kill left to the first answer.
  std::chrono::microseconds ready_again() {
    const auto begin = std::chrono::steady_clock::now();
    const auto store = open_or_die(sealed_options(folder));
    EXPECT_TRUE(commit_and_wait(*store, commit_of("ready")).ok());
    const auto end = std::chrono::steady_clock::now();
    return std::chrono::duration_cast<std::chrono::microseconds>(end - begin);
  }
};

// Where a sanitizer makes each of them slow, a few. `./run kills` does 2,000, of 500
// acknowledgements or more each.
struct Scale {
  int cycles = testing_support::kSanitized ? 12 : 200;
  std::size_t least = 1;
  std::size_t spread = 400;
  bool timed = false;  // whoever runs the long version has the machine for it
};
Scale scale() {
  const char* text = std::getenv("BEDSIDE_KILLS");
  return text == nullptr ? Scale{} : Scale{std::atoi(text), 500, 200, true};
}

TEST(Kill, LosesNoAcknowledgedCommit) {
  constexpr int kLivesOfALog = 50;
  const Scale scale = store::scale();
  const auto seed = std::random_device{}();
  std::cout << "seed " << seed << '\n';
  std::mt19937 random(seed);
  auto log = std::make_unique<Log>();
  std::vector<std::chrono::microseconds> ready;
  std::size_t acknowledged = 0;
  for (int cycle = 0; cycle < scale.cycles; ++cycle) {
    if (cycle % kLivesOfALog == kLivesOfALog - 1) log = std::make_unique<Log>();
    SCOPED_TRACE("cycle " + std::to_string(cycle) + ", seed " + std::to_string(seed));
    Child child(log->folder, log->next_number);
    log->next_number += kNumbersOfALife;
    std::vector<Ack> acks;
    Ack ack;
    const std::size_t enough = scale.least + random() % scale.spread;
    while (acks.size() < enough && child.next(ack)) acks.push_back(ack);
    EXPECT_TRUE(WIFSIGNALED(child.kill_and_wait()));
    while (child.next(ack)) acks.push_back(ack);
    ASSERT_GE(acks.size(), enough);
    acknowledged += acks.size();

    ready.push_back(log->ready_again());  // the lock went with the process
    const Reader reader = reader_or_die(log->folder.database());
    for (const Ack& one : acks) {
      EXPECT_TRUE(log->seqs.insert(one.seq).second) << one.seq << " was given twice";
      const auto row = reader.audit_row(one.seq).value();
      ASSERT_TRUE(row.has_value()) << one.seq;
      ASSERT_NE(row->body.find("\"object\":\"" + std::to_string(one.number) + "\""),
                std::string::npos);
      ASSERT_TRUE(reader.setting("n" + std::to_string(one.number)).value().has_value());
    }
    expect_whole(log->folder.database());
    // State and record are one transaction, also for what was not acknowledged any more.
    RawDatabase raw(log->folder.database());
    EXPECT_EQ(raw.value("SELECT count(*) FROM audit WHERE type = 'killed'"),
              raw.value("SELECT count(*) FROM settings"));
    if (testing::Test::HasFailure()) return;
  }
  std::sort(ready.begin(), ready.end());
  const auto most = ready[ready.size() * 99 / 100];
  if (scale.timed) {
    EXPECT_LE(most, std::chrono::seconds(1));
  }
  std::cout << acknowledged << " acknowledged commits of 64 clients survived " << scale.cycles
            << " kills; ready again within " << most.count() / 1000 << " ms (99 of 100), "
            << ready.back().count() / 1000 << " ms (all)\n";
}

}  // namespace
}  // namespace bedside::store
