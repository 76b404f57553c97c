// The hub and what surrounds it: outputs, the store's verdicts, time, relay events.
#include <algorithm>
#include <chrono>
#include <iterator>
#include <utility>

#include "server/control_impl.h"
#include "server/log.h"

namespace bedside::server {
namespace {

constexpr std::size_t kFeedBytes = std::size_t{64} * 1024;
// When to ask again for a new room on a disk that is nearly full: somebody has to make space first.
constexpr std::chrono::seconds kSpaceRetry{60};
constexpr std::size_t kMaxUnrecorded = 4096;
// A relay whose queue is full is told again soon: what was revoked ends within a second.
constexpr std::chrono::milliseconds kRevokeAgain{50};
// How long an ended room of an older file stays when nothing is stored about it.
constexpr std::chrono::hours kEndedVisible{1};

Abuse kind_of(signaling::Misuse::Kind kind) {
  switch (kind) {
    case signaling::Misuse::Kind::malformed:
      return Abuse::malformed_message;
    case signaling::Misuse::Kind::rate_limited:
      return Abuse::rate_limited;
    case signaling::Misuse::Kind::wrong_token:
      return Abuse::wrong_token;
  }
  return Abuse::malformed_message;
}

// Rooms made and ended by programs and staff: what a records system may want to prove later. In
// open rooms it calls without a name.
bool gets_receipt(const signaling::CommitNeeded& needed) {
  const std::string& kind = needed.caller.actor_kind;
  return (kind == "api" || kind == "user" || kind == "operator" || kind == "anonymous") &&
         std::any_of(needed.changes.begin(), needed.changes.end(), [](const auto& change) {
           return std::holds_alternative<signaling::RoomCreated>(change) ||
                  std::holds_alternative<signaling::LinkIssued>(change) ||
                  std::holds_alternative<signaling::RoomEnded>(change);
         });
}

signaling::ParticipantRecord record_of(const store::ParticipantRow& row) {
  signaling::ParticipantRecord record;
  record.id = row.participant_id;
  record.name = row.display_name;
  record.role = row.role == "host" ? signaling::Role::host : signaling::Role::guest;
  const std::size_t size = std::min(row.token_hash.size(), record.token_hash.size());
  std::copy_n(row.token_hash.begin(), size, record.token_hash.begin());
  record.lease_wall = row.lease_until;
  record.attached_wall = row.attached_at;
  record.admitted = row.admitted;
  return record;
}

}  // namespace

signaling::Now Control::Impl::now() const {
  if (options_.clock) return options_.clock();
  using std::chrono::duration_cast;
  using std::chrono::milliseconds;
  return {duration_cast<milliseconds>(loop_.now()),
          duration_cast<milliseconds>(std::chrono::system_clock::now().time_since_epoch())};
}

void Control::Impl::restore(const store::LoadedState& state) {
  std::unordered_map<std::string, std::vector<signaling::ParticipantRecord>> people;
  for (const store::ParticipantRow& row : state.participants) {
    people[row.room_id].push_back(record_of(row));
  }
  std::unordered_map<std::string, std::vector<signaling::LinkRecord>> links;
  for (const store::LinkRow& row : state.links) {
    signaling::LinkRecord link;
    link.role = row.role == "host" ? signaling::Role::host : signaling::Role::guest;
    if (row.secret_hash.size() != link.secret_hash.size()) continue;
    std::copy(row.secret_hash.begin(), row.secret_hash.end(), link.secret_hash.begin());
    link.expires_wall = row.expires_at;
    links[row.room_id].push_back(link);
  }
  tokens_.restore(state.tokens);
  std::vector<signaling::RoomRecord> rooms;
  for (const store::RoomRow& row : state.rooms) {
    signaling::RoomRecord room;
    room.id = row.room_id;
    room.appointment = row.appointment_json;
    room.created_wall = row.created_at;
    if (row.ended_at) {
      room.forget_wall = row.expires_at.value_or(*row.ended_at + kEndedVisible);
    } else {
      room.expires_wall = row.expires_at;
    }
    room.locked = row.locked;
    room.links = std::move(links[row.room_id]);
    room.participants = std::move(people[row.room_id]);
    rooms.push_back(std::move(room));
  }
  hub_.restore(std::move(rooms), now());
  pump();
}

void Control::Impl::ask_hub(signaling::Action action, const signaling::Caller& caller,
                            std::uint64_t request, OnAnswer on_answer) {
  const auto* create = std::get_if<signaling::CreateRoom>(&action);
  if (create != nullptr && seams_.has_space && !seams_.has_space() && !hub_.room(create->room)) {
    return on_answer({request, 503,
                      signaling::failure_body("This server's disk is nearly full: there is no room "
                                              "for new visits. Those that exist go on."),
                      kSpaceRetry},
                     "");
  }
  answers_[request] = {std::move(on_answer), caller.request_id};
  hub_.request(request, std::move(action), caller, now());
  pump();
}

void Control::Impl::pump() {
  if (pumping_) return;  // the loop below sees what came in meanwhile
  pumping_ = true;
  while (true) {
    std::vector<signaling::Output> outputs = hub_.outputs();
    if (outputs.empty()) break;
    for (signaling::Output& output : outputs) {
      std::visit([this](auto& what) { perform(what); }, output);
    }
  }
  pumping_ = false;
  const auto next = hub_.next_deadline();
  if (!next) return hub_timer_.cancel();
  hub_timer_.arm(std::max(*next - now().mono, std::chrono::milliseconds{0}));
}

void Control::Impl::perform(signaling::CommitNeeded& needed) {
  store::Commit commit = seams_.trail.commit(needed);
  commit.keep = needed.keep;
  commit.emergency = needed.emergency;
  const bool declares = std::any_of(
      needed.changes.begin(), needed.changes.end(), [](const signaling::Change& change) {
        return std::holds_alternative<signaling::EmergencyOpened>(change);
      });
  commit.receipt = gets_receipt(needed);
  ++undecided_commits_;
  // `keep`: it has happened, and must be recorded even when the store is too busy right now.
  std::optional<store::Commit> again;
  if (needed.keep) again = commit;
  recorder_.record_at(std::move(commit), [this, id = needed.id, again = std::move(again),
                                          request = needed.caller.request_id,
                                          declares](const store::CommitResult& result) mutable {
    if (undecided_commits_ > 0) --undecided_commits_;
    if (declares && result.ok()) emergency_until_ = now().mono + signaling::kEmergency;
    if (declares || !result.ok()) watch_store();
    if (result.status == store::CommitStatus::full && again) keep_for_later(std::move(*again));
    const bool has_receipt = !result.receipt.empty();
    if (has_receipt) receipt_ = {request, result.receipt};
    hub_.committed(id, result.ok(), now());
    pump();
    if (has_receipt) receipt_ = {};
    finish_drain_when_empty();
  });
}

void Control::Impl::perform(signaling::Answer& answer) {
  auto waiting = answers_.extract(answer.request);
  if (waiting.empty()) return;
  const Asked& asked = waiting.mapped();
  const bool own = asked.caller_request != 0 && asked.caller_request == receipt_.caller_request;
  asked.answered(answer, own ? receipt_.text : std::string());
}

void Control::Impl::perform(signaling::SocketReady& ready) {
  const auto it = guests_.find(ready.socket);
  if (it == guests_.end()) return;
  while (true) {
    const std::vector<std::string> texts = hub_.take(ready.socket, kFeedBytes);
    if (texts.empty()) return;
    if (!it->second.connection->send_texts(texts)) return;  // its end follows; a resume replays
  }
}

void Control::Impl::perform(signaling::CloseSocket& close) {
  const auto it = guests_.find(close.socket);
  if (it == guests_.end()) return;
  it->second.socket = false;
  for (const std::string& text : close.farewell) {
    if (!it->second.connection->send_text(text)) break;
  }
  it->second.connection->close_socket(close.code, close.reason);
}

void Control::Impl::perform(signaling::ParticipantLive& live) {
  seams_.live.add(live.participant);
  visits_.live(live.participant, live.room);
}

void Control::Impl::perform(signaling::ParticipantGone& gone) {
  // First the credential, then what was made with it: nothing new can come in between.
  seams_.live.remove(gone.participant);
  visits_.gone(gone.participant);
  if (seams_.revoke(gone.participant)) return;
  to_revoke_.push_back(gone.participant);
  revoke_timer_.arm(kRevokeAgain);
}

void Control::Impl::retry_revocations() {
  for (std::size_t i = to_revoke_.size(); i > 0; --i) {
    std::string participant = std::move(to_revoke_.front());
    to_revoke_.pop_front();
    // Somebody who came back meanwhile may keep what they have.
    if (seams_.live.contains(participant)) continue;
    if (!seams_.revoke(participant)) to_revoke_.push_back(std::move(participant));
  }
  if (!to_revoke_.empty()) revoke_timer_.arm(kRevokeAgain);
}

void Control::Impl::perform(signaling::Misuse& misuse) {
  count(kind_of(misuse.kind), stun::IpAddress::parse(misuse.caller.address));
}

void Control::Impl::perform(signaling::Noted& noted) {
  signaling::CommitNeeded happened;
  happened.room = noted.room;
  happened.changes.push_back(std::move(noted.change));
  happened.caller = noted.caller;
  happened.keep = true;
  happened.emergency = noted.emergency;
  record(seams_.trail.commit(happened));
}

void Control::Impl::count(Abuse kind, const std::optional<stun::IpAddress>& address) {
  seams_.trail.count(kind, address, now().mono);
}

void Control::Impl::on_relay_event(const turn::Event& event) {
  const std::string room = visits_.note(event);
  auto commit = seams_.trail.commit(event, room, now().mono);
  if (commit) record(std::move(*commit));
}

// Facts that wait for nobody.
void Control::Impl::record(store::Commit commit) {
  store::Commit again = commit;
  recorder_.record(std::move(commit),
                   [this, again = std::move(again)](store::CommitStatus status) mutable {
                     if (status != store::CommitStatus::committed) watch_store();
                     if (status == store::CommitStatus::full) keep_for_later(std::move(again));
                   });
}

void Control::Impl::keep_for_later(store::Commit commit) {
  if (unrecorded_.size() < kMaxUnrecorded) {
    unrecorded_.push_back(std::move(commit));
    return;
  }
  if (lost_records_.fetch_add(1) == 0) {
    log::error("audit records are being lost: the store takes nothing and the queue is full");
  }
}

std::vector<store::Commit> Control::Impl::take_unrecorded() {
  std::vector<store::Commit> commits(std::make_move_iterator(unrecorded_.begin()),
                                     std::make_move_iterator(unrecorded_.end()));
  unrecorded_.clear();
  return commits;
}

// An allocation that cannot be recorded is not granted: the relays are told as soon as it is known.
void Control::Impl::watch_store() {
  const store::Stats store = seams_.store.stats();
  const bool writable = !store.full && !store.fatal;
  // In an emergency their records go into the journal.
  const bool accept = writable || (store.journal && !store.fatal && now().mono < emergency_until_);
  if (accept != std::exchange(relays_accept_, accept) && seams_.accept_allocations) {
    seams_.accept_allocations(accept);
  }
  if (writable == std::exchange(store_writable_, writable)) return;
  if (writable) {
    log::info("the database has space again; everything is granted as before");
  } else if (store.locked) {
    log::error("another program locks the database; rooms, joins and relay allocations wait");
  } else if (store.full) {  // one that failed for good has told its reason, and the server stops
    log::error("the database has no space; rooms, joins and new relay allocations are refused");
    record(seams_.trail.commit(AdminAction{StorageFull{}}, AuditSource{}));
  }
}

void Control::Impl::on_hub_time() {
  hub_.expire(now());
  pump();
}

void Control::Impl::on_second() {
  second_timer_.arm(std::chrono::seconds{1});
  watch_store();
  for (std::size_t i = unrecorded_.size(); i > 0; --i) {
    store::Commit commit = std::move(unrecorded_.front());
    unrecorded_.pop_front();
    record(std::move(commit));
  }
  if (auto counted = seams_.trail.take_counted(now().mono)) record(std::move(*counted));
  if (admin_ != nullptr) {
    for (store::Commit& ended : admin_->take_timeouts()) record(std::move(ended));
  }
  const signaling::HubStats stats = hub_.stats();
  active_rooms_ = stats.rooms;
  participants_ = stats.participants;
  sockets_ = stats.sockets;
  messages_ = stats.messages_in;
  forwarded_ = stats.forwarded;
}

}  // namespace bedside::server
