#pragma once

// A few threads for what blocks: password hashing, audit queries. Jobs run in the order in which
// they were taken, `threads` at a time; their completions run on the loop's thread.
//
// Owned and used by the thread of the loop. A job owns what it needs: it must not touch the loop's
// state.

#include <atomic>
#include <condition_variable>
#include <cstddef>
#include <deque>
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
  // `capacity`: jobs taken and not yet completed, running ones included.
  WorkerPool(net::Loop& loop, std::size_t threads, std::size_t capacity);
  WorkerPool(const WorkerPool&) = delete;
  WorkerPool& operator=(const WorkerPool&) = delete;
  ~WorkerPool();  // stop()

  // False: the pool is full or stopped, nothing was taken; the caller answers 503. True: `work()`
  // runs on a worker, then `done(its value)` on the loop, once each, unless stop() comes first.
  template <typename Work, typename Done>
  [[nodiscard]] bool run(Work work, Done done) {
    return submit(std::make_unique<Typed<Work, Done>>(std::move(work), std::move(done)));
  }

  // Jobs that have not begun are dropped together with their completions; those that run are waited
  // for and completed. Afterwards nothing is taken and nothing runs any more.
  void stop();

  // Long work asks now and then, and ends early. Any thread.
  bool stopping() const { return stopping_; }

  std::size_t outstanding() const { return outstanding_; }

 private:
  // One job on its way: from the loop to a worker and, with its value, back.
  class Task {
   public:
    Task() = default;
    Task(const Task&) = delete;
    Task& operator=(const Task&) = delete;
    virtual ~Task() = default;
    virtual void work() = 0;
    virtual void complete() = 0;
  };

  template <typename Work, typename Done>
  class Typed final : public Task {
   public:
    Typed(Work work, Done done) : work_(std::move(work)), done_(std::move(done)) {}
    void work() override {
      if constexpr (kHasValue) {
        value_.emplace((*work_)());
      } else {
        (*work_)();
      }
      work_.reset();  // what the job owned ends on the worker
    }
    void complete() override {
      if constexpr (kHasValue) {
        done_(std::move(*value_));
      } else {
        done_();
      }
    }

   private:
    using Value = std::invoke_result_t<Work&>;
    static constexpr bool kHasValue = !std::is_void_v<Value>;
    struct Nothing {};

    std::optional<Work> work_;
    std::optional<std::conditional_t<kHasValue, Value, Nothing>> value_;
    Done done_;
  };

  bool submit(std::unique_ptr<Task> task);
  void serve();
  std::unique_ptr<Task> next();

  const std::size_t capacity_;
  std::size_t outstanding_ = 0;  // loop's thread
  net::Mailbox<std::unique_ptr<Task>> completions_;
  std::mutex mutex_;  // guards the next; stopping_ changes under it
  std::deque<std::unique_ptr<Task>> queue_;
  std::atomic<bool> stopping_ = false;
  std::condition_variable arrived_;
  std::vector<std::thread> threads_;
};

}  // namespace bedside::server
