#include "store/log_proofs.h"

#include <algorithm>
#include <utility>

#include "store/purge.h"

namespace bedside::store {
namespace {

constexpr std::uint64_t kBlock = std::uint64_t{1} << kStoredLevels;

std::vector<Hash> pairs_of(const std::vector<Hash>& nodes) {
  std::vector<Hash> made;
  made.reserve(nodes.size() / 2);
  for (std::size_t i = 0; i + 1 < nodes.size(); i += 2) {
    made.push_back(node_hash(nodes[i], nodes[i + 1]));
  }
  return made;
}

}  // namespace

tl::expected<LogProofs, std::string> LogProofs::open(const Database& database) {
  LogProofs made;
  if (auto loaded = made.load(database); !loaded) return tl::unexpected(loaded.error());
  if (!made.make_edge() || made.edge_.back() != made.checkpoint_.root) {
    return tl::unexpected(
        std::string("the records are not those that were sealed last; run `bedside audit verify`"));
  }
  return made;
}

tl::expected<void, std::string> LogProofs::load(const Database& database) {
  auto newest = newest_note(database);
  if (!newest) return tl::unexpected(newest.error().text);
  note_ = std::move(*newest);
  const auto note = parse_note(note_);
  const auto checkpoint = note ? Checkpoint::parse(note->text) : std::nullopt;
  if (!checkpoint || checkpoint->size == 0) {
    return tl::unexpected(std::string("the log was never sealed"));
  }
  checkpoint_ = *checkpoint;
  auto bodies =
      database.prepare("SELECT body FROM audit WHERE seq > ?1 AND seq <= ?2 ORDER BY seq");
  if (!bodies) return tl::unexpected(bodies.error().text);
  bodies_ = std::move(*bodies);
  auto tree = LogTree::open(database);
  if (!tree) return tl::unexpected(tree.error().text);
  tree_ = std::move(*tree);
  const auto purge = newest_purge(database);
  if (!purge) return tl::unexpected(purge.error().text);
  if (*purge) purged_ = (*purge)->through;
  auto roots = database.prepare("SELECT root FROM audit_subtree WHERE level = ?1 ORDER BY idx");
  if (!roots) return tl::unexpected(roots.error().text);
  roots->bind(1, std::int64_t{kStoredLevels});
  auto level = read_all<Hash>(*roots, [](const Statement& row) {
    Hash hash{};
    const auto blob = row.blob(0);
    std::copy_n(blob.begin(), std::min(blob.size(), hash.size()), hash.begin());
    return hash;
  });
  if (!level) return tl::unexpected(level.error().text);
  upper_.push_back(std::move(*level));
  while (upper_.back().size() > 1) upper_.push_back(pairs_of(upper_.back()));
  return {};
}

const LogBlock* LogProofs::block(std::uint64_t number) {
  for (const auto& kept : blocks_) {
    if (kept && kept->number == number) return &*kept;
  }
  std::optional<LogBlock>& made = blocks_[oldest_block_];
  oldest_block_ = (oldest_block_ + 1) % blocks_.size();
  made.emplace().number = number;
  bodies_.reset();
  bodies_.bind(1, number * kBlock);
  bodies_.bind(2, std::min((number + 1) * kBlock, checkpoint_.size));
  std::vector<Hash>& leaves = made->levels.front();
  leaves.reserve(kBlock);
  while (true) {
    const auto more = bodies_.step();
    if (!more) {
      made.reset();
      return nullptr;
    }
    if (!*more) break;
    leaves.push_back(leaf_hash(bodies_.view(0)));
  }
  bodies_.reset();
  // Some of them were purged: nothing is known about the others' places.
  if (leaves.size() != std::min(kBlock, checkpoint_.size - number * kBlock)) leaves.clear();
  for (std::size_t level = 1; level < made->levels.size(); ++level) {
    made->levels[level] = pairs_of(made->levels[level - 1]);
  }
  return &*made;
}

std::optional<Hash> LogProofs::complete(int level, std::uint64_t index) {
  if (level >= kStoredLevels) {
    const auto at = static_cast<std::size_t>(level - kStoredLevels);
    if (at >= upper_.size() || index >= upper_[at].size()) return std::nullopt;
    return upper_[at][index];
  }
  const int below = kStoredLevels - level;
  const LogBlock* within = block(index >> below);
  if (within == nullptr) return std::nullopt;
  const auto& nodes = within->levels[static_cast<std::size_t>(level)];
  const std::uint64_t place = index & ((std::uint64_t{1} << below) - 1);
  if (place >= nodes.size()) return std::nullopt;
  return nodes[place];
}

bool LogProofs::make_edge() {
  std::uint64_t last = checkpoint_.size - 1;
  auto node = complete(0, last);
  for (int level = 0; node; ++level, last /= 2) {
    edge_.push_back(*node);
    if (last == 0) return true;
    if (last % 2 == 0) continue;
    const auto left = complete(level, last - 1);
    if (!left) return false;
    node = node_hash(*left, *node);
  }
  return false;
}

// PATH of RFC 6962 §2.1.1 from the leaf up: at each level the sibling, if there is one. Only the
// last node of a level can be incomplete.
std::optional<std::vector<Hash>> LogProofs::inclusion(std::uint64_t index) {
  if (index >= checkpoint_.size) return std::nullopt;
  if (index < purged_) return tree_->inclusion(index + 1, checkpoint_.size);
  std::vector<Hash> proof;
  std::uint64_t last = checkpoint_.size - 1;
  for (int level = 0; last > 0; ++level, index /= 2, last /= 2) {
    const std::uint64_t sibling = index ^ 1;
    if (sibling > last) continue;
    const auto hash =
        sibling == last ? edge_[static_cast<std::size_t>(level)] : complete(level, sibling);
    if (!hash) return std::nullopt;
    proof.push_back(*hash);
  }
  return proof;
}

std::string spell_proof(std::span<const Hash> proof) {
  std::string text;
  for (const Hash& hash : proof) {
    if (!text.empty()) text += ' ';
    text += base64(hash);
  }
  return text;
}

std::optional<std::vector<Hash>> read_proof(std::string_view text) {
  std::vector<Hash> proof;
  while (!text.empty()) {
    const std::size_t end = text.find(' ');
    const auto bytes = from_base64(text.substr(0, end));
    if (!bytes || bytes->size() != sizeof(Hash) || proof.size() == 64) return std::nullopt;
    std::copy(bytes->begin(), bytes->end(), proof.emplace_back().begin());
    if (end == std::string_view::npos) return proof;
    text.remove_prefix(end + 1);
    if (text.empty()) return std::nullopt;
  }
  return proof;
}

}  // namespace bedside::store
