#include "tests/support/sim_store.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <utility>
#include <variant>

#include "signaling/limits.h"

namespace bedside::sim {

using namespace signaling;  // the changes of a room, one overload each

void Rooms::apply(const std::vector<Change>& changes, milliseconds now) {
  for (const Change& change : changes) {
    std::visit([&](const auto& what) { on(what, now); }, change);
  }
  for (const Change& change : changes) {
    const auto* ended = std::get_if<RoomEnded>(&change);
    if (ended == nullptr) continue;
    RoomFacts& room = rooms_[ended->room];
    for (const auto& [id, person] : room.people) {
      EXPECT_FALSE(person.record.attached_wall) << id << " has no departure in an ended room";
    }
    room.people.clear();
    room.order.clear();
  }
}

const RoomFacts* Rooms::room(const std::string& id) const {
  const auto it = rooms_.find(id);
  return it == rooms_.end() ? nullptr : &it->second;
}

const Person* Rooms::person(const std::string& room_id, const std::string& id) const {
  const RoomFacts* facts = room(room_id);
  if (facts == nullptr) return nullptr;
  const auto it = facts->people.find(id);
  return it == facts->people.end() ? nullptr : &it->second;
}

Person* Rooms::find(const std::string& room_id, const std::string& id) {
  return const_cast<Person*>(std::as_const(*this).person(room_id, id));
}

std::size_t Rooms::count(const std::string& room_id, milliseconds now) const {
  const RoomFacts* facts = room(room_id);
  if (facts == nullptr) return 0;
  return static_cast<std::size_t>(
      std::count_if(facts->people.begin(), facts->people.end(),
                    [&](const auto& entry) { return entry.second.counts(now); }));
}

bool Rooms::lease_ends_near(milliseconds now) const {
  for (const auto& [id, room] : rooms_) {
    for (const auto& [who, person] : room.people) {
      if (!person.record.attached_wall && person.lease_until <= now &&
          person.lease_until + kTick > now) {
        return true;
      }
    }
  }
  return false;
}

std::vector<RoomRecord> Rooms::records() const {
  std::vector<RoomRecord> records;
  for (const auto& [id, room] : rooms_) {
    RoomRecord record{id, room.appointment, room.created_wall, room.forget_wall, {}};
    for (const std::string& who : room.order) {
      record.participants.push_back(room.people.at(who).record);
    }
    records.push_back(std::move(record));
  }
  return records;
}

void Rooms::restart(const Now& now) {
  for (auto& [id, room] : rooms_) {
    for (auto& [who, person] : room.people) {
      const auto rest = std::max(person.record.lease_wall - now.wall, milliseconds{0});
      person.lease_until = now.mono + std::min(rest, kJoinLease);
    }
  }
}

void Rooms::on(const RoomCreated& change, milliseconds) {
  EXPECT_EQ(rooms_.count(change.room), 0U) << change.room << " created twice";
  RoomFacts room;
  room.appointment = change.appointment;
  room.created_wall = change.created_wall;
  rooms_[change.room] = std::move(room);
}

void Rooms::on(const RoomEnded& change, milliseconds) {
  const RoomFacts* facts = room(change.room);
  EXPECT_TRUE(facts != nullptr && !facts->forget_wall) << change.room << " ended twice";
  EXPECT_EQ(change.forget_wall, change.ended_wall + kEndedVisible);
  rooms_[change.room].forget_wall = change.forget_wall;
}

void Rooms::on(const RoomForgotten& change, milliseconds) {
  const RoomFacts* facts = room(change.room);
  EXPECT_TRUE(facts != nullptr && facts->forget_wall) << change.room << " forgotten while active";
  rooms_.erase(change.room);
}

void Rooms::on(const ParticipantJoined& change, milliseconds now) {
  const RoomFacts* facts = room(change.room);
  EXPECT_TRUE(facts != nullptr && !facts->forget_wall) << "joined " << change.room;
  RoomFacts& joined = rooms_[change.room];
  EXPECT_EQ(joined.people.count(change.participant), 0U) << change.participant << " joined twice";
  Person person;
  person.record = {change.participant, change.name,       change.role,
                   change.token_hash,  change.lease_wall, std::nullopt};
  person.lease_until = now + kJoinLease;
  joined.people[change.participant] = std::move(person);
  joined.order.push_back(change.participant);
}

void Rooms::on(const ParticipantAttached& change, milliseconds) {
  Person* person = find(change.room, change.participant);
  if (person == nullptr) {
    ADD_FAILURE() << change.participant << " attached without a join";
    return;
  }
  EXPECT_FALSE(person->record.attached_wall) << change.participant << " attached twice";
  person->record.attached_wall = change.attached_wall;
}

void Rooms::on(const ParticipantDetached& change, milliseconds now) {
  Person* person = find(change.room, change.participant);
  if (person == nullptr || !person->record.attached_wall) {
    ADD_FAILURE() << change.participant << " departed without being there";
    return;
  }
  person->record.attached_wall.reset();
  person->record.lease_wall = change.left_wall;
  person->lease_until = now - kTick;
}

void Rooms::on(const ParticipantLeft& change, milliseconds) {
  Person* person = find(change.room, change.participant);
  if (person == nullptr) {
    ADD_FAILURE() << change.participant << " left twice";
    return;
  }
  RoomFacts& room = rooms_[change.room];
  room.people.erase(change.participant);
  std::erase(room.order, change.participant);
}

void Rooms::on(const CredentialIssued& change, milliseconds) {
  EXPECT_NE(find(change.room, change.participant), nullptr)
      << "a credential for a stranger: " << change.participant;
}

void FakeStore::submit(const CommitNeeded& commit) {
  queue_.push_back(commit);
  ++under_way_[commit.room];
  schedule();
}

void FakeStore::schedule() {
  if (busy_ || queue_.empty()) return;
  busy_ = true;
  const std::size_t delay = slow_ ? 20 + random_.below(1'200) : random_.below(12);
  agenda_.after(milliseconds{delay}, [this, life = life_] {
    if (life == life_) decide();
  });
}

void FakeStore::decide() {
  busy_ = false;
  const CommitNeeded commit = std::move(queue_.front());
  queue_.pop_front();
  const bool ok = !full_;
  if (ok) {
    durable_.apply(commit.changes, agenda_.now());
  } else {
    trouble_until_ = agenda_.now() + seconds{5};
    if (commit.keep) deferred_.push_back(commit);
  }
  agenda_.after(milliseconds{3}, [this, commit, ok, life = life_] {
    if (life != life_) return;
    const auto it = under_way_.find(commit.room);
    if (--it->second == 0) under_way_.erase(it);
    verdict_(commit, ok);
  });
  schedule();
}

void FakeStore::set_full(bool full) {
  full_ = full;
  if (!full) write_deferred();
}

void FakeStore::set_slow(bool slow) {
  if (slow_ && !slow) slow_until_ = agenda_.now() + seconds{30};
  slow_ = slow;
}

void FakeStore::write_deferred() {
  for (const CommitNeeded& commit : deferred_) durable_.apply(commit.changes, agenda_.now());
  deferred_.clear();
}

void FakeStore::kill() {
  ++life_;
  std::size_t reached = full_ || queue_.empty() ? 0 : random_.below(queue_.size() + 1);
  for (; reached > 0; --reached) {
    durable_.apply(queue_.front().changes, agenda_.now());
    queue_.pop_front();
  }
  queue_.clear();
  deferred_.clear();
  under_way_.clear();
  busy_ = false;
  trouble_until_ = agenda_.now() + seconds{5};
  durable_.restart(agenda_.hub_now());
}

}  // namespace bedside::sim
