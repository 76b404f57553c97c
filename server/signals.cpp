#include "server/signals.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstdlib>

namespace bedside::server {
namespace {

sigset_t signalss() {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGTERM);
  sigaddset(&set, SIGINT);
  return set;
}

}  // namespace

std::string_view name(StopCause cause) { return cause == StopCause::signal ? "signal" : "failure"; }

Signals::Signals() {
  const sigset_t set = signalss();
  ::pthread_sigmask(SIG_BLOCK, &set, nullptr);
  signals_ = net::Fd(::signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK));
  failure_ = net::Fd(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!signals_ || !failure_) std::abort();
}

Signals::~Signals() {
  const sigset_t set = signalss();
  ::pthread_sigmask(SIG_UNBLOCK, &set, nullptr);
}

StopCause Signals::wait() {
  std::array<pollfd, 2> descriptors{pollfd{signals_.get(), POLLIN, 0},
                                    pollfd{failure_.get(), POLLIN, 0}};
  while (::poll(descriptors.data(), descriptors.size(), -1) < 0 && errno == EINTR) {
  }
  const StopCause cause =
      (descriptors[1].revents & POLLIN) != 0 ? StopCause::failure : StopCause::signal;
  // Take the first signal, so that unblocking waits for the second.
  signalfd_siginfo taken;
  while (::read(signals_.get(), &taken, sizeof taken) > 0) {
  }
  const sigset_t set = signalss();
  ::pthread_sigmask(SIG_UNBLOCK, &set, nullptr);
  return cause;
}

void Signals::fail() {
  const std::uint64_t one = 1;
  [[maybe_unused]] const auto written = ::write(failure_.get(), &one, sizeof one);
}

}  // namespace bedside::server
