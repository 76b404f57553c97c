// The event loop of a thread and its clock.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>

#include "server/net/fd.h"
#include "server/net/lifeline.h"

struct event;
struct event_base;

namespace bedside::net {

// Time on the steady clock since its (arbitrary) origin. One clock for every loop of the process.
using MonoTime = std::chrono::nanoseconds;

// The event loop of one thread. Everything watched by a loop (Timer, FdWatch, sockets,
// connections) is made before run() or on the loop's thread, and is destroyed before the loop, on
// that thread or after it was joined. Only stop() and Mailbox::post() may be called from elsewhere.
//
// Callbacks must not throw: they run below C code, an exception ends the process.
class Loop {
 public:
  Loop();  // also ignores SIGPIPE for the process: a peer that goes away is an error value here
  ~Loop();
  Loop(const Loop&) = delete;
  Loop& operator=(const Loop&) = delete;

  // Runs until stop(). A stop() that came earlier makes it return at once; afterwards it may be
  // run again.
  void run();

  // Waits up to `timeout` for something to happen and handles what is ready: the loop of tests.
  void run_once(std::chrono::nanoseconds timeout);

  // Drives the loop until `done` holds (true) or `limit` passed (false): tests need no sleeps.
  bool run_until(const std::function<bool()>& done,
                 std::chrono::nanoseconds limit = std::chrono::seconds(10));

  // From any thread and from a signal handler.
  void stop();

  // The time of this wake-up: the clock is read once for all callbacks of one wake-up.
  MonoTime now() const;

  event_base* base() const { return base_.get(); }

 private:
  struct FreeBase {
    void operator()(event_base* base) const;
  };
  struct FreeEvent {
    void operator()(event* event) const;
  };

  std::unique_ptr<event_base, FreeBase> base_;
  Fd stop_fd_;
  std::unique_ptr<event, FreeEvent> stop_event_;
  std::atomic<bool> stopping_{false};
  mutable MonoTime now_{0};
  mutable bool now_is_fresh_ = false;
};

// The steady clock, for code that has no loop at hand.
MonoTime steady_now();

// Calls back when a descriptor becomes ready (level triggered). The descriptor must outlive the
// watch. The callback may destroy its own watch. One that was never started owns nothing: of ten
// thousand connections, few ever wait for being writable.
class FdWatch {
 public:
  enum class Direction : std::uint8_t { read, write };

  FdWatch(Loop& loop, int fd, Direction direction, std::function<void()> on_ready);
  FdWatch(const FdWatch&) = delete;
  FdWatch& operator=(const FdWatch&) = delete;

  void start();  // idempotent
  void stop();   // idempotent
  bool started() const { return started_; }

 private:
  static void fire(int fd, short what, void* self);

  struct FreeEvent {
    void operator()(event* event) const;
  };
  Loop& loop_;
  std::unique_ptr<event, FreeEvent> event_;  // from the first start on
  std::function<void()> on_ready_;
  Lifeline lifeline_;
  const int fd_;
  const Direction direction_;
  bool started_ = false;
};

}  // namespace bedside::net
