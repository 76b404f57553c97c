// The signaling protocol as values: JSON text in, values out, and back.
//
// message.cpp is the only file that knows the JSON library. All text is UTF-8. Everything returned
// owns its data. Hostile input is a value (`Problem`), never an exception.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <tl/expected.hpp>
#include <utility>
#include <variant>
#include <vector>

#include "signaling/change.h"
#include "signaling/issuer.h"

namespace bedside::signaling {

// ---- client messages (WebSocket frames and the `message` of the action `signal`)

struct Join {
  std::string room;
  std::string peer;
  std::string name;   // may be empty: the name of join-room stays
  std::string token;  // may be empty in open mode
  std::optional<std::uint64_t> after;
};

// offer, answer, ice-candidate: the sender's whole object goes to `target`.
struct Forward {
  std::string target;
  std::string
      object;  // JSON object text without `fromPeerId` and `seq`, which are the server's to set
};

struct Leave {};

struct MediaState {
  bool audio = false;
  bool video = false;
  bool screen = false;
  bool recording = false;
  // `path`: "relay" or "direct", what the client's own connections say. For the practice, not for
  // the others.
  std::optional<bool> relayed;
  friend bool operator==(const MediaState&, const MediaState&) = default;
};

// admit, decline, kick, lock, end-room: what hosts may do.
struct HostAction {
  enum class Kind : std::uint8_t { admit, decline, kick, lock, end, emergency };
  Kind kind = Kind::admit;
  std::string peer;     // of admit, decline, kick
  std::string reason;   // of decline: a sentence for the guest, may be empty
  bool locked = false;  // of lock
};

// Asks whether anybody is there.
struct Ping {};

struct ClientMessage {
  std::variant<Join, Forward, Leave, MediaState, HostAction, Ping> body;
  std::string request_id;                   // JSON text of `requestId`, empty when absent
  std::optional<std::uint64_t> client_seq;  // a number not above the last one seen is a repeat
};

// Why a text was refused. `code` is what `error` messages carry; `message` is for people.
struct Problem {
  std::string code;
  std::string message;
  std::string request_id;  // JSON text, empty when absent
};

tl::expected<ClientMessage, Problem> parse_client_message(std::string_view text);

// ---- HTTP actions (protocol.md 1.1 and 2.4)

struct CreateRoom {
  std::string room;
  std::string appointment;  // JSON text
};

struct JoinRoom {
  std::string room;
  std::string name;
  std::string token;       // the link's secret; not used in open mode
  bool emergency = false;  // a host declares one with it (EmergencyOpened)
};

struct EndRoom {
  std::string room;
  EndReason reason = EndReason::requested;
};

struct GetRoom {
  std::string room;
};

// Who speaks in an action of section 2.4.
struct Speaker {
  std::string room;
  std::string participant;
  std::string token;
};

struct Poll {
  Speaker speaker;
  std::uint64_t after = 0;
  std::chrono::milliseconds wait{0};  // already limited to kMaxPollWait
};

struct Signal {
  Speaker speaker;
  ClientMessage message;
};

struct LeaveRoom {
  Speaker speaker;
  // `returning`: the page goes away but may come back with the same token, to its place.
  bool returning = false;
};

struct RenewIce {
  Speaker speaker;
};

using Action =
    std::variant<CreateRoom, JoinRoom, EndRoom, GetRoom, Poll, Signal, LeaveRoom, RenewIce>;

// An HTTP answer that needs no hub: a status and a complete JSON body.
struct Refusal {
  int status = 400;
  std::string body;
};

// Body of a POST. GET and DELETE are built from the query by the caller with `room_query`.
tl::expected<Action, Refusal> parse_action(std::string_view body);

// The one answer to every link that opens nothing.
inline constexpr std::string_view kLinkNotValid = "This link is not valid";

// `{success:false,error:…}`
std::string failure_body(std::string_view error);

// ---- HTTP answers

// Relative: "/telehealth-webrtc.html?room=…". A valid room id has no character to be
// percent-encoded.
std::string visit_link(std::string_view room);

// In invite mode: what the secrets open, and until when.
struct IssuedLinks {
  std::string guest_secret;
  std::string host_secret;
  std::chrono::milliseconds expires_wall{0};
};
// The secret goes into the fragment, which browsers keep to themselves.
std::string visit_link(std::string_view room, std::string_view secret);

// `links`: null in open mode, and for a room that has ended.
std::string created_body(std::string_view room, std::string_view appointment,
                         std::chrono::milliseconds created_wall, const IssuedLinks* links);

struct Joined {
  std::string_view participant;
  std::string_view room;
  std::size_t count = 0;
  std::string_view token;
  Role role = Role::guest;
  bool waiting = false;
  const IceGrant* ice = nullptr;  // null: waits, and gets relay credentials when admitted
};
std::string joined_body(const Joined& joined);

std::string ended_body();

std::string room_body(std::string_view room, std::string_view appointment, std::size_t count,
                      bool active, std::chrono::milliseconds created_wall);

std::string polled_body(const std::vector<std::string>& messages, std::uint64_t next,
                        std::uint64_t client_seq);

std::string accepted_body(std::optional<std::uint64_t> client_seq);

std::string ice_body(const IceGrant& grant);

// 503 to a host who may open the visit in an emergency all the same.
std::string may_declare_emergency_body(std::string_view error);

// ---- server messages. All are JSON objects without `seq`; `with_seq` puts the number in.

struct RosterEntry {
  std::string id;
  std::string name;
  Role role = Role::guest;
};

// `type` is "existing-peers" or "resync".
std::string roster_message(std::string_view type, const std::vector<RosterEntry>& others);
std::string peer_joined_message(std::string_view peer, std::string_view name, Role role);
std::string peer_left_message(std::string_view peer);
std::string forwarded_message(const Forward& forward, std::string_view from);
std::string media_state_message(const MediaState& state, std::string_view from);
std::string room_ended_message(EndReason reason);
std::string ice_message(const IceGrant& grant);
std::string waiting_message();
std::string admitted_message(const IceGrant& grant);
std::string declined_message(std::string_view reason);
std::string removed_message();
std::string locked_message(bool locked);
// To hosts: what is done from now on is recorded in the journal.
std::string emergency_message();
std::string knock_message(std::string_view peer, std::string_view name);
// `outcome`: "admitted", "declined" or "left".
std::string knock_over_message(std::string_view peer, std::string_view outcome);
std::string resumed_message(std::uint64_t client_seq);
// The answer to a Ping: of the connection, not of the session, and so without a number.
std::string pong_message();
std::string error_message(const Problem& problem);

std::string with_seq(std::string_view object, std::uint64_t seq);

std::string_view role_name(Role role);

// Letters, digits, '-', '_', '.', 1..255 of them.
bool valid_room_id(std::string_view id);

}  // namespace bedside::signaling
