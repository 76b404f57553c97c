#include "server/signals.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <initializer_list>

namespace bedside::server {
namespace {

using std::chrono::steady_clock;

sigset_t set_of(std::initializer_list<int> numbers) {
  sigset_t set;
  sigemptyset(&set);
  for (const int number : numbers) sigaddset(&set, number);
  return set;
}

sigset_t stops() { return set_of({SIGTERM, SIGINT}); }
sigset_t hangup() { return set_of({SIGHUP}); }

net::Fd open_signals(const sigset_t& set) {
  ::pthread_sigmask(SIG_BLOCK, &set, nullptr);
  return net::Fd(::signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK));
}

// Several of one kind are one.
void take_all(const net::Fd& signals) {
  signalfd_siginfo taken;
  while (::read(signals.get(), &taken, sizeof taken) > 0) {
  }
}

// Rounded up, so that a wait does not end just before its deadline. -1: for ever.
int patience(std::optional<steady_clock::time_point> deadline) {
  if (!deadline) return -1;
  const auto left = std::chrono::ceil<std::chrono::milliseconds>(*deadline - steady_clock::now());
  constexpr std::int64_t kHour = 3'600'000;  // what poll takes is an int
  return static_cast<int>(std::clamp<std::int64_t>(left.count(), 0, kHour));
}

}  // namespace

std::string_view name(StopCause cause) { return cause == StopCause::signal ? "signal" : "failure"; }

Signals::Signals()
    : stops_(open_signals(stops())),
      hangups_(open_signals(hangup())),
      failure_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
  if (!stops_ || !hangups_ || !failure_) std::abort();
}

Signals::~Signals() {
  restore_default_stop();
  take_all(hangups_);
  const sigset_t set = hangup();
  ::pthread_sigmask(SIG_UNBLOCK, &set, nullptr);
}

Wake Signals::wait(std::optional<steady_clock::time_point> deadline) {
  std::array<pollfd, 3> descriptors{pollfd{failure_.get(), POLLIN, 0},
                                    pollfd{stops_.get(), POLLIN, 0},
                                    pollfd{hangups_.get(), POLLIN, 0}};
  int ready = 0;
  do {
    ready = ::poll(descriptors.data(), descriptors.size(), patience(deadline));
  } while (ready < 0 ? errno == EINTR : ready == 0 && patience(deadline) != 0);
  if ((descriptors[0].revents & POLLIN) != 0) return Wake::failure;
  if ((descriptors[1].revents & POLLIN) != 0) return Wake::stop;
  if ((descriptors[2].revents & POLLIN) == 0) return Wake::time;
  take_all(hangups_);
  return Wake::hangup;
}

void Signals::restore_default_stop() {
  take_all(stops_);  // so that only the next one counts
  const sigset_t set = stops();
  ::pthread_sigmask(SIG_UNBLOCK, &set, nullptr);
}

void Signals::fail() {
  const std::uint64_t one = 1;
  [[maybe_unused]] const auto written = ::write(failure_.get(), &one, sizeof one);
}

}  // namespace bedside::server
