#include "server/net/loop.h"

#include <gtest/gtest.h>
#include <sys/socket.h>

#include <array>
#include <memory>
#include <vector>

#include "server/net/fd.h"
#include "server/net/timer.h"

namespace bedside::net {
namespace {

using std::chrono::milliseconds;

TEST(Timer, FiresOnceInTheOrderOfDeadlinesAndNeverEarly) {
  Loop loop;
  std::vector<int> order;
  MonoTime fired_at{0};
  Timer late(loop, [&] {
    order.push_back(2);
    fired_at = loop.now();
  });
  Timer early(loop, [&] { order.push_back(1); });
  const MonoTime start = loop.now();
  late.arm(milliseconds(8));
  early.arm(milliseconds(2));
  ASSERT_TRUE(loop.run_until([&] { return order.size() == 2; }));
  EXPECT_EQ(order, (std::vector<int>{1, 2}));
  EXPECT_GE(fired_at - start, milliseconds(8));
  EXPECT_FALSE(late.armed());
}

TEST(Timer, IsSilentAfterCancel) {
  Loop loop;
  bool fired = false;
  bool end = false;
  Timer cancelled(loop, [&] { fired = true; });
  Timer last(loop, [&] { end = true; });
  cancelled.arm(milliseconds(1));
  last.arm(milliseconds(5));
  cancelled.cancel();
  ASSERT_TRUE(loop.run_until([&] { return end; }));
  EXPECT_FALSE(fired);
}

TEST(Timer, MayBeDestroyedOrArmedAgainByItsCallback) {
  Loop loop;
  int rounds = 0;
  std::unique_ptr<Timer> timer;
  timer = std::make_unique<Timer>(loop, [&] {
    if (++rounds < 3) {
      timer->arm(MonoTime(0));
    } else {
      timer.reset();
    }
  });
  timer->arm(MonoTime(0));
  EXPECT_TRUE(loop.run_until([&] { return timer == nullptr; }));
  EXPECT_EQ(rounds, 3);
}

enum class Phase { head, body };

TEST(PhaseTimer, IsNotMovedByEnteringTheSamePhaseAgain) {
  Loop loop;
  bool overdue = false;
  bool dripping = true;
  PhaseTimer timer(loop, [&] { overdue = true; });
  Timer drip(loop, [&] {
    timer.enter(Phase::head, milliseconds(10));
    if (dripping) drip.arm(milliseconds(1));
  });
  timer.enter(Phase::head, milliseconds(10));
  drip.arm(milliseconds(1));
  EXPECT_TRUE(loop.run_until([&] { return overdue; }, std::chrono::seconds(5)));
  dripping = false;
}

TEST(PhaseTimer, StartsAnewInAnotherPhase) {
  Loop loop;
  MonoTime overdue_at{0};
  PhaseTimer timer(loop, [&] { overdue_at = loop.now(); });
  const MonoTime start = loop.now();
  timer.enter(Phase::head, milliseconds(1));
  timer.enter(Phase::body, milliseconds(15));
  ASSERT_TRUE(loop.run_until([&] { return overdue_at.count() != 0; }));
  EXPECT_GE(overdue_at - start, milliseconds(15));
}

TEST(Loop, ReadsTheClockOnceAWakeUp) {
  Loop loop;
  std::vector<MonoTime> seen;
  const auto look = [&] { seen.push_back(loop.now()); };
  Timer first(loop, look);
  Timer second(loop, look);
  first.arm(MonoTime(0));
  second.arm(MonoTime(0));
  ASSERT_TRUE(loop.run_until([&] { return seen.size() == 2; }));
  EXPECT_EQ(seen[0], seen[1]);
  EXPECT_GT(loop.now(), seen[0]);
}

TEST(FdWatch, CallsWhileReadyAndMayBeDestroyedByItsCallback) {
  Loop loop;
  std::array<int, 2> pair{};
  ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair.data()), 0);
  const Fd near(pair[0]);
  const Fd far(pair[1]);
  int calls = 0;
  std::unique_ptr<FdWatch> watch;
  watch = std::make_unique<FdWatch>(loop, near.get(), FdWatch::Direction::read, [&] {
    if (++calls == 2) watch.reset();
  });
  watch->start();
  ASSERT_EQ(::send(far.get(), "x", 1, 0), 1);
  EXPECT_TRUE(loop.run_until([&] { return watch == nullptr; }));
  EXPECT_EQ(calls, 2);
}

TEST(Loop, StopsAtOnceWhenItWasStoppedBefore) {
  Loop loop;
  loop.stop();
  loop.run();
  bool fired = false;
  Timer timer(loop, [&] {
    fired = true;
    loop.stop();
  });
  timer.arm(MonoTime(0));
  loop.run();
  EXPECT_TRUE(fired) << "and runs again afterwards";
}

}  // namespace
}  // namespace bedside::net
