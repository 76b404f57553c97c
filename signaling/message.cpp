#include "signaling/message.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <nlohmann/json.hpp>

#include "signaling/limits.h"
#include "signaling/quick_forward.h"

namespace bedside::signaling {
namespace {

// What came in: look-ups by key stay logarithmic, whatever a stranger sends.
using Json = nlohmann::json;
// What goes out: keys in the order of the protocol's documents.
using Out = nlohmann::ordered_json;

template <typename Tree>
std::string dump(const Tree& value) {
  return value.dump(-1, ' ', false, Tree::error_handler_t::replace);
}

// Counted before parsing, so that no deep tree is ever built.
bool too_deep(std::string_view text) {
  std::size_t depth = 0;
  bool in_string = false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (in_string) {
      if (c == '\\') ++i;
      if (c == '"') in_string = false;
      continue;
    }
    if (c == '"') in_string = true;
    if (c == '{' || c == '[') ++depth;
    if ((c == '}' || c == ']') && depth > 0) --depth;
    if (depth > kMaxJsonDepth) return true;
  }
  return false;
}

std::optional<Json> parse_json(std::string_view text) {
  if (text.empty() || too_deep(text)) return std::nullopt;
  Json value = Json::parse(text.begin(), text.end(), nullptr, /*allow_exceptions=*/false);
  if (value.is_discarded()) return std::nullopt;
  return value;
}

// The string under `key`, or empty: absent, null and other types are one case, "missing".
std::string text_of(const Json& object, std::string_view key) {
  const auto it = object.find(key);
  if (it == object.end() || !it->is_string()) return {};
  return it->get<std::string>();
}

std::optional<std::uint64_t> number_of(const Json& object, std::string_view key) {
  const auto it = object.find(key);
  if (it == object.end() || !it->is_number_unsigned()) return std::nullopt;
  return it->get<std::uint64_t>();
}

bool flag_of(const Json& object, std::string_view key) {
  const auto it = object.find(key);
  return it != object.end() && it->is_boolean() && it->get<bool>();
}

tl::unexpected<Problem> problem(std::string code, std::string message, std::string request_id) {
  return tl::unexpected(Problem{std::move(code), std::move(message), std::move(request_id)});
}

// `requestId` goes back as it came: any string or number of reasonable size.
std::string request_id_of(const Json& object) {
  const auto it = object.find("requestId");
  if (it == object.end() || !(it->is_string() || it->is_number())) return {};
  std::string text = dump(*it);
  return text.size() <= 128 ? text : std::string();
}

std::optional<HostAction::Kind> host_action_kind(std::string_view type) {
  using Kind = HostAction::Kind;
  constexpr std::array<std::pair<std::string_view, Kind>, 6> kKinds{
      {{"admit", Kind::admit},
       {"decline", Kind::decline},
       {"kick", Kind::kick},
       {"lock", Kind::lock},
       {"end-room", Kind::end},
       {"emergency", Kind::emergency}}};
  for (const auto& [name, kind] : kKinds) {
    if (name == type) return kind;
  }
  return std::nullopt;
}

// Cut between two characters of UTF-8.
std::string reason_of(const Json& object) {
  std::string reason = text_of(object, "reason");
  if (reason.size() <= kMaxReasonBytes) return reason;
  std::size_t end = kMaxReasonBytes;
  while (end > 0 && (static_cast<unsigned char>(reason[end]) & 0xC0U) == 0x80U) --end;
  reason.resize(end);
  return reason;
}

tl::expected<ClientMessage, Problem> client_message(const Json& object) {
  if (!object.is_object()) return problem("bad-message", "A message is a JSON object", {});
  ClientMessage message;
  message.request_id = request_id_of(object);
  message.client_seq = number_of(object, "clientSeq");
  const std::string type = text_of(object, "type");
  if (type == "join") {
    Join join;
    join.room = text_of(object, "roomId");
    join.peer = text_of(object, "peerId");
    join.name = text_of(object, "peerName");
    join.token = text_of(object, "token");
    join.after = number_of(object, "after");
    if (join.name.size() > kMaxNameBytes) join.name.clear();
    if (join.room.empty() || join.peer.empty()) {
      return problem("bad-message", "join needs roomId and peerId", message.request_id);
    }
    message.body = std::move(join);
  } else if (type == "offer" || type == "answer" || type == "ice-candidate") {
    Forward forward;
    forward.target = text_of(object, "targetPeerId");
    if (forward.target.empty()) {
      return problem("bad-message", type + " needs targetPeerId", message.request_id);
    }
    Json copy = object;
    copy.erase("fromPeerId");
    copy.erase("seq");
    forward.object = dump(copy);
    message.body = std::move(forward);
  } else if (type == "leave") {
    message.body = Leave{};
  } else if (type == "ping") {
    message.body = Ping{};
  } else if (type == "media-state") {
    const std::string path = text_of(object, "path");
    const auto relayed =
        path == "relay" || path == "direct" ? std::optional(path == "relay") : std::nullopt;
    message.body = MediaState{flag_of(object, "audio"), flag_of(object, "video"),
                              flag_of(object, "screen"), flag_of(object, "recording"), relayed};
  } else if (const auto kind = host_action_kind(type)) {
    message.body =
        HostAction{*kind, text_of(object, "peerId"), reason_of(object), flag_of(object, "locked")};
  } else {
    return problem("unknown-type", "This type of message is not known here", message.request_id);
  }
  return message;
}

Refusal refusal(int status, std::string_view error) { return {status, failure_body(error)}; }

// appointmentId as JSON text; empty for what counts as missing.
std::string appointment_of(const Json& body) {
  const auto it = body.find("appointmentId");
  if (it == body.end()) return {};
  if (it->is_string()) return it->get_ref<const std::string&>().empty() ? std::string() : dump(*it);
  if (it->is_number_float()) {
    const double value = it->get<double>();
    return value == 0.0 || !std::isfinite(value) ? std::string() : dump(*it);
  }
  if (it->is_number()) return *it == 0 ? std::string() : dump(*it);
  return {};
}

// As `appointment-${appointmentId}` is in the product's pages: 12.0 is 12 there.
std::string default_room(const Json& appointment) {
  if (appointment.is_string()) return "appointment-" + appointment.get<std::string>();
  if (appointment.is_number_float()) {
    const double value = appointment.get<double>();
    constexpr double kExact = 9007199254740992.0;  // 2^53
    if (std::trunc(value) == value && std::abs(value) < kExact) {
      return "appointment-" + std::to_string(static_cast<std::int64_t>(value));
    }
  }
  return "appointment-" + dump(appointment);
}

tl::expected<Action, Refusal> create_room(const Json& body) {
  CreateRoom create;
  create.appointment = appointment_of(body);
  if (create.appointment.empty()) return tl::unexpected(refusal(400, "appointmentId is required"));
  if (create.appointment.size() > kMaxAppointmentBytes) {
    return tl::unexpected(refusal(400, "appointmentId is too long"));
  }
  const auto name = body.find("roomName");
  const bool named = name != body.end() && !name->is_null() && *name != false &&
                     !(name->is_string() && name->get_ref<const std::string&>().empty());
  if (named && !name->is_string()) return tl::unexpected(refusal(400, "roomName must be a string"));
  create.room = named ? name->get<std::string>() : default_room(body["appointmentId"]);
  if (!valid_room_id(create.room)) {
    return tl::unexpected(
        refusal(400, "A room name has 1 to 255 characters: letters, digits, '-', '_' and '.'"));
  }
  return create;
}

tl::expected<Action, Refusal> join_room(const Json& body) {
  JoinRoom join{text_of(body, "roomId"), text_of(body, "participantName"), text_of(body, "token"),
                flag_of(body, "emergency")};
  const bool blank_name = join.name.find_first_not_of(" \t\r\n") == std::string::npos;
  if (join.room.empty() || blank_name) {
    return tl::unexpected(refusal(400, "roomId and participantName are required"));
  }
  if (join.name.size() > kMaxNameBytes) {
    return tl::unexpected(refusal(400, "participantName is too long"));
  }
  return join;
}

tl::expected<Action, Refusal> signal(const Json& body, Speaker speaker) {
  const auto it = body.find("message");
  if (it == body.end()) return tl::unexpected(refusal(400, "message is required"));
  auto message = client_message(*it);
  if (!message) return tl::unexpected(refusal(400, message.error().message));
  if (const auto seq = number_of(body, "clientSeq")) message->client_seq = seq;
  return Signal{std::move(speaker), std::move(*message)};
}

// The actions of section 2.4: all of them name a room and a participant.
tl::expected<Action, Refusal> spoken(std::string_view action, const Json& body) {
  Speaker speaker{text_of(body, "roomId"), text_of(body, "participantId"), text_of(body, "token")};
  if (speaker.room.empty() || speaker.participant.empty()) {
    return tl::unexpected(refusal(400, "roomId and participantId are required"));
  }
  if (action == "signal") return signal(body, std::move(speaker));
  if (action == "leave-room") return LeaveRoom{std::move(speaker), flag_of(body, "returning")};
  if (action == "ice-servers") return RenewIce{std::move(speaker)};
  Poll poll{std::move(speaker), number_of(body, "after").value_or(0), std::chrono::milliseconds{0}};
  const auto wait = body.find("wait");
  if (wait != body.end() && wait->is_number()) {
    const double seconds = std::clamp(wait->get<double>(), 0.0, 3600.0);
    poll.wait = std::min(kMaxPollWait,
                         std::chrono::milliseconds{static_cast<std::int64_t>(seconds * 1000.0)});
  }
  return poll;
}

Out ice_servers(const IceGrant& grant) {
  return Out::parse(grant.servers_json, nullptr, /*allow_exceptions=*/false);
}

Out room_object(std::string_view room, std::string_view appointment) {
  return {{"roomId", room},
          {"appointmentId", Out::parse(appointment, nullptr, /*allow_exceptions=*/false)}};
}

}  // namespace

tl::expected<ClientMessage, Problem> parse_client_message(std::string_view text) {
  if (text.size() > kMaxMessageBytes) return problem("bad-message", "The message is too long", {});
  if (auto usual = quick_forward(text)) return *std::move(usual);
  const auto value = parse_json(text);
  if (!value) return problem("bad-message", "The message is not valid JSON", {});
  return client_message(*value);
}

tl::expected<Action, Refusal> parse_action(std::string_view body) {
  const auto value = parse_json(body);
  if (!value) return tl::unexpected(refusal(400, "Invalid JSON body"));
  const std::string action = value->is_object() ? text_of(*value, "action") : std::string();
  if (action == "create-room") return create_room(*value);
  if (action == "join-room") return join_room(*value);
  if (action == "end-room") {
    EndRoom end{text_of(*value, "roomId"), EndReason::requested};
    if (end.room.empty()) return tl::unexpected(refusal(400, "roomId is required"));
    return end;
  }
  constexpr std::array<std::string_view, 4> kSpoken{"poll", "signal", "leave-room", "ice-servers"};
  if (std::find(kSpoken.begin(), kSpoken.end(), action) != kSpoken.end()) {
    return spoken(action, *value);
  }
  return tl::unexpected(refusal(400, "Invalid action. Use: create-room, join-room, or end-room"));
}

std::string failure_body(std::string_view error) {
  return dump(Out{{"success", false}, {"error", error}});
}

std::string may_declare_emergency_body(std::string_view error) {
  return dump(Out{{"success", false}, {"error", error}, {"mayDeclareEmergency", true}});
}

std::string visit_link(std::string_view room) {
  return "/telehealth-webrtc.html?room=" + std::string(room);
}

std::string visit_link(std::string_view room, std::string_view secret) {
  return visit_link(room) + "#" + std::string(secret);
}

std::string created_body(std::string_view room, std::string_view appointment,
                         std::chrono::milliseconds created_wall, const IssuedLinks* links) {
  Out object = room_object(room, appointment);
  object["createdAt"] = created_wall.count();
  Out body{{"success", true}, {"room", std::move(object)}, {"link", visit_link(room)}};
  if (links != nullptr) {
    body["link"] = visit_link(room, links->guest_secret);
    body["hostLink"] = visit_link(room, links->host_secret);
    body["expiresAt"] = links->expires_wall.count();
  }
  return dump(body);
}

std::string joined_body(const Joined& joined) {
  Out body{{"success", true},
           {"participantId", joined.participant},
           {"room", {{"roomId", joined.room}, {"participantCount", joined.count}}},
           {"participantToken", joined.token},
           {"role", role_name(joined.role)},
           {"waiting", joined.waiting}};
  if (joined.ice != nullptr) {
    body["iceServers"] = ice_servers(*joined.ice);
    body["iceExpiresAt"] = joined.ice->expires_wall.count();
  }
  return dump(body);
}

std::string ended_body() {
  return dump(Out{{"success", true}, {"message", "Room ended successfully"}});
}

std::string room_body(std::string_view room, std::string_view appointment, std::size_t count,
                      bool active, std::chrono::milliseconds created_wall) {
  Out object = room_object(room, appointment);
  object["participantCount"] = count;
  object["active"] = active;
  object["createdAt"] = created_wall.count();
  return dump(Out{{"success", true}, {"room", std::move(object)}});
}

std::string polled_body(const std::vector<std::string>& messages, std::uint64_t next,
                        std::uint64_t client_seq) {
  std::string body = R"({"success":true,"messages":[)";
  for (std::size_t i = 0; i < messages.size(); ++i) {
    if (i > 0) body += ',';
    body += messages[i];
  }
  body +=
      R"(],"next":)" + std::to_string(next) + R"(,"clientSeq":)" + std::to_string(client_seq) + '}';
  return body;
}

std::string accepted_body(std::optional<std::uint64_t> client_seq) {
  Out body = Out::object();
  body["success"] = true;
  if (client_seq) body["clientSeq"] = *client_seq;
  return dump(body);
}

std::string ice_body(const IceGrant& grant) {
  return dump(Out{{"success", true},
                  {"iceServers", ice_servers(grant)},
                  {"iceExpiresAt", grant.expires_wall.count()}});
}

std::string roster_message(std::string_view type, const std::vector<RosterEntry>& others) {
  Out peers = Out::array();
  Out names = Out::object();
  Out roles = Out::object();
  for (const RosterEntry& entry : others) {
    peers.push_back(entry.id);
    names[entry.id] = entry.name;
    roles[entry.id] = role_name(entry.role);
  }
  return dump(Out{{"type", type},
                  {"peers", std::move(peers)},
                  {"names", std::move(names)},
                  {"roles", std::move(roles)}});
}

std::string peer_joined_message(std::string_view peer, std::string_view name, Role role) {
  return dump(Out{
      {"type", "peer-joined"}, {"peerId", peer}, {"peerName", name}, {"role", role_name(role)}});
}

std::string peer_left_message(std::string_view peer) {
  return dump(Out{{"type", "peer-left"}, {"peerId", peer}});
}

std::string forwarded_message(const Forward& forward, std::string_view from) {
  std::string text = forward.object;
  text.back() = ',';  // was the closing brace of an object that is not empty
  text += R"("fromPeerId":)" + dump(Out(from)) + '}';
  return text;
}

std::string media_state_message(const MediaState& state, std::string_view from) {
  return dump(Out{{"type", "media-state"},
                  {"audio", state.audio},
                  {"video", state.video},
                  {"screen", state.screen},
                  {"recording", state.recording},
                  {"fromPeerId", from}});
}

std::string room_ended_message(EndReason reason) {
  std::string_view word = "ended";
  if (reason == EndReason::admin) word = "ended-by-admin";
  if (reason == EndReason::host) word = "ended-by-host";
  if (reason == EndReason::expired) word = "expired";
  return dump(Out{{"type", "room-ended"}, {"reason", word}});
}

std::string waiting_message() { return dump(Out{{"type", "waiting"}}); }

std::string admitted_message(const IceGrant& grant) {
  return dump(Out{{"type", "admitted"},
                  {"iceServers", ice_servers(grant)},
                  {"iceExpiresAt", grant.expires_wall.count()}});
}

std::string declined_message(std::string_view reason) {
  return dump(Out{{"type", "declined"}, {"reason", reason}});
}

std::string removed_message() {
  return dump(Out{{"type", "removed"}, {"reason", "removed-by-host"}});
}

std::string emergency_message() { return dump(Out{{"type", "emergency"}}); }

std::string locked_message(bool locked) {
  return dump(Out{{"type", "locked"}, {"locked", locked}});
}

std::string knock_message(std::string_view peer, std::string_view name) {
  return dump(Out{{"type", "knock"}, {"peerId", peer}, {"name", name}});
}

std::string knock_over_message(std::string_view peer, std::string_view outcome) {
  return dump(Out{{"type", "knock-over"}, {"peerId", peer}, {"outcome", outcome}});
}

std::string ice_message(const IceGrant& grant) {
  return dump(Out{{"type", "ice-servers"},
                  {"iceServers", ice_servers(grant)},
                  {"iceExpiresAt", grant.expires_wall.count()}});
}

std::string resumed_message(std::uint64_t client_seq) {
  return dump(Out{{"type", "resumed"}, {"clientSeq", client_seq}});
}

std::string pong_message() { return dump(Out{{"type", "pong"}}); }

std::string error_message(const Problem& problem) {
  Out body{{"type", "error"}, {"code", problem.code}, {"message", problem.message}};
  if (!problem.request_id.empty()) {
    body["requestId"] = Out::parse(problem.request_id, nullptr, /*allow_exceptions=*/false);
  }
  return dump(body);
}

std::string with_seq(std::string_view object, std::uint64_t seq) {
  std::string text = R"({"seq":)" + std::to_string(seq);
  if (object.size() > 2) text += ',';
  text += object.substr(1);
  return text;
}

std::string_view role_name(Role role) { return role == Role::host ? "host" : "guest"; }

bool valid_room_id(std::string_view id) {
  const auto allowed = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '_' || c == '.';
  };
  return !id.empty() && id.size() <= kMaxRoomIdBytes && std::all_of(id.begin(), id.end(), allowed);
}

}  // namespace bedside::signaling
