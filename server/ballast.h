#pragma once

// A file beside the database that does nothing but take space. It is given up when the disk is
// full, so that this can be recorded, and that visits end, purges, backups and starts of the server
// work; it is made again when there is plenty.
//
// look() on one thread, given_up() on any.

#include <atomic>
#include <cstdint>
#include <filesystem>

#include "server/disk_watch.h"

namespace bedside::server {

class Ballast {
 public:
  // 0 bytes: there is none, and one of an earlier configuration goes. Does nothing yet.
  Ballast(std::filesystem::path file, std::uint64_t bytes);

  enum class Finding : std::uint8_t { nothing, released, taken };
  // Given up when a write has found no space (`full`), or when less than an eighth of its size is
  // free; made when four times its size is free. A disk too small for that has none.
  Finding look(const DiskSpace& space, bool full);

  // Since look() last released it, and before there is any of its space.
  bool given_up() const { return given_up_; }

  // An empty disk of this size would have it.
  bool fits(const DiskSpace& space) const { return space.size / 4 >= bytes_; }
  bool must_go(const DiskSpace& space) const { return space.free < bytes_ / 8; }
  std::uint64_t bytes() const { return bytes_; }

 private:
  bool held() const;
  bool take() const;
  void remove() const;

  std::filesystem::path file_;
  std::uint64_t bytes_ = 0;
  std::atomic<bool> given_up_ = false;
};

}  // namespace bedside::server
