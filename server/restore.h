#pragma once

// `bedside restore`: a backup becomes the database of a stopped server. The audit log goes on under
// a new name and declares what was lost (store/README.md). Runs in a process of its own.

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <tl/expected.hpp>
#include <vector>

#include "server/config.h"
#include "store/verify.h"

namespace bedside::server {

struct RestoreWish {
  std::filesystem::path backup;
  std::filesystem::path private_key;
  // Checkpoints of the lost log that were kept elsewhere, for the size of the loss. The anchor file
  // of the configuration and the database that is there are asked too.
  std::vector<std::filesystem::path> anchors;
  std::string genesis;   // 64 hex digits, or empty: not compared
  bool replace = false;  // what is in data_dir is moved aside, never removed
  std::string vfs =
      {};  // of the store; empty: the platform's; tests name one that fails on purpose
};

struct RestoreDone {
  std::chrono::seconds made{};  // the backup; Unix time
  std::string version;          // of the Bedside that made it
  std::uint64_t records = 0;    // in the backup
  store::DeclaredGap gap;
  store::PublicKey genesis{};
  std::filesystem::path replaced;  // where the old database is; empty: there was none
  std::filesystem::path anchor;    // where the old anchor file is; likewise
  // Whose personal values do not open with the keys that are in reach ("2026-11"): the wrapping key
  // is in no backup.
  std::vector<std::string> closed_months;
};

// Everything happens in data_dir/restore-scratch/ and is checked there; data_dir changes by renames
// at the end. An error is a sentence; then data_dir is as it was.
tl::expected<RestoreDone, std::string> restore_backup(const Config& config, const RestoreWish& wish,
                                                      const std::function<void(const char*)>& step);

}  // namespace bedside::server
