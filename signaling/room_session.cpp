// Who is in the room, by which transport, and what is said (protocol.md 1.2, 2.3, 2.4).
#include <algorithm>
#include <utility>

#include "signaling/close_codes.h"
#include "signaling/room.h"

namespace bedside::signaling {
void Room::on(const Command& command, const SocketSaid& said, const Now& now) {
  if (said.message) {
    if (const auto* join = std::get_if<Join>(&said.message->body)) {
      return socket_join(command, *join, now);
    }
  }
  // Nobody there: the participant left or was superseded while this message waited.
  Participant* participant = by_socket(command.socket);
  if (participant == nullptr) return;
  if (!said.message) return participant->outbox.push(error_message(said.message.error()));
  if (std::holds_alternative<Leave>(said.message->body)) return leave(*participant, command, now);
  if (std::holds_alternative<HostAction>(said.message->body)) {
    return act_as_host(*participant, command, *said.message, now);
  }
  if (const auto problem = hear(*participant, *said.message, command.caller, now)) {
    participant->outbox.push(error_message(*problem));
  }
}

void Room::socket_join(const Command& command, const Join& join, const Now& now) {
  if (const auto* gone = former(join.peer, join.token)) {
    if (ended_)
      return refuse_join(command, close_codes::kRoomEnded, {"room-ended", "Room has ended", {}});
    return close_socket(command.socket, gone->close_code, "over",
                        {with_seq(gone->farewell, gone->seq)});
  }
  const bool tells = services_.access == Access::open;  // strangers may know which rooms there are
  if (!exists_ && tells)
    return refuse_join(command, close_codes::kNoSuchRoom, {"room-not-found", "Room not found", {}});
  if (ended_ && tells)
    return refuse_join(command, close_codes::kRoomEnded, {"room-ended", "Room has ended", {}});
  Participant* participant = find(join.peer);
  if (participant == nullptr || !token_fits(*participant, join.token, false)) {
    services_.outputs.outputs.emplace_back(Misuse{Misuse::Kind::wrong_token, command.caller});
    return refuse_join(command, close_codes::kNotAParticipant,
                       {"not-a-participant", "This participant is not in the room", {}});
  }
  if (!join.token.empty()) participant->token_shown = true;
  if (overtaken(*participant, join.after.value_or(0))) {
    return refuse_join(command, close_codes::kSuperseded,
                       {"superseded", "A newer connection is in use", {}});
  }
  const bool resumable = !join.token.empty() || join.after.has_value();
  if (participant->attached() && join.after) {
    drop_transports(*participant, "superseded");
    catch_up(*participant, *join.after);
    participant->socket = command.socket;
    participant->presence = Presence::here;
    participant->resumable = true;
    participant->outbox.push(resumed_message(participant->client_seq));
    return;
  }
  if (!has_place_for(*participant)) {
    return refuse_join(command, close_codes::kRoomFull, {"room-full", "This visit is full", {}});
  }
  if (!may_repeat(participant->comings, command, now)) {
    return refuse_join(command, close_codes::kRateLimited,
                       {"rate-limited", "Too many requests", {}});
  }
  enter(
      *participant, Transport::socket, command, join.name,
      [this, command, resumable](bool ok, const Now&) {
        Participant* self = find(command.participant);
        if (!ok || self == nullptr) {
          return refuse_join(command, close_codes::kTryAgain,
                             {"unavailable", "Please try again", {}});
        }
        self->socket = command.socket;
        self->resumable = resumable;
      },
      now);
}

// The client has named a higher number since: what says `after` was overtaken on its way and must
// not take the place of the transport that is in use. 0 is no number: the client knows nothing.
bool Room::overtaken(const Participant& participant, std::uint64_t after) const {
  return participant.attached() && after != 0 && after < participant.outbox.acknowledged();
}

void Room::refuse_join(const Command& command, std::uint16_t close_code, Problem problem) {
  problem.request_id = request_id(command);
  close_socket(command.socket, close_code, problem.code, {error_message(problem)});
}

bool Room::has_place_for(const Participant& participant) const {
  if (!participant.admitted) return participant.waits() || waiting_count() < kMaxWaiting;
  return participant.counts() || count() < services_.limits.max_participants;
}

// A first attach, a return, or a fresh client that takes the place of an attached one.
void Room::enter(Participant& participant, Transport transport, const Command& command,
                 std::string name, Decided decided, const Now& now) {
  std::vector<Change> changes;
  if (participant.attached()) {
    changes.emplace_back(ParticipantDetached{id_, participant.id, LeaveReason::superseded, now.wall,
                                             attended(participant, now)});
  }
  changes.emplace_back(
      ParticipantAttached{id_, participant.id, transport, now.wall, !participant.admitted});
  keep_alive(changes, now);
  commit(changes, false, command.caller, participant.id,
         [this, changes, id = participant.id, name = std::move(name), decided = std::move(decided)](
             bool ok, const Now& then) {
           Participant* self = find(id);
           if (ok) note_kept(changes);
           if (ok && self != nullptr) apply_enter(*self, name, then);
           decided(ok, then);
         });
}

void Room::apply_enter(Participant& participant, std::string_view name, const Now& now) {
  if (participant.attached()) {
    drop_transports(participant, "superseded");
    announce_departure(participant);
  }
  if (participant.admitted) publish_live(participant);
  if (!name.empty()) participant.name = name;
  participant.presence = Presence::here;
  participant.attach_order = next_attach_++;
  participant.attached_mono = now.mono;
  participant.attached_wall = now.wall;
  participant.client_seq = 0;
  participant.media.reset();
  welcome(participant);
  if (!participant.admitted) return tell_hosts(knock_message(participant.id, participant.name));
  broadcast(peer_joined_message(participant.id, participant.name, participant.role), &participant);
}

void Room::push_facts(Participant& newcomer) {
  if (!newcomer.admitted) return;
  if (locked_) newcomer.outbox.push(locked_message(true));
  for (const auto& participant : participants_) {
    if (participant.get() == &newcomer || !participant->attached()) continue;
    if (participant->present() && participant->media) {
      newcomer.outbox.push(media_state_message(*participant->media, participant->id));
    }
    if (!participant->admitted && newcomer.role == Role::host) {
      newcomer.outbox.push(knock_message(participant->id, participant->name));
    }
  }
}

void Room::catch_up(Participant& participant, std::uint64_t after) {
  if (participant.outbox.can_resume(after)) {
    participant.outbox.resume(after);
  } else if (participant.outbox.can_repeat(after)) {
    participant.outbox.repeat();
  } else if (std::max(after, participant.outbox.acknowledged()) < participant.arrival) {
    // It never heard that it is a newcomer, from whom the others expect offers.
    welcome(participant);
  } else {
    resync(participant);
  }
}

void Room::welcome(Participant& newcomer) {
  newcomer.outbox.restart(newcomer.admitted ? roster_message("existing-peers", others(newcomer))
                                            : waiting_message());
  newcomer.arrival = newcomer.outbox.last();
  push_facts(newcomer);
}

void Room::resync(Participant& participant) {
  participant.outbox.restart(participant.admitted ? roster_message("resync", others(participant))
                                                  : waiting_message());
  push_facts(participant);
}

void Room::drop_transports(Participant& participant, std::string_view reason) {
  if (participant.socket != 0)
    close_socket(participant.socket, close_codes::kSuperseded, reason, {});
  participant.socket = 0;
  if (participant.poll) {
    // Not `last()`: what came in just now goes to the next transport.
    answer(participant.poll->request, 200,
           polled_body({}, participant.outbox.delivered(), participant.client_seq));
  }
  participant.poll.reset();
}

void Room::on(const Command& command, const SocketGone&, const Now& now) {
  Participant* participant = by_socket(command.socket);
  if (participant == nullptr) return;
  participant->socket = 0;
  set_away(*participant, now);
  if (participant->resumable) return;
  // A client of section 1 cannot resume: for it the closing is the departure.
  commit({ParticipantDetached{id_, participant->id, LeaveReason::disconnected, now.wall,
                              attended(*participant, now)}},
         true, command.caller, participant->id,
         [this, id = participant->id](bool, const Now& then) {
           Participant* self = find(id);
           if (self != nullptr) remember(*self, then);
         });
}

void Room::on(const Command& command, const Poll& poll, const Now& now) {
  const FormerParticipant* gone =
      ended_ ? nullptr : former(poll.speaker.participant, poll.speaker.token);
  if (gone != nullptr) {  // its last poll crossed the message that it is over
    return answer(command.request, 200,
                  polled_body({with_seq(gone->farewell, gone->seq)}, gone->seq, 0));
  }
  Participant* participant = speaker(command, poll.speaker, false);
  if (participant == nullptr) return;
  if (participant->attached()) {
    if (overtaken(*participant, poll.after)) {  // nobody reads this answer
      return answer(command.request, 200,
                    polled_body({}, participant->outbox.acknowledged(), participant->client_seq));
    }
    drop_transports(*participant, "superseded");
    catch_up(*participant, poll.after);
    participant->resumable = true;
    return serve_poll(*participant, command.request, poll.wait, now);
  }
  if (!has_place_for(*participant)) return refuse(command.request, 409, "This visit is full");
  if (!may_repeat(participant->comings, command, now)) return;
  enter(
      *participant, Transport::poll, command, {},
      [this, command, wait = poll.wait](bool ok, const Now& then) {
        Participant* self = find(command.participant);
        if (!ok || self == nullptr) return unavailable(command.request);
        self->resumable = true;
        serve_poll(*self, command.request, wait, then);
      },
      now);
}

void Room::serve_poll(Participant& participant, RequestId request, std::chrono::milliseconds wait,
                      const Now& now) {
  if (participant.outbox.has_unsent() || wait.count() == 0) {
    return answer_poll(participant, request, now);
  }
  participant.presence = Presence::here;
  participant.poll = ParkedPoll{request, now.mono + wait};
}

void Room::answer_poll(Participant& participant, RequestId request, const Now& now) {
  participant.poll.reset();
  if (participant.outbox.lost()) resync(participant);
  const std::vector<std::string> messages = participant.outbox.take(kOutboxBytes);
  answer(request, 200, polled_body(messages, participant.outbox.last(), participant.client_seq));
  set_away(participant, now);
}

void Room::on(const Command& command, const Signal& signal, const Now& now) {
  Participant* participant = speaker(command, signal.speaker, false);
  if (participant == nullptr) return;
  const ClientMessage& message = signal.message;
  if (std::holds_alternative<Ping>(message.body)) {
    return answer(command.request, 200, accepted_body(std::nullopt));
  }
  if (std::holds_alternative<Leave>(message.body)) return leave(*participant, command, now);
  const auto* join = std::get_if<Join>(&message.body);
  if (join != nullptr && (join->room != id_ || join->peer != participant->id)) {
    return refuse(command.request, 400, "join names another room or participant");
  }
  if (join != nullptr && !participant->attached()) {
    if (!has_place_for(*participant)) return refuse(command.request, 409, "This visit is full");
    if (!may_repeat(participant->comings, command, now)) return;
    return enter(
        *participant, Transport::poll, command, join->name,
        [this, command, seq = message.client_seq](bool ok, const Now& then) {
          Participant* self = find(command.participant);
          if (!ok || self == nullptr) return unavailable(command.request);
          self->resumable = true;
          self->client_seq = seq.value_or(0);
          set_away(*self, then);  // until its first poll
          answer(command.request, 200, accepted_body(seq));
        },
        now);
  }
  if (std::holds_alternative<HostAction>(message.body)) {
    return act_as_host(*participant, command, message, now);
  }
  if (join == nullptr) {
    if (const auto problem = hear(*participant, message, command.caller, now)) {
      const int status = problem->code == "unknown-peer" ? 404
                         : problem->code == "forbidden"  ? 403
                                                         : 409;
      return refuse(command.request, status, problem->message);
    }
  }
  answer(command.request, 200,
         accepted_body(message.client_seq ? std::optional(participant->client_seq) : std::nullopt));
}

// What has changed since it was recorded last, one fact each.
void Room::note_media(Participant& participant, const Caller& caller, const Now& now) {
  using What = MediaDeclared::What;
  const MediaState& media = *participant.media;
  MediaState& noted = participant.noted;
  const auto note = [&](What what, bool on) {
    if (!participant.facts.take(now)) return false;
    services_.outputs.outputs.emplace_back(
        Noted{id_, MediaDeclared{id_, participant.id, what, on}, caller, in_emergency(now)});
    return true;
  };
  if (media.screen != noted.screen && note(What::screen, media.screen)) noted.screen = media.screen;
  if (media.recording != noted.recording && note(What::recording, media.recording)) {
    noted.recording = media.recording;
  }
  if (media.relayed && media.relayed != noted.relayed && note(What::relay, *media.relayed)) {
    noted.relayed = media.relayed;
  }
}

// Nothing, or why it was not understood.
std::optional<Problem> Room::hear(Participant& participant, const ClientMessage& message,
                                  const Caller& caller, const Now& now) {
  if (!participant.attached())
    return Problem{"join-first", "Join the room first", message.request_id};
  if (!participant.admitted)
    return Problem{"waiting", "Please wait until you are admitted", message.request_id};
  const bool is_retry = message.client_seq && *message.client_seq <= participant.client_seq;
  if (is_retry) return std::nullopt;
  if (const auto* forward = std::get_if<Forward>(&message.body)) {
    Participant* target = find(forward->target);
    if (target == nullptr || !target->present() || target == &participant) {
      return Problem{"unknown-peer", "Nobody with this id is in the room", message.request_id};
    }
    target->outbox.push(forwarded_message(*forward, participant.id));
    ++services_.outputs.forwarded;
  } else if (const auto* media = std::get_if<MediaState>(&message.body)) {
    participant.media = *media;
    note_media(participant, caller, now);
    broadcast(media_state_message(*media, participant.id), &participant);
  }
  // What was refused does not count: its retry is refused again, not taken for done.
  if (message.client_seq) participant.client_seq = *message.client_seq;
  return std::nullopt;
}

// For good: the participant said so. What is said cannot be refused, so the record follows if need
// be, and the relay does not wait for it.
void Room::leave(Participant& participant, const Command& command, const Now& now) {
  publish_gone(participant);
  commit({ParticipantLeft{id_, participant.id, LeaveReason::left, now.wall,
                          attended(participant, now)}},
         true, command.caller, participant.id,
         [this, command, id = participant.id](bool, const Now&) {
           Participant* self = find(id);
           if (self != nullptr) {
             const bool by_own_socket = command.socket != 0 && command.socket == self->socket;
             if (by_own_socket) {
               services_.outputs.freed.push_back(self->socket);
               self->socket = 0;
             }
             drop_transports(*self, "left");
             announce_departure(*self);
             std::erase_if(participants_, [self](const auto& p) { return p.get() == self; });
           }
           if (command.request != 0) answer(command.request, 200, accepted_body(std::nullopt));
         });
}

}  // namespace bedside::signaling
