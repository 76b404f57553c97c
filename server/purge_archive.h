#pragma once

// What a purge takes is kept before: an export of all records up to where the purge goes, encrypted
// to the public key of backups, so that only the private half, which is elsewhere, opens it.
// Blocks; any thread but those of the server's loops. Errors are sentences with what to do.

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <string>
#include <tl/expected.hpp>

#include "server/config.h"
#include "store/audit_bundle.h"

namespace bedside::server {

struct ArchiveMade {
  std::string name;  // of the file in backup.folder
  std::string digest;
  std::uint64_t bytes = 0;
  std::uint64_t records = 0;  // that the verifier of exports found in what was written, all whole
  std::string root;           // of the log they are proven to be in, hexadecimal
};

// Why no archive could be made with this configuration; nothing: one could.
std::optional<std::string> no_archive(const BackupConfig& backup);

// The export that is archived. Personal values are no part of it: what is purged ends.
tl::expected<store::ExportOptions, std::string> archive_options(const std::string& database,
                                                                std::uint64_t through);

// `seq`: the record of this export, which is durable. The archive is checked by the verifier of
// exports, and once more after decrypting what was written; it is under its name only then. A plain
// copy lies in `scratch` meanwhile.
tl::expected<ArchiveMade, std::string> make_archive(const BackupConfig& backup,
                                                    const std::filesystem::path& scratch,
                                                    const store::ExportOptions& options,
                                                    const store::ExportSurvey& survey,
                                                    std::uint64_t seq, std::chrono::seconds now);

}  // namespace bedside::server
