#pragma once

// Another practice's audit log as its witness sees it, without a database.

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "store/checkpoint.h"
#include "store/witness.h"

namespace bedside::store {

inline SigningKey key_from(std::uint8_t fill) {
  return std::move(*SigningKey::from_seed(std::vector<std::uint8_t>(SigningKey::kSeedSize, fill)));
}

// A log that grows, and can lie about its past.
class GrowingLog {
 public:
  explicit GrowingLog(std::string origin, std::uint8_t key = 2)
      : origin_(std::move(origin)), lasting_(key_from(key)) {}

  void grow(std::size_t records, const std::string& what = "record") {
    for (std::size_t i = 0; i < records; ++i) {
      leaves_.push_back(leaf_hash(what + std::to_string(leaves_.size())));
    }
  }
  std::uint64_t size() const { return leaves_.size(); }

  std::string checkpoint() const {
    MerkleEdge edge;
    std::vector<Subtree> ignored;
    for (const Hash& leaf : leaves_) edge.append(leaf, ignored);
    return sign_checkpoint({origin_, edge.size(), edge.root(), 1, 1'700'000'000}, epoch_).value();
  }
  std::string request(std::uint64_t old_size) const {
    const SubtreeRoots roots = [this](int level, std::uint64_t index) {
      return subtree(level, index);
    };
    const auto proof = consistency_proof(old_size, size(), roots);
    return add_checkpoint_body(old_size, proof.value_or(std::vector<Hash>()),
                               add_log_signature(checkpoint(), origin_, lasting_).value());
  }
  VerifierKey key() const { return {origin_, KeyKind::log, lasting_.public_key()}; }

 private:
  std::optional<Hash> subtree(int level, std::uint64_t index) const {
    if (level == 0) return index < leaves_.size() ? std::optional(leaves_[index]) : std::nullopt;
    const auto left = subtree(level - 1, 2 * index);
    const auto right = subtree(level - 1, 2 * index + 1);
    return left && right ? std::optional(node_hash(*left, *right)) : std::nullopt;
  }

  std::string origin_;
  std::vector<Hash> leaves_;
  SigningKey epoch_ = key_from(1);
  SigningKey lasting_;
};

}  // namespace bedside::store
