#pragma once

// Files on their way: folders and files that are gone again unless somebody keeps them. One thread
// at a time. Errors are sentences.

#include <filesystem>
#include <string>
#include <tl/expected.hpp>
#include <utility>

namespace bedside::server {

// A folder (0700) that is removed with what is in it when this ends; one that a killed process left
// behind is removed first.
class ScratchSpace {
 public:
  static tl::expected<ScratchSpace, std::string> make(std::filesystem::path folder);
  ScratchSpace(ScratchSpace&& other) noexcept : folder_(std::exchange(other.folder_, {})) {}
  ScratchSpace& operator=(ScratchSpace&&) = delete;
  ~ScratchSpace();
  const std::filesystem::path& path() const { return folder_; }

 private:
  explicit ScratchSpace(std::filesystem::path folder) : folder_(std::move(folder)) {}
  std::filesystem::path folder_;
};

// A new file that is removed unless it is kept.
class Draft {
 public:
  explicit Draft(std::filesystem::path file) : file_(std::move(file)) {}
  Draft(const Draft&) = delete;
  Draft& operator=(const Draft&) = delete;
  ~Draft();
  const std::filesystem::path& path() const { return file_; }
  // Durable under that name.
  tl::expected<void, std::string> keep_as(const std::filesystem::path& name);

 private:
  std::filesystem::path file_;
};

// Where the disk of `folder` has less than `needed` bytes: why not, and what to do.
tl::expected<void, std::string> check_room(const std::filesystem::path& folder,
                                           std::uint64_t needed);

// SHA-256 of what is in it, hexadecimal.
tl::expected<std::string, std::string> digest_of_file(const std::filesystem::path& file);

}  // namespace bedside::server
