#include "store/purge.h"

#include <algorithm>
#include <array>
#include <set>
#include <utility>
#include <vector>

#include "store/canonical_reader.h"
#include "store/checkpoint.h"
#include "store/digest.h"
#include "store/holds.h"
#include "store/log_tree.h"
#include "store/record_columns.h"
#include "store/retention_ledger.h"

namespace bedside::store {
namespace {

// What a purge that was declared must have left is counted in mean years; what may go now in the
// longest ones, so that no calendar finds a record younger than it was promised to be kept.
constexpr std::chrono::hours kMeanYear{8'766};
constexpr std::chrono::hours kLongestYear{8'784};

// What retention itself is proven with: stays whatever its age.
constexpr std::array<std::string_view, 6> kOfRetention = {
    "epoch.rotated",         "audit.purged",   "audit.purge_proposed",
    "audit.purge_withdrawn", "audit.hold_set", "audit.hold_cleared"};

bool is_of_retention(std::string_view type) {
  return std::find(kOfRetention.begin(), kOfRetention.end(), type) != kOfRetention.end();
}

using Place = std::pair<int, std::uint64_t>;  // level and index

tl::unexpected<SqlError> contradiction(const char* what) {
  return tl::unexpected(SqlError{SqlError::Kind::constraint, what});
}

void add_siblings(std::uint64_t leaf, std::set<Place>& needed) {
  for (int level = 0; level < kStoredLevels; ++level, leaf /= 2) needed.emplace(level, leaf ^ 1);
}

std::int64_t cutoff(std::chrono::microseconds now, std::chrono::hours year,
                    std::int64_t keep_years) {
  return (now - std::chrono::duration_cast<std::chrono::microseconds>(year * keep_years)).count();
}

// The last record that may go: old enough as all before it, the end of a block, not the last one.
tl::expected<std::uint64_t, SqlError> end_of_purge(const Database& database, std::uint64_t from,
                                                   std::uint64_t wanted, std::int64_t cutoff_us) {
  const auto last = database.integer("SELECT max(seq) FROM audit");
  if (!last) return tl::unexpected(last.error());
  std::uint64_t end =
      std::min(wanted, static_cast<std::uint64_t>(std::max<std::int64_t>(*last - 1, 0)));
  auto young = database.prepare(
      "SELECT seq FROM audit WHERE seq > ?1 AND seq <= ?2 AND +t_wall_us > ?3"
      " ORDER BY seq LIMIT 1");
  if (!young) return tl::unexpected(young.error());
  young->bind(1, from);
  young->bind(2, end);
  young->bind(3, cutoff_us);
  const auto there = young->step();
  if (!there) return tl::unexpected(there.error());
  if (*there) end = static_cast<std::uint64_t>(young->integer(0)) - 1;
  return end / kPurgeBlock * kPurgeBlock;
}

class PurgeRun {
 public:
  PurgeRun(Database& database, HeldRecords held, std::uint64_t from, std::uint64_t through)
      : database_(database), held_(std::move(held)), from_(from), through_(through) {}

  tl::expected<void, SqlError> keep_proofs();
  tl::expected<void, SqlError> remove();
  tl::expected<JsonObject, SqlError> detail();

 private:
  // Whether it stays; a contradiction when its columns are not what was sealed: somebody decides
  // with them what goes.
  tl::expected<bool, SqlError> stays(const Statement& row) const;
  tl::expected<void, SqlError> look_at_what_stayed();
  tl::expected<void, SqlError> keep_proofs_of_block(std::uint64_t block);
  tl::expected<void, SqlError> drop_proofs_of_released();
  tl::expected<void, SqlError> remove_between(std::uint64_t after, std::uint64_t before);
  tl::expected<void, SqlError> erase_data_keys();
  tl::expected<void, SqlError> run(const std::string& sql) { return database_.run(sql.c_str()); }
  std::string up_to_end() const { return std::to_string(through_); }

  Database& database_;
  HeldRecords held_;
  std::uint64_t from_;  // purged already
  std::uint64_t through_;
  std::vector<std::uint64_t> kept_;  // up to `through_`, in order
  std::int64_t newest_us_ = 0;
  std::int64_t removed_ = 0;
  std::int64_t erased_keys_ = 0;
  Statement block_;
  Statement insert_;
  Statement remove_private_;
  Statement remove_;
};

tl::expected<bool, SqlError> PurgeRun::stays(const Statement& row) const {
  const auto body = CanonicalObject::parse(row.view(kBodyColumn));
  if (!body || different_column(row, *body)) {
    return contradiction("a record is not as it was sealed; run `bedside audit verify`");
  }
  return is_of_retention(body->text("type").value_or("")) || held_.keeps(*body);
}

tl::expected<void, SqlError> PurgeRun::keep_proofs() {
  const std::string columns(kRecordColumns);
  auto block = database_.prepare("SELECT " + columns +
                                 " FROM audit WHERE seq > ?1 AND seq <= ?2 ORDER BY seq");
  if (!block) return tl::unexpected(block.error());
  block_ = std::move(*block);
  auto insert = database_.prepare("INSERT INTO audit_subtree VALUES(?1, ?2, ?3)");
  if (!insert) return tl::unexpected(insert.error());
  insert_ = std::move(*insert);
  if (auto done = look_at_what_stayed(); !done) return done;
  for (std::uint64_t first = from_; first < through_; first += kPurgeBlock) {
    if (auto done = keep_proofs_of_block(first / kPurgeBlock); !done) return done;
  }
  return {};
}

// Of earlier purges: a hold may have been cleared meanwhile.
tl::expected<void, SqlError> PurgeRun::look_at_what_stayed() {
  block_.bind(1, std::uint64_t{0});
  block_.bind(2, from_);
  while (true) {
    const auto more = block_.step();
    if (!more) return tl::unexpected(more.error());
    if (!*more) return {};
    const auto stay = stays(block_);
    if (!stay) return tl::unexpected(stay.error());
    if (*stay) kept_.push_back(static_cast<std::uint64_t>(block_.integer(0)));
  }
}

tl::expected<void, SqlError> PurgeRun::keep_proofs_of_block(std::uint64_t block) {
  std::array<std::vector<Hash>, kStoredLevels> levels;
  std::set<Place> needed;
  block_.reset();
  block_.bind(1, block * kPurgeBlock);
  block_.bind(2, (block + 1) * kPurgeBlock);
  while (true) {
    const auto more = block_.step();
    if (!more) return tl::unexpected(more.error());
    if (!*more) break;
    levels[0].push_back(leaf_hash(block_.view(kBodyColumn)));
    newest_us_ = std::max(newest_us_, block_.integer(1));
    const auto stay = stays(block_);
    if (!stay) return tl::unexpected(stay.error());
    if (!*stay) continue;
    kept_.push_back(static_cast<std::uint64_t>(block_.integer(0)));
    add_siblings(kept_.back() - 1, needed);
  }
  if (levels[0].size() != kPurgeBlock) {
    return tl::unexpected(SqlError{SqlError::Kind::damaged, "records are missing"});
  }
  for (std::size_t level = 1; level < levels.size(); ++level) {
    for (std::size_t i = 0; i < levels[level - 1].size(); i += 2) {
      levels[level].push_back(node_hash(levels[level - 1][i], levels[level - 1][i + 1]));
    }
  }
  for (const auto& [level, index] : needed) {
    const auto& nodes = levels[static_cast<std::size_t>(level)];
    insert_.bind(1, std::int64_t{level});
    insert_.bind(2, index);
    insert_.bind(3, std::span<const std::uint8_t>(nodes[index % nodes.size()]));
    if (auto done = insert_.run(); !done) return done;
  }
  return {};
}

// A hold was cleared since the last purge: what it kept goes, and the hashes for its proof.
tl::expected<void, SqlError> PurgeRun::drop_proofs_of_released() {
  if (from_ == 0) return {};
  std::set<Place> needed;
  for (const std::uint64_t seq : kept_) {
    if (seq <= from_) add_siblings(seq - 1, needed);
  }
  auto stored = database_.prepare("SELECT level, idx FROM audit_subtree WHERE level < 8");
  if (!stored) return tl::unexpected(stored.error());
  auto places = read_all<Place>(*stored, [](const Statement& row) {
    return Place(static_cast<int>(row.integer(0)), static_cast<std::uint64_t>(row.integer(1)));
  });
  if (!places) return tl::unexpected(places.error());
  auto forget = database_.prepare("DELETE FROM audit_subtree WHERE level = ?1 AND idx = ?2");
  if (!forget) return tl::unexpected(forget.error());
  for (const auto& [level, index] : *places) {
    if ((index << level) >= from_ || needed.count({level, index}) != 0) continue;
    forget->bind(1, std::int64_t{level});
    forget->bind(2, index);
    if (auto done = forget->run(); !done) return done;
  }
  return {};
}

tl::expected<void, SqlError> PurgeRun::remove_between(std::uint64_t after, std::uint64_t before) {
  if (after + 1 >= before) return {};
  for (Statement* statement : {&remove_private_, &remove_}) {
    statement->bind(1, after);
    statement->bind(2, before);
    if (auto done = statement->run(); !done) return done;
  }
  removed_ += database_.changed_rows();
  return {};
}

tl::expected<void, SqlError> PurgeRun::remove() {
  auto remove_private = database_.prepare("DELETE FROM audit_private WHERE seq > ?1 AND seq < ?2");
  if (!remove_private) return tl::unexpected(remove_private.error());
  remove_private_ = std::move(*remove_private);
  auto remove = database_.prepare("DELETE FROM audit WHERE seq > ?1 AND seq < ?2");
  if (!remove) return tl::unexpected(remove.error());
  remove_ = std::move(*remove);
  // Opens the triggers for as long as this transaction lasts.
  auto done = run("INSERT INTO audit_purge_open VALUES(1, " + up_to_end() + ")");
  if (done) done = drop_proofs_of_released();
  std::uint64_t last = 0;
  for (const std::uint64_t seq : kept_) {
    if (done) done = remove_between(last, seq);
    last = seq;
  }
  if (done) done = remove_between(last, through_ + 1);
  // Checkpoints that can still be proven stay.
  if (done) {
    done = run("DELETE FROM audit_checkpoint WHERE size < " + up_to_end() +
               " AND size % 256 <> 0 AND NOT EXISTS (SELECT 1 FROM audit WHERE seq = size)");
  }
  if (done) done = run("DELETE FROM audit_purge_open");
  if (done) done = erase_data_keys();
  return done;
}

// Of months whose values are all gone: that reaches what older pages of the file and other copies
// may still hold. A key goes on for a while where the next one could not be made, so a month's
// values are looked for until the end of the month after it; what is beyond the purge is younger.
tl::expected<void, SqlError> PurgeRun::erase_data_keys() {
  auto erase = database_.prepare(
      "DELETE FROM audit_data_key"
      " WHERE CAST(strftime('%s', month || '-01', '+2 months') AS INTEGER) * 1000000 <= ?1"
      " AND NOT EXISTS (SELECT 1 FROM audit_private p JOIN audit a ON a.seq = p.seq"
      " WHERE p.seq <= ?2"
      " AND a.t_wall_us >= CAST(strftime('%s', month || '-01', '-1 day') AS INTEGER) * 1000000"
      " AND a.t_wall_us <"
      " CAST(strftime('%s', month || '-01', '+2 months') AS INTEGER) * 1000000)");
  if (!erase) return tl::unexpected(erase.error());
  erase->bind(1, newest_us_);
  erase->bind(2, through_);
  if (auto done = erase->run(); !done) return done;
  erased_keys_ = database_.changed_rows();
  return {};
}

tl::expected<JsonObject, SqlError> PurgeRun::detail() {
  auto tree = LogTree::open(database_);
  if (!tree) return tl::unexpected(tree.error());
  const auto root = tree->root(through_);
  if (!root) return tl::unexpected(SqlError{SqlError::Kind::damaged, "a stored root is missing"});
  Sha256 digest;
  for (const std::uint64_t seq : kept_) digest.add(std::to_string(seq) + "\n");
  JsonObject made;
  made.set("from", from_ + 1).set("through", through_).set("removed", removed_);
  made.set("newest_us", newest_us_).set("root", to_hex(*root));
  made.set("kept", kept_.size()).set("kept_sha256", to_hex(digest.finish()));
  const auto holds = holds_of(database_);
  if (!holds) return tl::unexpected(holds.error());
  made.set("holds", holds->size()).set("holds_sha256", digest_of_holds(*holds));
  made.set("data_keys_erased", erased_keys_);
  return made;
}

}  // namespace

std::optional<DeclaredPurge> read_purge(std::string_view body) {
  const auto whole = CanonicalObject::parse(body);
  if (!whole || whole->text("type") != kPurgeRecord || whole->text("outcome") != "ok") {
    return std::nullopt;
  }
  const auto detail = whole->object("detail");
  const auto said = detail ? detail->object("purge") : std::nullopt;
  if (!said) return std::nullopt;
  const auto count = [](std::optional<std::int64_t> value) {
    return static_cast<std::uint64_t>(std::max<std::int64_t>(value.value_or(0), 0));
  };
  DeclaredPurge made;
  made.seq = count(whole->integer("seq"));
  made.wall_us = whole->integer("t_wall_us").value_or(0);
  made.from = count(said->integer("from"));
  made.through = count(said->integer("through"));
  made.removed = count(said->integer("removed"));
  made.kept = count(said->integer("kept"));
  made.kept_digest = said->text("kept_sha256").value_or("");
  made.holds = count(said->integer("holds"));
  made.holds_digest = said->text("holds_sha256").value_or("");
  made.keep_years = said->integer("keep_years").value_or(0);
  made.newest_us = said->integer("newest_us").value_or(INT64_MAX);
  made.archive_digest = said->text("archive_sha256").value_or("");
  made.proposed_by = said->text("proposed_by").value_or("");
  made.approved_by = said->text("approved_by").value_or("");
  Hash archive{};
  const bool persons = !made.proposed_by.empty() && !made.approved_by.empty() &&
                       made.proposed_by != made.approved_by;
  const bool range = made.from > 0 && made.through >= made.from &&
                     made.through % kPurgeBlock == 0 && made.through < made.seq;
  const bool policy =
      made.keep_years >= kMinKeepYears && made.keep_years <= kMaxKeepYears &&
      made.newest_us <= cutoff(std::chrono::microseconds(made.wall_us), kMeanYear, made.keep_years);
  if (!persons || !range || !policy || !from_hex(said->text("root").value_or(""), made.root) ||
      !from_hex(made.archive_digest, archive)) {
    return std::nullopt;
  }
  return made;
}

bool dated_in_future(const DeclaredPurge& purge, std::chrono::system_clock::time_point now) {
  const auto latest = std::chrono::duration_cast<std::chrono::microseconds>(now.time_since_epoch() +
                                                                            std::chrono::hours{24});
  return purge.wall_us > latest.count();
}

tl::expected<std::vector<DeclaredPurge>, SqlError> purges_of(const Database& database) {
  auto rows = database.prepare("SELECT body FROM audit WHERE type = ?1 ORDER BY seq");
  if (!rows) return tl::unexpected(rows.error());
  rows->bind(1, kPurgeRecord);
  std::vector<DeclaredPurge> made;
  while (true) {
    const auto more = rows->step();
    if (!more) return tl::unexpected(more.error());
    if (!*more) return made;
    if (auto purge = read_purge(rows->view(0))) made.push_back(std::move(*purge));
  }
}

tl::expected<std::optional<DeclaredPurge>, SqlError> newest_purge(const Database& database) {
  auto row = database.prepare("SELECT body FROM audit WHERE type = ?1 ORDER BY seq DESC LIMIT 1");
  if (!row) return tl::unexpected(row.error());
  row->bind(1, kPurgeRecord);
  const auto there = row->step();
  if (!there) return tl::unexpected(there.error());
  if (!*there) return std::optional<DeclaredPurge>();
  return read_purge(row->view(0));
}

namespace {

// What a purge of these records would take and leave.
tl::expected<void, SqlError> count_records(const Database& database, const HeldRecords& held,
                                           PurgePlan& plan) {
  auto rows = database.prepare("SELECT t_wall_us, type, body FROM audit WHERE seq <= ?1");
  if (!rows) return tl::unexpected(rows.error());
  rows->bind(1, plan.through);
  plan.oldest_us = INT64_MAX;
  while (true) {
    const auto more = rows->step();
    if (!more) return tl::unexpected(more.error());
    if (!*more) return {};
    plan.oldest_us = std::min(plan.oldest_us, rows->integer(0));
    plan.newest_us = std::max(plan.newest_us, rows->integer(0));
    if (is_of_retention(rows->view(1))) continue;
    const auto body = held.empty() ? std::nullopt : CanonicalObject::parse(rows->view(2));
    ++(body && held.keeps(*body) ? plan.held : plan.records);
  }
}

// The table decides what a purge leaves; the sealed records say which holds there are.
tl::expected<bool, SqlError> holds_are_as_sealed(const Database& database,
                                                 const std::vector<HoldRow>& holds) {
  auto rows = database.prepare(
      "SELECT body FROM audit WHERE type IN ('audit.hold_set', 'audit.hold_cleared')"
      " ORDER BY seq");
  if (!rows) return tl::unexpected(rows.error());
  RetentionLedger ledger;
  while (true) {
    const auto more = rows->step();
    if (!more) return tl::unexpected(more.error());
    if (!*more) return ledger.digest_of_holds() == digest_of_holds(holds);
    const auto body = CanonicalObject::parse(rows->view(0));
    if (!body || ledger.follow(*body, rows->view(0))) return false;
  }
}

}  // namespace

tl::expected<PurgePlan, SqlError> plan_purge(const Database& database, std::uint64_t wanted,
                                             int keep_years, std::chrono::microseconds now,
                                             std::uint64_t most) {
  const auto before = newest_purge(database);
  if (!before) return tl::unexpected(before.error());
  PurgePlan plan;
  const std::uint64_t purged = *before ? (*before)->through : 0;
  plan.from = purged + 1;
  wanted = std::min(wanted, purged + std::min(most, wanted));
  const auto end = end_of_purge(database, purged, wanted, cutoff(now, kLongestYear, keep_years));
  if (!end) return tl::unexpected(end.error());
  if (*end <= purged) return plan;
  plan.through = *end;
  auto holds = holds_of(database);
  if (!holds) return tl::unexpected(holds.error());
  if (auto done = count_records(database, HeldRecords(std::move(*holds)), plan); !done) {
    return tl::unexpected(done.error());
  }
  return plan;
}

tl::expected<std::optional<PurgeProposalRow>, SqlError> purge_proposal(const Database& database) {
  auto row = database.prepare(
      "SELECT through, keep_years, proposed_by, proposed_us FROM audit_purge_proposal");
  if (!row) return tl::unexpected(row.error());
  const auto there = row->step();
  if (!there) return tl::unexpected(there.error());
  if (!*there) return std::optional<PurgeProposalRow>();
  return PurgeProposalRow{static_cast<std::uint64_t>(row->integer(0)),
                          static_cast<int>(row->integer(1)), row->text(2),
                          std::chrono::microseconds(row->integer(3))};
}

tl::expected<bool, SqlError> older_than(const Database& database, std::string_view account,
                                        std::chrono::microseconds moment) {
  auto row = database.prepare("SELECT created_ms FROM accounts WHERE name = ?1");
  if (!row) return tl::unexpected(row.error());
  row->bind(1, account);
  const auto there = row->step();
  if (!there) return tl::unexpected(there.error());
  return !*there || std::chrono::milliseconds(row->integer(0)) <= moment;
}

tl::expected<JsonObject, SqlError> purge_log(Database& database, const PurgeOrder& order,
                                             std::chrono::microseconds now) {
  const auto proposal = purge_proposal(database);
  if (!proposal) return tl::unexpected(proposal.error());
  if (!*proposal) return contradiction("no purge is proposed");
  const auto& [wanted, keep_years, proposed_by, proposed_at] = **proposal;
  if (order.approved_by.empty() || order.approved_by == proposed_by) {
    return contradiction("the person who approves a purge must be another one");
  }
  if (now - proposed_at > kProposalLasts) return contradiction("the proposal is too old");
  if (const auto old = older_than(database, order.approved_by, proposed_at); !old) {
    return tl::unexpected(old.error());
  } else if (!*old) {
    return contradiction("the account of who approves is younger than the proposal");
  }
  if (order.proposed_at != proposed_at) return contradiction("it was proposed anew meanwhile");
  Hash archive{};
  if (!from_hex(order.archive_digest, archive)) return contradiction("there is no archive");
  Hash root{};
  if (order.archive_records == 0 || !from_hex(order.archive_root, root)) {
    return contradiction("the archive was not verified");
  }
  auto holds = holds_of(database);
  if (!holds) return tl::unexpected(holds.error());
  const auto as_sealed = holds_are_as_sealed(database, *holds);
  if (!as_sealed) return tl::unexpected(as_sealed.error());
  if (!*as_sealed) return contradiction("the holds are not those that the log tells of");
  const auto before = newest_purge(database);
  if (!before) return tl::unexpected(before.error());
  const std::uint64_t from = *before ? (*before)->through : 0;
  const auto end = end_of_purge(database, from,
                                std::min({wanted, order.archived_through, from + kMaxPurgedAtOnce}),
                                cutoff(now, kLongestYear, keep_years));
  if (!end) return tl::unexpected(end.error());
  if (*end <= from) return contradiction("nothing of it is old enough to be purged");
  PurgeRun run(database, HeldRecords(std::move(*holds)), from, *end);
  if (auto done = run.keep_proofs(); !done) return tl::unexpected(done.error());
  if (auto done = run.remove(); !done) return tl::unexpected(done.error());
  auto detail = run.detail();
  if (!detail) return detail;
  detail->set("keep_years", keep_years).set("archive_sha256", order.archive_digest);
  detail->set("archive_records", order.archive_records).set("archive_root", order.archive_root);
  detail->set("proposed_by", proposed_by).set("approved_by", order.approved_by);
  if (*end / kPurgeBlock == wanted / kPurgeBlock) {
    if (auto done = database.run("DELETE FROM audit_purge_proposal"); !done) {
      return tl::unexpected(done.error());
    }
  }
  return detail;
}

}  // namespace bedside::store
