#include "server/worker_pool.h"

namespace bedside::server {

// The mailbox holds as many completions as there can be jobs, so posting one never fails.
WorkerPool::WorkerPool(net::Loop& loop, std::size_t threads, std::size_t capacity)
    : capacity_(capacity), completions_(loop, capacity, [this](const std::unique_ptr<Task>& task) {
        --outstanding_;
        task->complete();
      }) {
  threads_.reserve(threads);
  for (std::size_t i = 0; i < threads; ++i) threads_.emplace_back([this] { serve(); });
}

WorkerPool::~WorkerPool() { stop(); }

bool WorkerPool::submit(std::unique_ptr<Task> task) {
  if (outstanding_ >= capacity_) return false;
  {
    const std::lock_guard lock(mutex_);
    if (stopping_) return false;
    queue_.push_back(std::move(task));
  }
  ++outstanding_;
  arrived_.notify_one();
  return true;
}

// Nothing: the pool stops.
std::unique_ptr<WorkerPool::Task> WorkerPool::next() {
  std::unique_lock lock(mutex_);
  arrived_.wait(lock, [this] { return stopping_ || !queue_.empty(); });
  if (stopping_) return nullptr;
  std::unique_ptr<Task> task = std::move(queue_.front());
  queue_.pop_front();
  return task;
}

void WorkerPool::serve() {
  while (std::unique_ptr<Task> task = next()) {
    task->work();
    (void)completions_.post(std::move(task));
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
