#include "store/record_columns.h"

#include <algorithm>
#include <utility>

namespace bedside::store {

tl::expected<bool, SqlError> has_leaves(const Database& database) {
  return database.integer("SELECT count(*) FROM pragma_table_info('audit') WHERE name = 'leaf'")
      .map([](std::int64_t count) { return count != 0; });
}

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

std::optional<std::string> LeafColumn::objection(const Statement& row, const Hash& leaf) {
  if (row.is_null(kLeafColumn)) {
    if (!begun_) return std::nullopt;
    return "its leaf hash was taken away";
  }
  begun_ = true;
  const std::string_view stored = row.view(kLeafColumn);
  const bool same =
      std::equal(stored.begin(), stored.end(), leaf.begin(), leaf.end(),
                 [](char a, std::uint8_t b) { return static_cast<std::uint8_t>(a) == b; });
  if (same) return std::nullopt;
  return "its leaf hash is not that of its body: one of them was changed";
}

}  // namespace bedside::store
