#pragma once

// How far a long look at the audit log has come, on standard error: on a terminal once a second, in
// a script's log every ten. One thread.

#include <chrono>
#include <cstdint>

namespace bedside::server {

class AuditProgress {
 public:
  AuditProgress();
  void show(std::uint64_t done, std::uint64_t all);
  void clear();  // before other output

 private:
  bool terminal_;
  bool shown_ = false;
  std::chrono::steady_clock::time_point last_;
};

}  // namespace bedside::server
