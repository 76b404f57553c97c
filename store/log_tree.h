#pragma once

// The Merkle tree of the log as a reader finds it in the database: stored subtrees are looked up,
// what lies below them is computed from the bodies. What makes proofs.
//
// One thread, one snapshot: the caller holds a transaction (or a file nobody writes) while it uses
// one. The database outlives it.

#include <cstdint>
#include <optional>
#include <string>
#include <tl/expected.hpp>
#include <vector>

#include "store/database.h"
#include "store/merkle.h"

namespace bedside::store {

class LogTree {
 public:
  static tl::expected<LogTree, SqlError> open(const Database& database);

  // The root of the first `size` records. Nothing, here and below, when a record or a stored root
  // is not there.
  std::optional<Hash> root(std::uint64_t size);
  // Record `seq` (they count from 1) in the tree of `size` records.
  std::optional<std::vector<Hash>> inclusion(std::uint64_t seq, std::uint64_t size);
  std::optional<std::vector<Hash>> consistency(std::uint64_t old_size, std::uint64_t size);

 private:
  LogTree() = default;
  std::optional<Hash> subtree(int level, std::uint64_t index);
  std::optional<Hash> stored(int level, std::uint64_t index);
  std::optional<Hash> leaf(std::uint64_t index);

  std::uint64_t purged_ = 0;  // records, of which some may have stayed (purge.h)
  Statement stored_;
  Statement body_;
};

// The newest checkpoint as a signed note, "" when the log was never sealed. In a database of any
// version that has checkpoints.
tl::expected<std::string, SqlError> newest_note(const Database& database);

}  // namespace bedside::store
