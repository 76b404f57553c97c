// How threads meet: bounded queues into a loop.
#pragma once

#include <cstddef>
#include <functional>
#include <mutex>
#include <utility>
#include <vector>

#include "server/net/fd.h"
#include "server/net/loop.h"

namespace bedside::net {

// An eventfd on a loop: signal() from any thread makes the loop call `on_wake` on its own thread.
// Signals that come before the loop got to it become one call.
class Wakeup {
 public:
  Wakeup(Loop& loop, std::function<void()> on_wake);
  void signal();

 private:
  void drain();

  Fd fd_;
  std::function<void()> on_wake_;
  FdWatch watch_;
};

// A bounded queue into a loop: any thread posts, the handler runs on the loop's thread, in order of
// the posts of each thread. Not for the packet path: it takes a lock for a few instructions.
//
// When it holds `capacity` items post() refuses and leaves the value with the caller, who says what
// that means (503, "no new allocations", closing the connection): nothing is lost unseen. Made and
// destroyed like everything else of a loop; those who post must be done before it is destroyed.
// Items that were not handled then are destroyed with it.
template <typename T>
class Mailbox {
 public:
  // The handler may post to this mailbox too; such items come with a later wake-up.
  Mailbox(Loop& loop, std::size_t capacity, std::function<void(T)> handler)
      : capacity_(capacity), handler_(std::move(handler)), wakeup_(loop, [this] { deliver(); }) {}
  Mailbox(const Mailbox&) = delete;
  Mailbox& operator=(const Mailbox&) = delete;

  [[nodiscard]] bool post(T&& item) {
    {
      const std::lock_guard lock(mutex_);
      if (queue_.size() >= capacity_) return false;
      queue_.push_back(std::move(item));
      if (queue_.size() > 1) return true;  // somebody signalled already
    }
    wakeup_.signal();
    return true;
  }

  // Items waiting; a snapshot, from any thread.
  std::size_t size() const {
    const std::lock_guard lock(mutex_);
    return queue_.size();
  }

  // Handles what is waiting now, on the loop's thread: for the last items when the loop has ended.
  void deliver() {
    std::vector<T> batch;
    {
      const std::lock_guard lock(mutex_);
      batch.swap(queue_);
    }
    for (T& item : batch) handler_(std::move(item));
  }

 private:
  const std::size_t capacity_;
  const std::function<void(T)> handler_;
  mutable std::mutex mutex_;
  std::vector<T> queue_;
  Wakeup wakeup_;
};

}  // namespace bedside::net
