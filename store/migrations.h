#pragma once

// The schema as a list of steps. PRAGMA user_version says which were done; a step and its version
// number are one transaction. Steps are only ever appended: a released one never changes.

#include <span>

#include "store/database.h"

namespace bedside::store {

struct Migration {
  int version;  // 1, 2, 3 …
  const char* sql;
  bool edits_schema = false;  // the text of a table, where that does not change what is stored
};

std::span<const Migration> migrations();
inline constexpr int kSchemaVersion = 9;
inline constexpr int kApplicationId = 0x42454453;  // "BEDS" in the file's header

// Brings the file to `steps.back().version`. The caller has made sure that it is not newer.
tl::expected<void, SqlError> migrate(Database& database, std::span<const Migration> steps);

}  // namespace bedside::store
