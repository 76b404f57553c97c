// Every limit of the signaling core and what happens when it is reached.
//
// The numbers of protocol.md section 2.5 are part of the contract with clients; the others bound
// memory.
#pragma once

#include <chrono>
#include <cstddef>

namespace bedside::signaling {

// Longest room id. Longer, or other characters than [A-Za-z0-9._-]: create-room answers 400.
inline constexpr std::size_t kMaxRoomIdBytes = 255;

// Longest display name. Longer: join-room answers 400; in a WebSocket join it is ignored and the
// name of join-room stays.
inline constexpr std::size_t kMaxNameBytes = 512;

// Longest appointmentId as JSON text. Longer: 400.
inline constexpr std::size_t kMaxAppointmentBytes = 256;

// Nesting of any JSON from outside. Deeper: the same answer as text that is no JSON.
inline constexpr std::size_t kMaxJsonDepth = 16;

// One WebSocket or `signal` message. Longer: close 1009 by the WebSocket layer; here `bad-message`
// or 413.
inline constexpr std::size_t kMaxMessageBytes = std::size_t{64} * 1024;

// A join counts this long without an attach; afterwards it may still attach while there is room.
inline constexpr std::chrono::milliseconds kJoinLease{60'000};

// How long a participant that may resume (token or long poll) is still in the room without a
// transport. Then the others get peer-left.
inline constexpr std::chrono::milliseconds kAwayGrace{30'000};

// After a restart everybody is away at once and reconnects with back-off.
inline constexpr std::chrono::milliseconds kRestartGrace{60'000};

// How long somebody whose lease lapsed, or whose connection closed, may come back under the same
// id.
inline constexpr std::chrono::milliseconds kReturnWindow{3'600'000};

// How many such people a room remembers; the longest gone is forgotten first.
inline constexpr std::size_t kMaxRemembered = 64;

// An ended room answers 410/active:false this long, then 404.
inline constexpr std::chrono::milliseconds kEndedVisible{3'600'000};

// Guests who wait in one room at once. Above: join-room answers 409, attach gets `room-full` and
// 4009.
inline constexpr std::size_t kMaxWaiting = 16;

// Links of one role that a room has at once: every repeated create-room makes new ones, because the
// server keeps no secrets it could show again. Above: the oldest is void.
inline constexpr std::size_t kMaxLinks = 64;

// Longest reason of a `decline`. Longer: cut off between two characters.
inline constexpr std::size_t kMaxReasonBytes = 512;

// People who were removed and whom a last poll may still tell so; the oldest is forgotten first.
inline constexpr std::size_t kMaxFormer = 64;

// A room's expiry is stored again only when it moves by more than this.
inline constexpr std::chrono::milliseconds kExpiryStep{3'600'000};

// Longest parked poll; a larger `wait` is taken as this.
inline constexpr std::chrono::milliseconds kMaxPollWait{25'000};

// A socket must send its `join` within this time, or it is closed (4002).
inline constexpr std::chrono::milliseconds kSocketJoinDeadline{30'000};

// Client messages per participant, joins and pings among them, over all its connections: 30 a
// second, bursts of 120. The same for each connection, whoever it turns out to be. Above: error
// `rate-limited`, then close 4008 (WebSocket) or 429 (HTTP).
inline constexpr double kMessagesPerSecond = 30.0;
inline constexpr double kMessageBurst = 120.0;

// Undelivered plus replayable messages of one participant. When what was never delivered does not
// fit, all of it is dropped and the client gets `resync` with the current roster.
inline constexpr std::size_t kOutboxMessages = 256;
inline constexpr std::size_t kOutboxBytes = std::size_t{512} * 1024;

// Commands that wait for a room's commit in flight. Above: 503, or error `busy` and close 1013.
inline constexpr std::size_t kMaxWaitingCommands = 512;

// New ICE credentials are pushed this long before the old ones expire (at most half their
// lifetime).
inline constexpr std::chrono::milliseconds kIceRenewBefore{120'000};

// What one participant declares about its media and is recorded: once in ten seconds, bursts of 20.
// Above: the next one that may be recorded says how it is by then.
inline constexpr double kMediaFactsPerSecond = 0.1;
inline constexpr double kMediaFactsBurst = 20.0;

// Credentials that one participant asks for; each is a record. Above: 429. A page asks when it
// comes back and shortly before they expire.
inline constexpr double kRenewalsPerSecond = 0.1;
inline constexpr double kRenewalBurst = 10.0;

// How often one participant comes anew (not: resumes its session) and a visit is locked or
// unlocked; each is a record or two. Once in ten seconds; a client of a bad line that cannot resume
// comes a thousand times before it meets that. Above: error `rate-limited`, of a coming with close
// 4008, or 429.
inline constexpr double kComingsPerSecond = 0.1;
inline constexpr double kComingBurst = 1'000.0;
// How often a room is joined, by hosts and by guests: each time is somebody new, with up to four
// records until they have left. Above: 429. Hosts have a rate of their own, so that nobody with a
// guest's link keeps them out.
inline constexpr double kJoinsPerSecond = 0.1;
inline constexpr double kJoinBurst = 1'000.0;
inline constexpr double kLocksPerSecond = 0.1;
inline constexpr double kLockBurst = 30.0;
inline constexpr std::chrono::seconds kRepeatAgain{10};  // said with 429

// How long an emergency that a host declared is one.
inline constexpr std::chrono::milliseconds kEmergency{std::chrono::hours{4}};

// What the operator sets.
struct Limits {
  // People in one room at once (2..8). Above: join-room answers 409, attach gets `room-full` and
  // 4009.
  std::size_t max_participants = 8;
  // Rooms known at once, ended ones included. Above: create-room answers 503.
  std::size_t max_rooms = 20'000;
  // WebSockets at once. Above: `Hub::socket_opened` refuses.
  std::size_t max_sockets = 20'000;
  // Guests wait until a host admits them. Invite mode only: open rooms have no hosts.
  bool waiting_room = true;
  // There is a place (store/journal.h) for the records of visits that may not wait until the disk
  // has space again. Without one nobody can declare an emergency.
  bool emergencies = false;
  // A room that nobody ends ends by itself when nobody has come for this long; a link is good for
  // as long. So that rooms nobody needs any more do not use up max_rooms.
  std::chrono::milliseconds room_lifetime{std::chrono::hours{24 * 30}};
};

}  // namespace bedside::signaling
