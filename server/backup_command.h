#pragma once

// `bedside backup` and `bedside restore` for the command line. What they do goes to standard error,
// the result to standard output; each returns the exit code.

#include <filesystem>
#include <string>

#include "server/config.h"
#include "server/restore.h"

namespace bedside::server {

// 0: made, proven and recorded. 1: not, and why; a failure is recorded too, where that is possible.
int backup_make(const Config& config);

struct BackupKeyWish {
  std::filesystem::path private_file;
  std::filesystem::path public_file;
  bool passphrase = false;
};
int backup_key(const BackupKeyWish& wish);

// An archive that was made before a purge (purge_archive.h), as the tar that it was.
struct OpenArchiveWish {
  std::string archive;
  std::string private_key;
  std::string out;
};
int open_archive(const OpenArchiveWish& wish);

int restore(const Config& config, const RestoreWish& wish);

}  // namespace bedside::server
