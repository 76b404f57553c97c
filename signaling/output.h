// What the hub wants done, in order. The server drains the queue after every input.
//
// The order matters: `ParticipantLive` and `ParticipantGone` come before the answers that depend on
// them, so that a relay credential works when its holder learns it and is dead when the leave is
// acknowledged; when a participant says goodbye it is dead even before that is recorded.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "signaling/change.h"

namespace bedside::signaling {

// Chosen by the server, never 0, not used again.
using RequestId = std::uint64_t;
using SocketId = std::uint64_t;
// Chosen by the hub.
using CommitId = std::uint64_t;

// Store `changes` and their audit records in one transaction, then call Hub::committed. With `keep`
// the changes have happened whatever the store says; the server keeps their records until they can
// be written.
struct CommitNeeded {
  CommitId id = 0;
  std::string room;
  std::vector<Change> changes;
  Caller caller;
  bool keep = false;
  // Of a room in which a host declared an emergency: a store that is full writes it elsewhere.
  bool emergency = false;
};

// Has happened and nobody waits for it: to be recorded when that is possible, without a verdict.
struct Noted {
  std::string room;
  Change change;
  Caller caller;
  bool emergency = false;  // as of CommitNeeded
};

// The answer to an HTTP request; `body` is JSON. Exactly one for every request.
struct Answer {
  RequestId request = 0;
  int status = 200;
  std::string body;
  std::optional<std::chrono::seconds> retry_after;
};

// Hub::take has messages for this socket.
struct SocketReady {
  SocketId socket = 0;
};

// Send `farewell`, then close with this code. The hub has forgotten the socket already; no
// socket_closed call is needed (one does no harm).
struct CloseSocket {
  SocketId socket = 0;
  std::uint16_t code = 1000;
  std::string reason;
  std::vector<std::string> farewell;
};

// From now on relay credentials of this participant are good, or dead.
struct ParticipantLive {
  std::string room;
  std::string participant;
};
struct ParticipantGone {
  std::string room;
  std::string participant;
};

// Something a well-behaved client does not do; the server counts these per minute and source.
struct Misuse {
  enum class Kind : std::uint8_t { malformed, rate_limited, wrong_token };
  Kind kind = Kind::malformed;
  Caller caller;
};

using Output = std::variant<CommitNeeded, Answer, SocketReady, CloseSocket, ParticipantLive,
                            ParticipantGone, Misuse, Noted>;

// Filled by the rooms; the hub looks at what passes and hands it out.
struct OutputQueue {
  std::vector<Output> outputs;
  std::vector<SocketId> freed;  // sockets whose participant left by a message: they may join again
  CommitId next_commit = 1;
  std::uint64_t forwarded = 0;  // messages passed from one participant to another
};

}  // namespace bedside::signaling
