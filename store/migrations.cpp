#include "store/migrations.h"

#include <array>
#include <string>

namespace bedside::store {
namespace {

// body is the truth of an audit record; the other columns are derived from it for the list's
// filters. Indexes need no seq of their own: the rowid ends every index entry, so `type = ? ORDER
// BY seq DESC` is one walk along audit_by_type.
constexpr const char* kFirst = R"sql(
CREATE TABLE rooms(
  room_id TEXT PRIMARY KEY,
  appointment TEXT NOT NULL,
  created_ms INTEGER NOT NULL,
  ended_ms INTEGER,
  expires_ms INTEGER
) STRICT, WITHOUT ROWID;

CREATE TABLE participants(
  join_order INTEGER PRIMARY KEY AUTOINCREMENT,
  participant_id TEXT NOT NULL UNIQUE,
  room_id TEXT NOT NULL REFERENCES rooms(room_id) ON DELETE CASCADE,
  display_name TEXT NOT NULL,
  role TEXT NOT NULL,
  token_hash BLOB NOT NULL,
  joined_ms INTEGER NOT NULL,
  lease_until_ms INTEGER NOT NULL,
  attached_ms INTEGER
) STRICT;
CREATE INDEX participants_by_room ON participants(room_id);

CREATE TABLE accounts(
  name TEXT PRIMARY KEY,
  password_hash TEXT NOT NULL,
  role TEXT NOT NULL,
  created_ms INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE settings(
  key TEXT PRIMARY KEY,
  value TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE audit(
  seq INTEGER PRIMARY KEY,
  t_wall_us INTEGER NOT NULL,
  type TEXT NOT NULL,
  outcome TEXT NOT NULL CHECK (outcome IN ('ok', 'denied', 'failed', 'aborted')),
  reason TEXT,
  actor TEXT,
  room TEXT,
  body BLOB NOT NULL
) STRICT;
CREATE INDEX audit_by_time ON audit(t_wall_us);
CREATE INDEX audit_by_type ON audit(type);
CREATE INDEX audit_by_room ON audit(room) WHERE room IS NOT NULL;
CREATE INDEX audit_by_trouble ON audit(outcome) WHERE outcome <> 'ok';

CREATE TRIGGER audit_is_gapless BEFORE INSERT ON audit
WHEN NEW.seq IS NOT (SELECT coalesce(max(seq), 0) + 1 FROM audit)
BEGIN SELECT RAISE(ABORT, 'audit: seq must be the next number'); END;
CREATE TRIGGER audit_is_not_changed BEFORE UPDATE ON audit
BEGIN SELECT RAISE(ABORT, 'audit: records are never changed'); END;
CREATE TRIGGER audit_is_not_deleted BEFORE DELETE ON audit
BEGIN SELECT RAISE(ABORT, 'audit: records are never deleted'); END;

-- Personal fields, encrypted, whose commitment is in the body. A row may be erased, never replaced.
CREATE TABLE audit_private(
  seq INTEGER NOT NULL REFERENCES audit(seq),
  field TEXT NOT NULL,
  ciphertext BLOB NOT NULL,
  PRIMARY KEY (seq, field)
) STRICT, WITHOUT ROWID;
CREATE TRIGGER audit_private_is_not_changed BEFORE UPDATE ON audit_private
BEGIN SELECT RAISE(ABORT, 'audit_private: fields are never changed'); END;
)sql";

// The seal: roots of complete subtrees (256 leaves, 65,536, …; idx counts subtrees of that level)
// and signed checkpoints. Of these the newest stays, and those that are marked as kept.
constexpr const char* kSeal = R"sql(
CREATE TABLE audit_subtree(
  level INTEGER NOT NULL,
  idx INTEGER NOT NULL,
  root BLOB NOT NULL CHECK (length(root) = 32),
  PRIMARY KEY (level, idx)
) STRICT, WITHOUT ROWID;
CREATE TRIGGER audit_subtree_is_not_changed BEFORE UPDATE ON audit_subtree
BEGIN SELECT RAISE(ABORT, 'audit_subtree: roots are never changed'); END;
CREATE TRIGGER audit_subtree_is_not_deleted BEFORE DELETE ON audit_subtree
BEGIN SELECT RAISE(ABORT, 'audit_subtree: roots are never deleted'); END;

CREATE TABLE audit_checkpoint(
  size INTEGER PRIMARY KEY,
  note TEXT NOT NULL,
  kept INTEGER NOT NULL
) STRICT;
CREATE TRIGGER audit_checkpoint_is_not_changed BEFORE UPDATE ON audit_checkpoint
BEGIN SELECT RAISE(ABORT, 'audit_checkpoint: checkpoints are never changed'); END;
CREATE TRIGGER audit_checkpoint_is_kept BEFORE DELETE ON audit_checkpoint WHEN OLD.kept <> 0
BEGIN SELECT RAISE(ABORT, 'audit_checkpoint: this one is kept'); END;
)sql";

// Invite mode: links, the waiting room, locks, and tokens of programs. Whoever is in a room of
// before was let in.
constexpr const char* kInvite = R"sql(
ALTER TABLE rooms ADD COLUMN locked INTEGER NOT NULL DEFAULT 0;
ALTER TABLE participants ADD COLUMN admitted INTEGER NOT NULL DEFAULT 1;

CREATE TABLE links(
  link_order INTEGER PRIMARY KEY AUTOINCREMENT,
  room_id TEXT NOT NULL REFERENCES rooms(room_id) ON DELETE CASCADE,
  role TEXT NOT NULL,
  secret_hash BLOB NOT NULL,
  expires_ms INTEGER NOT NULL
) STRICT;
CREATE INDEX links_by_room ON links(room_id);

CREATE TABLE api_tokens(
  token_id TEXT PRIMARY KEY,
  name TEXT NOT NULL,
  scopes TEXT NOT NULL,
  secret_hash BLOB NOT NULL UNIQUE,
  created_ms INTEGER NOT NULL,
  expires_ms INTEGER
) STRICT, WITHOUT ROWID;
)sql";

// What this server has cosigned as a witness of other logs.
constexpr const char* kWitness = R"sql(
CREATE TABLE witnessed_logs(
  origin TEXT PRIMARY KEY,
  size INTEGER NOT NULL,
  root BLOB NOT NULL CHECK (length(root) = 32),
  note TEXT NOT NULL
) STRICT, WITHOUT ROWID;
)sql";

// Retention. The one row of audit_purge_open exists only within the transaction of a purge: the
// triggers let bodies and proofs go that are not needed any more.
constexpr const char* kPurge = R"sql(
CREATE TABLE audit_holds(
  hold_id TEXT PRIMARY KEY,
  room TEXT,
  person TEXT,
  from_us INTEGER,
  to_us INTEGER,
  CHECK (coalesce(room, person, from_us, to_us) IS NOT NULL)
) STRICT, WITHOUT ROWID;
CREATE TABLE audit_purge_proposal(
  one INTEGER PRIMARY KEY CHECK (one = 1),
  through INTEGER NOT NULL,
  keep_years INTEGER NOT NULL CHECK (keep_years >= 6),
  proposed_by TEXT NOT NULL
) STRICT;
CREATE TABLE audit_purge_open(
  one INTEGER PRIMARY KEY CHECK (one = 1),
  through INTEGER NOT NULL
) STRICT;

DROP TRIGGER audit_is_not_deleted;
CREATE TRIGGER audit_is_not_deleted BEFORE DELETE ON audit
WHEN OLD.seq > coalesce((SELECT through FROM audit_purge_open), 0)
BEGIN SELECT RAISE(ABORT, 'audit: records are never deleted'); END;
DROP TRIGGER audit_subtree_is_not_deleted;
CREATE TRIGGER audit_subtree_is_not_deleted BEFORE DELETE ON audit_subtree
WHEN OLD.level >= 8 OR NOT EXISTS (SELECT 1 FROM audit_purge_open)
BEGIN SELECT RAISE(ABORT, 'audit_subtree: roots are never deleted'); END;
DROP TRIGGER audit_checkpoint_is_kept;
CREATE TRIGGER audit_checkpoint_is_kept BEFORE DELETE ON audit_checkpoint
WHEN OLD.kept <> 0 AND OLD.size >= coalesce((SELECT through FROM audit_purge_open), 0)
BEGIN SELECT RAISE(ABORT, 'audit_checkpoint: this one is kept'); END;
)sql";

// The keys of the audit log's personal values, a month each, wrapped. A row may be erased, and the
// values with it; never replaced.
constexpr const char* kDataKeys = R"sql(
CREATE TABLE audit_data_key(
  month TEXT PRIMARY KEY,
  wrapped BLOB NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TRIGGER audit_data_key_is_not_changed BEFORE UPDATE ON audit_data_key
BEGIN SELECT RAISE(ABORT, 'audit_data_key: keys are never changed'); END;
)sql";

// More than one account, and what two of them agree on.
constexpr const char* kSecondPerson = R"sql(
CREATE TABLE account_invitations(
  name TEXT PRIMARY KEY,
  code_hash BLOB NOT NULL,
  invited_by TEXT NOT NULL,
  expires_ms INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
ALTER TABLE audit_purge_proposal ADD COLUMN proposed_us INTEGER NOT NULL DEFAULT 0;
ALTER TABLE accounts ADD COLUMN disabled_ms INTEGER;
)sql";

// The hash of the body, so that a changed record is named and not only the block it is in. Records
// of before have none.
constexpr const char* kLeaf = R"sql(
ALTER TABLE audit ADD COLUMN leaf BLOB CHECK (length(leaf) = 32);
)sql";

// What made the insert of a record expensive, said in another way. IN with more than two values
// fills a table of its own for every row. A trigger makes each insert keep a journal of what it
// changes, and look for values of a record that does not exist yet. SQLite gives our records their
// numbers now, one more than the largest, and AuditWriter compares them with its own.
constexpr const char* kCheapInsert = R"sql(
PRAGMA writable_schema=ON;
UPDATE sqlite_schema SET sql = replace(sql,
  'outcome IN (''ok'', ''denied'', ''failed'', ''aborted'')',
  'outcome = ''ok'' OR outcome = ''denied'' OR outcome = ''failed'' OR outcome = ''aborted''')
WHERE type = 'table' AND name = 'audit';
PRAGMA writable_schema=RESET;
DROP TRIGGER audit_is_gapless;
)sql";

constexpr std::array kSteps = {
    Migration{1, kFirst},        Migration{2, kSeal},  Migration{3, kInvite},
    Migration{4, kWitness},      Migration{5, kPurge}, Migration{6, kDataKeys},
    Migration{7, kSecondPerson}, Migration{8, kLeaf},  Migration{9, kCheapInsert, true}};
static_assert(kSteps.back().version == kSchemaVersion);

tl::expected<void, SqlError> run_step(Database& database, const Migration& step) {
  const std::string sql = "BEGIN IMMEDIATE;" + std::string(step.sql) +
                          "PRAGMA application_id=" + std::to_string(kApplicationId) +
                          "; PRAGMA user_version=" + std::to_string(step.version) + "; COMMIT;";
  if (step.edits_schema) database.allow_schema_edits(true);
  auto done = database.run(sql.c_str());
  if (step.edits_schema) database.allow_schema_edits(false);
  if (!done && database.in_transaction()) (void)database.run("ROLLBACK");
  return done;
}

}  // namespace

std::span<const Migration> migrations() { return kSteps; }

tl::expected<void, SqlError> migrate(Database& database, std::span<const Migration> steps) {
  const auto version = database.integer("PRAGMA user_version");
  if (!version) return tl::unexpected(version.error());
  for (const Migration& step : steps) {
    if (step.version <= *version) continue;
    if (auto done = run_step(database, step); !done) return done;
  }
  return {};
}

}  // namespace bedside::store
