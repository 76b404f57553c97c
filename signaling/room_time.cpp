// What the passing of time changes in a room: leases, absences, credentials, and the room's one
// expiry.
#include <algorithm>
#include <utility>

#include "signaling/room.h"

namespace bedside::signaling {
namespace {

// How long a refused renewal of credentials rests.
constexpr std::chrono::milliseconds kIceRetry{5'000};

Caller system_caller() {
  Caller caller;
  caller.actor_kind = "system";
  return caller;
}

}  // namespace

void Room::restore(RoomRecord record, const Now& now) {
  exists_ = true;
  appointment_ = std::move(record.appointment);
  created_wall_ = record.created_wall;
  ended_ = record.forget_wall.has_value();
  forget_wall_ = record.forget_wall.value_or(std::chrono::milliseconds{0});
  expires_wall_ = record.expires_wall.value_or(now.wall + services_.limits.room_lifetime);
  locked_ = record.locked;
  links_ = std::move(record.links);
  if (ended_) return;
  for (ParticipantRecord& known : record.participants) {
    auto participant = std::make_unique<Participant>();
    participant->id = std::move(known.id);
    participant->name = std::move(known.name);
    participant->role = known.role;
    participant->token_hash = known.token_hash;
    participant->admitted = known.admitted;
    participant->token_shown = services_.access == Access::invite && known.attached_wall;
    // Above every number the process before gave out, so that an old `after` is never taken for a
    // new one.
    participant->outbox = Outbox(static_cast<std::uint64_t>(now.wall.count()));
    participant->ice_renew = now.mono;
    if (known.attached_wall) {
      participant->presence = Presence::away;
      participant->deadline = now.mono + kRestartGrace;
      participant->resumable = true;
      participant->attach_order = next_attach_++;
      participant->attached_wall = std::min(*known.attached_wall, now.wall);
      participant->attached_mono = now.mono - (now.wall - participant->attached_wall);
    } else if (known.lease_wall > now.wall) {
      participant->deadline = now.mono + std::min(kJoinLease, known.lease_wall - now.wall);
    } else {
      participant->presence = Presence::remembered;
      participant->deadline = now.mono + kReturnWindow;
    }
    if (participant->counts()) publish_live(*participant);
    participants_.push_back(std::move(participant));
  }
}

std::optional<std::chrono::milliseconds> Room::next_deadline(const Now& now) const {
  std::optional<std::chrono::milliseconds> next;
  const auto sooner = [&](std::chrono::milliseconds at) { next = next ? std::min(*next, at) : at; };
  for (const auto& participant : participants_) {
    if (participant->poll) sooner(participant->poll->deadline);
    if (participant->presence == Presence::leased) sooner(participant->deadline);
    // The rest needs a commit of its own; when the one in flight is through, the hub asks again.
    if (in_flight_) continue;
    if (participant->presence == Presence::away || participant->presence == Presence::remembered) {
      sooner(participant->deadline);
    }
    if (wants_ice(*participant)) sooner(std::max(*participant->ice_renew, ice_rests_until_));
  }
  if (exists_ && !in_flight_) {
    const auto end = ended_ ? forget_wall_ : expires_wall_;
    sooner(now.mono + std::max(end - now.wall, std::chrono::milliseconds{0}));
  }
  return next;
}

void Room::expire(const Now& now) {
  for (const auto& participant : participants_) {
    if (participant->poll && participant->poll->deadline <= now.mono) {
      answer_poll(*participant, participant->poll->request, now);
    }
    if (participant->presence == Presence::leased && participant->deadline <= now.mono) {
      remember(*participant, now);
    }
  }
  if (in_flight_) return;
  Command command;
  command.what = TimeUp{};
  command.caller = system_caller();
  submit(std::move(command), now);
}

// One commit at a time: the next call finds what is still due.
void Room::on(const Command& command, const TimeUp&, const Now& now) {
  if (ended_) {
    if (now.wall < forget_wall_) return;
    commit({RoomForgotten{id_}}, true, command.caller, {}, [this](bool, const Now&) {
      exists_ = false;
      ended_ = false;
    });
    return;
  }
  if (!exists_) return;
  if (depart_overdue(command, now) || end_unused(command, now)) return;
  renew_ice(command, now);
}

// Nobody ended it and nobody has come for its lifetime. With people inside it lives on.
bool Room::end_unused(const Command& command, const Now& now) {
  if (now.wall < expires_wall_) return false;
  const bool in_use = std::any_of(participants_.begin(), participants_.end(),
                                  [](const auto& p) { return p->counts() || p->waits(); });
  if (!in_use) {
    end_room(command, EndReason::expired, {}, now);
    return true;
  }
  std::vector<Change> changes{RoomKept{id_, now.wall + services_.limits.room_lifetime}};
  commit(changes, true, command.caller, {},
         [this, changes](bool, const Now&) { note_kept(changes); });
  return true;
}

bool Room::depart_overdue(const Command& command, const Now& now) {
  std::vector<Change> changes;
  std::vector<std::string> away;
  std::vector<std::string> forgotten;
  for (const auto& participant : participants_) {
    if (participant->deadline > now.mono) continue;
    if (participant->presence == Presence::away) {
      changes.emplace_back(ParticipantDetached{id_, participant->id, LeaveReason::disconnected,
                                               now.wall, attended(*participant, now)});
      away.push_back(participant->id);
    } else if (participant->presence == Presence::remembered) {
      changes.emplace_back(ParticipantLeft{id_, participant->id, LeaveReason::lapsed, now.wall,
                                           std::chrono::seconds{0}});
      forgotten.push_back(participant->id);
    }
  }
  if (changes.empty()) return false;
  commit(std::move(changes), true, command.caller, {},
         [this, away = std::move(away), forgotten = std::move(forgotten)](bool, const Now& then) {
           for (const std::string& id : away) {
             Participant* participant = find(id);
             if (participant != nullptr) remember(*participant, then);
           }
           std::erase_if(participants_, [&](const auto& p) {
             return std::find(forgotten.begin(), forgotten.end(), p->id) != forgotten.end();
           });
         });
  return true;
}

bool Room::wants_ice(const Participant& participant) const {
  return participant.presence == Presence::here && participant.admitted && participant.resumable &&
         participant.ice_renew.has_value();
}

void Room::renew_ice(const Command& command, const Now& now) {
  if (now.mono < ice_rests_until_) return;
  std::vector<Change> changes;
  std::vector<std::pair<std::string, IceGrant>> grants;
  for (const auto& participant : participants_) {
    if (!wants_ice(*participant) || *participant->ice_renew > now.mono) continue;
    IceGrant ice = services_.issuer.ice_grant(id_, participant->id, now);
    changes.emplace_back(CredentialIssued{id_, participant->id, ice.expires_wall});
    grants.emplace_back(participant->id, std::move(ice));
  }
  if (changes.empty()) return;
  commit(std::move(changes), false, command.caller, {},
         [this, grants = std::move(grants)](bool ok, const Now& then) {
           if (!ok) {
             ice_rests_until_ = then.mono + kIceRetry;
             return;
           }
           for (const auto& [id, ice] : grants) {
             Participant* participant = find(id);
             if (participant == nullptr) continue;
             note_ice(*participant, ice, then);
             participant->outbox.push(ice_message(ice));
           }
         });
}

void Room::set_away(Participant& participant, const Now& now) {
  participant.presence = Presence::away;
  participant.deadline = now.mono + kAwayGrace;
}

// Out of the room, for the others and for the relay; the id stays good for a return.
void Room::remember(Participant& participant, const Now& now) {
  announce_departure(participant);
  publish_gone(participant);
  participant.presence = Presence::remembered;
  participant.deadline = now.mono + kReturnWindow;
  participant.media.reset();
  std::vector<Participant*> remembered;
  for (const auto& p : participants_) {
    if (p->presence == Presence::remembered) remembered.push_back(p.get());
  }
  if (remembered.size() <= kMaxRemembered) return;
  (*std::min_element(remembered.begin(), remembered.end(), [](const auto* a, const auto* b) {
    return a->deadline < b->deadline;
  }))->deadline = now.mono;
}

void Room::note_ice(Participant& participant, const IceGrant& ice, const Now& now) {
  const auto lifetime = std::max(ice.expires_wall - now.wall, std::chrono::milliseconds{0});
  participant.ice_renew = now.mono + lifetime - std::min(kIceRenewBefore, lifetime / 2);
}

std::chrono::seconds Room::attended(const Participant& participant, const Now& now) const {
  if (!participant.attached()) return std::chrono::seconds{0};
  return std::chrono::duration_cast<std::chrono::seconds>(now.mono - participant.attached_mono);
}

}  // namespace bedside::signaling
