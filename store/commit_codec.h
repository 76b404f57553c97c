#pragma once

// A commit as bytes and back, for the journal (journal.h). Pure functions; any thread.

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "store/store.h"

namespace bedside::store {

struct StampedCommit {
  Commit commit;
  Clock at;  // when it was submitted
  // By which boot of the machine and which version of this program: `at.boot` means nothing
  // without. Empty: those that run now.
  std::string boot_id = {};
  std::string build = {};
};

std::vector<std::uint8_t> encode_commit(const StampedCommit& stamped);

// Nothing unless these are the bytes of exactly one commit, written by a version that knows the
// same changes.
std::optional<StampedCommit> decode_commit(std::span<const std::uint8_t> bytes);

}  // namespace bedside::store
