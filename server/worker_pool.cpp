#include "server/worker_pool.h"

namespace bedside::server {

// The mailbox holds as many completions as there can be jobs, so posting one never fails.
WorkerPool::WorkerPool(net::Loop& loop, std::size_t threads, std::size_t capacity)
    : capacity_(capacity), completions_(loop, capacity, [this](Job done) {
        --outstanding_;
        done();
      }) {
  threads_.reserve(threads);
  for (std::size_t i = 0; i < threads; ++i) threads_.emplace_back([this] { serve(); });
}

WorkerPool::~WorkerPool() { stop(); }

bool WorkerPool::submit(Job work, Job done) {
  if (outstanding_ >= capacity_) return false;
  {
    const std::lock_guard lock(mutex_);
    if (stopping_) return false;
    queue_.push_back(Task{std::move(work), std::move(done)});
  }
  ++outstanding_;
  arrived_.notify_one();
  return true;
}

bool WorkerPool::next(Task& task) {
  std::unique_lock lock(mutex_);
  arrived_.wait(lock, [this] { return stopping_ || !queue_.empty(); });
  if (stopping_) return false;
  task = std::move(queue_.front());
  queue_.pop_front();
  return true;
}

void WorkerPool::serve() {
  Task task;
  while (next(task)) {
    task.work();
    task.work = nullptr;  // what the job owned ends here, not with the next job
    (void)completions_.post(std::move(task.done));
  }
}

void WorkerPool::stop() {
  {
    const std::lock_guard lock(mutex_);
    if (stopping_) return;
    stopping_ = true;
  }
  arrived_.notify_all();
  for (std::thread& thread : threads_) thread.join();
  completions_.deliver();
  outstanding_ = 0;
  queue_.clear();
}

}  // namespace bedside::server
