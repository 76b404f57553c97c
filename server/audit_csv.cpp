#include "server/audit_csv.h"

#include <array>
#include <cstdint>
#include <optional>

#include "server/audit_instant.h"
#include "store/canonical_reader.h"

namespace bedside::server {
namespace {

using store::CanonicalObject;

std::string number_of(std::optional<std::int64_t> value) {
  return value ? std::to_string(*value) : std::string();
}

// A field of the body or of an object in it; empty when it is not there.
std::string text_of(const std::optional<CanonicalObject>& object, std::string_view key) {
  return object ? object->text(key).value_or("") : std::string();
}

std::string csv_line(std::string_view text) {
  const auto body = CanonicalObject::parse(text);
  if (!body) return {};
  const auto actor = body->object("actor");
  const auto where = body->object("where");
  const std::array cells = {number_of(body->integer("seq")),
                            utc_instant(body->integer("t_wall_us").value_or(0)),
                            text_of(body, "type"),
                            text_of(body, "outcome"),
                            text_of(body, "reason"),
                            text_of(actor, "kind"),
                            text_of(actor, "id"),
                            text_of(actor, "role"),
                            text_of(body, "room"),
                            text_of(body, "object"),
                            text_of(where, "ip_prefix"),
                            text_of(where, "listener"),
                            text_of(body, "session"),
                            number_of(body->integer("request_id")),
                            text_of(actor, "auth"),
                            text_of(body, "purpose"),
                            number_of(body->integer("late")),
                            std::string(body->spelled("detail"))};
  std::string line;
  for (const std::string& cell : cells) {
    if (!line.empty()) line += ',';
    line += csv_cell(cell);
  }
  return line + "\r\n";
}

}  // namespace

std::string csv_cell(std::string_view value) {
  constexpr std::string_view kFormula = "=+-@\t\r";
  std::string cell = "\"";
  if (!value.empty() && kFormula.find(value.front()) != std::string_view::npos) cell += '\'';
  for (const char c : value) {
    if (c == '"') cell += '"';
    cell += c;
  }
  return cell + "\"";
}

store::Rendering audit_csv() {
  return {
      "records.csv",
      "\"seq\",\"time\",\"type\",\"outcome\",\"reason\",\"actor_kind\",\"actor\",\"role\",\"room\","
      "\"object\",\"network\",\"listener\",\"session\",\"request\",\"auth\",\"purpose\","
      "\"late\",\"detail\"\r\n",
      csv_line};
}

}  // namespace bedside::server
