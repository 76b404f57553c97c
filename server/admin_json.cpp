#include "server/admin_json.h"

#include <nlohmann/json.hpp>

#include "server/admin_answer.h"

namespace bedside::server {
namespace {

using Json = nlohmann::json;

net::HttpResponse answer(int status, const Json& body) { return admin_answer(status, body); }

Json success(const SessionView& session) { return admin_success(session); }

std::optional<Json> object(std::string_view body) {
  Json parsed = Json::parse(body, nullptr, false);
  if (!parsed.is_object()) return std::nullopt;
  return parsed;
}

std::optional<std::string> text(const Json& from, const char* key) {
  const auto it = from.find(key);
  if (it == from.end() || !it->is_string()) return std::nullopt;
  return it->get<std::string>();
}

bool counts_as_missing(const Json& value) {
  return value.is_null() || value == Json(false) || value == Json(0) || value == Json("");
}

std::string_view path_name(AdminPerson::Path path) {
  switch (path) {
    case AdminPerson::Path::direct:
      return "direct";
    case AdminPerson::Path::relayed:
      return "relayed";
    case AdminPerson::Path::unknown:
      break;
  }
  return "unknown";
}

Json person_json(const AdminPerson& person) {
  return {{"id", person.participant},
          {"role", person.role},
          {"since", person.since.count()},
          {"connected", person.connected},
          {"path", path_name(person.path)}};
}

Json room_json(const AdminRoom& room) {
  Json people = Json::array();
  for (const AdminPerson& person : room.people) people.push_back(person_json(person));
  Json appointment = Json::parse(room.appointment_json, nullptr, false);
  if (appointment.is_discarded()) appointment = nullptr;
  Json row = {{"roomId", room.room},
              {"appointmentId", std::move(appointment)},
              {"createdAt", room.created.count()},
              {"people", std::move(people)}};
  if (!room.link.empty()) row["link"] = room.link;
  return row;
}

}  // namespace

net::HttpResponse admin_answer(int status, const nlohmann::json& body) {
  // Bytes that are not UTF-8 are replaced instead of thrown about.
  return net::HttpResponse::json(status, body.dump(-1, ' ', false, Json::error_handler_t::replace));
}

nlohmann::json admin_success(const SessionView& session) {
  Json body = {{"success", true},
               {"session", {{"account", session.account}, {"secondsLeft", session.left.count()}}}};
  if (session.certificate) {
    body["certificate"] = {
        {"expires", std::chrono::milliseconds(session.certificate->expires).count()},
        {"secondsLeft", session.certificate->left.count()},
        {"problem", session.certificate->problem}};
  }
  return body;
}

std::optional<SetUpRequest> parse_set_up(std::string_view body) {
  const auto json = object(body);
  if (!json) return std::nullopt;
  auto code = text(*json, "code");
  auto name = text(*json, "name");
  auto password = text(*json, "password");
  if (!code || !name || !password) return std::nullopt;
  return SetUpRequest{std::move(*code), std::move(*name), std::move(*password)};
}

std::optional<LoginRequest> parse_login(std::string_view body) {
  const auto json = object(body);
  if (!json) return std::nullopt;
  auto name = text(*json, "name");
  auto password = text(*json, "password");
  if (!name || !password) return std::nullopt;
  return LoginRequest{std::move(*name), std::move(*password)};
}

std::optional<RoomWish> parse_room_wish(std::string_view body) {
  const auto json = object(body);
  if (!json) return std::nullopt;
  RoomWish wish;
  const auto appointment = json->find("appointmentId");
  if (appointment != json->end() && !counts_as_missing(*appointment)) {
    if (!appointment->is_number() && !appointment->is_string()) return std::nullopt;
    wish.appointment_json = appointment->dump(-1, ' ', false, Json::error_handler_t::replace);
  }
  const auto name = json->find("roomName");
  if (name != json->end() && !name->is_null()) {
    if (!name->is_string()) return std::nullopt;
    wish.room_name = name->get<std::string>();
  }
  return wish;
}

std::optional<std::string> parse_room_id(std::string_view body) {
  const auto json = object(body);
  return json ? text(*json, "roomId") : std::nullopt;
}

net::HttpResponse admin_refusal(int status, std::string_view code, std::string_view error,
                                std::chrono::seconds retry_after) {
  net::HttpResponse response =
      answer(status, {{"success", false}, {"code", code}, {"error", error}});
  if (retry_after.count() > 0) response.set("Retry-After", std::to_string(retry_after.count()));
  return response;
}

net::HttpResponse admin_not_recorded(std::string_view what) {
  constexpr std::chrono::seconds kRetryAfter{10};
  return admin_refusal(503, "not-recorded", std::string(what) + " Please check the server's disk.",
                       kRetryAfter);
}

net::HttpResponse admin_state(bool set_up_needed, const std::optional<SessionView>& session) {
  Json body = session ? success(*session) : Json{{"success", true}, {"session", nullptr}};
  body["setUpNeeded"] = set_up_needed;
  return answer(200, body);
}

net::HttpResponse admin_entered(const SessionView& session, std::string_view receipt) {
  Json body = success(session);
  body["account"] = session.account;
  if (!receipt.empty()) body["receipt"] = receipt;
  return answer(200, body);
}

net::HttpResponse admin_done(const SessionView& session, std::string_view receipt) {
  Json body = success(session);
  if (!receipt.empty()) body["receipt"] = receipt;
  return answer(200, body);
}

net::HttpResponse admin_left() { return answer(200, {{"success", true}}); }

net::HttpResponse admin_rooms(std::span<const AdminRoom> rooms, std::chrono::milliseconds now,
                              const SessionView& session, bool open_to_all) {
  Json body = success(session);
  body["now"] = now.count();
  body["openToAll"] = open_to_all;
  body["rooms"] = Json::array();
  for (const AdminRoom& room : rooms) body["rooms"].push_back(room_json(room));
  return answer(200, body);
}

net::HttpResponse admin_room_created(const CreatedRoom& room, const SessionView& session) {
  Json body = success(session);
  body["roomId"] = room.room;
  body["link"] = room.link;
  if (!room.host_link.empty()) {
    body["hostLink"] = room.host_link;
    body["expiresAt"] = room.expires.count();
  }
  body["existed"] = room.existed;
  if (!room.receipt.empty()) body["receipt"] = room.receipt;
  return answer(200, body);
}

net::HttpResponse admin_audit(std::span<const store::AuditRow> rows, std::uint64_t next,
                              std::span<const std::string_view> types, const SessionView& session) {
  Json body = success(session);
  body["types"] = types;
  body["next"] = next == 0 ? Json(nullptr) : Json(next);
  body["rows"] = Json::array();
  for (const store::AuditRow& row : rows) {
    body["rows"].push_back(
        {{"seq", row.seq},
         {"at", row.wall.count()},  // microseconds: exact in a double until 2255
         {"type", row.type},
         {"outcome", row.outcome},
         {"reason", row.reason},
         {"actor", row.actor},
         {"room", row.room},
         {"body", row.body}});  // the text as stored, not parsed and written again
  }
  return answer(200, body);
}

net::HttpResponse admin_relay(const RelayFigures& figures, std::chrono::milliseconds now,
                              const SessionView& session) {
  Json body = success(session);
  body["now"] = now.count();
  body["allocations"] = figures.allocations;
  body["allocationsOpened"] = figures.allocations_opened;
  body["packetsToPeers"] = figures.packets_to_peers;
  body["packetsToClients"] = figures.packets_to_clients;
  body["bytesToPeers"] = figures.bytes_to_peers;
  body["bytesToClients"] = figures.bytes_to_clients;
  body["packetsDropped"] = figures.packets_dropped;
  return answer(200, body);
}

net::HttpResponse admin_seal(const SealView& seal, std::span<const AnchorFigures> anchors,
                             const SessionView& session) {
  Json body = success(session);
  body["origin"] = seal.head ? Json(seal.head->origin) : Json(nullptr);
  if (seal.head) {
    body["size"] = seal.head->size;
    body["root"] = store::base64(seal.head->root);
  }
  if (seal.old_root) {
    body["oldRoot"] = store::base64(*seal.old_root);
    body["proof"] = Json::array();
    for (const store::Hash& hash : seal.proof) body["proof"].push_back(store::base64(hash));
  }
  body["anchors"] = Json::array();
  for (const AnchorFigures& anchor : anchors) {
    body["anchors"].push_back({{"place", anchor.place},
                               {"records", anchor.records},
                               {"keptAt", std::chrono::milliseconds(anchor.kept_at).count()},
                               {"problem", anchor.problem},
                               {"contradiction", anchor.contradiction}});
  }
  return answer(200, body);
}

}  // namespace bedside::server
