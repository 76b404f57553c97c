// The audit log's tree against RFC 6962: the vectors of its reference implementation, and a naive
// model that follows §2.1 word by word.
#include "store/merkle.h"

#include <gtest/gtest.h>

#include <map>
#include <random>
#include <string>
#include <vector>

namespace bedside::store {
namespace {

std::string hex(const Hash& hash) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string text;
  for (const std::uint8_t byte : hash) {
    text += kDigits[byte >> 4];
    text += kDigits[byte & 15];
  }
  return text;
}

// MTH(D[n]) as it stands in §2.1, over leaf hashes.
Hash naive_root(const std::vector<Hash>& leaves, std::size_t first, std::size_t count) {
  if (count == 0) return empty_root();
  if (count == 1) return leaves[first];
  std::size_t k = 1;
  while (k * 2 < count) k *= 2;
  return node_hash(naive_root(leaves, first, k), naive_root(leaves, first + k, count - k));
}

std::vector<Hash> leaves_of(std::size_t count) {
  std::vector<Hash> leaves;
  for (std::size_t i = 0; i < count; ++i) leaves.push_back(leaf_hash("body " + std::to_string(i)));
  return leaves;
}

SubtreeRoots roots_of(const std::vector<Hash>& leaves) {
  return [&leaves](int level, std::uint64_t index) -> std::optional<Hash> {
    const std::size_t count = std::size_t{1} << level;
    if ((index + 1) * count > leaves.size()) return std::nullopt;
    return naive_root(leaves, index * count, count);
  };
}

// The eight inputs and roots that Certificate Transparency's implementations share.
TEST(Merkle, AgreesWithTheReferenceVectors) {
  using namespace std::string_literals;
  const std::vector<std::string> inputs = {
      ""s,
      "\x00"s,
      "\x10"s,
      "\x20\x21"s,
      "\x30\x31"s,
      "\x40\x41\x42\x43"s,
      "\x50\x51\x52\x53\x54\x55\x56\x57"s,
      "\x60\x61\x62\x63\x64\x65\x66\x67\x68\x69\x6a\x6b\x6c\x6d\x6e\x6f"s};
  const std::vector<std::string> roots = {
      "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
      "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
      "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
      "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
      "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
      "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
      "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
      "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328"};
  EXPECT_EQ(hex(empty_root()), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  MerkleEdge edge;
  std::vector<Subtree> completed;
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    edge.append(leaf_hash(inputs[i]), completed);
    EXPECT_EQ(hex(edge.root()), roots[i]) << i;
  }
}

TEST(Merkle, TheEdgeIsTheTreeAtEverySize) {
  const auto leaves = leaves_of(600);
  MerkleEdge edge;
  std::vector<Subtree> completed;
  for (std::size_t size = 0; size <= leaves.size(); ++size) {
    ASSERT_EQ(edge.size(), size);
    ASSERT_EQ(edge.root(), naive_root(leaves, 0, size)) << size;
    if (size < leaves.size()) edge.append(leaves[size], completed);
  }
  ASSERT_EQ(completed.size(), 2U) << "two complete subtrees of 256";
  EXPECT_EQ(completed[1], (Subtree{8, 1, naive_root(leaves, 256, 256)}));
}

TEST(Merkle, AnEdgeIsRestoredFromSubtreesAndTheLastLeaves) {
  std::vector<Subtree> completed;
  std::vector<Hash> leaves;
  MerkleEdge grown;
  for (int i = 0; i < 70'000; ++i) {
    leaves.push_back(leaf_hash(std::to_string(i)));
    grown.append(leaves.back(), completed);
  }
  MerkleEdge restored;
  std::vector<Subtree> ignored;
  for (const int level : {16, 8}) {
    for (const Subtree& subtree : completed) {
      const std::uint64_t first = subtree.index << subtree.level;
      if (subtree.level == level && first == restored.size()) restored.append_subtree(subtree);
    }
  }
  for (std::uint64_t i = restored.size(); i < leaves.size(); ++i)
    restored.append(leaves[i], ignored);
  EXPECT_EQ(restored, grown);
}

TEST(Merkle, EveryInclusionProofHoldsAndNoOther) {
  const auto leaves = leaves_of(70);
  const auto roots = roots_of(leaves);
  for (std::size_t size = 1; size <= leaves.size(); ++size) {
    const Hash root = naive_root(leaves, 0, size);
    for (std::size_t i = 0; i < size; ++i) {
      const auto proof = inclusion_proof(i, size, roots);
      ASSERT_TRUE(proof);
      ASSERT_TRUE(verify_inclusion(leaves[i], i, size, *proof, root)) << i << " of " << size;
      ASSERT_FALSE(verify_inclusion(leaves[(i + 1) % 70], i, size, *proof, root));
      if (size > 1) {
        ASSERT_FALSE(verify_inclusion(leaves[i], (i + 1) % size, size, *proof, root));
      }
      auto longer = *proof;
      longer.push_back(root);
      ASSERT_FALSE(verify_inclusion(leaves[i], i, size, longer, root));
      if (!proof->empty()) {
        ASSERT_FALSE(
            verify_inclusion(leaves[i], i, size, std::span(*proof).first(proof->size() - 1), root));
      }
    }
    EXPECT_FALSE(inclusion_proof(size, size, roots));
  }
}

TEST(Merkle, EveryConsistencyProofHoldsAndNoOther) {
  const auto leaves = leaves_of(40);
  const auto roots = roots_of(leaves);
  for (std::size_t size = 0; size <= leaves.size(); ++size) {
    const Hash root = naive_root(leaves, 0, size);
    for (std::size_t old = 0; old <= size; ++old) {
      const Hash old_root = naive_root(leaves, 0, old);
      const auto proof = consistency_proof(old, size, roots);
      ASSERT_TRUE(proof);
      ASSERT_TRUE(verify_consistency(old, old_root, size, root, *proof)) << old << " " << size;
      Hash wrong = old_root;
      wrong[7] ^= 1;
      ASSERT_FALSE(verify_consistency(old, wrong, size, root, *proof)) << old << " " << size;
      wrong = root;
      wrong[7] ^= 1;
      if (old > 0) {
        ASSERT_FALSE(verify_consistency(old, old_root, size, wrong, *proof));
      }
    }
    EXPECT_FALSE(consistency_proof(size + 1, size, roots));
  }
}

// A proof with one bit changed anywhere is no proof.
TEST(Merkle, AChangedProofIsRefused) {
  const auto seed = static_cast<unsigned>(testing::UnitTest::GetInstance()->random_seed());
  SCOPED_TRACE("--gtest_random_seed=" + std::to_string(seed));
  std::mt19937 random(seed);
  const auto leaves = leaves_of(300);
  const auto roots = roots_of(leaves);
  const Hash root = naive_root(leaves, 0, leaves.size());
  for (int round = 0; round < 50; ++round) {
    const std::size_t i = random() % leaves.size();
    auto proof = inclusion_proof(i, leaves.size(), roots).value();
    proof[random() % proof.size()][random() % 32] ^=
        static_cast<std::uint8_t>(1U << (random() % 8));
    EXPECT_FALSE(verify_inclusion(leaves[i], i, leaves.size(), proof, root)) << i;
  }
}

}  // namespace
}  // namespace bedside::store
