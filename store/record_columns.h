#pragma once

// The columns of a record beside its body: derived from it, for lists and filters. Any thread.

#include <optional>
#include <string>
#include <string_view>

#include "store/canonical_reader.h"
#include "store/database.h"

namespace bedside::store {

// What a statement has to select for different_column(), in this order; the body is column 7.
inline constexpr std::string_view kRecordColumns =
    "seq, t_wall_us, type, outcome, reason, actor, room, body";
inline constexpr int kBodyColumn = 7;

// The first column that is not what the body says; nothing when all are.
std::optional<std::string> different_column(const Statement& row, const CanonicalObject& body);

}  // namespace bedside::store
