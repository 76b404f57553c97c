#include "server/audit_progress.h"

#include <unistd.h>

#include <cinttypes>
#include <cstdio>

namespace bedside::server {

AuditProgress::AuditProgress()
    : terminal_(::isatty(STDERR_FILENO) == 1), last_(std::chrono::steady_clock::now()) {}

void AuditProgress::show(std::uint64_t done, std::uint64_t all) {
  const auto now = std::chrono::steady_clock::now();
  if (now - last_ < std::chrono::seconds(terminal_ ? 1 : 10)) return;
  last_ = now;
  shown_ = true;
  std::fprintf(stderr, "%s%" PRIu64 " of %" PRIu64 " records%s", terminal_ ? "\r" : "", done, all,
               terminal_ ? "" : "\n");
  std::fflush(stderr);
}

void AuditProgress::clear() {
  if (terminal_ && shown_) std::fprintf(stderr, "\r%40s\r", "");
  shown_ = false;
}

}  // namespace bedside::server
