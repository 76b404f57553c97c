#pragma once

// The keys that sign checkpoints, as files: one an epoch, of which only the newest is kept. An
// epoch ends every day and at every start; its key signs the next one into the log and is erased.
// Whoever takes over the machine finds the present key only and cannot rewrite what was sealed
// before (forward security).

#include <cstdint>
#include <filesystem>
#include <string>
#include <tl/expected.hpp>

#include "store/signed_note.h"

namespace bedside::store {

// Store's thread. Errors are sentences that name the file.
class EpochKeys {
 public:
  // The folder is this user's alone (0700); it is made by whoever makes the other keys.
  explicit EpochKeys(std::filesystem::path folder) : folder_(std::move(folder)) {}

  // A new key, durably on disk (0600) before this returns. A file of that number that was left
  // behind by a crash is replaced: its key has never signed anything.
  tl::expected<SigningKey, std::string> make(std::uint64_t epoch) const;
  tl::expected<SigningKey, std::string> load(std::uint64_t epoch) const;

  // Erases the keys of all other epochs: overwritten, synced, unlinked. On a copy-on-write file
  // system or a wear-levelled disk old blocks may survive the overwriting.
  tl::expected<void, std::string> keep_only(std::uint64_t epoch) const;

 private:
  std::filesystem::path file(std::uint64_t epoch) const;

  std::filesystem::path folder_;
};

}  // namespace bedside::store
