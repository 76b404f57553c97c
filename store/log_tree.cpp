#include "store/log_tree.h"

#include <algorithm>
#include <string_view>
#include <utility>

#include "store/purge.h"

namespace bedside::store {

tl::expected<LogTree, SqlError> LogTree::open(const Database& database) {
  LogTree tree;
  auto stored = database.prepare("SELECT root FROM audit_subtree WHERE level = ?1 AND idx = ?2");
  if (!stored) return tl::unexpected(std::move(stored.error()));
  auto body = database.prepare("SELECT body FROM audit WHERE seq = ?1");
  if (!body) return tl::unexpected(std::move(body.error()));
  tree.stored_ = std::move(*stored);
  tree.body_ = std::move(*body);
  const auto purge = newest_purge(database);
  if (!purge) return tl::unexpected(purge.error());
  if (*purge) tree.purged_ = (*purge)->through;
  return tree;
}

std::optional<Hash> LogTree::leaf(std::uint64_t index) {
  body_.reset();
  body_.bind(1, index + 1);
  const auto there = body_.step();
  if (!there) return std::nullopt;
  if (!*there) return index < purged_ ? stored(0, index) : std::nullopt;
  const std::string body = body_.text(0);
  body_.reset();
  return leaf_hash(body);
}

std::optional<Hash> LogTree::stored(int level, std::uint64_t index) {
  stored_.reset();
  stored_.bind(1, std::int64_t{level});
  stored_.bind(2, index);
  const auto there = stored_.step();
  if (!there || !*there) return std::nullopt;
  const std::vector<std::uint8_t> blob = stored_.blob(0);
  stored_.reset();
  Hash root{};
  if (blob.size() != root.size()) return std::nullopt;
  std::copy(blob.begin(), blob.end(), root.begin());
  return root;
}

std::optional<Hash> LogTree::subtree(int level, std::uint64_t index) {
  if (level == 0) return leaf(index);
  if (is_stored_level(level)) return stored(level, index);
  if ((index << level) < purged_) {
    if (const auto kept = stored(level, index)) return kept;
  }
  const auto left = subtree(level - 1, 2 * index);
  const auto right = left ? subtree(level - 1, 2 * index + 1) : std::nullopt;
  if (!right) return std::nullopt;
  return node_hash(*left, *right);
}

std::optional<Hash> LogTree::root(std::uint64_t size) {
  return tree_root(size, [this](int level, std::uint64_t index) { return subtree(level, index); });
}

std::optional<std::vector<Hash>> LogTree::inclusion(std::uint64_t seq, std::uint64_t size) {
  if (seq == 0) return std::nullopt;
  return inclusion_proof(seq - 1, size,
                         [this](int level, std::uint64_t index) { return subtree(level, index); });
}

std::optional<std::vector<Hash>> LogTree::consistency(std::uint64_t old_size, std::uint64_t size) {
  return consistency_proof(
      old_size, size, [this](int level, std::uint64_t index) { return subtree(level, index); });
}

tl::expected<std::string, SqlError> newest_note(const Database& database) {
  return database.text("SELECT note FROM audit_checkpoint ORDER BY size DESC LIMIT 1");
}

}  // namespace bedside::store
