// The HTTP actions that change or show a room (protocol.md 1.1, 2.2 and leave-room of 2.4).
#include <memory>
#include <utility>

#include "signaling/room.h"

namespace bedside::signaling {

void Room::on(const Command& command, const CreateRoom& create, const Now& now) {
  if (exists_) {
    answer(command.request, 200, created_body(id_, create.appointment, created_wall_));
    return;
  }
  RoomCreated created{id_, create.appointment, now.wall};
  commit({created}, false, command.caller, {},
         [this, created, request = command.request](bool ok, const Now&) {
           if (!ok) {
             unavailable(request);
             return;
           }
           exists_ = true;
           appointment_ = created.appointment;
           created_wall_ = created.created_wall;
           answer(request, 200, created_body(id_, appointment_, created_wall_));
         });
}

void Room::on(const Command& command, const JoinRoom& join, const Now& now) {
  if (!exists_) return refuse(command.request, 404, "Room not found");
  if (ended_) return refuse(command.request, 410, "Room has ended");
  const std::size_t max = services_.limits.max_participants;
  if (count() >= max) {
    return refuse(command.request, 409,
                  "This visit already has its maximum of " + std::to_string(max) + " people");
  }
  const std::string token = services_.issuer.token();
  ParticipantJoined joined{id_,
                           services_.issuer.participant_id(),
                           join.name,
                           Role::guest,
                           services_.issuer.hash(token),
                           now.wall,
                           now.wall + kJoinLease};
  const IceGrant ice = services_.issuer.ice_grant(id_, joined.participant, now);
  commit({joined, CredentialIssued{id_, joined.participant, ice.expires_wall}}, false,
         command.caller, joined.participant,
         [this, joined, token, ice, request = command.request](bool ok, const Now& then) {
           if (!ok) {
             unavailable(request);
             return;
           }
           apply_join(joined, ice, then);
           answer(request, 200,
                  joined_body({joined.participant, id_, count(), token, joined.role, false, &ice}));
         });
}

void Room::apply_join(const ParticipantJoined& joined, const IceGrant& ice, const Now& now) {
  auto participant = std::make_unique<Participant>();
  participant->id = joined.participant;
  participant->name = joined.name;
  participant->role = joined.role;
  participant->token_hash = joined.token_hash;
  participant->presence = Presence::leased;
  participant->deadline = now.mono + kJoinLease;
  note_ice(*participant, ice, now);
  publish_live(*participant);
  participants_.push_back(std::move(participant));
}

void Room::on(const Command& command, const EndRoom& end, const Now& now) {
  if (!exists_) return refuse(command.request, 404, "Room not found");
  if (ended_) return answer(command.request, 200, ended_body());
  const auto forget = now.wall + kEndedVisible;
  std::vector<Change> changes{RoomEnded{id_, end.reason, now.wall, forget}};
  for (const auto& participant : participants_) {
    if (!participant->attached()) continue;
    changes.emplace_back(ParticipantLeft{id_, participant->id, LeaveReason::room_ended, now.wall,
                                         attended(*participant, now)});
  }
  commit(std::move(changes), false, command.caller, {},
         [this, forget, reason = end.reason, request = command.request](bool ok, const Now&) {
           if (!ok) {
             unavailable(request);
             return;
           }
           forget_wall_ = forget;
           apply_end(reason);
           answer(request, 200, ended_body());
         });
}

void Room::apply_end(EndReason reason) {
  ended_ = true;
  const std::string goodbye = room_ended_message(reason);
  for (const auto& participant : participants_) {
    publish_gone(*participant);
    participant->outbox.push(goodbye);
    if (participant->outbox.lost()) participant->outbox.restart(goodbye);
    std::vector<std::string> last = participant->outbox.take(kOutboxBytes);
    if (participant->socket != 0) {
      close_socket(participant->socket, 4001, "room-ended", std::move(last));
    } else if (participant->poll) {
      answer(participant->poll->request, 200,
             polled_body(last, participant->outbox.last(), participant->client_seq));
    }
  }
  participants_.clear();
}

void Room::on(const Command& command, const GetRoom&, const Now&) {
  if (!exists_) return refuse(command.request, 404, "Room not found");
  answer(command.request, 200, room_body(id_, appointment_, count(), !ended_, created_wall_));
}

void Room::on(const Command& command, const LeaveRoom& wish, const Now& now) {
  Participant* participant = speaker(command, wish.speaker, false);
  if (participant != nullptr) leave(*participant, command, now);
}

void Room::on(const Command& command, const RenewIce& renew, const Now& now) {
  Participant* participant = speaker(command, renew.speaker, true);
  if (participant == nullptr) return;
  if (!participant->counts()) {
    return refuse(command.request, 403, "This participant is not in the room");
  }
  const IceGrant ice = services_.issuer.ice_grant(id_, participant->id, now);
  commit({CredentialIssued{id_, participant->id, ice.expires_wall}}, false, command.caller,
         participant->id,
         [this, ice, id = participant->id, request = command.request](bool ok, const Now& then) {
           Participant* self = find(id);
           if (!ok || self == nullptr) {
             unavailable(request);
             return;
           }
           note_ice(*self, ice, then);
           answer(request, 200, ice_body(ice));
         });
}

Participant* Room::speaker(const Command& command, const Speaker& speaker, bool token_required) {
  if (!exists_ || ended_) {
    refuse(command.request, exists_ ? 410 : 404, exists_ ? "Room has ended" : "Room not found");
    return nullptr;
  }
  Participant* participant = find(speaker.participant);
  if (participant == nullptr || !token_fits(*participant, speaker.token, token_required)) {
    services_.outputs.outputs.emplace_back(Misuse{Misuse::Kind::wrong_token, command.caller});
    refuse(command.request, 403, "This participant is not in the room");
    return nullptr;
  }
  if (!speaker.token.empty()) participant->token_shown = true;
  return participant;
}

bool Room::token_fits(const Participant& participant, std::string_view token, bool required) const {
  if (token.empty()) {
    return !required && services_.access == Access::open && !participant.token_shown;
  }
  // Hashes of a secret: comparing them byte by byte tells nothing about the secret.
  return services_.issuer.hash(token) == participant.token_hash;
}

}  // namespace bedside::signaling
