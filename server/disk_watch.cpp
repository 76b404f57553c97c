#include "server/disk_watch.h"

#include <sys/statvfs.h>

#include <algorithm>
#include <utility>

namespace bedside::server {
namespace {

constexpr std::uint64_t kScarceBytes = std::uint64_t{512} << 20;
constexpr std::chrono::hours kDay{24};
constexpr std::size_t kDaysKnown = 7;
constexpr std::uint64_t kRunwayDays = 30;
constexpr std::uint64_t kRunwayDaysToLeave = 40;  // so that it does not ring all day

DiskState judge(std::uint64_t free, std::uint64_t size) {
  if (free < std::min(kScarceBytes, size / 20)) return DiskState::scarce;
  return free < size / 10 ? DiskState::low : DiskState::plenty;
}

}  // namespace

std::string_view name(DiskState state) {
  switch (state) {
    case DiskState::plenty:
      return "plenty";
    case DiskState::low:
      return "low";
    case DiskState::scarce:
      return "scarce";
  }
  return "unknown";
}

std::optional<DiskSpace> measure_disk(const std::filesystem::path& folder) {
  struct statvfs facts {};
  if (::statvfs(folder.c_str(), &facts) != 0) return std::nullopt;
  return DiskSpace{std::uint64_t{facts.f_bavail} * facts.f_frsize,
                   std::uint64_t{facts.f_blocks} * facts.f_frsize};
}

bool DiskWatch::ends_soon(std::uint64_t free, std::uint64_t days) {
  const auto now = clock_();
  if (days_.empty() || now - days_.back().at >= kDay) {
    days_.push_back({now, free});
    if (days_.size() > kDaysKnown + 1) days_.pop_front();
  }
  const Day& first = days_.front();
  const auto hours = std::chrono::duration_cast<std::chrono::hours>(now - first.at);
  if (hours < kDay || first.free <= free) return false;
  const std::uint64_t used = first.free - free;
  // free / (used per day) < days, without a division by what may be nothing
  return free / days < used * 24 / static_cast<std::uint64_t>(hours.count());
}

std::optional<DiskState> DiskWatch::look() {
  const auto space = measure_();
  if (!space || space->size == 0) return std::nullopt;
  free_ = space->free;
  const DiskState before = state_;
  DiskState now = judge(space->free, space->size);
  if (now < before) {
    const std::uint64_t margin = space->size / 50;
    now = judge(space->free - std::min(space->free, margin), space->size);
    now = std::min(now, before);
  }
  if (ends_soon(space->free, before == DiskState::plenty ? kRunwayDays : kRunwayDaysToLeave)) {
    now = std::max(now, DiskState::low);
  }
  if (now == before) return std::nullopt;
  state_ = now;
  return now;
}

}  // namespace bedside::server
