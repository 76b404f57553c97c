#pragma once

// `bedside backup`: a copy of the database and its keys as one encrypted file, taken while the
// server runs, and proven by restoring it to a scratch folder. Runs in a process of its own; reads
// only (store/README.md: one writer).

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <tl/expected.hpp>

#include "server/config.h"

namespace bedside::server {

struct BackupMade {
  std::filesystem::path file;
  std::uint64_t bytes = 0;
  std::uint64_t records = 0;  // of the audit log
  std::string root;
  std::string digest;                   // SHA-256 of the file
  std::chrono::milliseconds restore{};  // how long the scratch restore took, checks included
  std::size_t removed = 0;              // older backups
};

// Told what is going on now; it may take minutes.
using BackupStep = std::function<void(const char* what)>;

// Into config.backup.folder. Plain copies lie in config.scratch()/backup-scratch/ meanwhile, which
// needs twice the room of the database, and are removed however this ends (after a kill: by the
// next one, or the next start of the server). Older backups than the newest `keep` are removed only
// after this one was restored. An error is a sentence; then no file of this backup remains.
tl::expected<BackupMade, std::string> make_backup(const Config& config, const BackupStep& step);

// The plain copies of one that was killed, unless one is being made.
void remove_what_a_killed_backup_left(const Config& config);

}  // namespace bedside::server
