#include "store/record_columns.h"

#include <utility>

namespace bedside::store {

std::optional<std::string> different_column(const Statement& row, const CanonicalObject& body) {
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
    if (!same) return name;
  }
  return std::nullopt;
}

}  // namespace bedside::store
