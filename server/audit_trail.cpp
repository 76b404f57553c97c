#include "server/audit_trail.h"

#include <algorithm>
#include <utility>

#include "server/audit_admin.h"
#include "server/audit_words.h"
#include "store/checkpoint.h"

namespace bedside::server {
namespace {

// Names a link in the log: the beginning of its secret's hash, from which nobody finds the secret.
std::string link_id(const signaling::TokenHash& secret_hash) {
  constexpr std::size_t kIdBytes = 8;
  return store::to_hex(std::span(secret_hash).first(kIdBytes));
}

namespace type = audit_type;
using store::AuditRecord;
using store::Outcome;

// HL7 v3 ActReason: access in an emergency, against the usual rules.
constexpr std::string_view kBreakTheGlass = "BTG";

AuditRecord record(std::string_view kind) {
  AuditRecord made;
  made.type = kind;
  return made;
}

store::Where where(const AuditPrivacy& privacy, std::string_view listener,
                   const std::optional<stun::IpAddress>& address) {
  store::Where made;
  made.listener = listener;
  if (!address) return made;
  made.ip_class = class_of(*address);
  made.ip_prefix = network_of(*address);
  SealedField sealed = privacy.seal("ip", address->unmapped().to_string());
  made.ip_commitment = std::move(sealed.commitment);
  made.ip_enc = std::move(sealed.ciphertext);
  return made;
}

// The hub's words for who did something, in those of the log.
std::string_view actor_kind(std::string_view caller_kind) {
  if (caller_kind == "user") return "staff";
  if (caller_kind == "operator") return "operator";
  if (caller_kind == "system") return "service";
  if (caller_kind == "participant") return "participant";
  if (caller_kind == "api") return "api-token";
  return "client";
}

// signaling::Change → state and record. No catch-all: a new kind of change does not compile without
// its line here.
struct HubMapping {
  const AuditPrivacy& privacy;
  const signaling::Caller& caller;
  const store::Where& source;
  store::Commit& commit;

  void operator()(const signaling::RoomCreated& change) {
    commit.changes.emplace_back(store::RoomCreated{
        {change.room, change.appointment, change.created_wall, std::nullopt, change.expires_wall}});
    AuditRecord& made = add(type::kRoomCreated, change.room);
    made.object = privacy.pseudonym("appointment", change.appointment);
    seal_into(made, privacy, "patient_ref", change.appointment);
  }
  // No record of its own: nobody asks for it. Whoever moves an expiry has the record beside it
  // (room.join, room.attach, link.issued with the new expiry), and those who are still inside when
  // it comes have theirs of coming, without a room.leave.
  void operator()(const signaling::RoomKept& change) {
    commit.changes.emplace_back(store::RoomKept{change.room, change.expires_wall});
  }
  void operator()(const signaling::RoomLocked& change) {
    commit.changes.emplace_back(store::RoomLocked{change.room, change.locked});
    add_by_host(type::kRoomLocked, change.room).detail.set("locked", change.locked ? 1 : 0);
  }
  void operator()(const signaling::LinkIssued& change) {
    commit.changes.emplace_back(
        store::LinkIssued{{change.room,
                           std::string(word(change.role)),
                           {change.secret_hash.begin(), change.secret_hash.end()},
                           change.expires_wall}});
    AuditRecord& made = add(type::kLinkIssued, change.room);
    made.object = link_id(change.secret_hash);
    made.detail.set("role", word(change.role)).set("expires_ms", change.expires_wall.count());
  }
  void operator()(const signaling::LinkDropped& change) {
    commit.changes.emplace_back(
        store::LinkDropped{change.room, {change.secret_hash.begin(), change.secret_hash.end()}});
    add(type::kLinkDropped, change.room).object = link_id(change.secret_hash);
  }
  void operator()(const signaling::RoomEnded& change) {
    commit.changes.emplace_back(
        store::RoomEnded{change.room, change.ended_wall, change.forget_wall});
    AuditRecord& made = add(type::kRoomEnded, change.room);
    made.reason = word(change.reason);
    made.detail.set("seconds", change.open_for.count());
  }
  void operator()(const signaling::RoomForgotten& change) {
    commit.changes.emplace_back(store::RoomForgotten{change.room});
    add(type::kRoomExpired, change.room);
  }
  void operator()(const signaling::ParticipantJoined& change) {
    store::ParticipantRow row;
    row.participant_id = change.participant;
    row.room_id = change.room;
    row.display_name = change.name;
    row.role = word(change.role);
    row.token_hash.assign(change.token_hash.begin(), change.token_hash.end());
    row.joined_at = change.joined_wall;
    row.lease_until = change.lease_wall;
    row.admitted = change.admitted;
    commit.changes.emplace_back(store::ParticipantJoined{std::move(row)});
    if (change.link) {
      AuditRecord& opened = add(type::kLinkOpened, change.room, change.participant);
      opened.object = link_id(*change.link);
      opened.detail.set("role", word(change.role));
    }
    AuditRecord& joined = add(type::kRoomJoin, change.room, change.participant);
    joined.actor.role = word(change.role);
    seal_into(joined, privacy, "display", change.name);
  }
  void operator()(const signaling::ParticipantAttached& change) {
    commit.changes.emplace_back(
        store::ParticipantAttached{change.participant, change.attached_wall});
    add(change.waiting ? type::kRoomKnock : type::kRoomAttach, change.room, change.participant)
        .detail.set("transport", word(change.transport));
  }
  void operator()(const signaling::ParticipantAdmitted& change) {
    commit.changes.emplace_back(store::ParticipantAdmitted{change.participant});
    add_by_host(type::kRoomAdmit, change.room).object = change.participant;
  }
  void operator()(const signaling::ParticipantDeclined& change) {
    commit.changes.emplace_back(store::ParticipantLeft{change.participant});
    // The host's sentence for the guest stays between them.
    add_by_host(type::kRoomDeny, change.room).object = change.participant;
  }
  void operator()(const signaling::ParticipantKicked& change) {
    commit.changes.emplace_back(store::ParticipantLeft{change.participant});
    AuditRecord& made = add_by_host(type::kRoomKick, change.room);
    made.object = change.participant;
    made.detail.set("attended_s", change.attended.count());
  }
  void operator()(const signaling::ParticipantDetached& change) {
    commit.changes.emplace_back(store::ParticipantDetached{change.participant, change.left_wall});
    add_leave(change.room, change.participant, change.reason, change.attended);
  }
  void operator()(const signaling::ParticipantLeft& change) {
    commit.changes.emplace_back(store::ParticipantLeft{change.participant});
    add_leave(change.room, change.participant, change.reason, change.attended);
  }
  void operator()(const signaling::CredentialIssued& change) {
    add(type::kCredentialIssued, change.room, change.participant)
        .detail.set("expires_ms", change.expires_wall.count());
  }
  void operator()(const signaling::MediaDeclared& change) {
    using What = signaling::MediaDeclared::What;
    const bool relay = change.what == What::relay;
    AuditRecord& made = add(relay                            ? type::kMediaPath
                            : change.what == What::recording ? type::kMediaRecording
                                                             : type::kMediaScreen,
                            change.room, change.participant);
    made.detail.set("declared_by", "client");
    if (relay) {
      made.detail.set("path", change.on ? "relay" : "direct");
    } else {
      made.detail.set("on", change.on ? 1 : 0);
    }
  }
  void operator()(const signaling::EmergencyOpened& change) {
    AuditRecord& made = add(type::kEmergencyOpened, change.room, change.participant);
    made.actor.role = word(signaling::Role::host);
    made.detail.set("until_ms", change.until_wall.count());
  }

 private:
  AuditRecord& add(std::string_view kind, const std::string& room) {
    AuditRecord& made = commit.records.emplace_back(record(kind));
    made.room = privacy.pseudonym("room", room);
    made.actor = {std::string(actor_kind(caller.actor_kind)), caller.actor_id, caller.actor_role,
                  caller.actor_auth};
    made.session = caller.actor_session;
    made.where = source;
    made.request_id = caller.request_id;
    return made;
  }
  // About a participant; unless staff or time did it, the participant is the one who acted.
  AuditRecord& add(std::string_view kind, const std::string& room, const std::string& participant) {
    AuditRecord& made = add(kind, room);
    made.object = participant;
    if (made.actor.kind == "client" || made.actor.kind == "participant") {
      made.actor.kind = "participant";
      made.actor.id = participant;
    }
    return made;
  }
  AuditRecord& add_by_host(std::string_view kind, const std::string& room) {
    AuditRecord& made = add(kind, room);
    made.actor.role = word(signaling::Role::host);
    return made;
  }
  void add_leave(const std::string& room, const std::string& participant,
                 signaling::LeaveReason reason, std::chrono::seconds attended) {
    AuditRecord& made = add(type::kRoomLeave, room, participant);
    made.reason = word(reason);
    made.detail.set("attended_s", attended.count());
  }
};

// turn::Event → record, or a count.
struct RelayMapping {
  const AuditPrivacy& privacy;
  AbuseCounters& counters;
  std::string_view room;
  AbuseCounters::Time now;
  store::Commit& commit;

  void operator()(const turn::AllocationOpened& event) {
    AuditRecord& made = about(type::kAllocationOpen, event.party);
    made.object = std::to_string(event.serial.value);
    made.detail.set("lifetime_s", event.lifetime.count());
    set_relayed_transport(made, event.relayed_transport);
    const char* const keys[] = {"relayed4", "relayed6"};
    for (std::size_t i = 0; i < event.relayed.size(); ++i) {
      if (event.relayed[i]) made.detail.set(keys[i], event.relayed[i]->to_string());
    }
    commit.keep = true;  // the relay has answered: it cannot be taken back
  }
  void operator()(const turn::AllocationClosed& event) {
    AuditRecord& made = about(type::kAllocationClose, event.party);
    made.object = std::to_string(event.serial.value);
    made.reason = word(event.reason);
    made.detail.set("seconds", event.duration.count());
    set_relayed_transport(made, event.relayed_transport);
    made.detail.set("bytes_to_peer", event.to_peer.bytes)
        .set("packets_to_peer", event.to_peer.packets);
    made.detail.set("bytes_to_client", event.to_client.bytes)
        .set("packets_to_client", event.to_client.packets);
    commit.keep = true;
  }
  void operator()(const turn::PeerDenied& event) {
    if (!count(Abuse::peer_denied, event.party.client)) return;
    AuditRecord& made = about(type::kPeerDenied, event.party);
    made.outcome = Outcome::denied;
    made.reason = turn::to_text(event.range);
  }
  void operator()(const turn::AuthFailed& event) { count(Abuse::turn_auth, event.client); }
  void operator()(const turn::QuotaReached& event) { count(Abuse::turn_quota, event.party.client); }

 private:
  bool count(Abuse kind, const turn::FiveTuple& client) {
    const stun::IpAddress& address = client.client.address;
    return counters.count(kind, network_of(address), std::string(class_of(address)), now);
  }
  // UDP goes without saying.
  static void set_relayed_transport(AuditRecord& made, turn::PeerTransport transport) {
    if (transport == turn::PeerTransport::tcp) made.detail.set("relayed_transport", "tcp");
  }
  AuditRecord& about(std::string_view kind, const turn::Party& party) {
    AuditRecord& made = commit.records.emplace_back(record(kind));
    if (party.participant.empty()) {
      // An operator's own software may put anything into the subject, a patient's number too.
      made.actor = {"client", privacy.pseudonym("turn-subject", party.subject), "", "turn"};
    } else {
      made.actor = {"participant", party.participant, "", "turn"};
    }
    if (!room.empty()) made.room = privacy.pseudonym("room", room);
    made.where = where(privacy, "turn", party.client.client.address);
    made.detail.set("transport", word(party.client.transport));
    return made;
  }
};

}  // namespace

store::Commit AuditTrail::commit(const signaling::CommitNeeded& needed) const {
  store::Commit commit;
  commit.keep = needed.keep;
  const auto address = stun::IpAddress::parse(needed.caller.address);
  store::Where source = where(privacy_, needed.caller.listener, address);
  if (needed.caller.actor_kind == "user" && address) source.ip_prefix = full_address_of(*address);
  HubMapping mapping{privacy_, needed.caller, source, commit};
  for (const signaling::Change& change : needed.changes) std::visit(mapping, change);
  if (needed.emergency) {
    for (AuditRecord& made : commit.records) made.purpose = kBreakTheGlass;
  }
  return commit;
}

store::Commit AuditTrail::commit(const AdminAction& action, const AuditSource& source) const {
  store::Commit commit = map_admin_action(action, privacy_, source);
  for (AuditRecord& made : commit.records) {
    made.where = where(privacy_, source.listener, source.address);
    if (made.actor.kind == "staff" && source.address) {
      made.where.ip_prefix = full_address_of(*source.address);
    }
  }
  return commit;
}

std::optional<store::Commit> AuditTrail::commit(const turn::Event& event, std::string_view room,
                                                Time now) {
  store::Commit commit;
  std::visit(RelayMapping{privacy_, counters_, room, now, commit}, event);
  if (commit.records.empty()) return std::nullopt;
  return commit;
}

void AuditTrail::count(Abuse kind, const std::optional<stun::IpAddress>& address, Time now) {
  if (address) {
    counters_.count(kind, network_of(*address), std::string(class_of(*address)), now);
  } else {
    counters_.count(kind, "unknown", "", now);
  }
}

std::optional<store::Commit> AuditTrail::take_counted(Time now) {
  return counted(counters_.take_due(now));
}

std::optional<store::Commit> AuditTrail::take_all_counted() {
  return counted(counters_.take_all());
}

std::optional<store::Commit> AuditTrail::counted(std::vector<AbuseCounters::Row> rows) const {
  store::Commit commit;
  for (AbuseCounters::Row& row : rows) {
    // The first refused peer of a network has its own record already.
    if (row.kind == Abuse::peer_denied && row.network != "many") --row.count;
    if (row.count == 0) continue;
    AuditRecord& made = commit.records.emplace_back(record(type_of(row.kind)));
    made.outcome = Outcome::denied;
    made.reason = "counted";
    made.actor.kind = "client";
    made.where.ip_class = std::move(row.ip_class);
    made.where.ip_prefix = std::move(row.network);
    made.detail.set_if("kind", detail_of(row.kind));
    made.detail.set("count", row.count).set("window_s", AbuseCounters::kWindow.count() / 1000);
  }
  if (commit.records.empty()) return std::nullopt;
  return commit;
}

std::optional<store::Commit> AuditTrail::data_key_due(std::chrono::milliseconds wall) {
  const std::string month = month_of(wall);
  if (privacy_.data_keys().use(month)) return std::nullopt;
  store::Commit commit;
  commit.changes.emplace_back(store::DataKeyCreated{{month, privacy_.data_keys().make(month)}});
  AuditRecord& made = commit.records.emplace_back(record(type::kKeyRotated));
  made.actor.kind = "service";
  made.object = "audit-data-key";
  made.detail.set("month", month);
  return commit;
}

bool AuditTrail::adopt(const store::DataKeyRow& key) {
  return privacy_.data_keys().adopt(key.month, key.wrapped);
}

std::string AuditTrail::room_pseudonym(std::string_view room) const {
  return privacy_.pseudonym("room", room);
}

std::optional<std::string> AuditTrail::reveal_ip(std::span<const std::uint8_t> ciphertext) const {
  return privacy_.reveal(ciphertext);
}

std::optional<store::DisclosedField> AuditTrail::open_field(
    std::span<const std::uint8_t> ciphertext) const {
  return privacy_.open(ciphertext);
}

}  // namespace bedside::server
