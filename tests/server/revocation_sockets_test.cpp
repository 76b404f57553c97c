// "Within one second": the real binary with rooms whose people sit on real WebSockets, a third of
// the guests behind a parked long poll, and hold real relay allocations. Half of the rooms are
// ended, the guests of the others removed, all at once: everybody is told, their sockets close,
// their polls are answered and their allocations are gone.
//
//   BEDSIDE_ROOMS=1000 revocation_sockets_test     as many as were promised; so does ./run test
#include <gtest/gtest.h>
#include <httplib.h>
#include <sys/resource.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <memory>
#include <nlohmann/json.hpp>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "signaling/close_codes.h"
#include "tests/bench/turn_session.h"
#include "tests/server/bedside_process.h"
#include "tests/server/socket_client.h"
#include "tests/server/wire_client.h"
#include "tests/support/sanitized.h"

namespace bedside::server {
namespace {

using Json = nlohmann::json;
using Clock = std::chrono::steady_clock;
using signaling::close_codes::kRemoved;
using signaling::close_codes::kRoomEnded;
using std::chrono::milliseconds;
using tests::SocketClient;

// Held against the clock without sanitizers.
constexpr milliseconds kPromise{1000};
constexpr int kRooms = testing_support::kSanitized ? 24 : 200;
constexpr int kDoors = 8;               // rooms that are filled side by side
constexpr int kRoomsOfOneAddress = 20;  // within the limits of connections and allocations

void raise_file_limit() {
  rlimit limit{};
  ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &limit), 0);
  limit.rlim_cur = limit.rlim_max;
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &limit), 0);
}

struct Visit {
  std::string room;
  std::string guest_id;
  std::unique_ptr<SocketClient> host;
  std::unique_ptr<SocketClient> guest;  // null: it polls
  Json polling;                         // then, its join
  std::unique_ptr<WireClient> poll;
  std::unique_ptr<bench::TurnSession> host_relay;
  std::unique_ptr<bench::TurnSession> guest_relay;
  bool ended = false;  // by its host; otherwise its guest is removed
};

std::string address_of(int room) {
  return "127.0.1." + std::to_string(1 + room / kRoomsOfOneAddress);
}

class RevocationOverSockets : public testing::Test {
 protected:
  void SetUp() override {
    raise_file_limit();
    std::string text = server_.folder().read("bedside.toml");
    const std::string open = "access = \"open\"";
    text.replace(text.find(open), open.size(), "access = \"invite\"\nwaiting_room = false");
    server_.folder().write("bedside.toml", text, 0600);
    server_.start();
    const Ended made = run_bedside({"token", "create", "--name", "EHR", "--scope", "rooms.create",
                                    "--config", server_.config_file().string()});
    ASSERT_EQ(made.exit_code, 0) << made.errors;
    token_ = made.output.substr(0, made.output.find('\n'));
  }

  Json ask(const Json& body) const {
    httplib::Client client("127.0.0.1", server_.http());
    client.set_tcp_nodelay(true);
    const auto answer =
        client.Post("/api/webrtc-signaling", {{"Authorization", "Bearer " + token_}}, body.dump(),
                    "application/json");
    if (!answer || answer->status != 200) {
      throw std::runtime_error(answer ? answer->body : "no answer");
    }
    return Json::parse(answer->body);
  }

  // All of them, side by side.
  static void through_doors(int count, const std::function<void(int)>& each) {
    std::vector<std::thread> doors;
    for (int door = 0; door < kDoors; ++door) {
      doors.emplace_back([&, door] {
        try {
          for (int i = door; i < count; i += kDoors) each(i);
        } catch (const std::exception& error) {
          ADD_FAILURE() << error.what();
        }
      });
    }
    for (std::thread& door : doors) door.join();
  }
  std::vector<Visit> open_all(int count) const {
    std::vector<Visit> visits(static_cast<std::size_t>(count));
    through_doors(count, [&](int i) { visits[static_cast<std::size_t>(i)] = open(i); });
    return visits;
  }

  // The guests who poll, when everybody is there: a poll is parked for 25 s at most. Returns how
  // many.
  int park_all(std::vector<Visit>& visits) const {
    const auto poll_of = [](const Visit& visit, int after, int wait) {
      return Json{{"action", "poll"},
                  {"roomId", visit.room},
                  {"participantId", visit.guest_id},
                  {"token", visit.polling["participantToken"]},
                  {"after", after},
                  {"wait", wait}};
    };
    std::vector<int> heard(visits.size());
    std::atomic<int> polling{0};
    through_doors(static_cast<int>(visits.size()), [&](int i) {
      const auto at = static_cast<std::size_t>(i);
      if (visits[at].guest) return;
      heard[at] = ask(poll_of(visits[at], 0, 0))["next"];
      ++polling;
    });
    const int before = figure("\nbedside_http_requests_total ");
    for (std::size_t i = 0; i < visits.size(); ++i) {
      if (visits[i].guest) continue;
      const std::string body = poll_of(visits[i], heard[i], 25).dump();
      visits[i].poll =
          std::make_unique<WireClient>(server_.http(), Over::tcp, address_of(static_cast<int>(i)));
      visits[i].poll->send(
          "POST /api/webrtc-signaling HTTP/1.1\r\nHost: localhost\r\nContent-Length: " +
          std::to_string(body.size()) + "\r\n\r\n" + body);
    }
    const auto end = Clock::now() + std::chrono::seconds(10);
    while (figure("\nbedside_http_requests_total ") < before + polling && Clock::now() < end) {
    }
    return polling;
  }

  Visit open(int number) const {
    Visit visit;
    visit.room = "room-" + std::to_string(number);
    visit.ended = number % 2 == 0;
    const Json room =
        ask({{"action", "create-room"}, {"appointmentId", 1}, {"roomName", visit.room}});
    const Json host = join(visit.room, room["hostLink"]);
    const Json guest = join(visit.room, room["link"]);
    visit.guest_id = guest["participantId"];
    visit.host = attach(number, visit.room, host);
    if (number % 3 == 0) {
      visit.polling = guest;
    } else {
      visit.guest = attach(number, visit.room, guest);
    }
    visit.host_relay = allocate(number, host);
    visit.guest_relay = allocate(number, guest);
    return visit;
  }

  // How many allocations the relay threads have together; -1 when they do not tell.
  int allocations() const { return figure("\nbedside_turn_allocations{"); }
  // The sum of the samples whose lines begin so.
  int figure(const std::string& name) const {
    const auto answer = httplib::Client("127.0.0.1", server_.operator_port()).Get("/metrics");
    int sum = -1;
    if (!answer) return sum;
    const std::string& text = answer->body;
    for (auto at = text.find(name); at != std::string::npos; at = text.find(name, at + 1)) {
      sum = std::max(sum, 0) + std::stoi(text.substr(text.find(' ', at) + 1));
    }
    return sum;
  }

  // The relay threads publish their numbers a moment after they answered.
  int allocations_become(int expected) const {
    const auto end = Clock::now() + std::chrono::seconds(10);
    while (allocations() != expected && Clock::now() < end) {
    }
    return allocations();
  }

  Json join(const std::string& room, const std::string& link) const {
    return ask({{"action", "join-room"},
                {"roomId", room},
                {"participantName", "Ada"},
                {"token", link.substr(link.find('#') + 1)}});
  }
  std::unique_ptr<SocketClient> attach(int number, const std::string& room, const Json& who) const {
    auto socket =
        std::make_unique<SocketClient>(server_.http(), "/api/webrtc-ws", "", address_of(number));
    socket->send({{"type", "join"},
                  {"roomId", room},
                  {"peerId", who["participantId"]},
                  {"token", who["participantToken"]}});
    EXPECT_EQ(socket->next().value("type", ""), "existing-peers");
    return socket;
  }
  // With the credential the server gave for this visit.
  std::unique_ptr<bench::TurnSession> allocate(int number, const Json& who) const {
    for (const Json& ice : who["iceServers"]) {
      if (!ice.contains("credential")) continue;
      auto session = std::make_unique<bench::TurnSession>(
          stun::Endpoint{stun::IpAddress::v4(127, 0, 0, 1), server_.turn()},
          bench::Login{ice["username"], ice["credential"]},
          *stun::IpAddress::parse(address_of(number)));
      session->allocate();
      return session;
    }
    throw std::runtime_error("no TURN server in " + who.dump());
  }

  TestServer server_;

 private:
  std::string token_;
};

milliseconds since(Clock::time_point start) {
  return std::chrono::duration_cast<milliseconds>(Clock::now() - start);
}

TEST_F(RevocationOverSockets, OfAllRoomsAtOnceClosesSocketsAndAllocationsWithinASecond) {
  const char* wanted = std::getenv("BEDSIDE_ROOMS");
  const int rooms = wanted == nullptr ? kRooms : std::stoi(wanted);
  std::vector<Visit> visits = open_all(rooms);
  ASSERT_FALSE(HasFailure());
  ASSERT_EQ(allocations_become(2 * rooms), 2 * rooms);
  const int polls = park_all(visits);
  ASSERT_GT(polls, 0);

  const Clock::time_point start = Clock::now();
  int staying = 0;
  for (Visit& visit : visits) {
    if (visit.ended) {
      visit.host->send({{"type", "end-room"}});
    } else {
      visit.host->send({{"type", "kick"}, {"peerId", visit.guest_id}});
      ++staying;
    }
  }
  for (Visit& visit : visits) {
    if (visit.guest) {
      EXPECT_EQ(visit.guest->close_code(), visit.ended ? kRoomEnded : kRemoved) << visit.room;
    } else {
      EXPECT_TRUE(visit.poll->until([&] { return !visit.poll->answers().empty(); })) << visit.room;
    }
    if (visit.ended) {
      EXPECT_EQ(visit.host->close_code(), kRoomEnded) << visit.room;
    }
  }
  const milliseconds closed = since(start);
  while (allocations() != staying && since(start) < std::chrono::seconds(30)) {
  }
  EXPECT_EQ(allocations(), staying) << "hosts whose guest was removed keep theirs";
  const milliseconds relayed = since(start);
  std::printf(
      "%d rooms ended or their guests removed: the last socket was closed and the last of %d "
      "parked "
      "polls answered after %lld ms, the last allocation was gone after %lld ms\n",
      rooms, polls, static_cast<long long>(closed.count()),
      static_cast<long long>(relayed.count()));
  if (!testing_support::kSanitized) {
    EXPECT_LT(closed, kPromise);
    EXPECT_LT(relayed, kPromise);
  }

  // Everybody was told before, and the credentials are dead.
  for (std::size_t i = 0; i < visits.size(); i += 7) {
    Visit& visit = visits[i];
    const char* last = visit.ended ? "room-ended" : "removed";
    const Json told = visit.guest
                          ? visit.guest->until(last).back()
                          : Json::parse(visit.poll->answers().front().body)["messages"].back();
    EXPECT_EQ(told.value("type", ""), last) << visit.room;
    EXPECT_THROW(visit.guest_relay->allocate(), std::runtime_error) << visit.room;
    if (visit.ended) continue;
    EXPECT_EQ(visit.host->until("peer-left").back()["peerId"], visit.guest_id) << visit.room;
  }
  EXPECT_EQ(server_.stop(SIGTERM).exit_code, 0);
}

TEST_F(RevocationOverSockets, ALockKeepsWhoIsInsideAndRefusesNewcomers) {
  Visit visit = open(1);
  visit.host->send({{"type", "lock"}, {"locked", true}});
  EXPECT_EQ(visit.guest->until("locked").back()["locked"], true);
  EXPECT_EQ(allocations_become(2), 2);
  const Json again =
      ask({{"action", "create-room"}, {"appointmentId", 1}, {"roomName", visit.room}});
  EXPECT_THROW(join(visit.room, again["link"]), std::runtime_error);
  EXPECT_NO_THROW(join(visit.room, again["hostLink"])) << "a colleague may come";
}

}  // namespace
}  // namespace bedside::server
