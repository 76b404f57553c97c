// What the signaling core asks to have recorded: every change of a room, one value each.
//
// A change is applied in memory only after the store has committed it together with its audit
// record
// (`CommitNeeded` and `Hub::committed` in hub.h). The records are plain values: they own
// everything.
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

namespace bedside::signaling {

// SHA-256 of a participant token or of a link's secret. The secret itself is never kept.
using TokenHash = std::array<std::uint8_t, 32>;

enum class Role : std::uint8_t { guest, host };

enum class Transport : std::uint8_t { socket, poll };

enum class LeaveReason : std::uint8_t {
  left,          // said so
  disconnected,  // the connection closed, or nothing came within the grace time
  superseded,    // attached again from elsewhere without `after`
  lapsed,        // joined, never attached, or away for longer than the return window
  room_ended,
};

enum class EndReason : std::uint8_t {
  requested,  // end-room or DELETE
  admin,      // an administrator
  host,       // a host, from inside the visit
  expired,    // nobody ended it and nobody came for Limits::room_lifetime
};

// Who caused a change. The hub only carries it to the audit record; empty fields mean unknown. A
// change that the passing of time caused has `actor_kind` "system".
struct Caller {
  std::uint64_t request_id = 0;
  std::string listener;    // "http", "https"…
  std::string address;     // IP address as text, without port
  std::string actor_kind;  // "participant", "user", "operator", "system", "anonymous"
  std::string actor_id;    // account id for users; participants are named by the change itself
  std::string actor_role;
  std::string actor_auth;     // "none", "token", "session", "local"
  std::string actor_session;  // of a user: what the audit log calls the session
};

struct RoomCreated {
  std::string room;
  std::string appointment;  // JSON text of a number or a string, as the client gave it
  std::chrono::milliseconds created_wall;
  std::chrono::milliseconds expires_wall;  // the room's one expiry, until it is moved or ended
};

// Somebody uses the room: its expiry moves.
struct RoomKept {
  std::string room;
  std::chrono::milliseconds expires_wall;
};

struct RoomLocked {
  std::string room;
  bool locked;
};

// A link was made for a role. Invite mode only.
struct LinkIssued {
  std::string room;
  Role role;
  TokenHash secret_hash;
  std::chrono::milliseconds expires_wall;
};

// The room has its maximum of links for a role: the oldest one is void.
struct LinkDropped {
  std::string room;
  TokenHash secret_hash;
};

struct RoomEnded {
  std::string room;
  EndReason reason;
  std::chrono::milliseconds ended_wall;
  std::chrono::milliseconds forget_wall;  // the room's one expiry
  std::chrono::seconds open_for{};        // since it was created
};

// An ended room's hour is over.
struct RoomForgotten {
  std::string room;
};

struct ParticipantJoined {
  std::string room;
  std::string participant;
  std::string name;  // for the roster after a restart; never for a log
  Role role;
  TokenHash token_hash;
  std::chrono::milliseconds joined_wall;
  std::chrono::milliseconds lease_wall;  // until then it counts without an attach
  bool admitted = true;                  // false: waits until a host admits
  std::optional<TokenHash> link{};       // whose secret let them in; none: nobody needs one
};

struct ParticipantAttached {
  std::string room;
  std::string participant;
  Transport transport;
  std::chrono::milliseconds attached_wall;
  bool waiting = false;  // knocks: it is in the waiting room, not in the visit
};

// A host let a waiting guest in, sent one away, or removed somebody. The host is the Caller.
struct ParticipantAdmitted {
  std::string room;
  std::string participant;
};
struct ParticipantDeclined {
  std::string room;
  std::string participant;
};
struct ParticipantKicked {
  std::string room;
  std::string participant;
  std::chrono::seconds attended;  // since the attach; 0 when it was not attached
};

// No longer in the room (the others were told), but it may attach again under the same id: an old
// page whose connection broke, a phone that was away for too long.
struct ParticipantDetached {
  std::string room;
  std::string participant;
  LeaveReason reason;  // disconnected or superseded
  std::chrono::milliseconds left_wall;
  std::chrono::seconds attended;  // since the attach
};

// Gone for good.
struct ParticipantLeft {
  std::string room;
  std::string participant;
  LeaveReason reason;  // left, lapsed or room_ended
  std::chrono::milliseconds left_wall;
  std::chrono::seconds attended;  // since the attach; 0 when it was not attached
};

struct CredentialIssued {
  std::string room;
  std::string participant;
  std::chrono::milliseconds expires_wall;
};

// What a client says of its own media: that a screen is shown or a recording made (or no more), and
// whether its connections go through the relay. Nobody can check it.
struct MediaDeclared {
  enum class What : std::uint8_t { screen, recording, relay };
  std::string room;
  std::string participant;
  What what = What::screen;
  bool on = false;
};

// A host opened the visit although nothing can be recorded in the usual place (the disk is full):
// until then what the room needs goes into the journal on another disk.
struct EmergencyOpened {
  std::string room;
  std::string participant;
  std::chrono::milliseconds until_wall;
};

using Change =
    std::variant<RoomCreated, RoomKept, RoomLocked, LinkIssued, LinkDropped, RoomEnded,
                 RoomForgotten, ParticipantJoined, ParticipantAttached, ParticipantAdmitted,
                 ParticipantDeclined, ParticipantKicked, ParticipantDetached, ParticipantLeft,
                 CredentialIssued, EmergencyOpened, MediaDeclared>;

// What `Hub::restore` takes at start; the store's rows in the hub's words.
struct ParticipantRecord {
  std::string id;
  std::string name;
  Role role = Role::guest;
  TokenHash token_hash{};
  std::chrono::milliseconds lease_wall{0};
  std::optional<std::chrono::milliseconds>
      attached_wall;  // set: was in the room when the process died
  bool admitted = true;
};

struct LinkRecord {
  Role role = Role::guest;
  TokenHash secret_hash{};
  std::chrono::milliseconds expires_wall{0};
};

struct RoomRecord {
  std::string id;
  std::string appointment;
  std::chrono::milliseconds created_wall{0};
  std::optional<std::chrono::milliseconds> forget_wall;  // set: ended
  std::vector<ParticipantRecord> participants;  // in order of joining, without those who left
  std::optional<std::chrono::milliseconds> expires_wall{};  // while active
  bool locked = false;
  std::vector<LinkRecord> links{};  // oldest first
};

}  // namespace bedside::signaling
