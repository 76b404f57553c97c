#pragma once

// SQLite's connection and statement as values with an owner. Used by one thread at a time.
// SQLite's result codes are turned into the few kinds on which the callers decide.

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <tl/expected.hpp>
#include <vector>

struct sqlite3;
struct sqlite3_stmt;

namespace bedside::store {

struct SqlError {
  enum class Kind : std::uint8_t {
    full,        // no space, or over quota: roll back, try again later
    constraint,  // the data contradicts the schema
    too_big,     // a value above a limit of ours or SQLite's
    not_a_database,
    busy,
    damaged,  // a page contradicts itself: as final as io
    io,       // reading, writing or syncing failed: final for a writer
    other,
  };
  Kind kind = Kind::other;
  std::string text;  // SQLite's own words with its extended code and errno
};

class Statement {
 public:
  Statement() = default;

  // Parameters count from 1. Bound text and blobs are borrowed until the next reset().
  void bind(int index, std::int64_t value);
  void bind(int index, std::uint64_t value);
  void bind(int index, std::string_view text);
  void bind(int index, std::span<const std::uint8_t> blob);
  void bind_blob(int index,
                 std::string_view bytes);  // text that is stored as a BLOB, byte for byte
  void bind_null(int index);

  // True: a row is there. False: done. An error resets the statement.
  tl::expected<bool, SqlError> step();
  // Steps to the end, ignoring rows, and resets.
  tl::expected<void, SqlError> run();
  void reset();
  std::int64_t inserted_rowid() const;  // of the last row that this connection inserted

  // Columns count from 0; valid after step() gave a row, until the next step() or reset().
  std::int64_t integer(int column) const;
  bool is_null(int column) const;
  std::string text(int column) const;
  std::vector<std::uint8_t> blob(int column) const;
  // Text or blob without a copy; good until the next step() or reset().
  std::string_view view(int column) const;

 private:
  friend class Database;
  struct Finalize {
    void operator()(sqlite3_stmt* statement) const;
  };
  std::unique_ptr<sqlite3_stmt, Finalize> handle_;
};

class Database {
 public:
  enum class Mode : std::uint8_t { read_only, read_write };

  // Opens an existing file and sets what both kinds of connection share: no extensions, defensive,
  // untrusted schema, no mmap, foreign keys, cell size checks, no automatic checkpoint.
  static tl::expected<Database, SqlError> open(const std::string& path, Mode mode,
                                               const std::string& vfs);

  // Runs statements that give no rows that matter.
  tl::expected<void, SqlError> run(const char* sql);
  tl::expected<Statement, SqlError> prepare(std::string_view sql) const;
  // The first column of the first row; 0 when there is none.
  tl::expected<std::int64_t, SqlError> integer(std::string_view sql) const;
  tl::expected<std::string, SqlError> text(std::string_view sql) const;

  // From now on statements end with an error once `stop` says so; asked often, by the thread that
  // runs them.
  void stop_when(std::function<bool()> stop);

  // For a migration that rewrites the text of a table in sqlite_schema.
  void allow_schema_edits(bool allowed);

  bool in_transaction() const;
  std::int64_t changed_rows() const;  // by the last statement

  // All of it, as one snapshot, into the empty file `path`, while other connections go on writing.
  // `progress` is told pages.
  using CopyProgress = std::function<void(std::uint64_t done, std::uint64_t all)>;
  tl::expected<void, SqlError> copy_to(const std::string& path, const CopyProgress& progress) const;

  enum class Checkpoint : std::uint8_t {
    passive,       // as far as readers allow
    truncate_now,  // all of it, the WAL file emptied; only when no reader is in the way
    truncate,      // the same, after waiting for readers a while
  };
  // Moves the WAL into the database. Busy readers are no error: wal_pages() tells what is left.
  tl::expected<void, SqlError> checkpoint(Checkpoint how);
  int wal_pages() const { return *wal_pages_; }  // after the last commit of this connection

 private:
  struct Close {
    void operator()(sqlite3* database) const;
  };
  tl::expected<void, SqlError> set_up(Mode mode);
  SqlError error(int code) const;

  std::unique_ptr<int> wal_pages_ = std::make_unique<int>(0);  // a stable address for the WAL hook
  std::unique_ptr<std::function<bool()>> stop_;                // likewise
  std::unique_ptr<sqlite3, Close> handle_;
};

// Reads one statement to its end: `row` turns the current row into a T.
template <typename T, typename Row>
tl::expected<std::vector<T>, SqlError> read_all(Statement& statement, Row row) {
  std::vector<T> rows;
  while (true) {
    auto more = statement.step();
    if (!more) return tl::unexpected(std::move(more.error()));
    if (!*more) return rows;
    rows.push_back(row(statement));
  }
}

}  // namespace bedside::store
