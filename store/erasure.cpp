#include "store/erasure.h"

#include <array>
#include <string>

namespace bedside::store {
namespace {

// Every table of state that loses rows. Of the audit log only ciphertexts are deleted, by a purge:
// without their keys nobody reads those.
constexpr std::array kTables = {"rooms",          "participants",        "links",     "audit_holds",
                                "audit_data_key", "account_invitations", "api_tokens"};

tl::expected<void, SqlError> write_anew(Database& database, const std::string& table) {
  // A DELETE without WHERE frees the pages; row by row it would only move cells about once more.
  const std::string sql = "CREATE TEMP TABLE kept AS SELECT * FROM main." + table +
                          "; DELETE FROM main." + table + "; INSERT INTO main." + table +
                          " SELECT * FROM temp.kept; DROP TABLE temp.kept;";
  return database.run(sql.c_str());
}

tl::expected<void, SqlError> write_all_anew(Database& database) {
  if (auto begun = database.run("BEGIN IMMEDIATE"); !begun) return begun;
  for (const char* table : kTables) {
    if (auto done = write_anew(database, table); !done) return done;
  }
  return database.run("COMMIT");
}

}  // namespace

tl::expected<void, SqlError> erase_remnants(Database& database) {
  // A table that others refer to would be emptied row by row, and they with it.
  if (auto off = database.run("PRAGMA foreign_keys=OFF"); !off) return off;
  auto done = write_all_anew(database);
  if (database.in_transaction()) {
    if (auto undone = database.run("ROLLBACK"); !undone) return undone;
  }
  if (auto on = database.run("PRAGMA foreign_keys=ON"); !on) return on;
  return done;
}

}  // namespace bedside::store
