#pragma once

// The columns of a record beside its body: derived from it, for lists, filters and for naming the
// record whose body was changed. Any thread.

#include <optional>
#include <string>
#include <string_view>

#include "store/canonical_reader.h"
#include "store/database.h"
#include "store/merkle.h"

namespace bedside::store {

// What a statement has to select for different_column(), in this order; the body is column 7.
inline constexpr std::string_view kRecordColumns =
    "seq, t_wall_us, type, outcome, reason, actor, room, body";
inline constexpr int kBodyColumn = 7;
// In a verifier's statement, which selects `leaf` or NULL behind them: records, and whole databases
// (`has_leaves`), of before schema 8 have no leaf hash.
inline constexpr int kLeafColumn = 8;
tl::expected<bool, SqlError> has_leaves(const Database& database);

// The first column that is not what the body says; nothing when all are.
std::optional<std::string> different_column(const Statement& row, const CanonicalObject& body);

// The leaf hashes that are stored beside the bodies. They are no part of the proof (whoever changes
// a body can change them), they only say which record it was.
class LeafColumn {
 public:
  // `leaf`: of the body of this row, which follows the one before. What is wrong, as a sentence;
  // nothing when all is right.
  std::optional<std::string> objection(const Statement& row, const Hash& leaf);

 private:
  bool begun_ = false;  // every record from here on has one
};

}  // namespace bedside::store
