#include "server/relay_handover.h"

#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <utility>

namespace bedside::server {

HandoverQueue::HandoverQueue()
    : memory_(std::make_unique_for_overwrite<std::uint8_t[]>(kSlots * kRoom)),
      bell_(::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)) {
  if (!bell_) {
    std::perror("bedside: cannot create an eventfd");
    std::abort();
  }
  for (std::size_t i = 0; i < kSlots; ++i) turns_[i].store(i, std::memory_order_relaxed);
}

bool HandoverQueue::put(const HandedOver& datagram) {
  if (datagram.payload.size() > net::kUdpPayload) return false;
  std::uint64_t at = free_.load(std::memory_order_relaxed);
  while (true) {
    const std::uint64_t turn = turns_[at % kSlots].load(std::memory_order_acquire);
    if (turn < at) return false;  // the reader is a whole round behind
    if (turn > at) {              // another writer was faster
      at = free_.load(std::memory_order_relaxed);
    } else if (free_.compare_exchange_weak(at, at + 1, std::memory_order_relaxed)) {
      break;
    }
  }
  letters_[at % kSlots] = datagram;
  std::copy(datagram.payload.begin(), datagram.payload.end(),
            room_of(at).begin() + net::kUdpHeadroom);
  turns_[at % kSlots].store(at + 1, std::memory_order_release);
  return true;
}

void HandoverQueue::ring() {
  if (rung_.exchange(true, std::memory_order_acq_rel)) return;
  const std::uint64_t one = 1;
  // It can only fail when the counter is at its limit, and then the reader is to wake already.
  [[maybe_unused]] const auto written = ::write(bell_.get(), &one, sizeof one);
}

void HandoverQueue::hear() {
  std::uint64_t count = 0;
  [[maybe_unused]] const auto taken = ::read(bell_.get(), &count, sizeof count);
  // Before looking into the queue: whoever puts something after that look rings again.
  rung_.exchange(false, std::memory_order_acq_rel);
}

void HandoverQueue::release(std::size_t count) {
  for (std::size_t i = 0; i < count; ++i, ++next_) {
    turns_[next_ % kSlots].store(next_ + kSlots, std::memory_order_release);
  }
}

void HandoverQueue::put(net::DetachedConnection stream) {
  {
    const std::lock_guard lock(streams_mutex_);
    if (streams_.size() >= kStreams) return;  // destroying it closes it
    streams_.push_back(std::move(stream));
  }
  ring();
}

std::vector<net::DetachedConnection> HandoverQueue::take_streams() {
  const std::lock_guard lock(streams_mutex_);
  return std::exchange(streams_, {});
}

RelayHandover::RelayHandover(std::size_t shards) {
  if (shards < 2) return;  // one hands over to itself without a queue
  for (std::size_t i = 0; i < std::min(shards, kMaxShards); ++i) {
    queues_[i] = std::make_unique<HandoverQueue>();
  }
}

}  // namespace bedside::server
