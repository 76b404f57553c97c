#include "store/verify.h"

#include <algorithm>
#include <map>
#include <utility>

#include "store/canonical_reader.h"
#include "store/clock_check.h"
#include "store/database.h"
#include "store/digest.h"
#include "store/epoch_chain.h"
#include "store/holds.h"
#include "store/log_tree.h"
#include "store/purge.h"
#include "store/receipt.h"
#include "store/record_columns.h"
#include "store/retention_ledger.h"
#include "store/seal.h"

namespace bedside::store {
namespace {

constexpr const char* kOfAnotherLog = " is not of this log, but of ";
constexpr std::uint64_t kProgressEvery = 20'000;

// What the tables say beside the bodies. Checked record by record, so that the first wrong one is
// named.
class LogCheck {
 public:
  // `tree`: of the same database; it is asked about purged records only.
  LogCheck(const VerifyOptions& options, VerifyReport& report, LogTree& tree)
      : report_(report), tree_(tree), epochs_(options.genesis, options.restored) {}

  // In order of size: notes of the table, then those that were kept elsewhere.
  void expect(std::uint64_t size, Note note, bool anchor) {
    notes_.emplace(size, Expected{std::move(note), anchor});
  }
  void expect_subtree(const Subtree& subtree) { subtrees_.push_back({subtree, false}); }
  // All that the log declares, oldest first.
  void expect_purges(std::vector<DeclaredPurge> purges) { declared_ = std::move(purges); }

  // False: something is wrong, the report has it.
  bool record(Statement& row);
  bool end(const std::string& digest_of_holds);

 private:
  struct Expected {
    Note note;
    bool anchor = false;
  };

  bool wrong(std::uint64_t seq, std::string what) {
    report_.problem = std::move(what);
    report_.first_bad_seq = seq;
    return false;
  }
  static std::string name_of(const Expected& expected) {
    const auto read = Checkpoint::parse(expected.note.text);
    return read ? read->origin : "";
  }
  // Somebody gave the checkpoint of a log that this one never was: the verdict is the same, and
  // what to look for is not.
  bool is_foreign(const Expected& expected) const {
    return expected.anchor && !epochs_.had_name(name_of(expected));
  }
  struct Stored {
    Subtree subtree;
    bool matched = false;
  };
  Stored* stored(int level, std::uint64_t index);
  bool columns(const Statement& row, const CanonicalObject& body, const Hash& leaf);
  bool time(const CanonicalObject& body);
  bool epoch(const std::string& body, const Hash& records_before);
  bool purged() const { return !declared_.empty() && edge_.size() == 0; }
  std::uint64_t purged_through() const { return declared_.back().through; }
  bool retention(const CanonicalObject& body, std::string_view text);
  bool stayed(const std::string& text, const CanonicalObject& body, const Hash& leaf);
  bool young_for_purge(const CanonicalObject& body);
  bool ages();
  bool begin_after_purge();
  bool upper_subtrees();
  bool purged_checkpoint(const Expected& expected);
  bool lost_anchors(std::uint64_t seq);
  bool subtrees(std::uint64_t seq);
  bool checkpoints();
  bool checkpoint(const Expected& expected);

  VerifyReport& report_;
  LogTree& tree_;
  MerkleEdge edge_;
  std::vector<Subtree> completed_;
  std::vector<Stored> subtrees_;  // by (level, index)
  std::uint64_t seq_ = 0;         // of the record that is looked at
  std::uint64_t stayed_ = 0;      // of those that were purged
  Sha256 stayed_digest_;
  std::map<std::uint64_t, std::int64_t> stayed_newest_;  // of a purge (`through`): its newest
  std::vector<DeclaredPurge> declared_;
  RetentionLedger ledger_;
  std::multimap<std::uint64_t, Expected> notes_;
  EpochChain epochs_;
  ClockCheck clocks_;
  LeafColumn leaves_;
};

bool LogCheck::record(Statement& row) {
  const auto seq = static_cast<std::uint64_t>(row.integer(0));
  const bool stays = purged() && seq <= purged_through();
  if (purged() && !stays && !begin_after_purge()) return false;
  const std::uint64_t expected = stays ? seq_ + 1 : edge_.size() + 1;
  if (stays ? seq < expected : seq != expected) {
    return wrong(expected, "record " + std::to_string(expected) + " is missing");
  }
  seq_ = seq;
  const std::vector<std::uint8_t> blob = row.blob(kBodyColumn);
  const std::string text(blob.begin(), blob.end());
  const auto body = CanonicalObject::parse(text);
  if (!body) return wrong(seq, "its body is not in canonical form");
  ++report_.records;
  const Hash leaf = leaf_hash(text);
  if (!columns(row, *body, leaf)) return false;
  if (stays) return time(*body) && stayed(text, *body, leaf) && retention(*body, text);
  const Hash before = body->text("type") == kEpochRecord ? edge_.root() : Hash();
  edge_.append(leaf, completed_);
  return time(*body) && epoch(text, before) && subtrees(seq) && checkpoints() &&
         retention(*body, text);
}

bool LogCheck::retention(const CanonicalObject& body, std::string_view text) {
  const auto problem = ledger_.follow(body, text);
  return !problem || wrong(seq_, *problem);
}

// What stayed of a purge shows how old the purged records can have been. Epochs' announcements
// always stay.
bool LogCheck::young_for_purge(const CanonicalObject& body) {
  const auto purge = std::find_if(declared_.begin(), declared_.end(),
                                  [this](const auto& each) { return seq_ <= each.through; });
  const std::int64_t wall = body.integer("t_wall_us").value_or(INT64_MAX);
  std::int64_t& newest = stayed_newest_[purge->through];
  newest = std::max(newest, wall);
  return wall > purge->newest_us;
}

// Where nothing stayed of a purge, what stayed before it is older than its newest record, give or
// take a clock that was wrong meanwhile.
bool LogCheck::ages() {
  constexpr std::chrono::microseconds kWrongClock = std::chrono::hours{24 * 365};
  std::int64_t before = 0;
  for (const DeclaredPurge& purge : declared_) {
    if (purge.newest_us < before - kWrongClock.count()) {
      return wrong(purge.seq, "it declares that what it purged is older than what was before it");
    }
    const auto stayed = stayed_newest_.find(purge.through);
    if (stayed != stayed_newest_.end()) before = std::max(before, stayed->second);
  }
  return true;
}

// A record of a purged block that was kept: the hashes beside its path lead to the block's root.
bool LogCheck::stayed(const std::string& text, const CanonicalObject& body, const Hash& leaf) {
  ++stayed_;
  stayed_digest_.add(std::to_string(seq_) + "\n");
  Hash hash = leaf;
  std::uint64_t index = seq_ - 1;
  for (int level = 0; level < kStoredLevels; ++level, index /= 2) {
    Stored* sibling = stored(level, index ^ 1);
    if (sibling == nullptr) return wrong(seq_, "what proves it was taken away");
    sibling->matched = true;
    hash = index % 2 == 0 ? node_hash(hash, sibling->subtree.root)
                          : node_hash(sibling->subtree.root, hash);
  }
  const Stored* block = stored(kStoredLevels, index);
  if (block == nullptr || block->subtree.root != hash) {
    return wrong(seq_, "it is not the record that was sealed");
  }
  if (young_for_purge(body)) {
    return wrong(seq_, "it is younger than the purge declares of the records beside it");
  }
  if (body.text("type") != kEpochRecord) return true;
  const auto before = tree_.root(seq_ - 1);
  if (!before) return wrong(seq_, "what proves the records before it was taken away");
  return epoch(text, *before);
}

LogCheck::Stored* LogCheck::stored(int level, std::uint64_t index) {
  const auto place =
      std::lower_bound(subtrees_.begin(), subtrees_.end(), std::pair(level, index),
                       [](const Stored& each, const auto& wanted) {
                         return std::pair(each.subtree.level, each.subtree.index) < wanted;
                       });
  const bool there =
      place != subtrees_.end() && place->subtree.level == level && place->subtree.index == index;
  return there ? &*place : nullptr;
}

// The tree goes on from the roots of the purged blocks; each purge declares one for all of its own.
bool LogCheck::begin_after_purge() {
  auto purge = declared_.begin();
  for (std::uint64_t block = 0; block < purged_through() / kPurgeBlock; ++block) {
    Stored* root = stored(kStoredLevels, block);
    if (root == nullptr) return wrong(block * kPurgeBlock + 1, "the root of a block is missing");
    root->matched = true;
    edge_.append_subtree(root->subtree);
    if (edge_.size() != purge->through) continue;
    if (edge_.root() != purge->root) {
      return wrong(purge->seq, "the purged records are not those that the purge declares");
    }
    ++purge;
  }
  const DeclaredPurge& newest = declared_.back();
  if (stayed_ != newest.kept || to_hex(stayed_digest_.finish()) != newest.kept_digest) {
    return wrong(newest.seq, "of the purged records others are left than the purge declares");
  }
  return ages() && upper_subtrees() &&
         std::all_of(notes_.begin(), notes_.upper_bound(newest.through),
                     [this](const auto& entry) { return purged_checkpoint(entry.second); });
}

bool LogCheck::upper_subtrees() {
  const std::uint64_t through = purged_through();
  for (int level = 2 * kStoredLevels; (through >> level) != 0; level += kStoredLevels) {
    for (std::uint64_t index = 0; index < through >> level; ++index) {
      Stored* upper = stored(level, index);
      MerkleEdge below;
      for (std::uint64_t i = 0; i < kPurgeBlock; ++i) {
        const Stored* part = stored(level - kStoredLevels, index * kPurgeBlock + i);
        if (part == nullptr) return wrong(0, "a stored root is missing");
        below.append_subtree({level - kStoredLevels, i, part->subtree.root});
      }
      if (upper == nullptr || upper->subtree.root != below.root()) {
        return wrong(0, "a stored root is not that of the records");
      }
      upper->matched = true;
    }
  }
  return true;
}

// Checkpoints of purged records: the root where it can still be computed, the signature always.
bool LogCheck::purged_checkpoint(const Expected& expected) {
  const auto read = Checkpoint::parse(expected.note.text);
  if (!read) return wrong(0, "a checkpoint is not readable");
  const auto root = tree_.root(read->size);
  if (!root && !expected.anchor) {
    return wrong(read->size, "a checkpoint is of records that are not there");
  }
  if (root && read->root != *root) {
    return wrong(read->size, "a checkpoint is of other records: one of them was changed");
  }
  if (const auto why = epochs_.objection(expected.note, *read)) {
    return wrong(read->size, "a checkpoint " + *why);
  }
  ++(!expected.anchor ? report_.checkpoints : root ? report_.anchors : report_.purged_anchors);
  return true;
}

// A list that shows the columns must show what the body says.
bool LogCheck::columns(const Statement& row, const CanonicalObject& body, const Hash& leaf) {
  if (const auto column = different_column(row, body)) {
    return wrong(seq_, "its column " + *column + " is not what its body says");
  }
  const auto problem = leaves_.objection(row, leaf);
  return !problem || wrong(seq_, *problem);
}

bool LogCheck::time(const CanonicalObject& body) {
  return clocks_.follow(seq_, body) ||
         wrong(seq_, "its time since boot is before that of the record before");
}

bool LogCheck::epoch(const std::string& body, const Hash& records_before) {
  const auto announced = read_epoch(body);
  if (!announced) return true;
  const std::uint64_t seq = seq_;
  if (const auto problem = epochs_.announce(*announced, seq, records_before)) {
    return wrong(seq, *problem);
  }
  report_.origin = epochs_.first().origin;
  report_.genesis = epochs_.first().key;
  report_.epochs = epochs_.size();
  report_.gaps = epochs_.gaps();
  return !announced->gap || lost_anchors(seq);
}

// What was kept elsewhere of records that a restore declares as lost cannot be found any more.
bool LogCheck::lost_anchors(std::uint64_t seq) {
  for (auto each = notes_.lower_bound(seq); each != notes_.end();) {
    const auto read = Checkpoint::parse(each->second.note.text);
    const auto lost = each->second.anchor && read ? epochs_.lost(*read) : EpochChain::Lost::no;
    if (lost == EpochChain::Lost::undeclared) {
      return wrong(seq, "it declares a smaller loss than that of the " +
                            std::to_string(read->size) +
                            " records of a checkpoint that was kept elsewhere");
    }
    if (lost == EpochChain::Lost::declared) {
      ++report_.lost_anchors;
      each = notes_.erase(each);
    } else {
      ++each;
    }
  }
  return true;
}

bool LogCheck::subtrees(std::uint64_t seq) {
  for (const Subtree& subtree : std::exchange(completed_, {})) {
    Stored* there = stored(subtree.level, subtree.index);
    if (there != nullptr) there->matched = true;
    if (there == nullptr || there->subtree.root != subtree.root) {
      return wrong(seq, "the stored root of the " +
                            std::to_string(std::uint64_t{1} << subtree.level) +
                            " records up to it is not theirs: one of them was changed");
    }
  }
  return true;
}

bool LogCheck::checkpoints() {
  const auto [first, last] = notes_.equal_range(edge_.size());
  return std::all_of(first, last, [this](const auto& entry) { return checkpoint(entry.second); });
}

bool LogCheck::checkpoint(const Expected& expected) {
  const std::uint64_t size = edge_.size();
  const std::string which = expected.anchor ? "the checkpoint that was kept elsewhere"
                                            : "the checkpoint over the records up to it";
  const auto read = Checkpoint::parse(expected.note.text);
  if (!read) return wrong(size, which + " is not readable");
  if (read->root != edge_.root()) {
    return wrong(size,
                 which + (is_foreign(expected) ? kOfAnotherLog + read->origin
                                               : " is of other records: one of them was changed"));
  }
  if (const auto why = epochs_.objection(expected.note, *read)) {
    return wrong(size, which + " " + *why);
  }
  ++(expected.anchor ? report_.anchors : report_.checkpoints);
  report_.intact = size;
  return true;
}

bool LogCheck::end(const std::string& digest_of_holds) {
  report_.root = edge_.root();
  if (edge_.size() == 0 && notes_.empty()) return wrong(0, "the log is empty");
  if (notes_.empty()) return wrong(0, "the log was never sealed");
  const std::uint64_t newest = notes_.rbegin()->first;
  if (newest > edge_.size()) {
    const auto& last = notes_.rbegin()->second;
    return wrong(
        edge_.size() + 1,
        is_foreign(last)
            ? std::string("the checkpoint that was kept elsewhere") + kOfAnotherLog + name_of(last)
            : "records up to " + std::to_string(newest) + " were sealed and are missing");
  }
  if (purged()) return wrong(0, "the purge declares more than there is");
  if (!std::all_of(subtrees_.begin(), subtrees_.end(),
                   [](const Stored& each) { return each.matched; })) {
    return wrong(0, "roots are stored of records that are not there");
  }
  if (notes_.count(edge_.size()) == 0) {
    return wrong(newest + 1, "the records after " + std::to_string(newest) + " were never sealed");
  }
  report_.purges = ledger_.purges();
  report_.untold_step = clocks_.untold();
  if (report_.purges != declared_) return wrong(0, "the log declares other purges");
  const auto problem = ledger_.objection(stayed_, digest_of_holds);
  return !problem || wrong(0, *problem);
}

// "Not a note" is a finding, not an error.
bool load_notes(const Database& database, const VerifyOptions& options, LogCheck& check,
                VerifyReport& report, std::string& error) {
  const auto add = [&](const std::string& text, std::optional<std::uint64_t> size, bool anchor) {
    auto note = parse_note(text);
    const auto checkpoint = note ? Checkpoint::parse(note->text) : std::nullopt;
    if (!checkpoint || (size && *size != checkpoint->size)) {
      report.problem = anchor ? "what was kept elsewhere is no checkpoint"
                              : "the checkpoint of size " + std::to_string(size.value_or(0)) +
                                    " is not readable or of another size";
      return false;
    }
    check.expect(checkpoint->size, std::move(*note), anchor);
    return true;
  };
  auto notes = database.prepare("SELECT size, note FROM audit_checkpoint ORDER BY size");
  if (!notes) {
    error = notes.error().text;
    return false;
  }
  while (true) {
    auto more = notes->step();
    if (!more) {
      error = more.error().text;
      return false;
    }
    if (!*more) break;
    if (!add(notes->text(1), static_cast<std::uint64_t>(notes->integer(0)), false)) return false;
  }
  // With its record, a receipt promises the whole log up to its checkpoint: it is an anchor too.
  for (const std::string& text : options.receipts) {
    auto promise = check_receipt(text);
    if (!promise) {
      report.problem = "a receipt has no value: " + promise.error();
      return false;
    }
    check.expect(promise->checkpoint.size, std::move(promise->note), true);
    ++report.receipts;
  }
  return std::all_of(options.anchors.begin(), options.anchors.end(),
                     [&](const std::string& anchor) { return add(anchor, std::nullopt, true); });
}

// A root of another length is a finding too: cut or padded, it could become the right one.
tl::expected<void, std::string> load_subtrees(const Database& database, LogCheck& check,
                                              VerifyReport& report) {
  auto rows = database.prepare("SELECT level, idx, root FROM audit_subtree ORDER BY level, idx");
  if (!rows) return tl::unexpected(rows.error().text);
  while (true) {
    auto more = rows->step();
    if (!more) return tl::unexpected(more.error().text);
    if (!*more) return {};
    const std::int64_t level = rows->integer(0);
    Subtree subtree{static_cast<int>(level), static_cast<std::uint64_t>(rows->integer(1)), {}};
    const auto root = rows->blob(2);
    if (level < 0 || level > kHighestLevel || root.size() != subtree.root.size()) {
      report.problem = "a stored root is not readable";
      return {};
    }
    std::copy(root.begin(), root.end(), subtree.root.begin());
    check.expect_subtree(subtree);
  }
}

// Lists and filters look records up in indexes, which the bodies say nothing about: an entry that
// was taken out of one hides a record that is still there. SQLite compares them with the table.
tl::expected<void, std::string> check_indexes(const Database& database, VerifyReport& report) {
  const auto found = database.text("PRAGMA integrity_check(1)");
  if (!found) return tl::unexpected(found.error().text);
  if (*found != "ok") report.problem = "the file contradicts itself: " + *found;
  return {};
}

}  // namespace

tl::expected<VerifyReport, std::string> verify_log(const VerifyOptions& options) {
  auto opened = Database::open(options.path, Database::Mode::read_only, {});
  if (!opened) return tl::unexpected(opened.error().text);
  Database database = std::move(*opened);
  if (options.stop) database.stop_when(options.stop);
  // One snapshot: a server that goes on writing does not disturb.
  if (auto begun = database.run("BEGIN"); !begun) return tl::unexpected(begun.error().text);
  VerifyReport report;
  auto tree = LogTree::open(database);
  if (!tree) return tl::unexpected(tree.error().text);
  LogCheck check(options, report, *tree);
  auto purges = purges_of(database);
  if (!purges) return tl::unexpected(purges.error().text);
  check.expect_purges(std::move(*purges));
  const auto holds = holds_of(database);
  if (!holds) return tl::unexpected(holds.error().text);
  std::string error;
  if (!load_notes(database, options, check, report, error)) {
    if (!error.empty()) return tl::unexpected(error);
    return report;
  }
  auto loaded = load_subtrees(database, check, report);
  if (!loaded) return tl::unexpected(loaded.error());
  if (!report.ok()) return report;
  const auto all = database.integer("SELECT max(seq) FROM audit");
  if (!all) return tl::unexpected(all.error().text);
  const auto leaves = has_leaves(database);
  if (!leaves) return tl::unexpected(leaves.error().text);
  auto rows = database.prepare("SELECT " + std::string(kRecordColumns) +
                               (*leaves ? ", leaf" : ", NULL") + " FROM audit ORDER BY seq");
  if (!rows) return tl::unexpected(rows.error().text);
  while (true) {
    auto more = rows->step();
    if (!more) return tl::unexpected(more.error().text);
    if (!*more) break;
    if (!check.record(*rows)) return report;
    if (options.progress && report.records % kProgressEvery == 0) {
      options.progress(report.records, static_cast<std::uint64_t>(*all));
    }
  }
  if (!check.end(digest_of_holds(*holds))) return report;
  if (auto done = check_indexes(database, report); !done) return tl::unexpected(done.error());
  return report;
}

}  // namespace bedside::store
