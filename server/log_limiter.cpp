#include "server/log_limiter.h"

#include <utility>

namespace bedside::server::log {

LineLimiter::Row& LineLimiter::row_of(const void* kind) noexcept {
  for (Row& row : rows_) {
    if (row.kind == nullptr) row.kind = kind;
    if (row.kind == kind) return row;
  }
  return others_;
}

std::optional<std::uint64_t> LineLimiter::admit(const void* kind, Time now) noexcept {
  Row& row = row_of(kind);
  if (row.written == 0 || now - row.since >= kWindow) {
    row.since = now;
    row.written = 0;
  }
  if (row.written == kLines) {
    ++row.held_back;
    return std::nullopt;
  }
  ++row.written;
  return std::exchange(row.held_back, 0);
}

}  // namespace bedside::server::log
