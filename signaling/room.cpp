#include "signaling/room.h"

#include <algorithm>
#include <utility>

#include "signaling/close_codes.h"

namespace bedside::signaling {
namespace {

constexpr std::chrono::seconds kRetryAfter{2};

}  // namespace

Room::Room(std::string id, const RoomServices& services)
    : id_(std::move(id)), services_(services) {}

void Room::submit(Command command, const Now& now) {
  emergency_ = in_emergency(now);
  if (!within_rate(command, now)) return;
  if (in_flight_ && !may_pass(command)) {
    const bool happened = std::holds_alternative<SocketGone>(command.what) ||
                          std::holds_alternative<TimeUp>(command.what);
    if (!happened && waiting_.size() >= kMaxWaitingCommands) {
      refuse_busy(command);
    } else {
      Participant* leaver = leaves_now(command);
      if (leaver == nullptr) leaver = kicked_now(command);
      if (leaver != nullptr) {
        publish_gone(*leaver);
        command.stopped = leaver->id;
      }
      waiting_.push_back(std::move(command));
    }
    return;
  }
  run(command, now);
  flush(now);
}

void Room::committed(bool ok, const Now& now) {
  if (!in_flight_) return;
  emergency_ = in_emergency(now);
  const InFlight done = std::move(*in_flight_);
  in_flight_.reset();
  done.decided(ok, now);
  emergency_ = in_emergency(now);  // what was decided may have declared one
  drain(now);
  flush(now);
}

void Room::drain(const Now& now) {
  while (!in_flight_ && !waiting_.empty()) {
    const Command command = std::move(waiting_.front());
    waiting_.pop_front();
    run(command, now);
    if (!command.stopped.empty() && !in_flight_) relay_again(command.stopped);
  }
}

void Room::run(const Command& command, const Now& now) {
  std::visit([&](const auto& what) { on(command, what, now); }, command.what);
}

// Everything a participant says costs, by whatever transport and on however many of them.
// Strangers who only know its id must not be able to spend its allowance.
bool Room::within_rate(const Command& command, const Now& now) {
  Participant* participant = find(command.participant);
  if (participant == nullptr) return true;
  if (const auto* said = std::get_if<SocketSaid>(&command.what)) {
    return socket_within_rate(*participant, command, *said, now);
  }
  const auto* signal = std::get_if<Signal>(&command.what);
  const auto* poll = std::get_if<Poll>(&command.what);
  if (signal == nullptr && poll == nullptr) return true;
  const Speaker& who = signal != nullptr ? signal->speaker : poll->speaker;
  if (!token_fits(*participant, who.token, false) || participant->rate.take(now)) return true;
  services_.outputs.outputs.emplace_back(Misuse{Misuse::Kind::rate_limited, command.caller});
  services_.outputs.outputs.emplace_back(
      Answer{command.request, 429, failure_body("Too many messages"), std::chrono::seconds{1}});
  return false;
}

bool Room::may_repeat(Rate& rate, const Command& command, const Now& now) {
  if (rate.take(now)) return true;
  services_.outputs.outputs.emplace_back(Misuse{Misuse::Kind::rate_limited, command.caller});
  if (command.request != 0) {
    services_.outputs.outputs.emplace_back(
        Answer{command.request, 429, failure_body("Too many requests"), kRepeatAgain});
  }
  return false;
}

bool Room::socket_within_rate(Participant& participant, const Command& command,
                              const SocketSaid& said, const Now& now) {
  const auto* join = said.message ? std::get_if<Join>(&said.message->body) : nullptr;
  const bool own = join != nullptr ? token_fits(participant, join->token, false)
                                   : command.socket == participant.socket ||
                                         command.socket == participant.joining;
  if (!own) return true;
  if (participant.rate.take(now)) {
    if (join != nullptr) participant.joining = command.socket;
    return true;
  }
  services_.outputs.outputs.emplace_back(Misuse{Misuse::Kind::rate_limited, command.caller});
  close_socket(command.socket, close_codes::kRateLimited, "rate-limited",
               {error_message({"rate-limited", "Too many messages", request_id(command)})});
  if (join != nullptr) return false;  // it was nobody's yet
  Command gone = command;
  gone.what = SocketGone{};
  submit(std::move(gone), now);
  return false;
}

// A commit in flight makes a command wait when it could depend on it: because it needs a commit
// itself, or because its speaker has something in flight or waiting and would overtake itself.
bool Room::may_pass(const Command& command) const {
  const auto* signal = std::get_if<Signal>(&command.what);
  if (signal != nullptr && std::holds_alternative<Ping>(signal->message.body)) return true;
  const Participant* participant = find(command.participant);
  if (participant == nullptr || !participant->attached()) return false;
  if (in_flight_->participant.empty() || in_flight_->participant == command.participant)
    return false;
  const bool follows = std::any_of(waiting_.begin(), waiting_.end(), [&](const Command& earlier) {
    return earlier.participant == command.participant;
  });
  if (follows) return false;
  const auto only_speaks = [&](const ClientMessage& message) {
    if (const auto* join = std::get_if<Join>(&message.body)) return join->after.has_value();
    return !std::holds_alternative<Leave>(message.body) &&
           !std::holds_alternative<HostAction>(message.body);
  };
  if (const auto* said = std::get_if<SocketSaid>(&command.what)) {
    return !said->message || only_speaks(*said->message);
  }
  if (signal != nullptr) return only_speaks(signal->message);
  return std::holds_alternative<Poll>(command.what);
}

// Whoever says goodbye, and may: the relay stops serving them while the command waits its turn.
Participant* Room::leaves_now(const Command& command) const {
  if (const auto* said = std::get_if<SocketSaid>(&command.what)) {
    const bool leaves = said->message && std::holds_alternative<Leave>(said->message->body);
    return leaves ? by_socket(command.socket) : nullptr;
  }
  const Speaker* who = nullptr;
  if (const auto* leave = std::get_if<LeaveRoom>(&command.what)) who = &leave->speaker;
  const auto* signal = std::get_if<Signal>(&command.what);
  if (signal != nullptr && std::holds_alternative<Leave>(signal->message.body)) {
    who = &signal->speaker;
  }
  if (who == nullptr) return nullptr;
  Participant* participant = find(who->participant);
  return participant != nullptr && token_fits(*participant, who->token, false) ? participant
                                                                               : nullptr;
}

void Room::refuse_busy(const Command& command) {
  if (command.socket == 0) {
    unavailable(command.request);
    return;
  }
  close_socket(command.socket, 1013, "busy",
               {error_message({"busy", "Please try again", request_id(command)})});
  Command gone = command;
  gone.what = SocketGone{};
  waiting_.push_back(std::move(gone));
}

std::string Room::request_id(const Command& command) {
  const auto* said = std::get_if<SocketSaid>(&command.what);
  if (said == nullptr) return {};
  return said->message ? said->message->request_id : said->message.error().request_id;
}

void Room::commit(std::vector<Change> changes, bool keep, const Caller& caller,
                  std::string participant, Decided decided) {
  in_flight_ = InFlight{std::move(participant), std::move(decided)};
  services_.outputs.outputs.emplace_back(CommitNeeded{
      services_.outputs.next_commit++, id_, std::move(changes), caller, keep, emergency_});
}

void Room::request_gone(RequestId request, const Now& now) {
  for (const auto& participant : participants_) {
    if (participant->poll && participant->poll->request == request) {
      participant->poll.reset();
      set_away(*participant, now);
    }
  }
}

void Room::release_polls(const Now& now) {
  for (const auto& participant : participants_) {
    if (participant->poll) answer_poll(*participant, participant->poll->request, now);
  }
}

std::vector<std::string> Room::take(SocketId socket, std::size_t max_bytes) {
  Participant* participant = by_socket(socket);
  if (participant == nullptr) return {};
  if (participant->outbox.lost()) resync(*participant);
  return participant->outbox.take(max_bytes);
}

// After every input: what has come into the outboxes goes to whoever empties them.
void Room::flush(const Now& now) {
  for (const auto& participant : participants_) {
    const Outbox& outbox = participant->outbox;
    if (!outbox.has_unsent() && !outbox.lost()) continue;
    if (participant->socket != 0) {
      services_.outputs.outputs.emplace_back(SocketReady{participant->socket});
    } else if (participant->poll) {
      answer_poll(*participant, participant->poll->request, now);
    }
  }
}

std::size_t Room::count() const {
  return static_cast<std::size_t>(std::count_if(participants_.begin(), participants_.end(),
                                                [](const auto& p) { return p->counts(); }));
}

Participant* Room::find(std::string_view id) const {
  const auto it = std::find_if(participants_.begin(), participants_.end(),
                               [&](const auto& p) { return p->id == id; });
  return it == participants_.end() ? nullptr : it->get();
}

Participant* Room::by_socket(SocketId socket) const {
  const auto it = std::find_if(participants_.begin(), participants_.end(),
                               [&](const auto& p) { return p->socket == socket; });
  return socket == 0 || it == participants_.end() ? nullptr : it->get();
}

std::vector<RosterEntry> Room::others(const Participant& self) const {
  std::vector<const Participant*> attached;
  for (const auto& p : participants_) {
    if (p->present() && p.get() != &self) attached.push_back(p.get());
  }
  std::sort(attached.begin(), attached.end(), [](const Participant* a, const Participant* b) {
    return a->attach_order < b->attach_order;
  });
  std::vector<RosterEntry> roster;
  roster.reserve(attached.size());
  for (const Participant* p : attached) roster.push_back({p->id, p->name, p->role});
  return roster;
}

void Room::broadcast(std::string_view object, const Participant* except) {
  for (const auto& participant : participants_) {
    if (participant->present() && participant.get() != except) participant->outbox.push(object);
  }
}

void Room::publish_live(Participant& participant) {
  if (std::exchange(participant.live, true)) return;
  services_.outputs.outputs.emplace_back(ParticipantLive{id_, participant.id});
}

void Room::publish_gone(Participant& participant) {
  if (!std::exchange(participant.live, false)) return;
  services_.outputs.outputs.emplace_back(ParticipantGone{id_, participant.id});
}

void Room::answer(RequestId request, int status, std::string body) {
  services_.outputs.outputs.emplace_back(Answer{request, status, std::move(body), std::nullopt});
}

void Room::refuse(RequestId request, int status, std::string_view error) {
  answer(request, status, failure_body(error));
}

void Room::unavailable(RequestId request, bool may_declare_emergency) {
  constexpr std::string_view kWhy =
      "This cannot be recorded right now. Please try again in a moment.";
  services_.outputs.outputs.emplace_back(Answer{
      request, 503, may_declare_emergency ? may_declare_emergency_body(kWhy) : failure_body(kWhy),
      kRetryAfter});
}

void Room::close_socket(SocketId socket, std::uint16_t code, std::string_view reason,
                        std::vector<std::string> farewell) {
  services_.outputs.outputs.emplace_back(
      CloseSocket{socket, code, std::string(reason), std::move(farewell)});
}

}  // namespace bedside::signaling
