#include "server/net/mailbox.h"

#include <sys/eventfd.h>
#include <unistd.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>

namespace bedside::net {

Wakeup::Wakeup(Loop& loop, std::function<void()> on_wake)
    : fd_(::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)),
      on_wake_(std::move(on_wake)),
      watch_(loop, fd_.get(), FdWatch::Direction::read, [this] { drain(); }) {
  if (!fd_) {
    std::perror("bedside: cannot create an eventfd");
    std::abort();
  }
  watch_.start();
}

void Wakeup::signal() {
  const std::uint64_t one = 1;
  // It can only fail when the counter is at its limit, and then the loop is to wake already.
  [[maybe_unused]] const auto written = ::write(fd_.get(), &one, sizeof one);
}

void Wakeup::drain() {
  std::uint64_t count = 0;
  [[maybe_unused]] const auto taken = ::read(fd_.get(), &count, sizeof count);
  on_wake_();  // after the read: a signal that comes while it runs wakes the loop again
}

}  // namespace bedside::net
