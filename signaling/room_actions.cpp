// The HTTP actions that change or show a room (protocol.md 1.1, 2.2 and leave-room of 2.4).
#include <algorithm>
#include <memory>
#include <utility>

#include "signaling/close_codes.h"
#include "signaling/room.h"

namespace bedside::signaling {

namespace {

// In a time that does not depend on where they differ.
bool equal(const TokenHash& a, const TokenHash& b) {
  unsigned difference = 0;
  for (std::size_t i = 0; i < a.size(); ++i) difference |= unsigned{a[i]} ^ unsigned { b[i] };
  return difference == 0;
}

}  // namespace

void Room::on(const Command& command, const CreateRoom& create, const Now& now) {
  if (services_.access == Access::invite && !ended_) {
    return create_with_links(command, create, now);
  }
  if (exists_) {
    answer(command.request, 200, created_body(id_, create.appointment, created_wall_, nullptr));
    return;
  }
  RoomCreated created{id_, create.appointment, now.wall, now.wall + services_.limits.room_lifetime};
  commit({created}, false, command.caller, {},
         [this, created, request = command.request](bool ok, const Now&) {
           if (!ok) {
             unavailable(request);
             return;
           }
           exists_ = true;
           appointment_ = created.appointment;
           created_wall_ = created.created_wall;
           expires_wall_ = created.expires_wall;
           answer(request, 200, created_body(id_, appointment_, created_wall_, nullptr));
         });
}

// Secrets are kept as hashes only, so every call makes new ones; earlier ones stay good.
void Room::create_with_links(const Command& command, const CreateRoom& create, const Now& now) {
  const IssuedLinks issued{services_.issuer.token(), services_.issuer.token(),
                           now.wall + services_.limits.room_lifetime};
  std::vector<Change> changes;
  if (exists_) {
    changes.emplace_back(RoomKept{id_, issued.expires_wall});
  } else {
    changes.emplace_back(RoomCreated{id_, create.appointment, now.wall, issued.expires_wall});
  }
  const std::pair<Role, const std::string*> both[] = {{Role::guest, &issued.guest_secret},
                                                      {Role::host, &issued.host_secret}};
  for (const auto& [role, secret] : both) {
    std::vector<const LinkRecord*> same;
    for (const LinkRecord& link : links_) {
      if (link.role == role) same.push_back(&link);
    }
    if (same.size() >= kMaxLinks) changes.emplace_back(LinkDropped{id_, same.front()->secret_hash});
    changes.emplace_back(
        LinkIssued{id_, role, services_.issuer.hash(*secret), issued.expires_wall});
  }
  commit(changes, false, command.caller, {},
         [this, changes, issued, create, request = command.request](bool ok, const Now& then) {
           if (!ok) {
             unavailable(request);
             return;
           }
           if (!exists_) {
             exists_ = true;
             appointment_ = create.appointment;
             created_wall_ = then.wall;
           }
           note_kept(changes);
           answer(request, 200, created_body(id_, create.appointment, created_wall_, &issued));
         });
}

// What commits say about the room's expiry and links.
void Room::note_kept(const std::vector<Change>& changes) {
  for (const Change& change : changes) {
    if (const auto* created = std::get_if<RoomCreated>(&change)) {
      created_wall_ = created->created_wall;
      expires_wall_ = created->expires_wall;
    } else if (const auto* kept = std::get_if<RoomKept>(&change)) {
      expires_wall_ = kept->expires_wall;
    } else if (const auto* link = std::get_if<LinkIssued>(&change)) {
      links_.push_back({link->role, link->secret_hash, link->expires_wall});
    } else if (const auto* dropped = std::get_if<LinkDropped>(&change)) {
      std::erase_if(
          links_, [&](const LinkRecord& each) { return each.secret_hash == dropped->secret_hash; });
    }
  }
}

void Room::keep_alive(std::vector<Change>& changes, const Now& now) const {
  const auto expires = now.wall + services_.limits.room_lifetime;
  if (expires - expires_wall_ > kExpiryStep) changes.emplace_back(RoomKept{id_, expires});
}

bool Room::waiting_room() const {
  return services_.access == Access::invite && services_.limits.waiting_room;
}

// All links are compared, whichever fits: the time tells nothing.
const LinkRecord* Room::link_of(std::string_view secret, const Now& now) const {
  const TokenHash hash = services_.issuer.hash(secret);
  const LinkRecord* found = nullptr;
  for (const LinkRecord& link : links_) {
    if (equal(link.secret_hash, hash) && link.expires_wall > now.wall) found = &link;
  }
  return found;
}

std::optional<Room::Entry> Room::may_join(const Command& command, const JoinRoom& join,
                                          const Now& now) {
  Entry entry;
  if (services_.access == Access::invite) {
    const LinkRecord* opened = link_of(join.token, now);
    if (opened == nullptr) {
      services_.outputs.outputs.emplace_back(Misuse{Misuse::Kind::wrong_token, command.caller});
      refuse(command.request, 403, kLinkNotValid);
      return std::nullopt;
    }
    entry = {opened->role, opened->secret_hash};
  }
  const Role role = entry.role;
  const bool waits = waiting_room() && role == Role::guest;
  const std::size_t max = services_.limits.max_participants;
  if (!exists_) {
    refuse(command.request, 404, "Room not found");
  } else if (ended_) {
    refuse(command.request, 410, "Room has ended");
  } else if (locked_ && role == Role::guest) {
    refuse(command.request, 423, "This visit is locked");
  } else if (!waits && count() >= max) {
    refuse(command.request, 409,
           "This visit already has its maximum of " + std::to_string(max) + " people");
  } else if (waits && waiting_count() >= kMaxWaiting) {
    refuse(command.request, 409, "Too many people are waiting for this visit");
  } else {
    return entry;
  }
  return std::nullopt;
}

bool Room::may_declare(const Command& command, Role role) {
  if (services_.access != Access::invite || role != Role::host) {
    refuse(command.request, 403, "Only a host may declare an emergency");
    return false;
  }
  if (services_.limits.emergencies) return true;
  refuse(command.request, 503, "This server has no journal for emergencies");
  return false;
}

void Room::on(const Command& command, const JoinRoom& join, const Now& now) {
  const auto entry = may_join(command, join, now);
  if (!entry || (join.emergency && !may_declare(command, entry->role))) return;
  if (!may_repeat(entry->role == Role::host ? host_joins_ : guest_joins_, command, now)) return;
  const std::string token = services_.issuer.token();
  ParticipantJoined joined{id_,
                           services_.issuer.participant_id(),
                           join.name,
                           entry->role,
                           services_.issuer.hash(token),
                           now.wall,
                           now.wall + kJoinLease,
                           !(waiting_room() && entry->role == Role::guest),
                           entry->link};
  std::vector<Change> changes{joined};
  std::optional<IceGrant> ice;
  if (joined.admitted) {
    ice = services_.issuer.ice_grant(id_, joined.participant, now);
    changes.emplace_back(CredentialIssued{id_, joined.participant, ice->expires_wall});
  }
  keep_alive(changes, now);
  if (join.emergency) {
    changes.emplace_back(EmergencyOpened{id_, joined.participant, now.wall + kEmergency});
    emergency_ = true;
  }
  commit(changes, false, command.caller, joined.participant,
         [this, changes, joined, token, ice, request = command.request, declared = join.emergency](
             bool ok, const Now& then) {
           if (!ok) {
             unavailable(request, services_.limits.emergencies && joined.role == Role::host);
             return;
           }
           if (declared) emergency_until_ = then.mono + kEmergency;
           const IceGrant* grant = ice ? &*ice : nullptr;
           note_kept(changes);
           apply_join(joined, grant, then);
           answer(request, 200,
                  joined_body({joined.participant, id_, count(), token, joined.role,
                               !joined.admitted, grant}));
         });
}

void Room::apply_join(const ParticipantJoined& joined, const IceGrant* ice, const Now& now) {
  auto participant = std::make_unique<Participant>();
  participant->id = joined.participant;
  participant->name = joined.name;
  participant->role = joined.role;
  participant->token_hash = joined.token_hash;
  participant->presence = Presence::leased;
  participant->deadline = now.mono + kJoinLease;
  participant->admitted = joined.admitted;
  if (ice != nullptr) note_ice(*participant, *ice, now);
  if (participant->admitted) publish_live(*participant);
  participants_.push_back(std::move(participant));
}

void Room::on(const Command& command, const EndRoom& end, const Now& now) {
  if (!exists_) return refuse(command.request, 404, "Room not found");
  if (ended_) return answer(command.request, 200, ended_body());
  end_room(
      command, end.reason,
      [this, request = command.request](bool, const Now&) { answer(request, 200, ended_body()); },
      now);
}

// Takes something away from everybody and gives nothing to anybody: it also happens while its
// record has to wait.
void Room::end_room(const Command& command, EndReason reason, Decided decided, const Now& now) {
  const auto forget = now.wall + kEndedVisible;
  const auto open_for = std::chrono::duration_cast<std::chrono::seconds>(
      std::max(now.wall - created_wall_, std::chrono::milliseconds{0}));
  std::vector<Change> changes{RoomEnded{id_, reason, now.wall, forget, open_for}};
  for (const auto& participant : participants_) {
    if (!participant->attached()) continue;
    changes.emplace_back(ParticipantLeft{id_, participant->id, LeaveReason::room_ended, now.wall,
                                         attended(*participant, now)});
  }
  commit(std::move(changes), true, command.caller, {},
         [this, forget, reason, decided = std::move(decided)](bool ok, const Now& then) {
           forget_wall_ = forget;
           apply_end(reason);
           if (decided) decided(ok, then);
         });
}

void Room::apply_end(EndReason reason) {
  ended_ = true;
  const std::string goodbye = room_ended_message(reason);
  for (const auto& participant : participants_) {
    publish_gone(*participant);
    participant->outbox.push(goodbye);
    if (participant->outbox.lost()) participant->outbox.restart(goodbye);
    note_former(*participant, goodbye, close_codes::kRoomEnded);
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
  if (participant == nullptr) return;
  if (!wish.returning) return leave(*participant, command, now);
  if (participant->presence == Presence::remembered) {
    return answer(command.request, 200, accepted_body(std::nullopt));
  }
  publish_gone(*participant);
  // A reload before the first attach: no arrival, so no departure. The lease keeps the place.
  if (!participant->attached()) {
    return answer(command.request, 200, accepted_body(std::nullopt));
  }
  commit({ParticipantDetached{id_, participant->id, LeaveReason::disconnected, now.wall,
                              attended(*participant, now)}},
         true, command.caller, participant->id,
         [this, id = participant->id, request = command.request](bool, const Now& then) {
           if (Participant* self = find(id)) {
             drop_transports(*self, "left");
             remember(*self, then);
           }
           answer(request, 200, accepted_body(std::nullopt));
         });
}

void Room::on(const Command& command, const RenewIce& renew, const Now& now) {
  Participant* participant = speaker(command, renew.speaker, true);
  if (participant == nullptr) return;
  if (!participant->admitted) return refuse(command.request, 409, "Waiting to be admitted");
  if (!participant->counts()) {
    // In invite mode a page that comes back asks first whether its place is still there.
    if (services_.access == Access::invite) {
      return refuse(command.request, 409, "Join the room first");
    }
    return refuse(command.request, 403, "This participant is not in the room");
  }
  if (!may_repeat(participant->renewals, command, now)) return;
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
  if (services_.access == Access::invite && (!exists_ || ended_)) {
    // The same for a room that never was; the truth for those who were there.
    const bool was_there = former(speaker.participant, speaker.token) != nullptr;
    refuse(command.request, was_there ? 410 : 403,
           was_there ? "Room has ended" : "This participant is not in the room");
    return nullptr;
  }
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
    if (required || participant.token_shown) return false;
    // In invite mode a client of section 1 may attach once with the id from its own join-room. From
    // then on others know the id.
    return services_.access == Access::open || participant.presence == Presence::leased;
  }
  return equal(services_.issuer.hash(token), participant.token_hash);
}

}  // namespace bedside::signaling
