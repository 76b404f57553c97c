#include "signaling/hub.h"

#include <algorithm>
#include <tuple>

#include "signaling/close_codes.h"

namespace bedside::signaling {
namespace {

const std::string& room_of(const Action& action) {
  return std::visit(
      [](const auto& what) -> const std::string& {
        if constexpr (requires { what.speaker; }) {
          return what.speaker.room;
        } else {
          return what.room;
        }
      },
      action);
}

std::string participant_of(const Action& action) {
  return std::visit(
      [](const auto& what) -> std::string {
        if constexpr (requires { what.speaker; }) {
          return what.speaker.participant;
        } else {
          return {};
        }
      },
      action);
}

RoomView view(const Room& room) {
  RoomView result{room.id(),     room.appointment(), room.created_wall(),
                  room.active(), room.count(),       {}};
  for (const auto& p : room.participants()) {
    if (!p->counts()) continue;
    const Transport transport = p->socket != 0 ? Transport::socket : Transport::poll;
    result.people.push_back({p->id, p->name, p->role, p->presence, transport,
                             p->attached() ? p->attached_wall : std::chrono::milliseconds{0},
                             p->media ? p->media->relayed : std::nullopt});
  }
  return result;
}

}  // namespace

Hub::Hub(const Limits& limits, Access access, Issuer& issuer)
    : limits_(limits), services_{limits_, access, issuer, queue_} {}

Hub::~Hub() = default;

void Hub::restore(std::vector<RoomRecord> rooms, const Now& now) {
  for (RoomRecord& record : rooms) {
    Room& room = find_or_make(record.id);
    room.restore(std::move(record), now);
    settle(room, now);
  }
}

void Hub::request(RequestId id, Action action, const Caller& caller, const Now& now) {
  const std::string room_id = room_of(action);
  Room* room = find(room_id);
  if (room == nullptr) {
    if (!std::holds_alternative<CreateRoom>(action)) return refuse_unknown(id, action, caller);
    if (rooms_.size() >= limits_.max_rooms) {
      return refuse(id, 503, "This server already has its maximum of rooms");
    }
    room = &find_or_make(room_id);
  }
  requests_[id] = room_id;
  Command command;
  command.participant = participant_of(action);
  command.request = id;
  command.caller = caller;
  std::visit([&](auto& what) { command.what = std::move(what); }, action);
  submit(*room, std::move(command), now);
}

void Hub::request_gone(RequestId id, const Now& now) {
  const auto it = requests_.find(id);
  if (it == requests_.end()) return;
  Room* room = find(it->second);
  requests_.erase(it);
  if (room == nullptr) return;
  room->request_gone(id, now);
  settle(*room, now);
}

bool Hub::socket_opened(SocketId id, const Caller& caller, const Now& now) {
  if (sockets_.size() >= limits_.max_sockets) return false;
  Socket socket;
  socket.caller = caller;
  socket.join_deadline = now.mono + kSocketJoinDeadline;
  socket_deadlines_.emplace(socket.join_deadline, id);
  sockets_.emplace(id, std::move(socket));
  return true;
}

void Hub::socket_message(SocketId id, std::string_view text, const Now& now) {
  const auto it = sockets_.find(id);
  if (it == sockets_.end()) return;
  Socket& socket = it->second;
  ++messages_in_;
  auto message = parse_client_message(text);
  if (!socket.rate.take(now)) {
    const std::string& request = message ? message->request_id : message.error().request_id;
    queue_.outputs.emplace_back(Misuse{Misuse::Kind::rate_limited, socket.caller});
    leave_room(id, socket, now);
    return close(id, close_codes::kRateLimited, {"rate-limited", "Too many messages", request});
  }
  if (!message) queue_.outputs.emplace_back(Misuse{Misuse::Kind::malformed, socket.caller});
  const bool is_join = message && std::holds_alternative<Join>(message->body);
  if (socket.room.empty()) {
    if (!message) return tell(id, socket, message.error());
    if (!is_join) return tell(id, socket, {"join-first", "Join a room first", message->request_id});
    return join(id, socket, std::move(*message), now);
  }
  const bool is_ping = message && std::holds_alternative<Ping>(message->body);
  if (is_join) {
    message =
        tl::unexpected(Problem{"already-joined", "One room per connection", message->request_id});
  }
  Room* room = find(socket.room);
  if (room == nullptr) return;
  Command command;
  command.what = SocketSaid{std::move(message)};
  command.socket = id;
  command.participant = socket.participant;
  command.caller = socket.caller;
  if (!is_ping) return submit(*room, std::move(command), now);
  const bool heard = room->within_rate(command, now);
  settle(*room, now);
  if (heard) answer_ping(id, socket);
}

void Hub::join(SocketId id, Socket& socket, ClientMessage message, const Now& now) {
  const Join& wish = std::get<Join>(message.body);
  Room* room = find(wish.room);
  if (room == nullptr && services_.access == Access::invite) {
    queue_.outputs.emplace_back(Misuse{Misuse::Kind::wrong_token, socket.caller});
    return close(id, close_codes::kNotAParticipant,
                 {"not-a-participant", "This participant is not in the room", message.request_id});
  }
  if (room == nullptr) {
    return close(id, close_codes::kNoSuchRoom,
                 {"room-not-found", "Room not found", message.request_id});
  }
  socket.room = wish.room;
  socket.participant = wish.peer;
  socket.caller.actor_id = wish.peer;
  socket_deadlines_.erase({socket.join_deadline, id});
  Command command;
  command.socket = id;
  command.participant = wish.peer;
  command.caller = socket.caller;
  command.what = SocketSaid{std::move(message)};
  submit(*room, std::move(command), now);
}

void Hub::socket_closed(SocketId id, const Now& now) {
  const auto it = sockets_.find(id);
  if (it == sockets_.end()) return;
  const Socket socket = std::move(it->second);
  socket_deadlines_.erase({socket.join_deadline, id});
  sockets_.erase(it);
  leave_room(id, socket, now);
}

bool Hub::has_joined(SocketId id) const {
  const auto it = sockets_.find(id);
  return it != sockets_.end() && !it->second.room.empty();
}

void Hub::leave_room(SocketId id, const Socket& socket, const Now& now) {
  Room* room = socket.room.empty() ? nullptr : find(socket.room);
  if (room == nullptr) return;
  Command command;
  command.what = SocketGone{};
  command.socket = id;
  command.participant = socket.participant;
  command.caller = socket.caller;
  submit(*room, std::move(command), now);
}

std::vector<std::string> Hub::take(SocketId id, std::size_t max_bytes) {
  const auto it = sockets_.find(id);
  if (it == sockets_.end()) return {};
  if (!it->second.direct.empty()) return std::exchange(it->second.direct, {});
  Room* room = it->second.room.empty() ? nullptr : find(it->second.room);
  return room == nullptr ? std::vector<std::string>{} : room->take(id, max_bytes);
}

void Hub::committed(CommitId id, bool ok, const Now& now) {
  const auto it = commits_.find(id);
  if (it == commits_.end()) return;
  Room* room = find(it->second);
  commits_.erase(it);
  if (room == nullptr) return;
  room->committed(ok, now);
  settle(*room, now);
}

std::optional<std::chrono::milliseconds> Hub::next_deadline() const {
  std::optional<std::chrono::milliseconds> next;
  if (!deadlines_.empty()) next = deadlines_.begin()->first;
  if (!socket_deadlines_.empty()) {
    const auto first = socket_deadlines_.begin()->first;
    next = next ? std::min(*next, first) : first;
  }
  return next;
}

void Hub::expire(const Now& now) {
  while (!socket_deadlines_.empty() && socket_deadlines_.begin()->first <= now.mono) {
    const SocketId late = socket_deadlines_.begin()->second;
    socket_deadlines_.erase(socket_deadlines_.begin());
    close(late, close_codes::kJoinExpected, {"join-expected", "The first message is a join", {}});
  }
  std::vector<std::string> due;
  for (const auto& [at, id] : deadlines_) {
    if (at > now.mono) break;
    due.push_back(id);
  }
  for (const std::string& id : due) {
    Room* room = find(id);
    if (room == nullptr) continue;
    room->expire(now);
    settle(*room, now);
  }
}

void Hub::release_polls(const Now& now) {
  for (const auto& [id, line] : rooms_) {
    line.room->release_polls(now);
    schedule(id, rooms_[id], line.room->next_deadline(now));
  }
}

std::vector<Output> Hub::outputs() {
  settled_ = 0;
  return std::exchange(queue_.outputs, {});
}

std::vector<RoomView> Hub::rooms() const {
  std::vector<RoomView> views;
  for (const auto& [id, line] : rooms_) {
    if (line.room->exists()) views.push_back(view(*line.room));
  }
  std::sort(views.begin(), views.end(), [](const RoomView& a, const RoomView& b) {
    return std::tie(b.created_wall, a.id) < std::tie(a.created_wall, b.id);
  });
  return views;
}

std::optional<RoomView> Hub::room(std::string_view id) const {
  const auto it = rooms_.find(std::string(id));
  if (it == rooms_.end() || !it->second.room->exists()) return std::nullopt;
  return view(*it->second.room);
}

HubStats Hub::stats() const {
  HubStats stats;
  stats.sockets = sockets_.size();
  stats.messages_in = messages_in_;
  stats.forwarded = queue_.forwarded;
  for (const auto& [id, line] : rooms_) {
    if (line.room->active()) ++stats.rooms;
    for (const auto& p : line.room->participants()) stats.participants += p->attached() ? 1U : 0U;
  }
  return stats;
}

Room* Hub::find(const std::string& id) {
  const auto it = rooms_.find(id);
  return it == rooms_.end() ? nullptr : it->second.room.get();
}

Room& Hub::find_or_make(const std::string& id) {
  Line& line = rooms_[id];
  if (line.room == nullptr) line.room = std::make_unique<Room>(id, services_);
  return *line.room;
}

void Hub::submit(Room& room, Command command, const Now& now) {
  room.submit(std::move(command), now);
  settle(room, now);
}

void Hub::settle(Room& room, const Now& now) {
  for (; settled_ < queue_.outputs.size(); ++settled_) {
    const Output& output = queue_.outputs[settled_];
    if (const auto* commit = std::get_if<CommitNeeded>(&output)) {
      commits_[commit->id] = commit->room;
    } else if (const auto* answer = std::get_if<Answer>(&output)) {
      requests_.erase(answer->request);
    } else if (const auto* close = std::get_if<CloseSocket>(&output)) {
      sockets_.erase(close->socket);
    }
  }
  for (const SocketId socket : std::exchange(queue_.freed, {})) {
    const auto it = sockets_.find(socket);
    if (it == sockets_.end()) continue;
    it->second.room.clear();
    it->second.participant.clear();
    it->second.join_deadline = now.mono + kSocketJoinDeadline;
    socket_deadlines_.emplace(it->second.join_deadline, socket);
  }
  const auto it = rooms_.find(room.id());
  if (room.disposable()) {
    schedule(it->first, it->second, std::nullopt);
    rooms_.erase(it);
  } else {
    schedule(it->first, it->second, room.next_deadline(now));
  }
}

void Hub::schedule(const std::string& id, Line& line, std::optional<std::chrono::milliseconds> at) {
  if (line.scheduled == at) return;
  if (line.scheduled) deadlines_.erase({*line.scheduled, id});
  if (at) deadlines_.emplace(*at, id);
  line.scheduled = at;
}

void Hub::refuse(RequestId id, int status, std::string_view error) {
  queue_.outputs.emplace_back(Answer{id, status, failure_body(error), std::nullopt});
}

// In invite mode nobody learns without a secret which rooms there are: what is said about an
// unknown room is what is said about a wrong secret, after the same work.
void Hub::refuse_unknown(RequestId id, const Action& action, const Caller& caller) {
  const bool asks_with_rights =
      std::holds_alternative<EndRoom>(action) || std::holds_alternative<GetRoom>(action);
  if (services_.access == Access::open || asks_with_rights) {
    return refuse(id, 404, "Room not found");
  }
  queue_.outputs.emplace_back(Misuse{Misuse::Kind::wrong_token, caller});
  const auto* join = std::get_if<JoinRoom>(&action);
  if (join == nullptr) return refuse(id, 403, "This participant is not in the room");
  static_cast<void>(services_.issuer.hash(join->token));
  refuse(id, 403, kLinkNotValid);
}

void Hub::tell(SocketId id, Socket& socket, const Problem& problem) {
  socket.direct.push_back(error_message(problem));
  queue_.outputs.emplace_back(SocketReady{id});
}

// By the hub, because a commit in flight must not make a client believe that nobody is there.
void Hub::answer_ping(SocketId id, Socket& socket) {
  socket.direct.push_back(pong_message());
  queue_.outputs.emplace_back(SocketReady{id});
}

void Hub::close(SocketId id, std::uint16_t code, const Problem& problem) {
  const auto it = sockets_.find(id);
  if (it == sockets_.end()) return;
  socket_deadlines_.erase({it->second.join_deadline, id});
  sockets_.erase(it);
  queue_.outputs.emplace_back(CloseSocket{id, code, problem.code, {error_message(problem)}});
}

}  // namespace bedside::signaling
