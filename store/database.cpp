#include "store/database.h"

#include <sqlite3.h>

#include <cerrno>
#include <cstring>
#include <limits>
#include <utility>

#include "store/store.h"

namespace bedside::store {

std::string_view sqlite_version() { return sqlite3_libversion(); }

namespace {

constexpr int kBusyMs = 2'000;  // how long a statement waits for another connection

// ENOSPC reaches us as SQLITE_FULL from a write, but as an I/O error from growing the shared memory
// file; EDQUOT always as an I/O error. Both only mean that the transaction did not happen. A failed
// sync is different whatever its errno: the kernel has dropped the pages, so it stays an I/O error.
bool no_space(int extended, int system_error) {
  if (extended == SQLITE_IOERR_FSYNC || extended == SQLITE_IOERR_DIR_FSYNC) return false;
  return (extended & 0xff) == SQLITE_IOERR && (system_error == ENOSPC || system_error == EDQUOT);
}

SqlError::Kind kind_of(int extended, int system_error) {
  if (no_space(extended, system_error)) return SqlError::Kind::full;
  switch (extended & 0xff) {
    case SQLITE_FULL:
      return SqlError::Kind::full;
    case SQLITE_CONSTRAINT:
      return SqlError::Kind::constraint;
    case SQLITE_TOOBIG:
      return SqlError::Kind::too_big;
    case SQLITE_NOTADB:
      return SqlError::Kind::not_a_database;
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
      return SqlError::Kind::busy;
    case SQLITE_CORRUPT:
      return SqlError::Kind::damaged;
    case SQLITE_IOERR:
    case SQLITE_CANTOPEN:
      return SqlError::Kind::io;
    default:
      return SqlError::Kind::other;
  }
}

SqlError error_of(sqlite3* handle, int code) {
  const int extended = handle != nullptr ? sqlite3_extended_errcode(handle) : code;
  const int system_error = handle != nullptr ? sqlite3_system_errno(handle) : 0;
  SqlError error{kind_of(extended, system_error),
                 handle != nullptr ? sqlite3_errmsg(handle) : sqlite3_errstr(code)};
  error.text += " (SQLite code " + std::to_string(extended);
  // errno is a leftover of an earlier call unless this error came from the system.
  const int primary = extended & 0xff;
  if (system_error != 0 &&
      (primary == SQLITE_IOERR || primary == SQLITE_CANTOPEN || primary == SQLITE_FULL)) {
    error.text += std::string(", ") + std::strerror(system_error);
  }
  error.text += ")";
  return error;
}

int remember_wal_pages(void* pages, sqlite3*, const char*, int in_wal) {
  *static_cast<int*>(pages) = in_wal;
  return SQLITE_OK;
}

// SQLite counts every piece of memory under one lock of the process: a sixth of a commit's time,
// and nobody asks for the count. It can be told before its first use only.
void count_no_memory() {
  static const int done = sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
  (void)done;
}

}  // namespace

void Statement::Finalize::operator()(sqlite3_stmt* statement) const { sqlite3_finalize(statement); }

// A bind fails only for an index that is not in the SQL or without memory; step() then reports
// misuse or the missing parameter is NULL and meets a NOT NULL constraint. Both are bugs the tests
// meet.
void Statement::bind(int index, std::int64_t value) {
  sqlite3_bind_int64(handle_.get(), index, value);
}
void Statement::bind(int index, std::uint64_t value) {
  constexpr std::uint64_t kMax = std::numeric_limits<std::int64_t>::max();
  bind(index, static_cast<std::int64_t>(value > kMax ? kMax : value));
}
void Statement::bind(int index, std::string_view text) {
  // An empty view may have no address, which SQLite would take for NULL.
  const char* data = text.empty() ? "" : text.data();
  sqlite3_bind_text64(handle_.get(), index, data, text.size(), SQLITE_STATIC, SQLITE_UTF8);
}
void Statement::bind(int index, std::span<const std::uint8_t> blob) {
  const void* data = blob.empty() ? static_cast<const void*>("") : blob.data();
  sqlite3_bind_blob64(handle_.get(), index, data, blob.size(), SQLITE_STATIC);
}
void Statement::bind_blob(int index, std::string_view bytes) {
  const char* data = bytes.empty() ? "" : bytes.data();
  sqlite3_bind_blob64(handle_.get(), index, data, bytes.size(), SQLITE_STATIC);
}
void Statement::bind_null(int index) { sqlite3_bind_null(handle_.get(), index); }

tl::expected<bool, SqlError> Statement::step() {
  const int code = sqlite3_step(handle_.get());
  if (code == SQLITE_ROW) return true;
  if (code == SQLITE_DONE) return false;
  SqlError error = error_of(sqlite3_db_handle(handle_.get()), code);
  reset();
  return tl::unexpected(std::move(error));
}

tl::expected<void, SqlError> Statement::run() {
  while (true) {
    auto more = step();
    if (!more) return tl::unexpected(std::move(more.error()));
    if (!*more) break;
  }
  reset();
  return {};
}

void Statement::reset() {
  sqlite3_reset(handle_.get());
  sqlite3_clear_bindings(handle_.get());
}

std::int64_t Statement::inserted_rowid() const {
  return sqlite3_last_insert_rowid(sqlite3_db_handle(handle_.get()));
}

std::int64_t Statement::integer(int column) const {
  return sqlite3_column_int64(handle_.get(), column);
}
bool Statement::is_null(int column) const {
  return sqlite3_column_type(handle_.get(), column) == SQLITE_NULL;
}
std::string Statement::text(int column) const {
  const auto bytes = blob(column);
  return {bytes.begin(), bytes.end()};
}
std::vector<std::uint8_t> Statement::blob(int column) const {
  // The pointer must be taken before the size: taking it may convert the value.
  const void* data = sqlite3_column_blob(handle_.get(), column);
  const auto size = static_cast<std::size_t>(sqlite3_column_bytes(handle_.get(), column));
  if (data == nullptr) return {};
  const auto* first = static_cast<const std::uint8_t*>(data);
  return {first, first + size};
}
std::string_view Statement::view(int column) const {
  const void* data = sqlite3_column_blob(handle_.get(), column);
  const auto size = static_cast<std::size_t>(sqlite3_column_bytes(handle_.get(), column));
  if (data == nullptr) return {};
  return {static_cast<const char*>(data), size};
}

void Database::Close::operator()(sqlite3* database) const { sqlite3_close_v2(database); }

SqlError Database::error(int code) const { return error_of(handle_.get(), code); }

tl::expected<Database, SqlError> Database::open(const std::string& path, Mode mode,
                                                const std::string& vfs) {
  count_no_memory();
  sqlite3* raw = nullptr;
  const int access = mode == Mode::read_only ? SQLITE_OPEN_READONLY : SQLITE_OPEN_READWRITE;
  // NOMUTEX: one thread at a time is our own rule. NOFOLLOW is not set: an operator may link the
  // file to another disk.
  const int code = sqlite3_open_v2(path.c_str(), &raw, access | SQLITE_OPEN_NOMUTEX,
                                   vfs.empty() ? nullptr : vfs.c_str());
  Database database;
  database.handle_.reset(raw);  // also after a failure, which it describes
  if (code != SQLITE_OK) return tl::unexpected(database.error(code));
  if (auto ready = database.set_up(mode); !ready) return tl::unexpected(std::move(ready.error()));
  return database;
}

tl::expected<void, SqlError> Database::set_up(Mode mode) {
  sqlite3* handle = handle_.get();
  sqlite3_extended_result_codes(handle, 1);
  sqlite3_db_config(handle, SQLITE_DBCONFIG_DEFENSIVE, 1, nullptr);
  sqlite3_db_config(handle, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, nullptr);
  sqlite3_db_config(handle, SQLITE_DBCONFIG_ENABLE_LOAD_EXTENSION, 0, nullptr);
  sqlite3_db_config(handle, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, nullptr);
  sqlite3_wal_autocheckpoint(handle, 0);
  sqlite3_busy_timeout(handle, kBusyMs);
  sqlite3_wal_hook(handle, remember_wal_pages, wal_pages_.get());
  const char* shared =
      "PRAGMA mmap_size=0; PRAGMA cell_size_check=ON; PRAGMA foreign_keys=ON;"
      "PRAGMA temp_store=MEMORY;"
      // Without it INSERT OR REPLACE would delete an audit row past the trigger that forbids it.
      "PRAGMA recursive_triggers=ON;";
  if (auto done = run(shared); !done) return done;
  return run(mode == Mode::read_only
                 ? "PRAGMA query_only=ON;"
                 // Deleted names are overwritten, not only unlinked from the tree.
                 : "PRAGMA secure_delete=ON;");
}

void Database::allow_schema_edits(bool allowed) {
  sqlite3_db_config(handle_.get(), SQLITE_DBCONFIG_DEFENSIVE, allowed ? 0 : 1, nullptr);
}

void Database::stop_when(std::function<bool()> stop) {
  constexpr int kInstructions = 20'000;  // of SQLite's machine between two questions
  stop_ = std::make_unique<std::function<bool()>>(std::move(stop));
  sqlite3_progress_handler(
      handle_.get(), kInstructions,
      [](void* asked) { return (*static_cast<std::function<bool()>*>(asked))() ? 1 : 0; },
      stop_.get());
}

tl::expected<void, SqlError> Database::run(const char* sql) {
  const int code = sqlite3_exec(handle_.get(), sql, nullptr, nullptr, nullptr);
  if (code != SQLITE_OK) return tl::unexpected(error(code));
  return {};
}

tl::expected<Statement, SqlError> Database::prepare(std::string_view sql) const {
  sqlite3_stmt* raw = nullptr;
  const int code =
      sqlite3_prepare_v3(handle_.get(), sql.data(), static_cast<int>(sql.size()), 0, &raw, nullptr);
  Statement statement;
  statement.handle_.reset(raw);
  if (code != SQLITE_OK) return tl::unexpected(error(code));
  return statement;
}

tl::expected<std::int64_t, SqlError> Database::integer(std::string_view sql) const {
  auto statement = prepare(sql);
  if (!statement) return tl::unexpected(std::move(statement.error()));
  auto row = statement->step();
  if (!row) return tl::unexpected(std::move(row.error()));
  return *row ? statement->integer(0) : 0;
}

tl::expected<std::string, SqlError> Database::text(std::string_view sql) const {
  auto statement = prepare(sql);
  if (!statement) return tl::unexpected(std::move(statement.error()));
  auto row = statement->step();
  if (!row) return tl::unexpected(std::move(row.error()));
  return *row ? statement->text(0) : std::string();
}

tl::expected<void, SqlError> Database::copy_to(const std::string& path,
                                               const CopyProgress& progress) const {
  constexpr int kPagesAtOnce = 2'000;
  Database target;
  sqlite3* raw = nullptr;
  const int opened =
      sqlite3_open_v2(path.c_str(), &raw, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, nullptr);
  target.handle_.reset(raw);
  if (opened != SQLITE_OK) return tl::unexpected(target.error(opened));
  sqlite3_extended_result_codes(raw, 1);
  // A snapshot of our own: without it every commit in between would start the copy over.
  const auto snapshot = prepare("SELECT count(*) FROM sqlite_schema");
  const bool begun = sqlite3_exec(handle_.get(), "BEGIN", nullptr, nullptr, nullptr) == SQLITE_OK;
  if (!snapshot || !begun) return tl::unexpected(error(sqlite3_errcode(handle_.get())));
  sqlite3_step(snapshot->handle_.get());
  int code = SQLITE_NOMEM;
  if (sqlite3_backup* copy = sqlite3_backup_init(raw, "main", handle_.get(), "main")) {
    do {
      code = sqlite3_backup_step(copy, kPagesAtOnce);
      const auto all = static_cast<std::uint64_t>(sqlite3_backup_pagecount(copy));
      if (progress) {
        progress(all - static_cast<std::uint64_t>(sqlite3_backup_remaining(copy)), all);
      }
    } while (code == SQLITE_OK);
    code = sqlite3_backup_finish(copy);
  }
  sqlite3_reset(snapshot->handle_.get());
  sqlite3_exec(handle_.get(), "ROLLBACK", nullptr, nullptr, nullptr);
  if (code != SQLITE_OK) return tl::unexpected(target.error(code));
  return {};
}

bool Database::in_transaction() const { return sqlite3_get_autocommit(handle_.get()) == 0; }
std::int64_t Database::changed_rows() const { return sqlite3_changes64(handle_.get()); }

tl::expected<void, SqlError> Database::checkpoint(Checkpoint how) {
  const int mode =
      how == Checkpoint::passive ? SQLITE_CHECKPOINT_PASSIVE : SQLITE_CHECKPOINT_TRUNCATE;
  int in_wal = 0;
  int moved = 0;
  if (how == Checkpoint::truncate_now) sqlite3_busy_timeout(handle_.get(), 0);
  const int code = sqlite3_wal_checkpoint_v2(handle_.get(), nullptr, mode, &in_wal, &moved);
  sqlite3_busy_timeout(handle_.get(), kBusyMs);
  if (code == SQLITE_OK) {
    // Everything moved means that the next commit starts the WAL over.
    *wal_pages_ = in_wal > moved ? in_wal - moved : 0;
    return {};
  }
  if ((code & 0xff) == SQLITE_BUSY) return {};
  return tl::unexpected(error(code));
}

}  // namespace bedside::store
