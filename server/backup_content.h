#pragma once

// What is in a backup: the keys that records were written with, and the database. Not in it: the
// key that seals the audit log (a restored log begins a new one, store/seal.h), certificates, the
// configuration.
//
// Lines of text, then the database byte for byte:
//   bedside VERSION / made UNIX-SECONDS / origin NAME / records N / root HEX / key NAME HEX … /
//   database BYTES
//
// Any thread. Errors are sentences.

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <tl/expected.hpp>

#include "server/backup_box.h"

namespace bedside::server {

inline constexpr std::size_t kMaxManifest = std::size_t{64} * 1024;
inline constexpr std::size_t kMaxBackupKeys = 32;

struct BackupManifest {
  std::string version;
  std::chrono::seconds made{};  // Unix time
  std::string origin;           // of the audit log, which ends with …
  std::uint64_t records = 0;
  std::string root;                         // … this root, in hexadecimal
  std::map<std::string, std::string> keys;  // file name → content
  std::uint64_t database_bytes = 0;

  std::string text() const;
  static std::optional<BackupManifest> parse(std::string_view text);
};

using BackupProgress = std::function<void(std::uint64_t done, std::uint64_t all)>;

// The keys of that folder, as a backup has them.
tl::expected<std::map<std::string, std::string>, std::string> read_backup_keys(
    const std::filesystem::path& keys_dir);

// Manifest and database into the box, which is finished then.
tl::expected<void, std::string> pack(const BackupManifest& manifest,
                                     const std::filesystem::path& database, BoxWriter& box,
                                     const BackupProgress& progress);
// Everything of the box into `folder` (bedside.db, keys/), which is empty. Files are 0600, keys
// 0400. When that fails, whoever made the folder removes it.
tl::expected<BackupManifest, std::string> unpack(BoxReader& box,
                                                 const std::filesystem::path& folder,
                                                 const BackupProgress& progress);

}  // namespace bedside::server
