// protocol.md section 1, row by row, over real HTTP and WebSockets.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/server/control_rig.h"

namespace bedside::server {
namespace {

using testing::ElementsAre;
using tests::SocketClient;

constexpr const char* kPath = "/api/webrtc-signaling";

class Contract : public testing::Test {
 protected:
  // One server for all rows; every row has a room of its own.
  static void SetUpTestSuite() { rig = std::make_unique<ControlRig>(options()); }
  static void TearDownTestSuite() { rig.reset(); }
  static ControlOptions options() {
    ControlOptions options;
    options.origins.allowed = {"https://portal.example.org"};
    return options;
  }

  static Json body(const httplib::Result& result) {
    EXPECT_TRUE(result);
    return result ? Json::parse(result->body, nullptr, false) : Json();
  }
  static void expect_error(const httplib::Result& result, int status, const std::string& error) {
    ASSERT_TRUE(result);
    EXPECT_EQ(result->status, status);
    EXPECT_EQ(body(result), (Json{{"success", false}, {"error", error}}));
  }
  static void attach(SocketClient& socket, const std::string& room, const Json& joined,
                     const std::string& name) {
    ASSERT_EQ(socket.status(), 101);
    socket.send({{"type", "join"},
                 {"roomId", room},
                 {"peerId", joined["participantId"]},
                 {"peerName", name}});
  }

  // What the audit log will say of strangers since this was asked last. The rows before are taken.
  static std::vector<std::string> counted() {
    std::vector<std::string> told;
    for (const store::AuditRecord& record : rig->counted()) {
      told.push_back(record.type + " " + record.detail.text());
    }
    return told;
  }

  static std::unique_ptr<ControlRig> rig;
};
std::unique_ptr<ControlRig> Contract::rig;

TEST_F(Contract, OptionsIs200AndEmpty) {
  const auto result = rig->http().Options(kPath);
  EXPECT_EQ(result->status, 200);
  EXPECT_EQ(result->body, "");
}

TEST_F(Contract, CreateRoom) {
  const auto result = rig->post({{"action", "create-room"}, {"appointmentId", 12345}});
  EXPECT_EQ(result->status, 200);
  EXPECT_EQ(result->get_header_value("Content-Type").rfind("application/json", 0), 0U);
  const Json made = body(result);
  EXPECT_EQ(made["success"], true);
  EXPECT_EQ(made["room"]["roomId"], "appointment-12345");
  EXPECT_EQ(made["room"]["appointmentId"], 12345);
  EXPECT_TRUE(made["room"]["createdAt"].is_number_integer());
  EXPECT_EQ(made["link"], "/telehealth-webrtc.html?room=appointment-12345");
  const Json again = body(rig->post({{"action", "create-room"}, {"appointmentId", "12345"}}));
  EXPECT_EQ(again["room"]["createdAt"], made["room"]["createdAt"]);
  EXPECT_EQ(again["room"]["appointmentId"], "12345");
}

TEST_F(Contract, CreateRoomWithoutAppointmentId) {
  for (const char* value : {"0", "\"\"", "null", "false"}) {
    expect_error(
        rig->post_text(std::string(R"({"action":"create-room","appointmentId":)") + value + "}"),
        400, "appointmentId is required");
  }
  expect_error(rig->post({{"action", "create-room"}}), 400, "appointmentId is required");
}

TEST_F(Contract, CreateRoomWithBadName) {
  EXPECT_EQ(
      rig->post({{"action", "create-room"}, {"appointmentId", 1}, {"roomName", "a/b"}})->status,
      400);
}

TEST_F(Contract, JoinRoom) {
  rig->create("join");
  const auto result =
      rig->post({{"action", "join-room"}, {"roomId", "join"}, {"participantName", "Dr. Smith"}});
  EXPECT_EQ(result->status, 200);
  const Json joined = body(result);
  EXPECT_EQ(joined["success"], true);
  EXPECT_THAT(joined["participantId"].get<std::string>(),
              testing::MatchesRegex("[A-Za-z0-9_-]{22}"));
  EXPECT_EQ(joined["room"], (Json{{"roomId", "join"}, {"participantCount", 1}}));
  EXPECT_TRUE(rig->live().contains(joined["participantId"].get<std::string>()));
  const Json& ice = joined["iceServers"];
  EXPECT_EQ(ice[0]["urls"], Json({"stun:127.0.0.1:3478"}));
  EXPECT_EQ(ice[1]["urls"],
            Json({"turn:127.0.0.1:3478?transport=udp", "turn:127.0.0.1:3478?transport=tcp"}));
  EXPECT_THAT(ice[1]["username"].get<std::string>(),
              testing::EndsWith(":" + joined["participantId"].get<std::string>()));
}

TEST_F(Contract, JoinRoomErrors) {
  rig->create("join-errors");
  const std::string missing = "roomId and participantName are required";
  expect_error(rig->post({{"action", "join-room"}}), 400, missing);
  expect_error(rig->post({{"action", "join-room"}, {"roomId", "join-errors"}}), 400, missing);
  expect_error(
      rig->post({{"action", "join-room"}, {"roomId", "join-errors"}, {"participantName", ""}}), 400,
      missing);
  expect_error(
      rig->post({{"action", "join-room"}, {"roomId", "unknown"}, {"participantName", "A"}}), 404,
      "Room not found");
  rig->post({{"action", "end-room"}, {"roomId", "join-errors"}});
  expect_error(
      rig->post({{"action", "join-room"}, {"roomId", "join-errors"}, {"participantName", "A"}}),
      410, "Room has ended");
}

TEST_F(Contract, EndRoomByPostAndByDelete) {
  const Json done{{"success", true}, {"message", "Room ended successfully"}};
  rig->create("end");
  for (int i = 0; i < 2; ++i) {
    const auto result = rig->post({{"action", "end-room"}, {"roomId", "end"}});
    EXPECT_EQ(result->status, 200);
    EXPECT_EQ(body(result), done);
  }
  rig->create("end-2");
  for (int i = 0; i < 2; ++i) {
    const auto result = rig->http().Delete(std::string(kPath) + "?roomId=end-2");
    EXPECT_EQ(result->status, 200);
    EXPECT_EQ(body(result), done);
  }
  expect_error(rig->post({{"action", "end-room"}}), 400, "roomId is required");
  expect_error(rig->http().Delete(kPath), 400, "roomId is required");
  expect_error(rig->post({{"action", "end-room"}, {"roomId", "unknown"}}), 404, "Room not found");
  expect_error(rig->http().Delete(std::string(kPath) + "?roomId=unknown"), 404, "Room not found");
}

TEST_F(Contract, GetRoom) {
  const Json made = rig->ask({{"action", "create-room"}, {"appointmentId", "a-7"}});
  rig->join("appointment-a-7", "Ann");
  const auto get = [&] { return rig->http().Get(std::string(kPath) + "?roomId=appointment-a-7"); };
  Json expected{{"success", true},
                {"room",
                 {{"roomId", "appointment-a-7"},
                  {"appointmentId", "a-7"},
                  {"participantCount", 1},
                  {"active", true},
                  {"createdAt", made["room"]["createdAt"]}}}};
  EXPECT_EQ(get()->status, 200);
  EXPECT_EQ(body(get()), expected);
  rig->ask({{"action", "end-room"}, {"roomId", "appointment-a-7"}});
  expected["room"]["active"] = false;
  expected["room"]["participantCount"] = 0;
  EXPECT_EQ(body(get()), expected);
  expect_error(rig->http().Get(kPath), 400, "roomId query parameter is required");
  expect_error(rig->http().Get(std::string(kPath) + "?roomId="), 400,
               "roomId query parameter is required");
  expect_error(rig->http().Get(std::string(kPath) + "?roomId=unknown"), 404, "Room not found");
}

TEST_F(Contract, MissingOrUnknownAction) {
  const std::string error = "Invalid action. Use: create-room, join-room, or end-room";
  expect_error(rig->post(Json::object()), 400, error);
  expect_error(rig->post({{"action", "explode"}}), 400, error);
}

TEST_F(Contract, OtherMethodsAre405) {
  expect_error(rig->http().Put(kPath, "{}", "application/json"), 405, "Method not allowed");
  expect_error(rig->http().Patch(kPath, "{}", "application/json"), 405, "Method not allowed");
  const auto head = rig->http().Head(kPath);
  EXPECT_EQ(head->status, 405);
  EXPECT_EQ(head->body, "");
  httplib::Request odd;
  odd.method = "REPORT";
  odd.path = kPath;
  expect_error(rig->http().send(odd), 405, "Method not allowed");
}

TEST_F(Contract, BodyThatIsNoJson) {
  counted();
  expect_error(rig->post_text(""), 400, "Invalid JSON body");
  expect_error(rig->post_text("hello"), 400, "Invalid JSON body");
  expect_error(rig->post_text("{\"action\":"), 400, "Invalid JSON body");
  expect_error(rig->post_text(std::string(2000, '[')), 400, "Invalid JSON body");
  EXPECT_THAT(counted(),
              ElementsAre(R"(abuse.malformed {"count":4,"kind":"request","window_s":60})"));
}

TEST_F(Contract, BodyBeyond64KiBIs413) {
  EXPECT_EQ(rig->post({{"action", "create-room"}, {"x", std::string(70'000, 'x')}})->status, 413);
}

TEST_F(Contract, HeadBeyond16KiBIs431) {
  counted();
  const httplib::Headers huge{{"X-Padding", std::string(17'000, 'x')}};
  EXPECT_EQ(rig->http().Get("/api/webrtc-signaling?roomId=x", huge)->status, 431);
  EXPECT_THAT(counted(), ElementsAre(R"(abuse.malformed {"count":1,"kind":"http","window_s":60})"));
}

TEST_F(Contract, CorsEchoesAllowListedOriginsOnly) {
  const httplib::Headers listed{{"Origin", "https://portal.example.org"}};
  const auto preflight = rig->http().Options(kPath, listed);
  EXPECT_EQ(preflight->status, 200);
  EXPECT_EQ(preflight->get_header_value("Access-Control-Allow-Origin"),
            "https://portal.example.org");
  EXPECT_EQ(preflight->get_header_value("Access-Control-Allow-Methods"), "GET,POST,DELETE,OPTIONS");
  EXPECT_EQ(preflight->get_header_value("Access-Control-Allow-Headers"),
            "Content-Type, Authorization");
  EXPECT_EQ(preflight->get_header_value("Vary"), "Origin");
  const auto error = rig->post({{"action", "explode"}}, listed);
  EXPECT_EQ(error->get_header_value("Access-Control-Allow-Origin"), "https://portal.example.org");

  counted();
  for (const char* origin :
       {"https://evil.example", "null", "https://portal.example.org.evil.example"}) {
    const httplib::Headers foreign{{"Origin", origin}};
    const auto refused = rig->post({{"action", "create-room"}, {"appointmentId", 5}}, foreign);
    EXPECT_EQ(refused->status, 403) << origin;
    EXPECT_FALSE(refused->has_header("Access-Control-Allow-Origin"));
    const auto foreign_preflight = rig->http().Options(kPath, foreign);
    EXPECT_EQ(foreign_preflight->status, 200);
    EXPECT_FALSE(foreign_preflight->has_header("Access-Control-Allow-Origin"));
  }
  const std::string own = "http://127.0.0.1:" + std::to_string(rig->port());
  EXPECT_EQ(rig->post({{"action", "create-room"}, {"appointmentId", 5}}, {{"Origin", own}})->status,
            200);
  // A name of a stranger that leads here (DNS rebinding) does not become ours by being in both
  // headers.
  const std::string rebound = "rebound.example:" + std::to_string(rig->port());
  EXPECT_EQ(rig->post({{"action", "create-room"}, {"appointmentId", 5}},
                      {{"Host", rebound}, {"Origin", "http://" + rebound}})
                ->status,
            403);
  EXPECT_THAT(counted(), ElementsAre(R"(abuse.origin_rejected {"count":4,"window_s":60})"));
}

TEST_F(Contract, PageIsServedAtBothAddressesWithAStrictPolicy) {
  for (const char* path : {"/telehealth-webrtc.html?room=x", "/telehealth-webrtc?room=x"}) {
    const auto page = rig->http().Get(path);
    ASSERT_TRUE(page);
    EXPECT_EQ(page->status, 200) << path;
    EXPECT_EQ(page->get_header_value("Content-Type").rfind("text/html", 0), 0U);
    const std::string policy = page->get_header_value("Content-Security-Policy");
    EXPECT_THAT(policy,
                testing::HasSubstr("default-src 'none'; script-src 'self'; style-src 'self'"));
    EXPECT_THAT(policy, testing::Not(testing::HasSubstr("unsafe")));
    EXPECT_THAT(policy, testing::HasSubstr("ws://127.0.0.1:"));
    const auto again = rig->http().Get(path, {{"If-None-Match", page->get_header_value("ETag")}});
    EXPECT_EQ(again->status, 304);
  }
  const auto head = rig->http().Head("/telehealth-webrtc.html");
  EXPECT_EQ(head->status, 200);
  EXPECT_EQ(rig->http().Post("/telehealth-webrtc.html")->status, 405);
}

TEST_F(Contract, EveryAnswerHasTheSecurityHeaders) {
  for (const char* path : {"/", "/telehealth-webrtc", "/nothing-here", "/api/webrtc-ws", "/admin/",
                           "/api/webrtc-signaling"}) {
    const auto answer = rig->http().Get(path);
    ASSERT_TRUE(answer) << path;
    EXPECT_TRUE(answer->has_header("Content-Security-Policy")) << path;
    EXPECT_EQ(answer->get_header_value("X-Content-Type-Options"), "nosniff") << path;
    EXPECT_EQ(answer->get_header_value("Referrer-Policy"), "no-referrer") << path;
    EXPECT_TRUE(answer->has_header("Permissions-Policy")) << path;
    EXPECT_TRUE(answer->has_header("Cache-Control")) << path;
  }
  EXPECT_EQ(rig->http().Get("/nothing-here")->status, 404);
  const auto refused = rig->http().Get("/../etc/passwd");
  ASSERT_TRUE(refused);
  EXPECT_EQ(refused->status, 400);
  EXPECT_TRUE(refused->has_header("Content-Security-Policy"));
  EXPECT_EQ(refused->get_header_value("X-Content-Type-Options"), "nosniff");
  EXPECT_EQ(rig->http().Get("/api/webrtc-ws")->status, 426);
}

// ---- 1.2

TEST_F(Contract, SocketsMeetOfferAnswerAndLeave) {
  for (const char* path : {"/api/webrtc-ws", "/"}) {
    const std::string room = path == std::string("/") ? "ws-root" : "ws-api";
    rig->create(room);
    const Json ann = rig->join(room, "Ann");
    const Json ben = rig->join(room, "Ben");
    SocketClient a(rig->port(), path);
    attach(a, room, ann, "Ann");
    EXPECT_EQ(a.next()["peers"], Json::array());
    SocketClient b(rig->port(), path);
    attach(b, room, ben, "Ben");
    const Json existing = b.next();
    EXPECT_EQ(existing["type"], "existing-peers");
    EXPECT_EQ(existing["peers"], Json::array({ann["participantId"]}));
    const Json joined = a.next();
    EXPECT_EQ(joined["type"], "peer-joined");
    EXPECT_EQ(joined["peerId"], ben["participantId"]);
    EXPECT_EQ(joined["peerName"], "Ben");

    b.send({{"type", "offer"},
            {"targetPeerId", ann["participantId"]},
            {"offer", {{"sdp", "v=0"}}},
            {"extra", 1}});
    const Json offer = a.next();
    EXPECT_EQ(offer["type"], "offer");
    EXPECT_EQ(offer["offer"], (Json{{"sdp", "v=0"}}));
    EXPECT_EQ(offer["extra"], 1);
    EXPECT_EQ(offer["targetPeerId"], ann["participantId"]);
    EXPECT_EQ(offer["fromPeerId"], ben["participantId"]);
    a.send({{"type", "answer"}, {"targetPeerId", ben["participantId"]}, {"answer", 1}});
    a.send({{"type", "ice-candidate"}, {"targetPeerId", ben["participantId"]}, {"candidate", 2}});
    EXPECT_EQ(b.next()["type"], "answer");
    EXPECT_EQ(b.next()["candidate"], 2);

    b.send({{"type", "leave"}, {"roomId", room}, {"peerId", ben["participantId"]}});
    const Json left = a.next();
    EXPECT_EQ(left["type"], "peer-left");
    EXPECT_EQ(left["peerId"], ben["participantId"]);
    EXPECT_EQ(rig->count(room), 1U);
    EXPECT_FALSE(rig->live().contains(ben["participantId"].get<std::string>()));
    EXPECT_THAT(rig->revoked(), testing::Contains(ben["participantId"].get<std::string>()));
    // The fence: had the leaver been told something, it would come before this error.
    b.close();
    a.send({{"type", "offer"}, {"targetPeerId", "nobody"}, {"offer", 1}});
    EXPECT_EQ(a.next()["type"], "error") << "peer-left comes exactly once";
    EXPECT_TRUE(b.next().is_null());
  }
}

TEST_F(Contract, ConnectionThatBreaksIsOneDeparture) {
  rig->create("ws-break");
  const Json ann = rig->join("ws-break", "Ann");
  const Json ben = rig->join("ws-break", "Ben");
  SocketClient a(rig->port(), "/api/webrtc-ws");
  attach(a, "ws-break", ann, "Ann");
  EXPECT_EQ(a.next()["type"], "existing-peers");
  SocketClient b(rig->port(), "/api/webrtc-ws");
  attach(b, "ws-break", ben, "Ben");
  a.until("peer-joined");
  b.vanish();
  EXPECT_EQ(a.next()["type"], "peer-left");
  EXPECT_EQ(rig->count("ws-break"), 1U);
}

TEST_F(Contract, EndedRoomTellsAndClosesEverybodyWith4001) {
  rig->create("ws-end");
  const Json ann = rig->join("ws-end", "Ann");
  SocketClient a(rig->port(), "/api/webrtc-ws");
  attach(a, "ws-end", ann, "Ann");
  a.next();
  rig->ask({{"action", "end-room"}, {"roomId", "ws-end"}});
  EXPECT_EQ(a.next()["type"], "room-ended");
  EXPECT_EQ(a.close_code(), 4001);
  SocketClient late(rig->port(), "/api/webrtc-ws");
  attach(late, "ws-end", ann, "Ann");
  EXPECT_EQ(late.close_code(), 4001);
}

TEST_F(Contract, StrangersDoNotEnter) {
  rig->create("ws-strangers");
  SocketClient stranger(rig->port(), "/api/webrtc-ws");
  attach(stranger, "ws-strangers", {{"participantId", "invented"}}, "Eve");
  EXPECT_EQ(stranger.next()["type"], "error");
  EXPECT_EQ(stranger.close_code(), 4003);
  EXPECT_EQ(rig->count("ws-strangers"), 0U);
}

TEST_F(Contract, ForeignOriginsGetNoSocket) {
  counted();
  EXPECT_EQ(
      SocketClient(rig->port(), "/api/webrtc-ws", "Origin: https://evil.example\r\n").status(),
      403);
  EXPECT_THAT(counted(), ElementsAre(R"(abuse.origin_rejected {"count":1,"window_s":60})"));
  EXPECT_EQ(SocketClient(rig->port(), "/api/webrtc-ws", "Origin: https://portal.example.org\r\n")
                .status(),
            101);
  const std::string own = "Origin: http://127.0.0.1:" + std::to_string(rig->port()) + "\r\n";
  EXPECT_EQ(SocketClient(rig->port(), "/", own).status(), 101);
}

TEST_F(Contract, MalformedFrameLeavesEverybodyElseAlone) {
  rig->create("ws-malformed");
  const Json ann = rig->join("ws-malformed", "Ann");
  SocketClient a(rig->port(), "/api/webrtc-ws");
  attach(a, "ws-malformed", ann, "Ann");
  a.next();
  a.send_text("{");
  EXPECT_EQ(a.next()["code"], "bad-message");
  SocketClient huge(rig->port(), "/api/webrtc-ws");
  huge.send_text(std::string(70'000, 'x'));
  EXPECT_EQ(huge.close_code(), 1009);
  a.send({{"type", "kick"}});
  EXPECT_EQ(a.next()["code"], "forbidden");
}

TEST_F(Contract, TooManyMessagesAreAnErrorAndClose4008) {
  rig->create("ws-flood");
  const Json ann = rig->join("ws-flood", "Ann");
  SocketClient a(rig->port(), "/api/webrtc-ws");
  attach(a, "ws-flood", ann, "Ann");
  a.next();
  for (int i = 0; i < 1000; ++i) a.send({{"type", "media-state"}, {"audio", true}});
  EXPECT_EQ(a.next()["code"], "rate-limited");
  EXPECT_EQ(a.close_code(), 4008);
}

}  // namespace
}  // namespace bedside::server
