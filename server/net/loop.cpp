#include "server/net/loop.h"

#include <event2/event.h>
#include <sys/eventfd.h>

#include <algorithm>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <utility>

namespace bedside::net {
namespace {

// Without an event base or an eventfd nothing works, and it can only fail while the process starts
// or has run out of descriptors: there is nobody to hand an error to.
[[noreturn]] void die(const char* what) {
  std::perror(what);
  std::abort();
}

event_base* make_base() {
  event_config* config = event_config_new();
  if (config == nullptr) die("bedside: cannot create an event loop");
  event_config_set_flag(config, EVENT_BASE_FLAG_NOLOCK);  // one thread a loop
  event_base* base = event_base_new_with_config(config);
  event_config_free(config);
  if (base == nullptr) die("bedside: cannot create an event loop");
  return base;
}

timeval to_timeval(std::chrono::nanoseconds duration) {
  // Rounded up: a timer that fires a moment early would have to be armed again.
  const auto micros = std::max<std::int64_t>(0, (duration.count() + 999) / 1000);
  timeval result{};
  result.tv_sec = static_cast<time_t>(micros / 1'000'000);
  result.tv_usec = static_cast<suseconds_t>(micros % 1'000'000);
  return result;
}

void drain_event_fd(int fd, short /*what*/, void* /*unused*/) {
  std::uint64_t count = 0;
  while (::read(fd, &count, sizeof count) > 0) {
  }
}

void nothing(int /*fd*/, short /*what*/, void* /*unused*/) {}

}  // namespace

void Loop::FreeBase::operator()(event_base* base) const { event_base_free(base); }
void Loop::FreeEvent::operator()(event* event) const { event_free(event); }

Loop::Loop() : base_(make_base()), stop_fd_(::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)) {
  if (!stop_fd_) die("bedside: cannot create an eventfd");
  stop_event_.reset(
      event_new(base_.get(), stop_fd_.get(), EV_READ | EV_PERSIST, &drain_event_fd, nullptr));
  if (!stop_event_ || event_add(stop_event_.get(), nullptr) != 0) die("bedside: event loop");
  std::signal(SIGPIPE, SIG_IGN);
}

Loop::~Loop() = default;

void Loop::run() {
  while (!stopping_.exchange(false)) {
    now_is_fresh_ = false;
    event_base_loop(base_.get(), EVLOOP_ONCE);
    now_is_fresh_ = false;
  }
}

void Loop::run_once(std::chrono::nanoseconds timeout) {
  const std::unique_ptr<event, FreeEvent> limit(event_new(base_.get(), -1, 0, &nothing, nullptr));
  const timeval wait = to_timeval(timeout);
  event_add(limit.get(), &wait);
  now_is_fresh_ = false;
  event_base_loop(base_.get(), EVLOOP_ONCE);
  now_is_fresh_ = false;
}

bool Loop::run_until(const std::function<bool()>& done, std::chrono::nanoseconds limit) {
  // The condition may change on another thread without waking this loop: look again now and then.
  constexpr std::chrono::nanoseconds kLook = std::chrono::milliseconds(20);
  const MonoTime deadline = steady_now() + limit;
  while (!done()) {
    const MonoTime left = deadline - steady_now();
    if (left.count() <= 0) return false;
    run_once(std::min(left, kLook));
  }
  return true;
}

void Loop::stop() {
  stopping_ = true;
  const std::uint64_t one = 1;
  // It can only fail when the counter is at its limit, and then the loop is awake already.
  [[maybe_unused]] const auto written = ::write(stop_fd_.get(), &one, sizeof one);
}

MonoTime Loop::now() const {
  if (!now_is_fresh_) {
    now_ = steady_now();
    now_is_fresh_ = true;
  }
  return now_;
}

MonoTime steady_now() { return std::chrono::steady_clock::now().time_since_epoch(); }

void FdWatch::FreeEvent::operator()(event* event) const { event_free(event); }

FdWatch::FdWatch(Loop& loop, int fd, Direction direction, std::function<void()> on_ready)
    : loop_(loop), on_ready_(std::move(on_ready)), fd_(fd), direction_(direction) {}

void FdWatch::start() {
  if (started_) return;
  if (!event_) {
    const short what = direction_ == Direction::read ? EV_READ : EV_WRITE;
    event_.reset(
        event_new(loop_.base(), fd_, static_cast<short>(what | EV_PERSIST), &FdWatch::fire, this));
    if (!event_) die("bedside: out of memory");
  }
  if (event_add(event_.get(), nullptr) != 0) die("bedside: cannot watch a descriptor");
  started_ = true;
}

void FdWatch::stop() {
  if (started_) event_del(event_.get());
  started_ = false;
}

void FdWatch::fire(int /*fd*/, short /*what*/, void* self) {
  auto& watch = *static_cast<FdWatch*>(self);
  // The callback may destroy the watch, and with it the function it is running in: it runs from
  // here and goes back only when the watch still lives.
  auto running = std::exchange(watch.on_ready_, nullptr);
  const Lifeline::Watch alive(watch.lifeline_);
  running();
  if (!alive.cut()) watch.on_ready_ = std::move(running);
}

}  // namespace bedside::net
