#pragma once

// Records of what has happened already (a clock that was set, a certificate that was renewed, an
// anchor that objects): nobody waits for them and nothing is granted, so the store's verdict is not
// awaited. What it does not take is kept for later. Any thread.

#include <cstddef>
#include <cstdint>
#include <deque>
#include <mutex>

#include "server/audit_trail.h"
#include "store/store.h"

namespace bedside::server {

class Happened {
 public:
  // Beyond it the oldest is lost, which is said in the log.
  static constexpr std::size_t kMaxWaiting = 256;

  // Borrowed; they outlive this.
  Happened(const AuditTrail& trail, store::Store& store) : trail_(trail), store_(store) {}

  void record(const AdminAction& action, const AuditSource& source = {});
  // Every few seconds, and before the store is closed.
  void retry();
  std::uint64_t lost() const;

 private:
  void submit_waiting();

  const AuditTrail& trail_;
  store::Store& store_;
  mutable std::mutex mutex_;
  std::deque<store::Commit> waiting_;
  std::uint64_t lost_ = 0;
};

}  // namespace bedside::server
