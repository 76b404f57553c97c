// The signaling hub: all rooms of this server, behind one set of verbs.
//
// Sans-IO: no sockets, clocks, randomness, logs or disk in here. Every input carries the time;
// after every input the caller drains `outputs()` and does what they say, in order. All calls on
// one thread.
//
// Nothing is acknowledged before it is recorded: an input that changes a room gives `CommitNeeded`;
// the caller stores the changes and calls `committed`, and only then the change is applied and the
// answer comes out. When the store refuses, the answer is 503 and nothing has changed. (Departures
// and the end of a visit happen anyway: `CommitNeeded::keep`.)
//
// Limits: limits.h.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "signaling/change.h"
#include "signaling/issuer.h"
#include "signaling/limits.h"
#include "signaling/message.h"
#include "signaling/now.h"
#include "signaling/output.h"
#include "signaling/rate.h"
#include "signaling/room.h"

namespace bedside::signaling {

// For the admin page. Names are shown to the practice's own staff, never logged.
struct PersonView {
  std::string id;
  std::string name;
  Role role = Role::guest;
  Presence presence = Presence::leased;
  Transport transport = Transport::socket;
  std::chrono::milliseconds since_wall{0};  // of the attach; 0 when not attached
  std::optional<bool> relayed;              // as the client says (MediaState)
};
struct RoomView {
  std::string id;
  std::string appointment;  // JSON text
  std::chrono::milliseconds created_wall{0};
  bool active = true;
  std::size_t count = 0;
  std::vector<PersonView> people;  // those who count, in order of joining
};

struct HubStats {
  std::size_t rooms = 0;
  std::size_t sockets = 0;
  std::size_t participants = 0;  // attached
  std::uint64_t messages_in = 0;
  std::uint64_t forwarded = 0;
};

class Hub {
 public:
  // `issuer` must outlive the hub.
  Hub(const Limits& limits, Access access, Issuer& issuer);
  ~Hub();
  Hub(const Hub&) = delete;
  Hub& operator=(const Hub&) = delete;

  // Once, before anything else: what the store knew at start. People who were in a room are away
  // and have kRestartGrace to come back. Emits ParticipantLive for those who count.
  void restore(std::vector<RoomRecord> rooms, const Now& now);

  // An HTTP action; its Answer comes out now or later, exactly once.
  void request(RequestId id, Action action, const Caller& caller, const Now& now);

  // The client of this request is gone: a parked poll is taken back. The answer may still come.
  void request_gone(RequestId id, const Now& now);

  // False: Limits::max_sockets reached; the caller refuses the socket.
  bool accepts_sockets() const { return sockets_.size() < limits_.max_sockets; }
  bool socket_opened(SocketId id, const Caller& caller, const Now& now);
  // One complete text message.
  void socket_message(SocketId id, std::string_view text, const Now& now);
  void socket_closed(SocketId id, const Now& now);
  // Whether it is a participant's, or about to be: its join is under way.
  bool has_joined(SocketId id) const;

  // Next messages for this socket, in order, about `max_bytes` of them; empty when there is
  // nothing. Call on SocketReady and again when the socket has room to write.
  std::vector<std::string> take(SocketId id, std::size_t max_bytes);

  // The store's verdict on a CommitNeeded.
  void committed(CommitId id, bool ok, const Now& now);

  // When `expire` wants to be called next, if at all.
  std::optional<std::chrono::milliseconds> next_deadline() const;
  void expire(const Now& now);

  // Answers every parked poll, with nothing in it: the server stops.
  void release_polls(const Now& now);

  // What is to be done, oldest first; the queue is empty afterwards.
  std::vector<Output> outputs();

  std::vector<RoomView> rooms() const;
  std::optional<RoomView> room(std::string_view id) const;
  HubStats stats() const;

 private:
  struct Socket {
    Caller caller;
    std::string room;  // empty: has not joined
    std::string participant;
    std::chrono::milliseconds join_deadline{0};
    Rate rate;
    std::vector<std::string> direct;  // errors before the join
  };
  struct Line {
    std::unique_ptr<Room> room;
    std::optional<std::chrono::milliseconds> scheduled;  // its entry in deadlines_
  };

  Room* find(const std::string& id);
  Room& find_or_make(const std::string& id);
  void submit(Room& room, Command command, const Now& now);
  // After every call into a room: keeps the tables and the deadlines true.
  void settle(Room& room, const Now& now);
  void schedule(const std::string& id, Line& line, std::optional<std::chrono::milliseconds> at);
  void refuse(RequestId id, int status, std::string_view error);
  void refuse_unknown(RequestId id, const Action& action, const Caller& caller);
  void join(SocketId id, Socket& socket, ClientMessage message, const Now& now);
  void tell(SocketId id, Socket& socket, const Problem& problem);
  void answer_ping(SocketId id, Socket& socket);
  void close(SocketId id, std::uint16_t code, const Problem& problem);
  void leave_room(SocketId id, const Socket& socket, const Now& now);

  Limits limits_;
  OutputQueue queue_;
  std::size_t settled_ = 0;  // outputs already looked at
  RoomServices services_;
  std::unordered_map<std::string, Line> rooms_;
  std::unordered_map<SocketId, Socket> sockets_;
  std::unordered_map<RequestId, std::string> requests_;  // unanswered, with their room
  std::unordered_map<CommitId, std::string> commits_;
  std::set<std::pair<std::chrono::milliseconds, std::string>> deadlines_;      // rooms
  std::set<std::pair<std::chrono::milliseconds, SocketId>> socket_deadlines_;  // not joined yet
  std::uint64_t messages_in_ = 0;
};

}  // namespace bedside::signaling
