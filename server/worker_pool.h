#pragma once

// A few threads for what blocks: password hashing, audit queries. Jobs run in the order in which
// they were taken, `threads` at a time; their completions run on the loop's thread.
//
// Owned and used by the thread of the loop. A job owns what it needs: it must not touch the loop's
// state.

#include <condition_variable>
#include <cstddef>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>
#include <type_traits>
#include <utility>
#include <vector>

#include "server/net/loop.h"
#include "server/net/mailbox.h"

namespace bedside::server {

class WorkerPool {
 public:
  using Job = std::function<void()>;

  // `capacity`: jobs taken and not yet completed, running ones included.
  WorkerPool(net::Loop& loop, std::size_t threads, std::size_t capacity);
  WorkerPool(const WorkerPool&) = delete;
  WorkerPool& operator=(const WorkerPool&) = delete;
  ~WorkerPool();  // stop()

  // False: the pool is full or stopped, nothing was taken; the caller answers 503. True: `work`
  // runs on a worker, then `done` on the loop, once each, unless stop() comes first.
  [[nodiscard]] bool submit(Job work, Job done);

  // The same with a value that goes from one to the other.
  template <typename Work, typename Done>
  [[nodiscard]] bool run(Work work, Done done) {
    using Value = std::invoke_result_t<Work&>;
    auto value =
        std::make_shared<std::optional<Value>>();  // written, then read after the hand-over
    return submit([value, work = std::move(work)]() mutable { value->emplace(work()); },
                  [value, done = std::move(done)]() mutable { done(std::move(**value)); });
  }

  // Jobs that have not begun are dropped together with their completions; those that run are waited
  // for and completed. Afterwards nothing is taken and nothing runs any more.
  void stop();

  std::size_t outstanding() const { return outstanding_; }

 private:
  struct Task {
    Job work;
    Job done;
  };
  void serve();
  bool next(Task& task);

  const std::size_t capacity_;
  std::size_t outstanding_ = 0;  // loop's thread
  net::Mailbox<Job> completions_;
  std::mutex mutex_;  // guards the next two
  std::deque<Task> queue_;
  bool stopping_ = false;
  std::condition_variable arrived_;
  std::vector<std::thread> threads_;
};

}  // namespace bedside::server
