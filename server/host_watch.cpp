#include "server/host_watch.h"

#include <utility>

#include "server/log.h"

namespace bedside::server {

HostWatch::HostWatch(std::filesystem::path data_dir, std::uint64_t ballast)
    : data_dir_(std::move(data_dir)),
      disk_([this] { return measure_disk(data_dir_); }),
      ballast_(data_dir_ / "ballast", ballast),
      clocks_(read_clocks()) {}

void HostWatch::make_room_to_start() {
  const auto space = measure_disk(data_dir_);
  if (space && ballast_.must_go(*space)) look_at_ballast(true);
}

void HostWatch::look_at_ballast(bool full) {
  const auto space = measure_disk(data_dir_);
  if (!space) return;
  const std::uint64_t free_mb = space->free >> 20;
  switch (ballast_.look(*space, full)) {
    case Ballast::Finding::nothing:
      return;
    case Ballast::Finding::released:
      told_ = false;
      return log::error("the disk of the database is full; the ballast was given up",
                        {{"free_mb", free_mb}, {"ballast_mb", ballast_.bytes() >> 20}});
    case Ballast::Finding::taken:
      return log::info("the ballast was made", {{"ballast_mb", ballast_.bytes() >> 20}});
  }
}

void HostWatch::look(bool full, const Record& record) {
  look_at_ballast(full);
  if (!std::exchange(told_, true)) record(StorageFull{ballast_.bytes() >> 20});
  look_at_disk(record);
  look_at_clocks(record);
}

void HostWatch::look_at_disk(const Record& record) {
  const auto changed = disk_.look();
  if (!changed) return;
  const std::uint64_t free_mb = disk_.free() >> 20;
  if (*changed == DiskState::plenty) {
    return log::info("the disk of the database has space again", {{"free_mb", free_mb}});
  }
  log::error("the disk of the database is nearly full: make space (no new rooms when scarce)",
             {{"state", log::Configured(name(*changed))}, {"free_mb", free_mb}});
  record(StorageLow{*changed, measure_disk(data_dir_).value_or(DiskSpace{})});
}

void HostWatch::look_at_clocks(const Record& record) {
  const ClockWatch::Finding found = clocks_.look(read_clocks());
  if (found.stepped) {
    log::warning("the clock of this machine was set", {{"by_ms", found.stepped->count()}});
    record(ClockStepped{*found.stepped});
  }
  if (found.synchronized) {
    log::warning("the clock of this machine", {{"synchronized", *found.synchronized}});
    record(ClockSynchronization{*found.synchronized});
  }
}

}  // namespace bedside::server
