// Every limit of the signaling protocol, over real connections: what is just allowed passes, one
// more gets the answer the protocol promises.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <atomic>
#include <chrono>
#include <memory>
#include <string>

#include "tests/net/websocket_frames.h"
#include "tests/server/control_rig.h"
#include "tests/server/wire_client.h"

namespace bedside::server {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using tests::SocketClient;

constexpr const char* kSignaling = "/api/webrtc-signaling";

// A server whose rates see a clock that stands until it is moved.
class ProtocolLimits : public testing::Test {
 protected:
  ControlRig& start(ControlOptions options = {}) {
    options.clock = [this] {
      return signaling::Now{milliseconds(clock_ms_.load()), milliseconds(clock_ms_.load())};
    };
    rig_ = std::make_unique<ControlRig>(std::move(options));
    return *rig_;
  }
  void advance(milliseconds time) { clock_ms_ += time.count(); }

  // Somebody in a room, with a token.
  Json enter(const std::string& room, const std::string& name) { return rig_->join(room, name); }
  static Json attachment(const std::string& room, const Json& who) {
    return {{"type", "join"},
            {"roomId", room},
            {"peerId", who["participantId"]},
            {"token", who["participantToken"]}};
  }
  Json poll(const std::string& room, const Json& who, std::uint64_t after) {
    return rig_->ask({{"action", "poll"},
                      {"roomId", room},
                      {"participantId", who["participantId"]},
                      {"token", who["participantToken"]},
                      {"after", after},
                      {"wait", 0}});
  }
  // The status of an answer to these bytes.
  int status_of(const std::string& bytes) {
    return WireClient(rig_->port(), Over::tcp).ask(bytes).status;
  }

  std::atomic<std::int64_t> clock_ms_{1'700'000'000'000};
  std::unique_ptr<ControlRig> rig_;
};

TEST_F(ProtocolLimits, WebSocketMessageOf64KiBPassesAndOneByteMoreCloses1009) {
  start();
  SocketClient just(rig_->port(), "/api/webrtc-ws");
  just.send_text(std::string(65'536, ' '));
  EXPECT_EQ(just.next()["type"], "error");
  just.send({{"type", "media-state"}});
  EXPECT_EQ(just.next()["code"], "join-first") << "still open";
  SocketClient more(rig_->port(), "/api/webrtc-ws");
  more.send_text(std::string(65'537, ' '));
  EXPECT_EQ(more.close_code(), 1009);
}

TEST_F(ProtocolLimits, BurstOf120MessagesThen30ASecondThenRateLimitedAndClose4008) {
  start().create("r");
  const Json ann = enter("r", "Ann");
  SocketClient socket(rig_->port(), "/api/webrtc-ws");
  socket.send(attachment("r", ann));
  EXPECT_EQ(socket.next()["type"], "existing-peers");
  // The socket's own join was the first of 120.
  const Json nobody{{"type", "offer"}, {"targetPeerId", "nobody"}, {"offer", 1}};
  const auto say = [&](int count) {
    for (int i = 0; i < count; ++i) {
      socket.send(nobody);
      ASSERT_EQ(socket.next()["code"], "unknown-peer") << i;
    }
  };
  say(119);
  advance(seconds{1});
  say(30);
  socket.send(nobody);
  EXPECT_EQ(socket.next()["code"], "rate-limited");
  EXPECT_EQ(socket.close_code(), 4008);
}

TEST_F(ProtocolLimits, JsonOfDepth16PassesAndDepth17IsNoJson) {
  start();
  const auto nested = [](std::size_t depth) {
    return R"({"action":"explode","type":"explode","x":)" + std::string(depth - 1, '[') +
           std::string(depth - 1, ']') + "}";
  };
  const auto error_of = [&](std::size_t depth) {
    return Json::parse(rig_->post_text(nested(depth))->body)["error"].get<std::string>();
  };
  EXPECT_THAT(error_of(16), testing::HasSubstr("Invalid action"));
  EXPECT_EQ(error_of(17), "Invalid JSON body");
  SocketClient socket(rig_->port(), "/api/webrtc-ws");
  socket.send_text(nested(16));
  const Json deep = socket.next();
  socket.send_text(nested(17));
  const Json deeper = socket.next();
  EXPECT_EQ(deep["type"], "error");
  EXPECT_EQ(deeper["code"], "bad-message");
  EXPECT_NE(deep["message"], deeper["message"]);
}

// Ben fills Ann's outbox while she does not read. `offers`: so many, of so many bytes.
struct OutboxFill {
  const char* name;
  int offers;
  std::size_t bytes;
  bool resync;
};
class OutboxLimit : public ProtocolLimits, public testing::WithParamInterface<OutboxFill> {};
INSTANTIATE_TEST_SUITE_P(Fills, OutboxLimit,
                         testing::Values(OutboxFill{"Messages255", 255, 10, false},
                                         OutboxFill{"Messages257", 257, 10, true},
                                         OutboxFill{"Bytes480KiB", 8, 60 * 1024, false},
                                         OutboxFill{"Bytes540KiB", 9, 60 * 1024, true}),
                         [](const auto& tested) { return std::string(tested.param.name); });

TEST_P(OutboxLimit, IsAResync) {
  start().create("r");
  const Json ann = enter("r", "Ann");
  const Json ben = enter("r", "Ben");
  const Json seen = poll("r", ann, 0);
  SocketClient b(rig_->port(), "/api/webrtc-ws");
  b.send(attachment("r", ben));
  b.until("existing-peers");
  const Json joined = poll("r", ann, seen["next"]);
  EXPECT_EQ(joined["messages"][0]["type"], "peer-joined");
  const std::string filler(GetParam().bytes, 'x');
  for (int i = 1; i <= GetParam().offers; ++i) {
    advance(milliseconds{34});  // within Ben's rate, and within Ann's grace
    b.send({{"type", "offer"}, {"targetPeerId", ann["participantId"]}, {"offer", filler}});
    if (i % 50 != 0 && i != GetParam().offers) continue;
    advance(milliseconds{34});
    b.send({{"type", "offer"}, {"targetPeerId", "nobody"}, {"offer", 1}});
    EXPECT_EQ(b.next()["code"], "unknown-peer") << "all of them have arrived";
  }
  const Json messages = poll("r", ann, joined["next"])["messages"];
  if (GetParam().resync) {
    ASSERT_EQ(messages.size(), 1U);
    EXPECT_EQ(messages[0]["type"], "resync");
    EXPECT_EQ(messages[0]["peers"], Json::array({ben["participantId"]}));
  } else {
    EXPECT_EQ(messages.size(), static_cast<std::size_t>(GetParam().offers));
    EXPECT_EQ(messages[0]["type"], "offer");
  }
}

TEST_F(ProtocolLimits, RoomOfNPeopleRefusesOneMoreInTheseWords) {
  for (std::size_t size = 2; size <= 8; ++size) {
    ControlOptions options;
    options.limits.max_participants = size;
    start(options).create("r");
    for (std::size_t i = 0; i < size; ++i) {
      EXPECT_EQ(enter("r", "Guest")["room"]["participantCount"], i + 1);
    }
    const auto refused =
        rig_->post({{"action", "join-room"}, {"roomId", "r"}, {"participantName", "Late"}});
    EXPECT_EQ(refused->status, 409);
    EXPECT_EQ(refused->body, R"({"success":false,"error":"This visit already has its maximum of )" +
                                 std::to_string(size) + R"( people"})");
  }
  EXPECT_EQ(signaling::Limits{}.max_participants, 8U);
}

TEST_F(ProtocolLimits, HttpHeadOf16KiBPassesAndOneByteMoreIs431) {
  start();
  const std::string begin = "GET /nothing HTTP/1.1\r\nHost: a\r\nX: ";
  const std::size_t rest = 16'384 - begin.size() - 4;
  EXPECT_EQ(status_of(begin + std::string(rest, 'x') + "\r\n\r\n"), 404);
  EXPECT_EQ(status_of(begin + std::string(rest + 1, 'x') + "\r\n\r\n"), 431);
}

TEST_F(ProtocolLimits, HttpBodyOf64KiBPassesAndOneByteMoreIs413) {
  start();
  const auto post = [this](std::size_t size) {
    return status_of(std::string("POST ") + kSignaling +
                     " HTTP/1.1\r\nHost: a\r\nContent-Length: " + std::to_string(size) +
                     "\r\n\r\n" + std::string(size, ' '));
  };
  EXPECT_EQ(post(65'536), 400) << "read, and no JSON";
  EXPECT_EQ(post(65'537), 413);
}

TEST_F(ProtocolLimits, HttpRequestHas10SecondsHoweverItsBytesDrip) {
  EXPECT_EQ(net::HttpTimeouts{}.request, seconds{10});
  ControlOptions options;
  options.timeouts.request = milliseconds{300};
  start(options);
  for (const char* begin : {"GET / HTTP/1.1\r\nX: ",
                            "POST /api/webrtc-signaling HTTP/1.1\r\nHost: a\r\nContent-Length: "
                            "60000\r\n\r\n"}) {
    WireClient client(rig_->port(), Over::tcp);
    client.send(begin);
    EXPECT_TRUE(client.until([&] {
      if (client.received().empty()) client.send("y");
      return client.ended();
    }));
    ASSERT_EQ(client.answers().size(), 1U);
    EXPECT_EQ(client.answers()[0].status, 408);
  }
}

TEST_F(ProtocolLimits, WebSocketIsPingedEvery20SecondsAndDroppedAfterTwoMisses) {
  EXPECT_EQ(net::HttpTimeouts{}.ping, seconds{20});
  EXPECT_EQ(net::HttpTimeouts{}.missed_pings, 2);
  ControlOptions options;
  options.timeouts.ping = milliseconds{50};
  start(options).create("r");
  const Json ann = enter("r", "Ann");
  const std::string handshake =
      "GET /api/webrtc-ws HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
      "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
  WireClient silent(rig_->port(), Over::tcp);
  silent.send(handshake + tests::client_frame(tests::kText, attachment("r", ann).dump()));
  EXPECT_TRUE(silent.wait_for_end());
  const std::string ping = tests::server_frame(tests::kPing, "");
  std::size_t pings = 0;
  for (std::size_t at = silent.received().find(ping); at != std::string::npos;
       at = silent.received().find(ping, at + ping.size())) {
    ++pings;
  }
  EXPECT_EQ(pings, 2U);
  // Who answers stays: longer than anybody who does not.
  WireClient lively(rig_->port(), Over::tcp);
  lively.send(handshake);
  std::size_t answered = 0;
  std::size_t looked = 0;
  EXPECT_TRUE(lively.until([&] {
    const std::size_t at = lively.received().find(ping, looked);
    if (at == std::string::npos) return answered == 6;
    looked = at + ping.size();
    ++answered;
    lively.send(tests::client_frame(tests::kPong, ""));
    return answered == 6;
  }));
  EXPECT_FALSE(lively.ended());
}

TEST_F(ProtocolLimits, OriginMustBeOursOrListed) {
  ControlOptions options;
  options.origins.allowed = {"https://portal.example.org"};
  start(options);
  const std::string own = "http://127.0.0.1:" + std::to_string(rig_->port());
  const std::array<std::pair<std::string, bool>, 7> origins{
      {{own, true},
       {"https://portal.example.org", true},
       {"http://portal.example.org", false},
       {"https://portal.example.org:444", false},
       {"https://a.portal.example.org", false},
       {"https://evil.example", false},
       {"null", false}}};
  for (const auto& [origin, welcome] : origins) {
    EXPECT_EQ(
        rig_->post({{"action", "create-room"}, {"appointmentId", 5}}, {{"Origin", origin}})->status,
        welcome ? 200 : 403)
        << origin;
    EXPECT_EQ(SocketClient(rig_->port(), "/api/webrtc-ws", "Origin: " + origin + "\r\n").status(),
              welcome ? 101 : 403)
        << origin;
  }
}

class EntryRate : public ProtocolLimits {
 protected:
  ControlRig& start_with(std::uint32_t burst, signaling::Access access = signaling::Access::open) {
    ControlOptions options;
    options.access = access;
    options.entries = {{1, burst}, {100, 10'000}, true};
    return start(options);
  }
  static Json creation(int number) {
    return {{"action", "create-room"}, {"appointmentId", number}};
  }
};

TEST_F(EntryRate, BeyondTheBurstOfItsNetworkCreatingAndJoiningAre429UntilSomeTimeHasPassed) {
  start_with(3);
  EXPECT_EQ(rig_->post(creation(1))->status, 200);
  const Json join{{"action", "join-room"}, {"roomId", "appointment-1"}, {"participantName", "Ann"}};
  EXPECT_EQ(rig_->post(join)->status, 200);
  EXPECT_EQ(rig_->post(join)->status, 200);
  for (const Json& body : {join, creation(2)}) {
    const auto refused = rig_->post(body);
    EXPECT_EQ(refused->status, 429);
    EXPECT_EQ(
        refused->body,
        R"({"success":false,"error":"Too many requests from your network. Please try again."})");
    EXPECT_EQ(refused->get_header_value("Retry-After"), "1");
  }
  EXPECT_EQ(rig_->control().stats().rate_limited, 2U);
  EXPECT_EQ(rig_->count("appointment-1"), 2U) << "looking is free";
  advance(seconds{1});
  EXPECT_EQ(rig_->post(join)->status, 200);
  EXPECT_EQ(rig_->post(join)->status, 429);
}

TEST_F(EntryRate, WhatWasRefusedIsCountedInTheAuditLog) {
  start_with(1);
  EXPECT_EQ(rig_->post(creation(1))->status, 200);
  for (int i = 0; i < 5; ++i) EXPECT_EQ(rig_->post(creation(1))->status, 429);
  std::optional<store::Commit> counted;
  rig_->on_control([&] { counted = rig_->trail().take_all_counted(); });
  ASSERT_TRUE(counted);
  ASSERT_EQ(counted->records.size(), 1U);
  EXPECT_EQ(counted->records[0].type, "abuse.rate_limited");
  EXPECT_THAT(store::audit_body(counted->records[0], {}), testing::HasSubstr("\"count\":5"));
}

TEST_F(EntryRate, ApiTokensAreNotCountedAndGuestsOfTheSameNetworkAre) {
  start_with(1, signaling::Access::invite);
  std::promise<std::string> made;
  rig_->on_control([&] {
    rig_->control().create_token({"EHR", {"rooms.create"}, 0}, {"anna", "root"},
                                 [&](const auto& token) { made.set_value(token->secret); });
  });
  const httplib::Headers bearer{{"Authorization", "Bearer " + made.get_future().get()}};
  for (int i = 1; i <= 5; ++i) EXPECT_EQ(rig_->post(creation(i), bearer)->status, 200);
  const Json guess{{"action", "join-room"},
                   {"roomId", "appointment-1"},
                   {"participantName", "Eve"},
                   {"token", "guess"}};
  EXPECT_EQ(rig_->post(guess)->status, 403);
  EXPECT_EQ(rig_->post(guess)->status, 429);
  EXPECT_EQ(rig_->post(guess, bearer)->status, 403);
  EXPECT_EQ(rig_->post(guess, {{"Authorization", "Bearer invented"}})->status, 429);
}

}  // namespace
}  // namespace bedside::server
