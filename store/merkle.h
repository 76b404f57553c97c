#pragma once

// The Merkle tree of the audit log as RFC 6962 §2.1 defines it: leaves in the order of their
// numbers, SHA-256, a prefix byte that tells leaves from nodes. Values and pure functions: any
// thread.
//
// What is kept of it: in memory the right edge (one hash for each bit of the size), in the database
// the root of every complete subtree of 256, 65,536, … leaves. Leaf hashes are computed again from
// the bodies, so a proof reads at most 255 bodies a level-8 subtree and no more.

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

namespace bedside::store {

using Hash = std::array<std::uint8_t, 32>;

// SHA-256 of nothing: the root of the empty tree.
Hash empty_root();
// SHA-256(0x00 || body)
Hash leaf_hash(std::string_view body);
// SHA-256(0x01 || left || right)
Hash node_hash(const Hash& left, const Hash& right);

// The complete subtree of 2^level leaves that begins at leaf index · 2^level.
struct Subtree {
  int level = 0;
  std::uint64_t index = 0;
  Hash root{};
  friend bool operator==(const Subtree&, const Subtree&) = default;
};

inline constexpr std::int64_t kHighestLevel = 63;  // what a number of 64 bits can count

// Levels whose subtrees are stored: 8, 16, 24 …
inline constexpr int kStoredLevels = 8;
[[nodiscard]] constexpr bool is_stored_level(int level) noexcept {
  return level > 0 && level % kStoredLevels == 0;
}

// The right edge of a growing tree: what is needed to append and to know the root. At most 64
// hashes; copying one is cheap, which is how a transaction is taken back.
class MerkleEdge {
 public:
  std::uint64_t size() const { return size_; }
  Hash root() const;
  // Of one of the complete subtrees it consists of; nothing for any other.
  std::optional<Hash> part(int level, std::uint64_t index) const;

  // Appends a leaf. Subtrees of a stored level that are complete now are appended to `completed`.
  void append(const Hash& leaf, std::vector<Subtree>& completed);
  // Appends a complete subtree whose place is next: size() must be a multiple of its leaves.
  void append_subtree(const Subtree& subtree);

  friend bool operator==(const MerkleEdge&, const MerkleEdge&) = default;

 private:
  void add(int level, Hash root, std::vector<Subtree>* completed);

  std::uint64_t size_ = 0;
  std::vector<Subtree> parts_;  // largest first: one for each bit of size_
};

// Where the roots of complete subtrees come from while a proof is made; nothing when the tree
// does not have it (then there is no proof).
using SubtreeRoots = std::function<std::optional<Hash>(int level, std::uint64_t index)>;

// RFC 6962 §2.1: the root of the first `size` leaves; empty_root() for none. Nothing when a root is
// not to be had.
std::optional<Hash> tree_root(std::uint64_t size, const SubtreeRoots& roots);

// RFC 6962 §2.1.1: what proves that leaf `index` is in the tree of `size` leaves, from the leaf's
// sibling upwards. Nothing when index >= size or a root is not to be had.
std::optional<std::vector<Hash>> inclusion_proof(std::uint64_t index, std::uint64_t size,
                                                 const SubtreeRoots& roots);
[[nodiscard]] bool verify_inclusion(const Hash& leaf, std::uint64_t index, std::uint64_t size,
                                    std::span<const Hash> proof, const Hash& root);

// RFC 6962 §2.1.2: what proves that the tree of `old_size` leaves is the beginning of the tree of
// `size`. Empty for old_size 0 or equal sizes.
std::optional<std::vector<Hash>> consistency_proof(std::uint64_t old_size, std::uint64_t size,
                                                   const SubtreeRoots& roots);
[[nodiscard]] bool verify_consistency(std::uint64_t old_size, const Hash& old_root,
                                      std::uint64_t size, const Hash& root,
                                      std::span<const Hash> proof);

}  // namespace bedside::store
