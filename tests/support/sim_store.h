// A store for simulated visits: commits wait in one line, are refused while the disk is full, and
// what was not written is gone when the process dies. Its rules are those of store/store.h.
//
// `Rooms` is at the same time the reference the hub is compared with: it knows nothing but the
// changes the hub asked to have recorded, and refuses those that contradict each other.
#pragma once

#include <gtest/gtest.h>

#include <chrono>
#include <cstddef>
#include <deque>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "signaling/change.h"
#include "signaling/output.h"
#include "tests/support/seeded_random.h"
#include "tests/support/sim_agenda.h"

namespace bedside::sim {

struct Person {
  signaling::ParticipantRecord record;
  milliseconds lease_until{0};  // mono
  bool counts(milliseconds now) const { return record.attached_wall || lease_until > now; }
};

struct RoomFacts {
  std::string appointment;
  milliseconds created_wall{0};
  std::optional<milliseconds> forget_wall;  // set: ended
  std::map<std::string, Person> people;
  std::vector<std::string> order;  // of joining
};

class Rooms {
 public:
  // One commit; its verdict comes at `now`. Contradictions are test failures.
  void apply(const std::vector<signaling::Change>& changes, milliseconds now);
  const RoomFacts* room(const std::string& id) const;
  const Person* person(const std::string& room, const std::string& id) const;
  std::size_t count(const std::string& room, milliseconds now) const;
  // A lease ends at about this time: two clocks' ticks may disagree.
  bool lease_ends_near(milliseconds now) const;
  const std::map<std::string, RoomFacts>& all() const { return rooms_; }
  std::vector<signaling::RoomRecord> records() const;
  // The leases after a restart.
  void restart(const signaling::Now& now);

 private:
  void on(const signaling::RoomCreated& change, milliseconds now);
  void on(const signaling::RoomEnded& change, milliseconds now);
  void on(const signaling::RoomKept&, milliseconds) {}  // these visits are short
  // The simulated rooms are open: whatever belongs to invitations is a mistake here.
  void on(const signaling::RoomLocked&, milliseconds) { ADD_FAILURE() << "locked"; }
  void on(const signaling::LinkIssued&, milliseconds) { ADD_FAILURE() << "link"; }
  void on(const signaling::LinkDropped&, milliseconds) { ADD_FAILURE() << "link"; }
  void on(const signaling::ParticipantAdmitted&, milliseconds) { ADD_FAILURE() << "admitted"; }
  void on(const signaling::ParticipantDeclined&, milliseconds) { ADD_FAILURE() << "declined"; }
  void on(const signaling::ParticipantKicked&, milliseconds) { ADD_FAILURE() << "kicked"; }
  void on(const signaling::EmergencyOpened&, milliseconds) { ADD_FAILURE() << "emergency"; }
  void on(const signaling::MediaDeclared&, milliseconds) { ADD_FAILURE() << "in no commit"; }
  void on(const signaling::RoomForgotten& change, milliseconds now);
  void on(const signaling::ParticipantJoined& change, milliseconds now);
  void on(const signaling::ParticipantAttached& change, milliseconds now);
  void on(const signaling::ParticipantDetached& change, milliseconds now);
  void on(const signaling::ParticipantLeft& change, milliseconds now);
  void on(const signaling::CredentialIssued& change, milliseconds now);
  Person* find(const std::string& room, const std::string& id);

  std::map<std::string, RoomFacts> rooms_;
};

class FakeStore {
 public:
  using Verdict = std::function<void(const signaling::CommitNeeded&, bool ok)>;

  FakeStore(Agenda& agenda, testing_support::SeededRandom& random, Verdict verdict)
      : agenda_(agenda), random_(random), verdict_(std::move(verdict)) {}

  void submit(const signaling::CommitNeeded& commit);
  void set_full(bool full);
  void set_slow(bool slow);
  // The process dies: of what waits, some of the oldest may have reached the disk.
  void kill();

  // What is on the disk.
  const Rooms& durable() const { return durable_; }
  bool refused_lately() const { return agenda_.now() < trouble_until_; }
  bool slow_lately() const { return slow_ || agenda_.now() < slow_until_; }
  bool idle() const { return under_way_.empty(); }
  bool waits_for(const std::string& room) const { return under_way_.count(room) > 0; }

 private:
  void schedule();
  void decide();
  void write_deferred();

  Agenda& agenda_;
  testing_support::SeededRandom& random_;
  Verdict verdict_;
  Rooms durable_;
  std::deque<signaling::CommitNeeded> queue_;
  std::deque<signaling::CommitNeeded> deferred_;
  std::map<std::string, std::size_t> under_way_;  // by room
  unsigned life_ = 0;
  bool busy_ = false;
  bool full_ = false;
  bool slow_ = false;
  milliseconds trouble_until_{0};
  milliseconds slow_until_{0};
};

}  // namespace bedside::sim
