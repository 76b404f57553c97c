#include "store/verify.h"

#include <algorithm>
#include <map>
#include <utility>

#include "store/canonical_reader.h"
#include "store/database.h"
#include "store/epoch_chain.h"
#include "store/receipt.h"
#include "store/seal.h"

namespace bedside::store {
namespace {

constexpr std::uint64_t kProgressEvery = 20'000;

// What the tables say beside the bodies. Checked record by record, so that the first wrong one is
// named.
class LogCheck {
 public:
  LogCheck(const VerifyOptions& options, VerifyReport& report)
      : report_(report), epochs_(options.genesis, options.restored) {}

  // In order of size: notes of the table, then those that were kept elsewhere.
  void expect(std::uint64_t size, Note note, bool anchor) {
    notes_.emplace(size, Expected{std::move(note), anchor});
  }
  void expect_subtree(const Subtree& subtree) { subtrees_.push_back(subtree); }

  // False: something is wrong, the report has it.
  bool record(Statement& row);
  bool end();

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
  bool columns(Statement& row, const CanonicalObject& body);
  bool time(const CanonicalObject& body);
  bool epoch(const std::string& body, const MerkleEdge& records_before);
  bool lost_anchors(std::uint64_t seq);
  bool subtrees(std::uint64_t seq);
  bool checkpoints();
  bool checkpoint(const Expected& expected);

  VerifyReport& report_;
  MerkleEdge edge_;
  std::vector<Subtree> completed_;
  std::vector<Subtree> subtrees_;  // stored ones, by (level, index)
  std::size_t matched_subtrees_ = 0;
  std::multimap<std::uint64_t, Expected> notes_;
  EpochChain epochs_;
  std::string boot_id_;
  std::int64_t boot_us_ = 0;
};

bool LogCheck::record(Statement& row) {
  const auto seq = static_cast<std::uint64_t>(row.integer(0));
  const std::uint64_t expected = edge_.size() + 1;
  if (seq != expected) {
    return wrong(expected, "record " + std::to_string(expected) + " is missing");
  }
  const std::vector<std::uint8_t> blob = row.blob(7);
  const std::string text(blob.begin(), blob.end());
  const auto body = CanonicalObject::parse(text);
  if (!body) return wrong(seq, "its body is not in canonical form");
  const MerkleEdge before = body->text("type") == kEpochRecord ? edge_ : MerkleEdge();
  edge_.append(leaf_hash(text), completed_);
  ++report_.records;
  return columns(row, *body) && time(*body) && epoch(text, before) && subtrees(seq) &&
         checkpoints();
}

// The columns are derived from the body; a list that shows them must show the same.
bool LogCheck::columns(Statement& row, const CanonicalObject& body) {
  const std::uint64_t seq = edge_.size();
  const auto same_text = [&](int column, const std::optional<std::string>& value) {
    return row.is_null(column) ? !value : value && row.text(column) == *value;
  };
  const auto actor = body.object("actor");
  std::optional<std::string> who;
  if (actor) who = actor->text("kind").value_or("") + ":" + actor->text("id").value_or("");
  const std::pair<const char*, bool> checks[] = {
      {"seq", body.integer("seq") == row.integer(0)},
      {"t_wall_us", body.integer("t_wall_us") == row.integer(1)},
      {"type", same_text(2, body.text("type"))},
      {"outcome", same_text(3, body.text("outcome"))},
      {"reason", same_text(4, body.text("reason"))},
      {"actor", same_text(5, who)},
      {"room", same_text(6, body.text("room"))}};
  for (const auto& [name, same] : checks) {
    if (!same) return wrong(seq, "its column " + std::string(name) + " is not what its body says");
  }
  return true;
}

// Within one boot of the machine time runs forwards, apart from records that say they are late.
bool LogCheck::time(const CanonicalObject& body) {
  const auto boot_us = body.integer("t_boot_us");
  // The store's own records are stamped when they are written, all others when they are submitted.
  const auto type = body.text("type");
  const bool own = type == kEpochRecord || type == "storage.recovered";
  if (!boot_us || own || body.integer("late") == 1) return true;
  const std::string boot_id = body.text("boot_id").value_or("");
  const bool backwards = boot_id == boot_id_ && *boot_us < boot_us_;
  boot_id_ = boot_id;
  boot_us_ = *boot_us;
  return !backwards ||
         wrong(edge_.size(), "its time since boot is before that of the record before");
}

bool LogCheck::epoch(const std::string& body, const MerkleEdge& records_before) {
  const auto announced = read_epoch(body);
  if (!announced) return true;
  const std::uint64_t seq = edge_.size();
  if (const auto problem = epochs_.announce(*announced, seq, records_before.root())) {
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
    const auto stored = std::lower_bound(
        subtrees_.begin(), subtrees_.end(), subtree, [](const auto& a, const auto& b) {
          return std::pair(a.level, a.index) < std::pair(b.level, b.index);
        });
    const bool there = stored != subtrees_.end() && stored->level == subtree.level &&
                       stored->index == subtree.index;
    ++matched_subtrees_;
    if (!there || stored->root != subtree.root) {
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
    return wrong(size, which + " is of other records: one of them was changed");
  }
  if (const auto why = epochs_.objection(expected.note, *read)) {
    return wrong(size, which + " " + *why);
  }
  ++(expected.anchor ? report_.anchors : report_.checkpoints);
  return true;
}

bool LogCheck::end() {
  report_.root = edge_.root();
  if (edge_.size() == 0 && notes_.empty()) return wrong(0, "the log is empty");
  if (notes_.empty()) return wrong(0, "the log was never sealed");
  const std::uint64_t newest = notes_.rbegin()->first;
  if (newest > edge_.size()) {
    return wrong(edge_.size() + 1,
                 "records up to " + std::to_string(newest) + " were sealed and are missing");
  }
  if (matched_subtrees_ != subtrees_.size()) {
    return wrong(0, "roots are stored of records that are not there");
  }
  if (notes_.count(edge_.size()) == 0) {
    return wrong(newest + 1, "the records after " + std::to_string(newest) + " were never sealed");
  }
  return true;
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

tl::expected<void, std::string> load_subtrees(const Database& database, LogCheck& check) {
  auto rows = database.prepare("SELECT level, idx, root FROM audit_subtree ORDER BY level, idx");
  if (!rows) return tl::unexpected(rows.error().text);
  while (true) {
    auto more = rows->step();
    if (!more) return tl::unexpected(more.error().text);
    if (!*more) return {};
    Subtree subtree{
        static_cast<int>(rows->integer(0)), static_cast<std::uint64_t>(rows->integer(1)), {}};
    const auto root = rows->blob(2);
    std::copy_n(root.begin(), std::min(root.size(), subtree.root.size()), subtree.root.begin());
    check.expect_subtree(subtree);
  }
}

}  // namespace

tl::expected<VerifyReport, std::string> verify_log(const VerifyOptions& options) {
  auto opened = Database::open(options.path, Database::Mode::read_only, {});
  if (!opened) return tl::unexpected(opened.error().text);
  Database database = std::move(*opened);
  // One snapshot: a server that goes on writing does not disturb.
  if (auto begun = database.run("BEGIN"); !begun) return tl::unexpected(begun.error().text);
  VerifyReport report;
  LogCheck check(options, report);
  std::string error;
  if (!load_notes(database, options, check, report, error)) {
    if (!error.empty()) return tl::unexpected(error);
    return report;
  }
  if (auto loaded = load_subtrees(database, check); !loaded) return tl::unexpected(loaded.error());
  const auto all = database.integer("SELECT max(seq) FROM audit");
  if (!all) return tl::unexpected(all.error().text);
  auto rows = database.prepare(
      "SELECT seq, t_wall_us, type, outcome, reason, actor, room, body FROM audit ORDER BY seq");
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
  check.end();
  return report;
}

}  // namespace bedside::store
