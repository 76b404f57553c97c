#include "server/net/mailbox.h"

#include <gtest/gtest.h>

#include <array>
#include <memory>
#include <thread>
#include <vector>

namespace bedside::net {
namespace {

TEST(Mailbox, DeliversEverythingFromManyThreadsInTheOrderOfEach) {
  constexpr int kThreads = 4;
  constexpr int kEach = 5000;
  struct Item {
    int thread;
    int number;
  };
  Loop loop;
  std::array<int, kThreads> next{};
  int received = 0;
  Mailbox<Item> mailbox(loop, 64, [&](Item item) {
    EXPECT_EQ(item.number, next[static_cast<std::size_t>(item.thread)]++);
    if (++received == kThreads * kEach) loop.stop();
  });
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&mailbox, t] {
      for (int i = 0; i < kEach; ++i) {
        while (!mailbox.post({t, i})) std::this_thread::yield();  // full: try again
      }
    });
  }
  loop.run();
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(received, kThreads * kEach);
}

TEST(Mailbox, RefusesWhenFullAndLeavesTheValueWithTheCaller) {
  Loop loop;
  std::vector<int> handled;
  Mailbox<std::unique_ptr<int>> mailbox(
      loop, 2, [&](const std::unique_ptr<int>& item) { handled.push_back(*item); });
  EXPECT_TRUE(mailbox.post(std::make_unique<int>(1)));
  EXPECT_TRUE(mailbox.post(std::make_unique<int>(2)));
  auto third = std::make_unique<int>(3);
  EXPECT_FALSE(mailbox.post(std::move(third)));
  ASSERT_NE(third, nullptr);  // NOLINT(bugprone-use-after-move): that is the promise
  EXPECT_EQ(mailbox.size(), 2U);
  ASSERT_TRUE(loop.run_until([&] { return handled.size() == 2; }));
  EXPECT_TRUE(mailbox.post(std::move(third)));
  EXPECT_TRUE(loop.run_until([&] { return handled.size() == 3; }));
  EXPECT_EQ(handled, (std::vector<int>{1, 2, 3}));
}

TEST(Mailbox, TakesPostsFromItsOwnHandler) {
  Loop loop;
  int last = 0;
  Mailbox<int>* self = nullptr;
  Mailbox<int> mailbox(loop, 4, [&](int item) {
    last = item;
    if (item == 10) return;
    EXPECT_TRUE(self->post(item + 1));
  });
  self = &mailbox;
  EXPECT_TRUE(mailbox.post(1));
  EXPECT_TRUE(loop.run_until([&] { return last == 10; }));
}

TEST(Mailbox, CanBeEmptiedByHandAfterTheLoopHasEnded) {
  Loop loop;
  int handled = 0;
  Mailbox<int> mailbox(loop, 4, [&](int /*item*/) { ++handled; });
  EXPECT_TRUE(mailbox.post(1));
  EXPECT_TRUE(mailbox.post(2));
  mailbox.deliver();
  EXPECT_EQ(handled, 2);
}

TEST(Loop, IsStoppedFromAnotherThread) {
  Loop loop;
  std::thread stopper([&loop] { loop.stop(); });
  loop.run();
  stopper.join();
}

}  // namespace
}  // namespace bedside::net
