// How far something has come on one thread, for another thread that waits for it with a limit.
//
// Any thread. Marks only grow, so an answer that comes after its waiter gave up harms nobody: the
// object belongs to whoever outlives both, not to the wait.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <mutex>

namespace bedside::server {

class Progress {
 public:
  void reach(std::uint64_t mark) {
    {
      const std::lock_guard lock(mutex_);
      if (mark <= mark_) return;
      mark_ = mark;
    }
    changed_.notify_all();
  }

  // False: the mark was not reached within the limit.
  bool wait_for(std::uint64_t mark, std::chrono::milliseconds limit) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, limit, [&] { return mark_ >= mark; });
  }

  void wait(std::uint64_t mark) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return mark_ >= mark; });
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::uint64_t mark_ = 0;
};

}  // namespace bedside::server
