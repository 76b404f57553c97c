// Any body sent to the admin API: nothing throws, and what is accepted fits into an answer.
#include <cstdlib>
#include <string>

#include "server/admin_json.h"

namespace {

using namespace bedside::server;

void require(bool promise) {
  if (!promise) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string body(data, data + size);
  const auto set_up = parse_set_up(body);
  const auto login = parse_login(body);
  require(!set_up || login);  // a set-up request says everything a log-in says
  const auto wish = parse_room_wish(body);
  const auto room = parse_room_id(body);
  const std::string account = login ? login->name : body;
  const SessionView session{account, std::chrono::seconds(60)};
  require(admin_entered(session).status == 200);
  require(!admin_refusal(400, room.value_or(body), account).body.empty());
  AdminRoom row;
  row.room = body;
  row.appointment_json = wish ? wish->appointment_json : body;
  require(admin_rooms({&row, 1}, {}, session).status == 200);
  return 0;
}
