#pragma once

// The journal for a full disk (store/journal.h) as the configuration and the keys make it. Called
// at start; the functions in the result are called on the store's thread.

#include <filesystem>

#include "server/keys.h"
#include "store/journal.h"

namespace bedside::server {

// Commits name people, and a second disk may be carried away: they are encrypted with `key`. An
// empty path: no journal.
store::JournalOptions journal_options(const std::filesystem::path& file, const Key& key);

// False when both are known to be on one file system: a full one takes no journal either.
bool on_another_disk(const std::filesystem::path& file, const std::filesystem::path& data_dir);

}  // namespace bedside::server
