#include "store/reader.h"

#include <algorithm>
#include <string_view>
#include <utility>

#include "store/checkpoint.h"
#include "store/database.h"
#include "store/holds.h"
#include "store/log_tree.h"
#include "store/migrations.h"
#include "store/state_writer.h"

namespace bedside::store {
namespace {

using Sentence = tl::unexpected<std::string>;

constexpr std::string_view kColumns =
    "SELECT seq, t_wall_us, type, outcome, reason, actor, room, body FROM audit";

AuditRow audit_row_of(const Statement& row) {
  return AuditRow{static_cast<std::uint64_t>(row.integer(0)),
                  std::chrono::microseconds(row.integer(1)),
                  row.text(2),
                  row.text(3),
                  row.text(4),
                  row.text(5),
                  row.text(6),
                  row.text(7)};
}

AccountRow account_of(const Statement& row) {
  return AccountRow{row.text(0), row.text(1), row.text(2),
                    std::chrono::milliseconds(row.integer(3)),
                    row.is_null(4) ? std::optional<std::chrono::milliseconds>()
                                   : std::chrono::milliseconds(row.integer(4))};
}

// Everything but the type, which is asked for one at a time. Numbered parameters: an unused one is
// never bound and so costs nothing.
std::string conditions(const AuditQuery& query) {
  std::string sql = " WHERE true";
  if (query.before_seq != 0) sql += " AND seq < ?1";
  if (query.from) sql += " AND t_wall_us >= ?2";
  if (query.to) sql += " AND t_wall_us < ?3";
  if (!query.room.empty()) sql += " AND room = ?4";
  if (query.outcome) {
    // A constant in the text lets SQLite use the partial index of everything that is not "ok".
    sql += " AND outcome = '" + std::string(to_string(*query.outcome)) + "'";
    if (*query.outcome != Outcome::ok) sql += " AND outcome <> 'ok'";
  }
  return sql;
}

void bind_conditions(Statement& statement, const AuditQuery& query) {
  if (query.before_seq != 0) statement.bind(1, query.before_seq);
  if (query.from) statement.bind(2, std::int64_t{query.from->count()});
  if (query.to) statement.bind(3, std::int64_t{query.to->count()});
  if (!query.room.empty()) statement.bind(4, std::string_view(query.room));
}

std::size_t page_of(const AuditQuery& query) {
  return std::clamp<std::size_t>(query.limit, 1, kMaxAuditPage);
}

tl::expected<std::vector<AuditRow>, SqlError> newest(const Database& database,
                                                     const AuditQuery& query,
                                                     const std::string& type) {
  std::string sql(kColumns);
  sql += conditions(query);
  if (!type.empty()) sql += " AND type = ?5";
  sql += " ORDER BY seq DESC LIMIT " + std::to_string(page_of(query));
  auto statement = database.prepare(sql);
  if (!statement) return tl::unexpected(std::move(statement.error()));
  bind_conditions(*statement, query);
  if (!type.empty()) statement->bind(5, std::string_view(type));
  return read_all<AuditRow>(*statement, audit_row_of);
}

// Jumps from one type to the next along the index instead of reading every row.
tl::expected<std::vector<std::string>, SqlError> types(const Database& database) {
  auto statement = database.prepare(
      "WITH RECURSIVE next(type) AS (SELECT min(type) FROM audit UNION ALL"
      " SELECT (SELECT min(type) FROM audit WHERE type > next.type) FROM next"
      " WHERE next.type IS NOT NULL) SELECT type FROM next WHERE type IS NOT NULL");
  if (!statement) return tl::unexpected(std::move(statement.error()));
  return read_all<std::string>(*statement, [](const Statement& row) { return row.text(0); });
}

// A prefix matches a few dozen types at most. Each has its newest page at the end of its index; the
// newest of all of them are the answer. A range over the index would have to sort every match
// instead.
tl::expected<std::vector<AuditRow>, SqlError> newest_by_prefix(const Database& database,
                                                               const AuditQuery& query) {
  auto all = types(database);
  if (!all) return tl::unexpected(std::move(all.error()));
  std::vector<AuditRow> rows;
  for (const std::string& type : *all) {
    if (type.compare(0, query.type_prefix.size(), query.type_prefix) != 0) continue;
    auto some = newest(database, query, type);
    if (!some) return some;
    std::move(some->begin(), some->end(), std::back_inserter(rows));
  }
  std::sort(rows.begin(), rows.end(),
            [](const AuditRow& a, const AuditRow& b) { return a.seq > b.seq; });
  if (rows.size() > page_of(query)) rows.resize(page_of(query));
  return rows;
}

tl::expected<LogGrowth, SqlError> growth(const Database& database, std::uint64_t old_size) {
  const auto missing = [](const char* what) {
    return tl::unexpected(SqlError{SqlError::Kind::other, what});
  };
  LogGrowth grown;
  auto newest = newest_note(database);
  if (!newest) return tl::unexpected(std::move(newest.error()));
  const auto note = parse_note(*newest);
  const auto checkpoint = note ? Checkpoint::parse(note->text) : std::nullopt;
  if (!checkpoint) return missing("the audit log has no checkpoint that can be read");
  if (checkpoint->size < old_size) return missing("the audit log has fewer records than that");
  auto tree = LogTree::open(database);
  if (!tree) return tl::unexpected(std::move(tree.error()));
  const auto root = tree->root(old_size);
  auto proof = tree->consistency(old_size, checkpoint->size);
  if (!root || !proof) return missing("a record or a stored root of the audit log is missing");
  return LogGrowth{std::move(*newest), *root, std::move(*proof)};
}

// One snapshot for several statements.
template <typename T, typename Read>
tl::expected<T, std::string> in_snapshot(Database& database, Read read) {
  if (auto begun = database.run("BEGIN"); !begun) return Sentence(begun.error().text);
  tl::expected<T, SqlError> result = read();
  (void)database.run("COMMIT");
  if (!result) return Sentence(result.error().text);
  return std::move(*result);
}

tl::expected<bool, std::string> there_is(const Database& database, std::string_view sql,
                                         std::string_view value) {
  auto statement = database.prepare(sql);
  if (!statement) return Sentence(statement.error().text);
  statement->bind(1, value);
  const auto there = statement->step();
  if (!there) return Sentence(there.error().text);
  return *there;
}

template <typename T>
tl::expected<std::optional<T>, std::string> first_of(tl::expected<std::vector<T>, SqlError> rows) {
  if (!rows) return Sentence(rows.error().text);
  if (rows->empty()) return std::optional<T>();
  return std::optional<T>(std::move(rows->front()));
}

}  // namespace

Reader::Reader(std::unique_ptr<Database> database) : database_(std::move(database)) {}
Reader::Reader(Reader&&) noexcept = default;
Reader& Reader::operator=(Reader&&) noexcept = default;
Reader::~Reader() = default;

tl::expected<Reader, std::string> Reader::open(const std::string& path, const std::string& vfs) {
  auto database = Database::open(path, Database::Mode::read_only, vfs);
  if (!database) return Sentence("cannot read " + path + ": " + database.error().text);
  const auto version = database->integer("PRAGMA user_version");
  if (!version) return Sentence("cannot read " + path + ": " + version.error().text);
  if (*version != kSchemaVersion) {
    return Sentence(path + " has database version " + std::to_string(*version) +
                    ", this program reads version " + std::to_string(kSchemaVersion));
  }
  return Reader(std::make_unique<Database>(std::move(*database)));
}

tl::expected<std::vector<AuditRow>, std::string> Reader::audit(const AuditQuery& query) const {
  return in_snapshot<std::vector<AuditRow>>(*database_, [&] {
    return query.type_prefix.empty() ? newest(*database_, query, {})
                                     : newest_by_prefix(*database_, query);
  });
}

tl::expected<std::optional<AuditRow>, std::string> Reader::audit_row(std::uint64_t seq) const {
  auto statement = database_->prepare(std::string(kColumns) + " WHERE seq = ?1");
  if (!statement) return Sentence(statement.error().text);
  statement->bind(1, seq);
  return first_of<AuditRow>(read_all<AuditRow>(*statement, audit_row_of));
}

tl::expected<std::vector<std::string>, std::string> Reader::audit_types() const {
  auto all = types(*database_);
  if (!all) return Sentence(all.error().text);
  return std::move(*all);
}

tl::expected<bool, std::string> Reader::knows(std::string_view id) const {
  return there_is(*database_,
                  "SELECT 1 FROM audit WHERE substr(actor, instr(actor, ':') + 1) = ?1"
                  " OR json_extract(CAST(body AS TEXT), '$.object') = ?1"
                  " ORDER BY seq DESC LIMIT 1",
                  id);
}

tl::expected<bool, std::string> Reader::knows_room(std::string_view room) const {
  return there_is(*database_, "SELECT 1 FROM audit WHERE room = ?1 LIMIT 1", room);
}

tl::expected<std::vector<std::uint8_t>, std::string> Reader::audit_ip(std::uint64_t seq) const {
  auto statement =
      database_->prepare("SELECT ciphertext FROM audit_private WHERE seq = ?1 AND field = 'ip'");
  if (!statement) return Sentence(statement.error().text);
  statement->bind(1, seq);
  const auto row = statement->step();
  if (!row) return Sentence(row.error().text);
  return *row ? statement->blob(0) : std::vector<std::uint8_t>();
}

tl::expected<std::optional<std::string>, std::string> Reader::newest_checkpoint() const {
  auto note = newest_note(*database_);
  if (!note) return Sentence(note.error().text);
  if (note->empty()) return std::optional<std::string>();
  return std::optional<std::string>(std::move(*note));
}

tl::expected<LogGrowth, std::string> Reader::growth_since(std::uint64_t old_size) const {
  return in_snapshot<LogGrowth>(*database_, [&] { return growth(*database_, old_size); });
}

tl::expected<std::optional<AccountRow>, std::string> Reader::account(
    const std::string& name) const {
  auto statement = database_->prepare(
      "SELECT name, password_hash, role, created_ms, disabled_ms FROM accounts WHERE name = ?1");
  if (!statement) return Sentence(statement.error().text);
  statement->bind(1, std::string_view(name));
  return first_of<AccountRow>(read_all<AccountRow>(*statement, account_of));
}

tl::expected<std::vector<AccountRow>, std::string> Reader::accounts() const {
  auto statement = database_->prepare(
      "SELECT name, password_hash, role, created_ms, disabled_ms FROM accounts ORDER BY name");
  if (!statement) return Sentence(statement.error().text);
  auto rows = read_all<AccountRow>(*statement, account_of);
  if (!rows) return Sentence(rows.error().text);
  return std::move(*rows);
}

tl::expected<std::vector<InvitationRow>, std::string> Reader::invitations() const {
  auto statement = database_->prepare(
      "SELECT name, code_hash, invited_by, expires_ms FROM account_invitations ORDER BY name");
  if (!statement) return tl::unexpected(statement.error().text);
  auto rows = read_all<InvitationRow>(*statement, [](const Statement& row) {
    return InvitationRow{row.text(0), row.blob(1), row.text(2),
                         std::chrono::milliseconds(row.integer(3))};
  });
  if (!rows) return tl::unexpected(rows.error().text);
  return std::move(*rows);
}

tl::expected<Retention, std::string> Reader::retention() const {
  auto holds = holds_of(*database_);
  if (!holds) return tl::unexpected(holds.error().text);
  auto proposal = store::purge_proposal(*database_);
  if (!proposal) return tl::unexpected(proposal.error().text);
  auto purges = purges_of(*database_);
  if (!purges) return tl::unexpected(purges.error().text);
  return Retention{std::move(*holds), std::move(*proposal), std::move(*purges)};
}

tl::expected<PurgePlan, std::string> Reader::plan_purge(std::uint64_t wanted, int keep_years,
                                                        std::chrono::microseconds now,
                                                        std::uint64_t most) const {
  auto plan = store::plan_purge(*database_, wanted, keep_years, now, most);
  if (!plan) return tl::unexpected(plan.error().text);
  return *plan;
}

tl::expected<std::optional<std::string>, std::string> Reader::setting(
    const std::string& key) const {
  auto statement = database_->prepare("SELECT value FROM settings WHERE key = ?1");
  if (!statement) return Sentence(statement.error().text);
  statement->bind(1, std::string_view(key));
  return first_of<std::string>(
      read_all<std::string>(*statement, [](const Statement& row) { return row.text(0); }));
}

tl::expected<LoadedState, std::string> Reader::state() const {
  return in_snapshot<LoadedState>(*database_, [&] { return load_state(*database_); });
}

}  // namespace bedside::store
