#pragma once

// The machine under the server: the space on the disk of the database, with the ballast that is
// given up when it ends, and the clocks. What changes is in the log of the service and in the audit
// log.
//
// look() on the main thread, every few seconds; the others on any.

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <functional>

#include "server/audit_trail.h"
#include "server/ballast.h"
#include "server/clock_watch.h"
#include "server/disk_watch.h"

namespace bedside::server {

class HostWatch {
 public:
  // `ballast` in bytes; 0: none.
  HostWatch(std::filesystem::path data_dir, std::uint64_t ballast);

  // Before anything is opened in data_dir: a full disk is no reason not to start.
  void make_room_to_start();

  // `record` returns at once. `full`: the database has found no space.
  using Record = std::function<void(const AdminAction&)>;
  void look(bool full, const Record& record);

  // What the ballast gave is for the visits that exist, for purges and backups.
  bool space_for_rooms() const {
    return disk_.state() != DiskState::scarce && !ballast_.given_up();
  }
  std::uint64_t disk_free() const { return disk_.free(); }

 private:
  void look_at_ballast(bool full);
  void look_at_disk(const Record& record);
  void look_at_clocks(const Record& record);

  std::filesystem::path data_dir_;
  DiskWatch disk_;
  Ballast ballast_;
  bool told_ = true;  // the audit log, that the ballast was given up
  ClockWatch clocks_;
};

}  // namespace bedside::server
