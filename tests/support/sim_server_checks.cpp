// What a simulated server must never do: the invariants of sim_server.h.
#include <gtest/gtest.h>

#include <algorithm>

#include "signaling/limits.h"
#include "tests/support/sim_server.h"

namespace bedside::sim {
namespace {

std::string room_of(const Json& request) {
  return request.value("action", "") == "create-room" ? request.value("roomName", "")
                                                      : request.value("roomId", "");
}

}  // namespace

void SimServer::check() {
  const milliseconds now = agenda_.now();
  const auto deadline = hub_->next_deadline();
  EXPECT_FALSE(deadline && *deadline + kTick < now) << "something outlives its deadline";
  relay_.check();
  check_requests();
  std::size_t counted = 0;
  for (const auto& [id, facts] : rooms_.all()) {
    check_room(id, facts);
    counted += rooms_.count(id, now);
  }
  EXPECT_EQ(hub_->stats().rooms, static_cast<std::size_t>(std::count_if(
                                     rooms_.all().begin(), rooms_.all().end(),
                                     [](const auto& entry) { return !entry.second.forget_wall; })));
  if (rooms_.lease_ends_near(now)) return;
  // Who says goodbye is out of the relay before it is recorded.
  EXPECT_LE(relay_.live().size(), counted);
  if (store.idle()) {
    EXPECT_EQ(relay_.live().size(), counted);
  }
  for (const std::string& who : relay_.live()) {
    EXPECT_TRUE(in_room(who)) << who << " is in no room, but its credential is good";
  }
}

void SimServer::check_room(const std::string& id, const RoomFacts& facts) {
  const auto view = hub_->room(id);
  if (!view) {
    ADD_FAILURE() << id << " was recorded and is unknown";
    return;
  }
  EXPECT_EQ(view->active, !facts.forget_wall) << id;
  EXPECT_EQ(view->created_wall, facts.created_wall) << id;
  EXPECT_EQ(view->appointment, facts.appointment) << id;
  EXPECT_LE(view->count, limits_.max_participants) << id;
  EXPECT_EQ(view->count, view->people.size()) << id;
  if (!rooms_.lease_ends_near(agenda_.now())) {
    EXPECT_EQ(view->count, rooms_.count(id, agenda_.now())) << id;
  }
  const bool overdue = facts.forget_wall && *facts.forget_wall + kTick < agenda_.wall() &&
                       !store.waits_for(id) && agenda_.now() > killed_at_ + kTick;
  EXPECT_FALSE(overdue) << id << " ended more than an hour ago";
  check_transports(id, *view);
}

// Nobody stays in a room longer than the grace time without a transport.
void SimServer::check_transports(const std::string& room, const signaling::RoomView& view) {
  const milliseconds now = agenda_.now();
  for (const signaling::PersonView& person : view.people) {
    if (person.presence == signaling::Presence::leased) continue;
    const auto [seen, first] =
        last_seen_.try_emplace(person.id, now + signaling::kRestartGrace - signaling::kAwayGrace);
    if (has_transport(person.id) || store.waits_for(room)) {
      saw(person.id);
      continue;
    }
    EXPECT_NE(person.presence, signaling::Presence::here)
        << person.id << " is here by no transport";
    EXPECT_LE(now, seen->second + signaling::kAwayGrace + kTick)
        << person.id << " is away for too long";
  }
}

bool SimServer::has_transport(const std::string& participant) const {
  for (const auto& [id, socket] : sockets_) {
    if (socket.server_knows && socket.participant == participant) return true;
  }
  return std::any_of(requests_.begin(), requests_.end(), [&](const auto& entry) {
    const Request& request = entry.second;
    if (!request.is_poll() || request.body["participantId"] != participant) return false;
    // One that waited for a commit when its client hung up is parked all the same.
    return !request.gone || request.asked + seconds{35} > agenda_.now();
  });
}

// Whoever waits, waits for the store or is parked.
void SimServer::check_requests() const {
  for (const auto& [id, request] : requests_) {
    if (request.gone || store.waits_for(room_of(request.body))) continue;
    EXPECT_TRUE(request.is_poll()) << "unanswered: " << request.body;
    EXPECT_LE(agenda_.now(), request.asked + signaling::kMaxPollWait + seconds{30})
        << "unanswered: " << request.body;
  }
}

// What is acknowledged is on the disk; what is refused deserves it.
void SimServer::check_answer(const Request& request, int status, const Json& body) const {
  const std::string action = request.body["action"];
  const std::string room = room_of(request.body);
  const std::string who = request.body.value("participantId", "");
  const RoomFacts* known = rooms_.room(room);
  const RoomFacts* durable = store.durable().room(room);
  const std::string what = action + " " + room + " " + who + " " + std::to_string(status);
  if (status == 404 && action == "signal") on_refused(request.body["message"]["requestId"]);
  if (status == 200) {
    EXPECT_EQ(body["success"], true) << what;
    if (action == "create-room") {
      EXPECT_NE(durable, nullptr) << what;
    } else if (action == "join-room") {
      const std::string id = body["participantId"];
      EXPECT_NE(store.durable().person(room, id), nullptr) << what;
      if (!rooms_.lease_ends_near(agenda_.now())) {
        EXPECT_EQ(body["room"]["participantCount"], rooms_.count(room, agenda_.now())) << what;
      }
    } else if (action == "end-room") {
      // While the disk is full it has happened, and its record waits.
      const RoomFacts* ended = store.refused_lately() ? known : durable;
      EXPECT_TRUE(ended != nullptr && ended->forget_wall) << what;
    } else if (action == "leave-room") {
      EXPECT_EQ(rooms_.person(room, who), nullptr) << what;
    } else if (action == "poll") {
      EXPECT_LE(body["messages"].size(), signaling::kOutboxMessages) << what;
      for (const Json& message : body["messages"]) check_message(room, who, message);
    }
    return;
  }
  EXPECT_TRUE(status != 404 || known == nullptr || action == "signal") << what;
  EXPECT_TRUE(status != 410 || (known != nullptr && known->forget_wall)) << what;
  EXPECT_TRUE(status != 403 || rooms_.person(room, who) == nullptr ||
              (action == "ice-servers" && !in_room(who)))
      << what;
  EXPECT_TRUE(status != 409 || action == "signal" || full(room)) << what;
  EXPECT_TRUE(status != 503 || store.refused_lately()) << what;
  EXPECT_NE(status, 429) << what;
  EXPECT_NE(status, 400) << what << body;
}

void SimServer::check_message(const std::string& room, const std::string& to,
                              const Json& message) const {
  if (message["type"] == "error" && message.contains("requestId")) {
    on_refused(message["requestId"]);
  }
  if (message["type"] != "existing-peers") return;
  const Person* person = store.durable().person(room, to);
  EXPECT_TRUE(person != nullptr && person->record.attached_wall)
      << to << " was let in before that was recorded";
}

// Whose lease has just ended holds its place until the hub's timer has run: a tick at most.
bool SimServer::full(const std::string& room) const {
  const milliseconds now = agenda_.now();
  return rooms_.lease_ends_near(now) || rooms_.count(room, now) >= limits_.max_participants;
}

void SimServer::check_refused_join(const Socket& socket, int code) const {
  const RoomFacts* known = rooms_.room(socket.room);
  const std::string what =
      socket.participant + " in " + socket.room + " closed with " + std::to_string(code);
  EXPECT_TRUE(code != 4001 || (known != nullptr && known->forget_wall)) << what;
  EXPECT_TRUE(code != 4003 || rooms_.person(socket.room, socket.participant) == nullptr) << what;
  EXPECT_TRUE(code != 4004 || known == nullptr) << what;
  EXPECT_NE(code, 4008) << what;
  EXPECT_TRUE(code != 4009 || full(socket.room)) << what;
  EXPECT_TRUE(code != 1013 || store.refused_lately()) << what;
}

}  // namespace bedside::sim
