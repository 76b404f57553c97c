#include "store/seal.h"

#include <openssl/rand.h>

#include <algorithm>
#include <array>
#include <utility>

#include "store/canonical_reader.h"
#include "store/purge.h"
#include "store/receipt.h"

namespace bedside::store {
namespace {

constexpr std::string_view kOriginPrefix = "bedside/audit/";
// Looked at at every start: the newest 10,000 records.
constexpr std::uint64_t kRecentBlocks = 10'000 / kPurgeBlock + 1;

Hash to_hash(const std::vector<std::uint8_t>& blob) {
  Hash hash{};
  std::copy_n(blob.begin(), std::min(blob.size(), hash.size()), hash.begin());
  return hash;
}

tl::expected<Hash, SqlError> root_of_block(Statement& bodies, std::uint64_t block) {
  bodies.reset();
  bodies.bind(1, block * kPurgeBlock);
  bodies.bind(2, (block + 1) * kPurgeBlock);
  MerkleEdge edge;
  std::vector<Subtree> ignored;
  while (true) {
    const auto more = bodies.step();
    if (!more) return tl::unexpected(more.error());
    if (!*more) return edge.root();
    edge.append(leaf_hash(bodies.view(0)), ignored);
  }
}

// Whether a larger subtree with this block in it has a stored root.
bool is_part_of_stored(Statement& roots, std::uint64_t block) {
  for (int level = 2 * kStoredLevels; level < 64; level += kStoredLevels) {
    roots.reset();
    roots.bind(1, std::int64_t{level});
    roots.bind(2, block >> (level - kStoredLevels));
    const auto there = roots.step();
    if (there && *there) return true;
  }
  return false;
}

// Random, so that no two logs ever share a name; says nothing about the practice.
tl::expected<std::string, std::string> new_origin() {
  std::array<std::uint8_t, 16> random{};
  if (RAND_bytes(random.data(), static_cast<int>(random.size())) != 1) {
    return tl::unexpected(std::string("the system has no randomness"));
  }
  return std::string(kOriginPrefix) + to_hex(random);
}

}  // namespace

std::optional<Epoch> read_epoch(std::string_view body) {
  const auto whole = CanonicalObject::parse(body);
  if (!whole || whole->text("type") != kEpochRecord) return std::nullopt;
  const auto detail = whole->object("detail");
  if (!detail) return std::nullopt;
  Epoch made;
  const auto number = detail->integer("epoch");
  const auto origin = detail->text("origin");
  const auto key = detail->text("public_key");
  if (!number || *number <= 0 || !origin || !key || !from_hex(*key, made.key)) return std::nullopt;
  made.number = static_cast<std::uint64_t>(*number);
  made.origin = *origin;
  if (const auto voucher = detail->text("signature")) {
    if (!from_hex(*voucher, made.voucher.emplace())) return std::nullopt;
  }
  if (const auto from = detail->integer("lost_from")) {
    const auto to = detail->integer("lost_to");
    if (*from <= 0 || to.value_or(*from) < *from) return std::nullopt;
    made.gap = Gap{static_cast<std::uint64_t>(*from), std::nullopt};
    if (to) made.gap->to = static_cast<std::uint64_t>(*to);
  }
  return made;
}

tl::expected<Seal, std::string> Seal::open(const Database& database, EpochKeys keys,
                                           std::optional<Restored> restored) {
  Seal seal(std::move(keys), restored);
  if (auto done = seal.prepare(database); !done) return tl::unexpected(done.error().text);
  if (auto done = seal.restore_edge(database); !done) return tl::unexpected(done.error().text);
  if (auto done = seal.check_newest(database); !done) return tl::unexpected(done.error());
  if (auto done = seal.check_recent(database); !done) return tl::unexpected(done.error());
  if (auto done = seal.restore_epoch(database); !done) return tl::unexpected(done.error());
  if (auto done = seal.check_signature(database); !done) return tl::unexpected(done.error());
  return seal;
}

tl::expected<void, SqlError> Seal::prepare(const Database& database) {
  const std::array<std::pair<Statement*, std::string_view>, 3> statements = {
      std::pair(&insert_subtree_, "INSERT INTO audit_subtree VALUES(?1, ?2, ?3)"),
      std::pair(&forget_checkpoint_, "DELETE FROM audit_checkpoint WHERE size = ?1 AND kept = 0"),
      std::pair(&insert_checkpoint_, "INSERT INTO audit_checkpoint VALUES(?1, ?2, ?3)")};
  for (const auto& [statement, sql] : statements) {
    auto prepared = database.prepare(sql);
    if (!prepared) return tl::unexpected(std::move(prepared.error()));
    *statement = std::move(*prepared);
  }
  return {};
}

// Stored subtrees from the largest down, as far as they reach, then leaf by leaf. Subtrees that are
// complete but not stored (records from before there were seals) go into the next transaction.
tl::expected<void, SqlError> Seal::restore_edge(const Database& database) {
  auto subtrees = database.prepare(
      "SELECT level, idx, root FROM audit_subtree WHERE level >= 8 ORDER BY level DESC, idx");
  if (!subtrees) return tl::unexpected(std::move(subtrees.error()));
  while (true) {
    auto more = subtrees->step();
    if (!more) return tl::unexpected(std::move(more.error()));
    if (!*more) break;
    const std::int64_t level = subtrees->integer(0);
    const auto index = static_cast<std::uint64_t>(subtrees->integer(1));
    const std::vector<std::uint8_t> root = subtrees->blob(2);
    if (level > kHighestLevel || root.size() != Hash{}.size()) {
      return tl::unexpected(
          SqlError{SqlError::Kind::other,
                   "a root that was stored with the records is not readable: somebody has changed "
                   "the database. Run `bedside audit verify`"});
    }
    if (edge_.size() == index << level) {
      edge_.append_subtree({static_cast<int>(level), index, to_hash(root)});
    }
  }
  auto bodies = database.prepare("SELECT body FROM audit WHERE seq > ?1 ORDER BY seq");
  if (!bodies) return tl::unexpected(std::move(bodies.error()));
  bodies->bind(1, edge_.size());
  while (true) {
    auto more = bodies->step();
    if (!more) return tl::unexpected(std::move(more.error()));
    if (!*more) return {};
    const std::vector<std::uint8_t> body = bodies->blob(0);
    edge_.append(leaf_hash(std::string(body.begin(), body.end())), completed_);
  }
}

tl::expected<void, std::string> Seal::check_newest(const Database& database) {
  auto newest =
      database.prepare("SELECT size, note FROM audit_checkpoint ORDER BY size DESC LIMIT 1");
  if (!newest) return tl::unexpected(newest.error().text);
  const auto there = newest->step();
  if (!there) return tl::unexpected(there.error().text);
  if (!*there) return {};  // a log from before there were seals, or a new one
  newest_ = newest->text(1);
  const auto note = parse_note(newest_);
  const auto checkpoint = note ? Checkpoint::parse(note->text) : std::nullopt;
  if (!checkpoint || checkpoint->size != edge_.size() || checkpoint->root != edge_.root()) {
    return tl::unexpected("the records are not those that were sealed last (" +
                          std::to_string(edge_.size()) +
                          " of them). Run `bedside audit verify` to see which one was changed");
  }
  signed_size_ = checkpoint->size;
  origin_ = checkpoint->origin;
  kept_at_ = std::chrono::microseconds(checkpoint->time_us);
  const auto kept = database.integer("SELECT max(size) FROM audit_checkpoint WHERE kept = 1");
  if (!kept) return tl::unexpected(kept.error().text);
  kept_size_ = static_cast<std::uint64_t>(*kept);
  return {};
}

// The edge is made of stored roots: of the newest blocks, whether they are still those of their
// records.
tl::expected<void, std::string> Seal::check_recent(const Database& database) const {
  const auto purge = newest_purge(database);
  if (!purge) return tl::unexpected(purge.error().text);
  const std::uint64_t purged = *purge ? (*purge)->through / kPurgeBlock : 0;
  const std::uint64_t end = edge_.size() / kPurgeBlock;
  auto roots = database.prepare("SELECT root FROM audit_subtree WHERE level = ?1 AND idx = ?2");
  if (!roots) return tl::unexpected(roots.error().text);
  auto bodies =
      database.prepare("SELECT body FROM audit WHERE seq > ?1 AND seq <= ?2 ORDER BY seq");
  if (!bodies) return tl::unexpected(bodies.error().text);
  for (std::uint64_t block = std::max(purged, end - std::min(end, kRecentBlocks)); block < end;
       ++block) {
    roots->reset();
    roots->bind(1, std::int64_t{kStoredLevels});
    roots->bind(2, block);
    const auto there = roots->step();
    if (!there) return tl::unexpected(there.error().text);
    if (!*there && !is_part_of_stored(*roots, block)) continue;  // the edge is of the records
    const Hash stored = *there ? to_hash(roots->blob(0)) : Hash{};
    const auto root = root_of_block(*bodies, block);
    if (!root) return tl::unexpected(root.error().text);
    if (*there && *root == stored) continue;
    return tl::unexpected("records " + std::to_string(block * kPurgeBlock + 1) + " to " +
                          std::to_string((block + 1) * kPurgeBlock) +
                          " are not those that were sealed. Run `bedside audit verify` to see "
                          "which one was changed");
  }
  return {};
}

tl::expected<void, std::string> Seal::restore_epoch(const Database& database) {
  auto newest = database.prepare(
      "SELECT body, t_wall_us FROM audit WHERE type = 'epoch.rotated' ORDER BY seq DESC LIMIT 1");
  if (!newest) return tl::unexpected(newest.error().text);
  const auto there = newest->step();
  if (!there) return tl::unexpected(there.error().text);
  if (!*there) return {};
  const std::vector<std::uint8_t> blob = newest->blob(0);
  const auto epoch = read_epoch(std::string(blob.begin(), blob.end()));
  if (!epoch) return tl::unexpected(std::string("the record of the present epoch is not readable"));
  last_epoch_ = epoch->number;
  if (restored_) {
    origin_.clear();
    return {};
  }
  auto key = keys_.load(epoch->number);
  if (!key) return tl::unexpected(key.error());
  if (key->public_key() != epoch->key) {
    return tl::unexpected("the key of epoch " + std::to_string(epoch->number) +
                          " is not the one that the log announces");
  }
  present_ = Signer{epoch->number, std::move(*key), std::chrono::microseconds(newest->integer(1))};
  origin_ = epoch->origin;
  return {};
}

// Otherwise the next checkpoint would vouch for whatever somebody without any key had written. A
// key signs up to the announcement of the next one and with it, so of two epochs one is in
// question.
tl::expected<void, std::string> Seal::check_signature(const Database& database) const {
  if (last_epoch_ == 0 && newest_.empty()) return {};  // new, or from before there were seals
  const auto note = parse_note(newest_);
  const auto checkpoint = note ? Checkpoint::parse(note->text) : std::nullopt;
  auto epochs = database.prepare(
      "SELECT seq, body FROM audit WHERE type = 'epoch.rotated' ORDER BY seq DESC LIMIT 2");
  if (!epochs) return tl::unexpected(epochs.error().text);
  std::optional<std::uint64_t> next;  // where the epoch after the one that is looked at begins
  while (checkpoint) {
    const auto more = epochs->step();
    if (!more) return tl::unexpected(more.error().text);
    if (!*more) break;
    const auto seq = static_cast<std::uint64_t>(epochs->integer(0));
    const std::vector<std::uint8_t> body = epochs->blob(1);
    const auto epoch = read_epoch(std::string(body.begin(), body.end()));
    if (epoch && epoch->number == checkpoint->epoch && epoch->origin == checkpoint->origin &&
        checkpoint->size <= next.value_or(checkpoint->size) &&
        is_signed_by(*note, epoch->origin, epoch->key)) {
      return {};
    }
    next = seq;
  }
  return tl::unexpected(
      std::string("the last checkpoint is missing or not signed by the key of its epoch: somebody "
                  "has changed the database. Run `bedside audit verify`"));
}

void Seal::rewind(Mark mark) {
  edge_ = std::move(mark.edge);
  completed_.resize(mark.completed);
  if (!settled_) leaves_.resize(edge_.size() - before_.size());
  pending_.reset();
}

void Seal::append(const Hash& leaf) {
  if (settled_) {
    before_ = edge_;
    leaves_.clear();
    settled_ = false;
  }
  leaves_.push_back(leaf);
  edge_.append(leaf, completed_);
}

// The left siblings on the path of a new leaf are parts of the edge that was there before; all
// others are made of new leaves and such parts.
std::optional<Hash> Seal::node(int level, std::uint64_t index) const {
  if (const auto old = before_.part(level, index)) return old;
  const std::uint64_t first = index << level;
  if (level == 0) {
    const std::uint64_t place = first - before_.size();
    if (first < before_.size() || place >= leaves_.size()) return std::nullopt;
    return leaves_[place];
  }
  const auto left = node(level - 1, 2 * index);
  const auto right = left ? node(level - 1, 2 * index + 1) : std::nullopt;
  if (!right) return std::nullopt;
  return node_hash(*left, *right);
}

std::optional<std::string> Seal::receipt(std::uint64_t seq, std::string body) const {
  if (!settled_ || seq <= before_.size()) return std::nullopt;
  auto proof = inclusion_proof(
      seq - 1, signed_size_, [this](int level, std::uint64_t index) { return node(level, index); });
  if (!proof) return std::nullopt;
  return Receipt{std::move(body), seq - 1, std::move(*proof), newest_}.text();
}

bool Seal::to_be_kept(const Checkpoint& checkpoint) const {
  return next_.has_value() || checkpoint.size - kept_size_ >= kKeptCheckpointRecords ||
         std::chrono::microseconds(checkpoint.time_us) - kept_at_ >= kKeptCheckpointEvery;
}

tl::expected<void, SqlError> Seal::sign(std::chrono::microseconds wall) {
  if (edge_.size() == signed_size_) return {};
  for (const Subtree& subtree : completed_) {
    insert_subtree_.bind(1, std::int64_t{subtree.level});
    insert_subtree_.bind(2, subtree.index);
    insert_subtree_.bind(3, std::span<const std::uint8_t>(subtree.root));
    if (auto done = insert_subtree_.run(); !done) return done;
  }
  // The first epoch announces itself: there is no older key.
  const Signer& signer = present_ ? *present_ : next_.value();
  const Checkpoint checkpoint{origin_, edge_.size(), edge_.root(), signer.number, wall.count()};
  auto note = sign_checkpoint(checkpoint, signer.key);
  if (!note) return tl::unexpected(SqlError{SqlError::Kind::other, note.error()});
  pending_ = Signed{checkpoint.size, std::move(*note), to_be_kept(checkpoint), wall};
  forget_checkpoint_.bind(1, signed_size_);
  if (auto done = forget_checkpoint_.run(); !done) return done;
  insert_checkpoint_.bind(1, pending_->size);
  insert_checkpoint_.bind(2, std::string_view(pending_->note));
  insert_checkpoint_.bind(3, std::int64_t{pending_->kept ? 1 : 0});
  return insert_checkpoint_.run();
}

void Seal::committed() {
  if (!pending_) return;
  signed_size_ = pending_->size;
  newest_ = std::move(pending_->note);
  if (pending_->kept) {
    kept_size_ = pending_->size;
    kept_at_ = pending_->at;
  }
  pending_.reset();
  completed_.clear();
  settled_ = true;
}

bool Seal::epoch_due(std::chrono::microseconds wall) const {
  if (!present_) return true;
  const auto age = wall - present_->since;
  return age >= kEpochLength || age <= -kEpochLength;  // the clock may have been set
}

tl::expected<AuditRecord, std::string> Seal::announce_epoch() {
  if (origin_.empty()) {
    auto made = new_origin();
    if (!made) return tl::unexpected(made.error());
    origin_ = std::move(*made);
  }
  const std::uint64_t number = last_epoch_ + 1;
  auto key = keys_.make(number);
  if (!key) return tl::unexpected(key.error());
  AuditRecord record;
  record.type = kEpochRecord;
  record.actor.kind = "service";
  record.detail.set("epoch", number).set("origin", origin_);
  record.detail.set("public_key", to_hex(key->public_key()));
  if (present_) {
    const auto voucher =
        present_->key.sign(epoch_message(origin_, number, key->public_key(), edge_));
    if (!voucher) return tl::unexpected(voucher.error());
    record.detail.set("signature", to_hex(*voucher));
  } else if (restored_ && last_epoch_ > 0) {
    const std::uint64_t from = edge_.size() + 1;
    record.detail.set("lost_from", from);
    if (restored_->lost_to && *restored_->lost_to >= from) {
      record.detail.set("lost_to", *restored_->lost_to);
    }
  }
  next_ = Signer{number, std::move(*key), {}};
  return record;
}

tl::expected<void, std::string> Seal::begin_epoch(std::chrono::microseconds wall) {
  present_ = std::move(next_);
  next_.reset();
  present_->since = wall;
  last_epoch_ = present_->number;
  restored_.reset();
  return keys_.keep_only(present_->number);
}

}  // namespace bedside::store
