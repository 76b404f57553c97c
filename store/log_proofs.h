#pragma once

// Proofs about the newest checkpoint of a log, many in turn: what LogTree computes anew for each is
// kept for a block of 256 records, and the stored roots in memory. One thread at a time.

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <tl/expected.hpp>
#include <vector>

#include "store/checkpoint.h"
#include "store/database.h"
#include "store/log_tree.h"
#include "store/merkle.h"

namespace bedside::store {

// The subtrees within 256 records; of the newest ones as many as are complete.
struct LogBlock {
  std::uint64_t number = 0;
  std::array<std::vector<Hash>, kStoredLevels> levels;
};

class LogProofs {
 public:
  // The database has an open snapshot, which stays open, and outlives this. Errors are sentences: a
  // log that was never sealed, or whose records are not those of its newest checkpoint.
  static tl::expected<LogProofs, std::string> open(const Database& database);

  const Checkpoint& checkpoint() const { return checkpoint_; }
  const std::string& note() const { return note_; }  // the checkpoint, signed

  // In the tree of the checkpoint. Nothing for records that are not there (any more), and when the
  // file cannot be read. Neighbours in turn are cheap.
  std::optional<std::vector<Hash>> inclusion(std::uint64_t index);
  std::optional<std::vector<Hash>> consistency(std::uint64_t old_size) {
    return tree_->consistency(old_size, checkpoint_.size);
  }
  std::optional<Hash> root_of_first(std::uint64_t size) { return tree_->root(size); }

 private:
  LogProofs() = default;
  tl::expected<void, std::string> load(const Database& database);
  std::optional<Hash> complete(int level, std::uint64_t index);
  const LogBlock* block(std::uint64_t number);
  bool make_edge();

  Checkpoint checkpoint_;
  std::string note_;
  std::optional<LogTree> tree_;
  Statement bodies_;
  std::vector<std::vector<Hash>> upper_;  // level 8 and up: 32 bytes for each 256 records, twice
  std::vector<Hash> edge_;    // by level: the root of the last, perhaps incomplete, node
  std::uint64_t purged_ = 0;  // proofs of what stayed of these come from the tree
  std::array<std::optional<LogBlock>, 2>
      blocks_;  // a proof needs that of its record and the last one
  std::size_t oldest_block_ = 0;
};

// "BASE64 BASE64 …": how proofs stand in files and answers. Nothing when it is not that.
std::string spell_proof(std::span<const Hash> proof);
std::optional<std::vector<Hash>> read_proof(std::string_view text);

}  // namespace bedside::store
