#include "store/holds.h"

#include <algorithm>
#include <utility>

#include "store/checkpoint.h"
#include "store/digest.h"

namespace bedside::store {

JsonObject hold_json(const HoldRow& hold) {
  JsonObject made;
  made.set("id", hold.hold_id).set_if("room", hold.room).set_if("person", hold.person);
  if (hold.from) made.set("from_us", hold.from->count());
  if (hold.to) made.set("to_us", hold.to->count());
  return made;
}

HeldRecords::HeldRecords(std::vector<HoldRow> holds) {
  for (HoldRow& hold : holds) {
    const bool only_person = hold.room.empty() && !hold.from && !hold.to && !hold.person.empty();
    if (only_person) {
      people_.insert(std::move(hold.person));
    } else {
      others_.push_back(std::move(hold));
    }
  }
}

bool HeldRecords::keeps(const CanonicalObject& body) const {
  if (empty()) return false;
  const auto actor = body.object("actor");
  const std::string acted = actor ? actor->text("id").value_or("") : "";
  const std::string object = body.text("object").value_or("");
  if (people_.count(acted) != 0 || people_.count(object) != 0) return true;
  if (others_.empty()) return false;
  const std::string room = body.text("room").value_or("");
  const std::chrono::microseconds wall(body.integer("t_wall_us").value_or(0));
  return std::any_of(others_.begin(), others_.end(), [&](const HoldRow& hold) {
    return (hold.room.empty() || hold.room == room) && (!hold.from || wall >= *hold.from) &&
           (!hold.to || wall < *hold.to) &&
           (hold.person.empty() || hold.person == acted || hold.person == object);
  });
}

tl::expected<std::vector<HoldRow>, SqlError> holds_of(const Database& database) {
  const auto there =
      database.integer("SELECT count(*) FROM sqlite_schema WHERE name = 'audit_holds'");
  if (!there) return tl::unexpected(there.error());
  if (*there == 0) return std::vector<HoldRow>();
  auto rows = database.prepare(
      "SELECT hold_id, room, person, from_us, to_us FROM audit_holds ORDER BY hold_id");
  if (!rows) return tl::unexpected(rows.error());
  return read_all<HoldRow>(*rows, [](const Statement& row) {
    const auto instant = [&](int column) -> std::optional<std::chrono::microseconds> {
      if (row.is_null(column)) return std::nullopt;
      return std::chrono::microseconds(row.integer(column));
    };
    return HoldRow{row.text(0), row.text(1), row.text(2), instant(3), instant(4)};
  });
}

std::string digest_of_holds(const std::vector<HoldRow>& holds) {
  Sha256 digest;
  for (const HoldRow& hold : holds) digest.add(hold_json(hold).text() + "\n");
  return to_hex(digest.finish());
}

}  // namespace bedside::store
