// What hosts do, and the waiting room (protocol.md 2.1 and 2.3).
#include <algorithm>
#include <utility>

#include "signaling/close_codes.h"
#include "signaling/room.h"

namespace bedside::signaling {

void Room::act_as_host(Participant& host, const Command& command, const ClientMessage& message,
                       const Now& now) {
  const auto& action = std::get<HostAction>(message.body);
  if (!host.present() || host.role != Role::host) {
    return done_by_host(command, message,
                        Problem{"forbidden", "Only a host may do this", message.request_id});
  }
  const bool is_retry = message.client_seq && *message.client_seq <= host.client_seq;
  if (is_retry) return done_by_host(command, message, std::nullopt);
  switch (action.kind) {
    case HostAction::Kind::admit:
      return admit(command, message, now);
    case HostAction::Kind::decline:
      return decline(command, message);
    case HostAction::Kind::kick:
      return kick(command, message, now);
    case HostAction::Kind::lock:
      return lock(command, message, now);
    case HostAction::Kind::emergency:
      return declare_emergency(command, message, now);
    case HostAction::Kind::end:
      return end_room(
          command, EndReason::host,
          [this, command, message](bool, const Now&) {
            if (command.request == 0) return;  // told by the room's end, as everybody in it
            answer(command.request, 200, accepted_body(message.client_seq));
          },
          now);
  }
}

// The answer to a host, by the transport the wish came on. What was refused does not count: its
// retry is refused again, not taken for done.
void Room::done_by_host(const Command& command, const ClientMessage& message,
                        const std::optional<Problem>& problem) {
  Participant* host = find(command.participant);
  if (!problem && host != nullptr && message.client_seq) {
    host->client_seq = std::max(host->client_seq, *message.client_seq);
  }
  if (command.request == 0) {
    if (problem && host != nullptr) host->outbox.push(error_message(*problem));
    return;
  }
  if (!problem) {
    const auto seq =
        message.client_seq && host != nullptr ? std::optional(host->client_seq) : std::nullopt;
    return answer(command.request, 200, accepted_body(seq));
  }
  if (problem->code == "unavailable") return unavailable(command.request);
  const int status = problem->code == "unknown-peer" ? 404
                     : problem->code == "forbidden"  ? 403
                                                     : 409;
  refuse(command.request, status, problem->message);
}

void Room::admit(const Command& command, const ClientMessage& message, const Now& now) {
  const auto& action = std::get<HostAction>(message.body);
  const Participant* guest = find(action.peer);
  // Another host was faster: what this one wants is so.
  if (guest != nullptr && guest->counts()) return done_by_host(command, message, std::nullopt);
  if (guest == nullptr || !guest->waits()) {
    return done_by_host(command, message,
                        Problem{"unknown-peer", "Nobody with this id waits", message.request_id});
  }
  if (count() >= services_.limits.max_participants) {
    return done_by_host(command, message,
                        Problem{"room-full", "This visit is full", message.request_id});
  }
  const IceGrant ice = services_.issuer.ice_grant(id_, guest->id, now);
  commit({ParticipantAdmitted{id_, guest->id}, CredentialIssued{id_, guest->id, ice.expires_wall}},
         false, command.caller, guest->id,
         [this, command, message, ice, id = guest->id](bool ok, const Now& then) {
           if (!ok) {
             return done_by_host(command, message,
                                 Problem{"unavailable", "Please try again", message.request_id});
           }
           if (Participant* admitted = find(id)) apply_admit(*admitted, ice, then);
           done_by_host(command, message, std::nullopt);
         });
}

void Room::apply_admit(Participant& guest, const IceGrant& ice, const Now& now) {
  guest.admitted = true;
  note_ice(guest, ice, now);
  tell_hosts(knock_over_message(guest.id, "admitted"));
  // Whoever lost the connection while this was decided comes in with the next attach.
  if (guest.presence == Presence::remembered) return;
  publish_live(guest);
  if (!guest.attached()) return;
  guest.attach_order = next_attach_++;
  guest.attached_mono = now.mono;
  guest.attached_wall = now.wall;
  guest.outbox.restart(admitted_message(ice));
  guest.arrival = guest.outbox.last();
  guest.outbox.push(roster_message("existing-peers", others(guest)));
  push_facts(guest);
  broadcast(peer_joined_message(guest.id, guest.name, guest.role), &guest);
}

// Never for good: the link stays what it is, and its owner may knock again.
void Room::decline(const Command& command, const ClientMessage& message) {
  const auto& action = std::get<HostAction>(message.body);
  const Participant* guest = find(action.peer);
  if (guest == nullptr || guest->admitted) {
    return done_by_host(command, message,
                        Problem{"unknown-peer", "Nobody with this id waits", message.request_id});
  }
  commit({ParticipantDeclined{id_, guest->id}}, true, command.caller, guest->id,
         [this, command, message, id = guest->id](bool, const Now&) {
           if (Participant* declined = find(id)) {
             send_away(*declined, declined_message(std::get<HostAction>(message.body).reason),
                       close_codes::kDeclined, "declined");
           }
           done_by_host(command, message, std::nullopt);
         });
}

// The relay stops before this is recorded: who is removed must not go on seeing or hearing because
// a disk is slow.
void Room::kick(const Command& command, const ClientMessage& message, const Now& now) {
  const auto& action = std::get<HostAction>(message.body);
  Participant* target = find(action.peer);
  if (target == nullptr || target->id == command.participant) {
    return done_by_host(
        command, message,
        Problem{"unknown-peer", "Nobody with this id is in the room", message.request_id});
  }
  publish_gone(*target);
  commit({ParticipantKicked{id_, target->id, attended(*target, now)}}, true, command.caller,
         target->id, [this, command, message, id = target->id](bool, const Now&) {
           if (Participant* removed = find(id)) {
             send_away(*removed, removed_message(), close_codes::kRemoved, "removed");
           }
           done_by_host(command, message, std::nullopt);
         });
}

Participant* Room::kicked_now(const Command& command) const {
  const ClientMessage* message = nullptr;
  const Participant* host = nullptr;
  if (const auto* said = std::get_if<SocketSaid>(&command.what); said != nullptr && said->message) {
    message = &*said->message;
    host = by_socket(command.socket);
  } else if (const auto* signal = std::get_if<Signal>(&command.what)) {
    message = &signal->message;
    const Participant* named = find(signal->speaker.participant);
    if (named != nullptr && token_fits(*named, signal->speaker.token, true)) host = named;
  }
  const auto* action = message != nullptr ? std::get_if<HostAction>(&message->body) : nullptr;
  if (action == nullptr || action->kind != HostAction::Kind::kick) return nullptr;
  const bool may = host != nullptr && host->present() && host->role == Role::host;
  return may && action->peer != host->id ? find(action->peer) : nullptr;
}

void Room::relay_again(const std::string& participant) {
  Participant* spared = find(participant);
  if (spared != nullptr && spared->counts()) publish_live(*spared);
}

void Room::lock(const Command& command, const ClientMessage& message, const Now& now) {
  const bool locked = std::get<HostAction>(message.body).locked;
  if (locked == locked_) return done_by_host(command, message, std::nullopt);
  if (!may_repeat(locks_, command, now)) {
    if (command.request != 0) return;
    return done_by_host(command, message,
                        Problem{"rate-limited", "Too many requests", message.request_id});
  }
  commit({RoomLocked{id_, locked}}, false, command.caller, {},
         [this, command, message, locked](bool ok, const Now&) {
           if (!ok) {
             return done_by_host(command, message,
                                 Problem{"unavailable", "Please try again", message.request_id});
           }
           locked_ = locked;
           broadcast(locked_message(locked), nullptr);
           done_by_host(command, message, std::nullopt);
         });
}

// For who is in the visit already when the disk is full, and cannot admit anybody any more.
void Room::declare_emergency(const Command& command, const ClientMessage& message, const Now& now) {
  if (!services_.limits.emergencies) {
    return done_by_host(
        command, message,
        Problem{"no-journal", "This server has no journal for emergencies", message.request_id});
  }
  if (in_emergency(now)) return done_by_host(command, message, std::nullopt);
  emergency_ = true;
  commit({EmergencyOpened{id_, command.participant, now.wall + kEmergency}}, false, command.caller,
         command.participant, [this, command, message](bool ok, const Now& then) {
           if (!ok) {
             return done_by_host(command, message,
                                 Problem{"unavailable", "Please try again", message.request_id});
           }
           emergency_until_ = then.mono + kEmergency;
           tell_hosts(emergency_message());
           done_by_host(command, message, std::nullopt);
         });
}

// Tells the participant, closes its transports and forgets it; the others are told.
void Room::send_away(Participant& participant, std::string farewell, std::uint16_t close_code,
                     std::string_view reason) {
  publish_gone(participant);
  if (participant.outbox.lost()) {
    participant.outbox.restart(farewell);
  } else {
    participant.outbox.push(farewell);
  }
  const std::vector<std::string> last = participant.outbox.take(kOutboxBytes);
  if (participant.socket != 0) {
    close_socket(participant.socket, close_code, reason, last);
  } else if (participant.poll) {
    answer(participant.poll->request, 200,
           polled_body(last, participant.outbox.last(), participant.client_seq));
  }
  note_former(participant, std::move(farewell), close_code);
  if (participant.admitted) {
    announce_departure(participant);
  } else {
    tell_hosts(knock_over_message(participant.id, reason));
  }
  std::erase_if(participants_, [&](const auto& p) { return p.get() == &participant; });
}

void Room::note_former(const Participant& participant, std::string farewell,
                       std::uint16_t close_code) {
  if (former_.size() >= kMaxFormer) former_.pop_front();
  former_.push_back({participant.id, participant.token_hash, std::move(farewell),
                     participant.outbox.last(), close_code});
}

const FormerParticipant* Room::former(std::string_view id, std::string_view token) const {
  const auto it = std::find_if(former_.begin(), former_.end(),
                               [&](const FormerParticipant& each) { return each.id == id; });
  if (it == former_.end() || token.empty()) return nullptr;
  return services_.issuer.hash(token) == it->token_hash ? &*it : nullptr;
}

void Room::tell_hosts(std::string_view object) {
  for (const auto& participant : participants_) {
    if (participant->present() && participant->role == Role::host) participant->outbox.push(object);
  }
}

void Room::announce_departure(const Participant& participant) {
  if (!participant.attached()) return;
  if (participant.admitted) {
    broadcast(peer_left_message(participant.id), &participant);
  } else {
    tell_hosts(knock_over_message(participant.id, "left"));
  }
}

std::size_t Room::waiting_count() const {
  return static_cast<std::size_t>(std::count_if(participants_.begin(), participants_.end(),
                                                [](const auto& p) { return p->waits(); }));
}

}  // namespace bedside::signaling
