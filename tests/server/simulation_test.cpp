// Whole visits under fake time: pages, network, hub, store and relay, with everything going wrong
// that does go wrong, repeatable by a seed.
//
//   BEDSIDE_TEST_SEED=17 simulation_test     one visit again
//   BEDSIDE_SIM_FROM=1000 BEDSIDE_SIM_SEEDS=5000 simulation_test   a long run
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "signaling/limits.h"
#include "tests/support/seed_range.h"
#include "tests/support/sim_client.h"

namespace bedside::sim {
namespace {

// What a run of all seeds must have seen; otherwise it proves nothing.
struct Sights {
  std::size_t steps = 0, heard = 0, kills = 0, relayed = 0, media = 0;
};

class Visit {
 public:
  explicit Visit(std::uint64_t seed)
      : random_(seed), server_(agenda_, random_, 2 + random_.below(7)) {
    server_.on_refused = [this](std::uint64_t number) { mail_.excuse(number); };
    server_.on_departed = [this](const std::string& who) {
      mail_.excuse_receiver(who);
      mail_.excuse_sender(who);
    };
    server_.on_packet = [this](const stun::Endpoint& to, const stun::Endpoint&,
                               const Packet& packet) {
      for (const auto& client : turn_clients_) {
        if (client->owns(to)) return client->on_packet(to, packet);
      }
    };
    // From a busy minute to a slow afternoon, in which rooms are forgotten and leases run out.
    constexpr std::array<int, 4> kPaces{150, 600, 3'000, 15'000};
    pace_ = milliseconds{kPaces[random_.below(kPaces.size())]};
    const std::size_t rooms = 1 + random_.below(3);
    for (std::size_t room = 0; room < rooms; ++room) {
      const std::size_t people = 2 + random_.below(7);
      for (std::size_t i = 0; i < people; ++i) {
        const auto kind = random_.one_in(4) ? SimClient::Kind::section_1 : SimClient::Kind::modern;
        clients_.push_back(std::make_unique<SimClient>(
            Street{server_, agenda_, random_, mail_, turn_clients_}, "room-" + std::to_string(room),
            "N" + std::to_string(i), kind));
      }
    }
  }

  void run(std::size_t actions) {
    actions_left_ = actions;
    for (const auto& client : clients_) act(*client);
    misfortune();
    haunt();
    advance([this] { return actions_left_ == 0; });
    settle();
    end();
  }

  void note(Sights& sights) const {
    sights.steps += steps_;
    sights.heard += mail_.received();
    sights.kills += server_.kills();
    sights.relayed += server_.relay().relayed_packets();
    for (const auto& client : turn_clients_) sights.media += client->received();
  }

 private:
  // Time goes from event to event until `done` holds or something went wrong.
  template <typename Done>
  void advance(Done done) {
    while (!done() && !testing::Test::HasFailure()) {
      const milliseconds timer = server_.next_timer();
      const auto event = agenda_.next();
      agenda_.advance_to(event ? std::min(*event, timer) : timer);
      agenda_.run_one();
      server_.run_timers();
      server_.check();
      ++steps_;
    }
  }
  void wait(milliseconds time) {
    bool over = false;
    agenda_.after(time, [&over] { over = true; });
    advance([&over] { return over; });
  }

  void act(SimClient& client) {
    const milliseconds pause{1 + random_.below(static_cast<std::size_t>(2 * pace_.count()))};
    agenda_.after(pause, [this, &client] {
      if (actions_left_ == 0) return;
      --actions_left_;
      client.step();
      act(client);
    });
  }

  // The disk, the machine.
  void misfortune() {
    agenda_.after(pace_ * static_cast<int>(5 + random_.below(40)), [this] {
      if (actions_left_ == 0) return;
      const std::size_t lot = random_.below(8);
      if (lot < 3) server_.store.set_full(lot == 0);
      if (lot >= 3 && lot < 6) server_.store.set_slow(lot == 3);
      if (lot == 6) server_.kill();
      misfortune();
    });
  }

  // Allocations of those who have left, and of those who are silent, go on trying.
  void haunt() {
    agenda_.after(pace_, [this] {
      if (actions_left_ == 0) return;
      if (!turn_clients_.empty()) turn_clients_[random_.below(turn_clients_.size())]->step();
      haunt();
    });
  }

  // Everything works again: everybody comes back, and what was said has arrived or somebody was
  // told that it was lost.
  void settle() {
    server_.weather.calm = true;
    server_.store.set_full(false);
    server_.store.set_slow(false);
    for (int round = 0; round < 3; ++round) {
      wait(seconds{8});
      for (const auto& client : clients_) client->come_back();
    }
    wait(seconds{100});  // leases of joins nobody knows of, sockets nobody reads
    if (testing::Test::HasFailure()) return;
    EXPECT_TRUE(server_.quiet());
    // Who found no place any more will be told at the next arrival.
    for (const auto& client : clients_) {
      if (client->joined() && !client->connected()) mail_.forget(client->id());
    }
    mail_.check_complete();
    for (const auto& client : clients_) check_roster(*client);
  }

  void check_roster(const SimClient& client) const {
    if (!client.connected()) return;
    const RoomFacts* facts = server_.rooms().room(client.room());
    if (facts == nullptr) {
      ADD_FAILURE() << client.id() << " is connected to a room that is not there";
      return;
    }
    std::set<std::string> present;
    for (const auto& [id, person] : facts->people) {
      if (id != client.id() && person.record.attached_wall) present.insert(id);
    }
    EXPECT_EQ(client.roster(), present) << "seen by " << client.id();
  }

  // Everybody leaves; after some hours nothing is left of the visit.
  void end() {
    for (const auto& client : clients_) client->leave();
    wait(seconds{200});
    const auto is_left = [this] {
      for (const auto& client : clients_) {
        if (client->joined()) return false;
      }
      return true;
    };
    if (testing::Test::HasFailure()) return;
    EXPECT_TRUE(is_left());
    wait(std::chrono::hours{3});
    if (testing::Test::HasFailure()) return;
    for (const auto& [id, facts] : server_.rooms().all()) {
      EXPECT_TRUE(facts.people.empty() && !facts.forget_wall) << id;
      EXPECT_TRUE(server_.store.durable().room(id) != nullptr) << id;
    }
    EXPECT_EQ(server_.hub().stats().sockets, 0U);
  }

  Agenda agenda_;
  testing_support::SeededRandom random_;
  SimServer server_;
  Mail mail_;
  std::vector<std::unique_ptr<SimTurnClient>> turn_clients_;
  std::vector<std::unique_ptr<SimClient>> clients_;
  milliseconds pace_{0};
  std::size_t actions_left_ = 0;
  std::size_t steps_ = 0;
};

TEST(Simulation, whole_visits_keep_their_promises_whatever_goes_wrong) {
  const auto seeds = testing_support::SeedRange::from_environment(32);
  Sights sights;
  for (std::uint64_t seed = seeds.first; seed < seeds.first + seeds.count; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    Visit visit(seed);
    visit.run(1'500);
    visit.note(sights);
    if (HasFailure()) return;
  }
  std::printf("%zu steps, %zu messages heard, %zu kills, %zu packets relayed, %zu received\n",
              sights.steps, sights.heard, sights.kills, sights.relayed, sights.media);
  if (seeds.count < 20) return;  // too few to have seen everything
  EXPECT_GT(sights.heard, 50 * seeds.count);
  EXPECT_GT(sights.media, 20 * seeds.count);
  EXPECT_GT(sights.kills, seeds.count / 4);
}

}  // namespace
}  // namespace bedside::sim
