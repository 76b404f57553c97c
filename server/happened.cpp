#include "server/happened.h"

#include <utility>

#include "server/log.h"

namespace bedside::server {

void Happened::record(const AdminAction& action, const AuditSource& source) {
  store::Commit commit = trail_.commit(action, source);
  commit.keep = true;  // a full disk does not undo it
  const std::lock_guard lock(mutex_);
  if (waiting_.size() == kMaxWaiting) {
    waiting_.pop_front();
    if (lost_++ == 0) log::error("audit records are being lost: the store takes nothing");
  }
  waiting_.push_back(std::move(commit));
  submit_waiting();
}

void Happened::retry() {
  const std::lock_guard lock(mutex_);
  submit_waiting();
}

std::uint64_t Happened::lost() const {
  const std::lock_guard lock(mutex_);
  return lost_;
}

void Happened::submit_waiting() {
  while (!waiting_.empty() && store_.submit(waiting_.front(), {})) waiting_.pop_front();
}

}  // namespace bedside::server
