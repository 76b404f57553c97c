#include "server/room_filter.h"

namespace bedside::server {
namespace {

constexpr std::size_t kPseudonymChars = 32;  // 128 bits in hexadecimal

bool looks_like_a_pseudonym(std::string_view text) {
  return text.size() == kPseudonymChars &&
         text.find_first_not_of("0123456789abcdef") == std::string_view::npos;
}

}  // namespace

// What the log does not know as a pseudonym is a name, also when the log cannot be asked.
std::string room_filter(const AuditTrail& trail, const store::Reader& reader,
                        std::string_view named) {
  if (named.empty()) return {};
  std::string pseudonym = trail.room_pseudonym(named);
  if (!looks_like_a_pseudonym(named)) return pseudonym;
  const auto is_name = reader.knows_room(pseudonym);
  if (!is_name || *is_name) return pseudonym;
  return reader.knows_room(named).value_or(false) ? std::string(named) : pseudonym;
}

}  // namespace bedside::server
