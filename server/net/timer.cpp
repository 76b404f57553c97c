#include "server/net/timer.h"

#include <event2/event.h>

#include <algorithm>
#include <cstdlib>
#include <utility>

namespace bedside::net {

void Timer::FreeEvent::operator()(event* event) const { event_free(event); }

Timer::Timer(Loop& loop, std::function<void()> on_due) : loop_(loop), on_due_(std::move(on_due)) {}

void Timer::arm(std::chrono::nanoseconds delay) { arm_at(loop_.now() + delay); }

void Timer::arm_at(MonoTime deadline) {
  deadline_ = deadline;
  armed_ = true;
  schedule();
}

void Timer::cancel() {
  if (armed_) event_del(event_.get());
  armed_ = false;
}

void Timer::schedule() {
  const auto left = std::max(deadline_ - loop_.now(), MonoTime(0));
  const auto micros = std::chrono::ceil<std::chrono::microseconds>(left).count();
  timeval wait{};
  wait.tv_sec = static_cast<time_t>(micros / 1'000'000);
  wait.tv_usec = static_cast<suseconds_t>(micros % 1'000'000);
  if (!event_) event_.reset(event_new(loop_.base(), -1, 0, &Timer::fire, this));
  if (!event_) std::abort();  // out of memory
  if (event_add(event_.get(), &wait) != 0) std::abort();
}

void Timer::fire(int /*fd*/, short /*what*/, void* self) {
  auto& timer = *static_cast<Timer*>(self);
  // libevent reads a coarse clock that lags behind ours by up to a tick.
  if (timer.loop_.now() < timer.deadline_) {
    timer.schedule();
    return;
  }
  timer.armed_ = false;
  timer.event_.reset();
  auto running = std::exchange(timer.on_due_, nullptr);
  const Lifeline::Watch alive(timer.lifeline_);
  running();  // may destroy the timer, see FdWatch::fire
  if (!alive.cut()) timer.on_due_ = std::move(running);
}

}  // namespace bedside::net
