// Deadlines on a loop.
#pragma once

#include <chrono>
#include <functional>
#include <memory>

#include "server/net/lifeline.h"
#include "server/net/loop.h"

namespace bedside::net {

// A one-shot timer. Never fires early by Loop::now(). The callback may re-arm it or destroy it. One
// that has fired, or was never armed, owns nothing.
class Timer {
 public:
  Timer(Loop& loop, std::function<void()> on_due);
  Timer(const Timer&) = delete;
  Timer& operator=(const Timer&) = delete;

  void arm(std::chrono::nanoseconds delay);  // replaces an earlier deadline
  void arm_at(MonoTime deadline);            // a deadline in the past fires on the next wake-up
  void cancel();
  bool armed() const { return armed_; }
  MonoTime deadline() const { return deadline_; }  // of the last arm

 private:
  static void fire(int fd, short what, void* self);
  void schedule();

  struct FreeEvent {
    void operator()(event* event) const;
  };
  Loop& loop_;
  std::unique_ptr<event, FreeEvent> event_;  // from arming to firing
  std::function<void()> on_due_;
  MonoTime deadline_{0};
  Lifeline lifeline_;
  bool armed_ = false;
};

// The deadline of a phase of a conversation ("handshake", "head", "idle"). Entering the phase it is
// already in changes nothing, so a peer that drips a byte now and then cannot buy time.
class PhaseTimer {
 public:
  PhaseTimer(Loop& loop, std::function<void()> on_overdue) : timer_(loop, std::move(on_overdue)) {}

  template <typename Phase>  // an enum
  void enter(Phase phase, std::chrono::nanoseconds limit) {
    if (timer_.armed() && phase_ == static_cast<int>(phase)) return;
    phase_ = static_cast<int>(phase);
    timer_.arm(limit);
  }
  void leave() { timer_.cancel(); }

 private:
  Timer timer_;
  int phase_ = -1;
};

}  // namespace bedside::net
