#include "store/merkle.h"

#include <algorithm>
#include <bit>
#include <cstdlib>
#include <utility>

#include "store/digest.h"

namespace bedside::store {
namespace {

Sha256& hasher() {
  thread_local Sha256 one;
  return one;
}

// The largest power of two below `size` (RFC 6962 §2.1); size > 1.
std::uint64_t split(std::uint64_t size) { return std::bit_floor(size - 1); }

// MTH over the leaves [first, first + count): complete subtrees are looked up, others combined.
std::optional<Hash> root_of(std::uint64_t first, std::uint64_t count, const SubtreeRoots& roots) {
  if (std::has_single_bit(count)) {
    const int level = std::countr_zero(count);
    return roots(level, first >> level);
  }
  const std::uint64_t left = split(count);
  const auto l = root_of(first, left, roots);
  const auto r = root_of(first + left, count - left, roots);
  if (!l || !r) return std::nullopt;
  return node_hash(*l, *r);
}

// PATH(index, leaves [first, first + count)), appended to `proof`.
bool path(std::uint64_t index, std::uint64_t first, std::uint64_t count, const SubtreeRoots& roots,
          std::vector<Hash>& proof) {
  if (count == 1) return true;
  const std::uint64_t left = split(count);
  const bool goes_left = index < first + left;
  const bool below = goes_left ? path(index, first, left, roots, proof)
                               : path(index, first + left, count - left, roots, proof);
  const auto sibling =
      goes_left ? root_of(first + left, count - left, roots) : root_of(first, left, roots);
  if (!below || !sibling) return false;
  proof.push_back(*sibling);
  return true;
}

// SUBPROOF(old, leaves [first, first + count), whole), appended to `proof`.
bool subproof(std::uint64_t old, std::uint64_t first, std::uint64_t count, bool whole,
              const SubtreeRoots& roots, std::vector<Hash>& proof) {
  if (old == count) {
    if (whole) return true;
    const auto root = root_of(first, count, roots);
    if (root) proof.push_back(*root);
    return root.has_value();
  }
  const std::uint64_t left = split(count);
  const bool in_left = old <= left;
  const bool below = in_left
                         ? subproof(old, first, left, whole, roots, proof)
                         : subproof(old - left, first + left, count - left, false, roots, proof);
  const auto other =
      in_left ? root_of(first + left, count - left, roots) : root_of(first, left, roots);
  if (!below || !other) return false;
  proof.push_back(*other);
  return true;
}

}  // namespace

Hash empty_root() { return hasher().finish(); }

Hash leaf_hash(std::string_view body) {
  constexpr std::uint8_t kLeaf[] = {0};
  return hasher().add(std::span(kLeaf)).add(body).finish();
}

Hash node_hash(const Hash& left, const Hash& right) {
  std::array<std::uint8_t, 65> input{1};
  std::copy(left.begin(), left.end(), input.begin() + 1);
  std::copy(right.begin(), right.end(), input.begin() + 33);
  return hasher().add(std::span(input)).finish();
}

Hash MerkleEdge::root() const {
  if (parts_.empty()) return empty_root();
  Hash root = parts_.back().root;
  for (std::size_t i = parts_.size() - 1; i > 0; --i) root = node_hash(parts_[i - 1].root, root);
  return root;
}

std::optional<Hash> MerkleEdge::part(int level, std::uint64_t index) const {
  for (const Subtree& each : parts_) {
    if (each.level == level && each.index == index) return each.root;
  }
  return std::nullopt;
}

void MerkleEdge::append(const Hash& leaf, std::vector<Subtree>& completed) {
  add(0, leaf, &completed);
}

void MerkleEdge::append_subtree(const Subtree& subtree) {
  const std::uint64_t leaves = std::uint64_t{1} << subtree.level;
  if (size_ != subtree.index * leaves) std::abort();  // our mistake: not its place
  add(subtree.level, subtree.root, nullptr);
}

void MerkleEdge::add(int level, Hash root, std::vector<Subtree>* completed) {
  std::uint64_t index = size_ >> level;
  size_ += std::uint64_t{1} << level;
  while (true) {
    if (completed != nullptr && is_stored_level(level)) completed->push_back({level, index, root});
    if (index % 2 == 0) break;
    root = node_hash(parts_.back().root, root);
    parts_.pop_back();
    ++level;
    index /= 2;
  }
  parts_.push_back({level, index, root});
}

std::optional<Hash> tree_root(std::uint64_t size, const SubtreeRoots& roots) {
  return size == 0 ? empty_root() : root_of(0, size, roots);
}

std::optional<std::vector<Hash>> inclusion_proof(std::uint64_t index, std::uint64_t size,
                                                 const SubtreeRoots& roots) {
  std::vector<Hash> proof;
  if (index >= size || !path(index, 0, size, roots, proof)) return std::nullopt;
  return proof;
}

bool verify_inclusion(const Hash& leaf, std::uint64_t index, std::uint64_t size,
                      std::span<const Hash> proof, const Hash& root) {
  if (index >= size) return false;
  // RFC 9162 §2.1.3.2: fn and sn walk up from the leaf and from the last one.
  std::uint64_t fn = index;
  std::uint64_t sn = size - 1;
  Hash hash = leaf;
  for (const Hash& sibling : proof) {
    if (sn == 0) return false;
    if (fn % 2 == 1 || fn == sn) {
      hash = node_hash(sibling, hash);
      while (fn % 2 == 0 && fn != 0) {
        fn >>= 1;
        sn >>= 1;
      }
    } else {
      hash = node_hash(hash, sibling);
    }
    fn >>= 1;
    sn >>= 1;
  }
  return sn == 0 && hash == root;
}

std::optional<std::vector<Hash>> consistency_proof(std::uint64_t old_size, std::uint64_t size,
                                                   const SubtreeRoots& roots) {
  std::vector<Hash> proof;
  if (old_size > size) return std::nullopt;
  if (old_size == 0 || old_size == size) return proof;
  if (!subproof(old_size, 0, size, true, roots, proof)) return std::nullopt;
  return proof;
}

bool verify_consistency(std::uint64_t old_size, const Hash& old_root, std::uint64_t size,
                        const Hash& root, std::span<const Hash> proof) {
  if (old_size > size) return false;
  if (old_size == 0) return proof.empty() && old_root == empty_root();
  if (old_size == size) return proof.empty() && old_root == root;
  // RFC 9162 §2.1.4.2. A complete old tree is its own first element.
  std::size_t next = 0;
  if (!std::has_single_bit(old_size) && proof.empty()) return false;
  std::uint64_t fn = old_size - 1;
  std::uint64_t sn = size - 1;
  while (fn % 2 == 1) {
    fn >>= 1;
    sn >>= 1;
  }
  Hash fr = std::has_single_bit(old_size) ? old_root : proof[next++];
  Hash sr = fr;
  for (; next < proof.size(); ++next) {
    const Hash& c = proof[next];
    if (sn == 0) return false;
    if (fn % 2 == 1 || fn == sn) {
      fr = node_hash(c, fr);
      sr = node_hash(c, sr);
      while (fn % 2 == 0 && fn != 0) {
        fn >>= 1;
        sn >>= 1;
      }
    } else {
      sr = node_hash(sr, c);
    }
    fn >>= 1;
    sn >>= 1;
  }
  return sn == 0 && fr == old_root && sr == root;
}

}  // namespace bedside::store
