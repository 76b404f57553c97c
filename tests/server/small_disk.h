#pragma once

// A file system of a few MB: enough for a young database, and soon full. Needs root.

#include <sys/mount.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <utility>

namespace bedside::server {

// Unmounts itself, also after a failed assertion.
class SmallDisk {
 public:
  explicit SmallDisk(std::filesystem::path path, std::size_t megabytes = 4)
      : path_(std::move(path)), bytes_(megabytes << 20) {
    std::filesystem::create_directories(path_);
    const std::string options = "size=" + std::to_string(bytes_) + ",mode=0700";
    mounted_ = ::mount("tmpfs", path_.c_str(), "tmpfs", 0, options.c_str()) == 0;
  }
  ~SmallDisk() {
    if (mounted_) ::umount2(path_.c_str(), MNT_DETACH);
  }
  SmallDisk(const SmallDisk&) = delete;
  SmallDisk& operator=(const SmallDisk&) = delete;
  bool mounted() const { return mounted_; }

  // Takes what is left, as much as a file can.
  void fill() const { std::ofstream(filler(), std::ios::binary) << std::string(bytes_, 'f'); }
  bool make_read_only() const {
    return ::mount(nullptr, path_.c_str(), nullptr, MS_REMOUNT | MS_RDONLY, nullptr) == 0;
  }
  void make_space() const { std::filesystem::remove(filler()); }

 private:
  std::filesystem::path filler() const { return path_ / "filler"; }

  std::filesystem::path path_;
  std::size_t bytes_ = 0;
  bool mounted_ = false;
};

}  // namespace bedside::server
