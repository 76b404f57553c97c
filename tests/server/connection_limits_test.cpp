// Who makes room when control holds as many connections as it may, and who never does.
#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <string>

#include "signaling/close_codes.h"
#include "tests/server/control_rig.h"
#include "tests/server/wire_client.h"

namespace bedside::server {
namespace {

using tests::SocketClient;

constexpr std::string_view kPage = "GET /telehealth-webrtc HTTP/1.1\r\nHost: localhost\r\n\r\n";

class ConnectionLimits : public testing::Test {
 protected:
  void start(std::size_t connections, std::size_t of_one_source = 256) {
    ControlOptions options;
    options.max_connections = connections;
    options.max_connections_per_source = of_one_source;
    rig_ = std::make_unique<ControlRig>(std::move(options));
  }
  ControlStats stats() const { return rig_->control().stats(); }
  void wait_for_connections(std::size_t count) const {
    while (stats().connections != count) rig_->on_control([] {});
  }
  std::unique_ptr<WireClient> visitor() const {
    return std::make_unique<WireClient>(rig_->port(), Over::tcp);
  }
  // Somebody with a room of their own, whose connections so far are closed.
  Json enter(const std::string& room) const {
    rig_->create(room);
    Json who = rig_->join(room, "Ann");
    who["roomId"] = room;
    wait_for_connections(0);
    return who;
  }
  std::unique_ptr<SocketClient> attach(const Json& who) const {
    auto socket = std::make_unique<SocketClient>(rig_->port(), "/api/webrtc-ws");
    socket->send({{"type", "join"},
                  {"roomId", who["roomId"]},
                  {"peerId", who["participantId"]},
                  {"token", who["participantToken"]}});
    EXPECT_EQ(socket->next()["type"], "existing-peers");
    return socket;
  }
  // A poll that control has got and holds.
  std::unique_ptr<WireClient> park(const Json& who, std::uint64_t after) const {
    const std::string body = Json{
        {"action", "poll"},
        {"roomId", who["roomId"]},
        {"participantId", who["participantId"]},
        {"token", who["participantToken"]},
        {"after", after},
        {"wait", 25}}.dump();
    auto client = visitor();
    const auto before = stats().requests;
    client->send("POST /api/webrtc-signaling HTTP/1.1\r\nHost: localhost\r\nContent-Length: " +
                 std::to_string(body.size()) + "\r\n\r\n" + body);
    while (stats().requests == before) rig_->on_control([] {});
    return client;
  }

  std::unique_ptr<ControlRig> rig_;
};

TEST_F(ConnectionLimits, WhoHoldsAConnectionWithoutUsingItMakesRoom) {
  start(1);
  SocketClient silent(rig_->port(), "/api/webrtc-ws");
  ASSERT_EQ(silent.status(), 101);
  const auto kept_alive = visitor();
  EXPECT_EQ(kept_alive->ask(kPage).status, 200) << "for it the silent WebSocket was closed";
  EXPECT_TRUE(silent.next().is_null());

  const auto dripping = visitor();
  dripping->send("GET / HTTP/1.1\r\nHost: ");
  EXPECT_TRUE(kept_alive->wait_for_end());

  const auto unread = visitor();
  std::string pages;
  for (int i = 0; i < 200; ++i) pages += kPage;
  const auto before = stats().requests;
  unread->send(pages);
  EXPECT_TRUE(dripping->wait_for_end());
  while (stats().requests == before) rig_->on_control([] {});

  EXPECT_EQ(visitor()->ask(kPage).status, 200);
  EXPECT_EQ(stats().made_room, 4U);
  EXPECT_EQ(stats().turned_away, 0U);
}

TEST_F(ConnectionLimits, TheLongestIdleGoesFirstAndDrippedBytesAreNoUse) {
  start(3);
  const auto first = visitor();
  EXPECT_EQ(first->ask(kPage).status, 200);
  const auto dripping = visitor();
  dripping->send("GET / HTTP/1.1\r\n");
  wait_for_connections(2);
  const auto second = visitor();
  EXPECT_EQ(second->ask(kPage).status, 200);
  EXPECT_EQ(first->ask(kPage).status, 200) << "moves behind the others";
  dripping->send("Host: ");
  EXPECT_EQ(second->ask(kPage).status, 200) << "after this, control has read the dripped bytes";

  const auto newcomer = visitor();
  EXPECT_EQ(newcomer->ask(kPage).status, 200);
  EXPECT_TRUE(dripping->wait_for_end());
  EXPECT_EQ(visitor()->ask(kPage).status, 200);
  EXPECT_TRUE(first->wait_for_end());
  EXPECT_EQ(second->ask(kPage).status, 200);
}

TEST_F(ConnectionLimits, WhoIsInARoomNeverMakesRoom) {
  start(3);
  const Json ann = enter("a");
  const Json ben = enter("b");
  rig_->ask({{"action", "poll"},
             {"roomId", "b"},
             {"participantId", ben["participantId"]},
             {"token", ben["participantToken"]},
             {"after", 0},
             {"wait", 0}});
  wait_for_connections(0);
  const auto socket = attach(ann);
  const auto parked = park(ben, 1);
  for (int i = 0; i < 5; ++i) {
    EXPECT_EQ(visitor()->ask(kPage).status, 200) << "there is one place, for one after the other";
  }
  const auto second = attach(ann);  // supersedes the first
  EXPECT_EQ(socket->close_code(), signaling::close_codes::kSuperseded);
  wait_for_connections(2);
  const Json cleo = rig_->join("b", "Cleo");
  const auto third = attach({{"roomId", "b"},
                             {"participantId", cleo["participantId"]},
                             {"participantToken", cleo["participantToken"]}});
  EXPECT_TRUE(parked->until([&] { return !parked->answers().empty(); }));
  const auto again = park(ben, 2);

  const auto newcomer = visitor();
  EXPECT_EQ(newcomer->ask(kPage).status, 0) << "closed unanswered: nobody is idle";
  EXPECT_EQ(stats().turned_away, 1U);
  EXPECT_EQ(stats().connections, 3U);
  second->send({{"type", "offer"}, {"targetPeerId", "nobody"}});
  EXPECT_EQ(second->next()["type"], "error") << "still open";
  third->send({{"type", "media-state"}, {"audio", true}, {"video", true}});
  EXPECT_TRUE(again->until([&] { return !again->answers().empty(); })) << "still parked";
}

TEST_F(ConnectionLimits, OneSourceHoldsItsShareAndNoMore) {
  start(100, 2);
  const Json ann = enter("a");
  SocketClient elsewhere(rig_->port(), "/api/webrtc-ws", "", "127.0.0.2");
  SocketClient silent(rig_->port(), "/api/webrtc-ws");
  const auto socket = attach(ann);
  EXPECT_EQ(visitor()->ask(kPage).status, 200);
  EXPECT_TRUE(silent.next().is_null()) << "of the same source, though the other one is older";
  elsewhere.send({{"type", "leave"}});
  EXPECT_EQ(elsewhere.next()["type"], "error") << "still open";

  wait_for_connections(2);
  const Json ben = rig_->join("a", "Ben");
  wait_for_connections(2);
  const auto other = attach({{"roomId", "a"},
                             {"participantId", ben["participantId"]},
                             {"participantToken", ben["participantToken"]}});
  EXPECT_EQ(visitor()->ask(kPage).status, 0) << "two of this source are in a room";
  EXPECT_EQ(stats().turned_away, 1U);
}

}  // namespace
}  // namespace bedside::server
