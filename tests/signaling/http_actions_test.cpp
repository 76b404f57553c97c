// protocol.md 1.1, row by row, on the hub.
#include "tests/signaling/hub_under_test.h"

namespace bedside::signaling {
namespace {

using testing::ElementsAre;

struct Refused {
  std::string body;
  int status;
  std::string error;
};

class RefusedBody : public testing::TestWithParam<Refused> {};

TEST_P(RefusedBody, GetsItsStatusAndItsSentence) {
  HubUnderTest t;
  t.create("known");
  const Reply reply = t.reply(t.post_text(GetParam().body));
  EXPECT_EQ(reply.status, GetParam().status);
  EXPECT_EQ(reply.body, (Json{{"success", false}, {"error", GetParam().error}}));
  EXPECT_EQ(t.commits.size(), 1U) << "a refused request changes nothing";
}

const std::string kInvalidAction = "Invalid action. Use: create-room, join-room, or end-room";

INSTANTIATE_TEST_SUITE_P(
    Rows, RefusedBody,
    testing::Values(
        Refused{"", 400, "Invalid JSON body"}, Refused{"{", 400, "Invalid JSON body"},
        Refused{"not json", 400, "Invalid JSON body"},
        Refused{R"({"action":"create-room","appointmentId":1,})", 400, "Invalid JSON body"},
        Refused{"{\"action\":\"\xff\"}", 400, "Invalid JSON body"},
        Refused{"{}", 400, kInvalidAction}, Refused{"[]", 400, kInvalidAction},
        Refused{"null", 400, kInvalidAction}, Refused{R"({"action":7})", 400, kInvalidAction},
        Refused{R"({"action":"delete-room"})", 400, kInvalidAction},
        Refused{R"({"action":"create-room"})", 400, "appointmentId is required"},
        Refused{R"({"action":"create-room","appointmentId":0})", 400, "appointmentId is required"},
        Refused{R"({"action":"create-room","appointmentId":-0.0})", 400,
                "appointmentId is required"},
        Refused{R"({"action":"create-room","appointmentId":""})", 400, "appointmentId is required"},
        Refused{R"({"action":"create-room","appointmentId":null})", 400,
                "appointmentId is required"},
        Refused{R"({"action":"create-room","appointmentId":false})", 400,
                "appointmentId is required"},
        Refused{R"({"action":"create-room","roomName":"x"})", 400, "appointmentId is required"},
        Refused{R"({"action":"join-room"})", 400, "roomId and participantName are required"},
        Refused{R"({"action":"join-room","roomId":"known"})", 400,
                "roomId and participantName are required"},
        Refused{R"({"action":"join-room","roomId":"known","participantName":""})", 400,
                "roomId and participantName are required"},
        Refused{R"({"action":"join-room","roomId":"known","participantName":" \t"})", 400,
                "roomId and participantName are required"},
        Refused{R"({"action":"join-room","roomId":"","participantName":"Ann"})", 400,
                "roomId and participantName are required"},
        Refused{R"({"action":"join-room","roomId":"undefined","participantName":"Ann"})", 404,
                "Room not found"},
        Refused{R"({"action":"end-room"})", 400, "roomId is required"},
        Refused{R"({"action":"end-room","roomId":""})", 400, "roomId is required"},
        Refused{R"({"action":"end-room","roomId":"nowhere"})", 404, "Room not found"}));

TEST(CreateRoom, AnswersWithTheRoomAndARelativeLink) {
  HubUnderTest t;
  const Reply reply = t.ask({{"action", "create-room"}, {"appointmentId", 12345}});
  EXPECT_EQ(reply.status, 200);
  EXPECT_EQ(reply.body, (Json{{"success", true},
                              {"room",
                               {{"roomId", "appointment-12345"},
                                {"appointmentId", 12345},
                                {"createdAt", 1704067200000}}},
                              {"link", "/telehealth-webrtc.html?room=appointment-12345"}}));
}

TEST(CreateRoom, UsesRoomNameWhenItIsGiven) {
  HubUnderTest t;
  const Reply named =
      t.ask({{"action", "create-room"}, {"appointmentId", "a7"}, {"roomName", "Suite_1.b-2"}});
  EXPECT_EQ(named.body["room"]["roomId"], "Suite_1.b-2");
  const Reply unnamed =
      t.ask({{"action", "create-room"}, {"appointmentId", "a7"}, {"roomName", ""}});
  EXPECT_EQ(unnamed.body["room"]["roomId"], "appointment-a7");
}

TEST(CreateRoom, KeepsTheTypeOfAppointmentIdAndShowsTheFirstOne) {
  HubUnderTest t;
  const auto create = [&](const Json& appointment) {
    return t.ask({{"action", "create-room"}, {"appointmentId", appointment}, {"roomName", "r"}});
  };
  EXPECT_EQ(create("12").body["room"]["appointmentId"], "12");
  t.advance(seconds{5});
  const Reply again = create(13);
  EXPECT_EQ(again.status, 200);
  EXPECT_EQ(again.body["room"]["appointmentId"], 13);
  EXPECT_EQ(again.body["room"]["createdAt"], 1704067200000);
  EXPECT_EQ(t.get("r").body["room"]["appointmentId"], "12");
  EXPECT_EQ(t.commits.size(), 1U);
}

TEST(CreateRoom, RefusesNamesThatAreNoRoomIds) {
  HubUnderTest t;
  for (const std::string& name : {std::string("a b"), std::string("a/b"), std::string("ä"),
                                  std::string("a?b"), std::string(256, 'x')}) {
    EXPECT_EQ(t.ask({{"action", "create-room"}, {"appointmentId", 1}, {"roomName", name}}).status,
              400)
        << name;
    EXPECT_EQ(t.ask({{"action", "create-room"}, {"appointmentId", name}}).status, 400) << name;
  }
  EXPECT_EQ(
      t.ask({{"action", "create-room"}, {"appointmentId", 1}, {"roomName", std::string(255, 'x')}})
          .status,
      200);
  EXPECT_EQ(t.ask({{"action", "create-room"}, {"appointmentId", 1}, {"roomName", 5}}).status, 400);
}

TEST(CreateRoom, DoesNotReopenAnEndedRoom) {
  HubUnderTest t;
  t.create("r");
  t.ask({{"action", "end-room"}, {"roomId", "r"}});
  EXPECT_EQ(t.ask({{"action", "create-room"}, {"appointmentId", 1}, {"roomName", "r"}}).status,
            200);
  EXPECT_EQ(t.get("r").body["room"]["active"], false);
}

TEST(CreateRoom, IsRefusedWhenTheServerHasItsMaximumOfRooms) {
  Limits limits;
  limits.max_rooms = 1;
  HubUnderTest t(limits);
  t.create("r");
  EXPECT_EQ(t.ask({{"action", "create-room"}, {"appointmentId", 2}}).status, 503);
  EXPECT_EQ(t.ask({{"action", "create-room"}, {"appointmentId", 1}, {"roomName", "r"}}).status,
            200);
}

TEST(JoinRoom, AnswersWithAnIdTheCountAndWhatTheRelayNeeds) {
  HubUnderTest t;
  t.create("r");
  const Reply reply =
      t.ask({{"action", "join-room"}, {"roomId", "r"}, {"participantName", "Dr. Smith"}});
  EXPECT_EQ(reply.status, 200);
  EXPECT_EQ(reply.body["success"], true);
  EXPECT_EQ(reply.body["participantId"], "p1");
  EXPECT_EQ(reply.body["room"], (Json{{"roomId", "r"}, {"participantCount", 1}}));
  EXPECT_EQ(reply.body["participantToken"], "token-1");
  EXPECT_EQ(reply.body["role"], "guest");
  EXPECT_EQ(reply.body["waiting"], false);
  EXPECT_EQ(reply.body["iceServers"][0]["username"], "1704067800:r:p1");
  EXPECT_EQ(reply.body["iceExpiresAt"], 1704067800000);
}

TEST(JoinRoom, RefusesAnEndedRoomWith410) {
  HubUnderTest t;
  t.create("r");
  t.ask({{"action", "end-room"}, {"roomId", "r"}});
  const Reply reply = t.ask({{"action", "join-room"}, {"roomId", "r"}, {"participantName", "Ann"}});
  EXPECT_EQ(reply.status, 410);
  EXPECT_EQ(reply.body, (Json{{"success", false}, {"error", "Room has ended"}}));
}

TEST(JoinRoom, RefusesMoreThanTheMaximumWith409) {
  Limits limits;
  limits.max_participants = 2;
  HubUnderTest t(limits);
  t.create("r");
  t.join("r", "Ann");
  t.join("r", "Ben");
  const Reply reply =
      t.ask({{"action", "join-room"}, {"roomId", "r"}, {"participantName", "Cleo"}});
  EXPECT_EQ(reply.status, 409);
  EXPECT_EQ(reply.body["error"], "This visit already has its maximum of 2 people");
  t.advance(seconds{61});
  EXPECT_EQ(t.ask({{"action", "join-room"}, {"roomId", "r"}, {"participantName", "Cleo"}}).status,
            200)
      << "lapsed joins hold no place";
}

TEST(EndRoom, IsTheSameTheSecondTime) {
  HubUnderTest t;
  t.create("r");
  const Json done{{"success", true}, {"message", "Room ended successfully"}};
  for (int i = 0; i < 2; ++i) {
    const Reply reply = t.ask({{"action", "end-room"}, {"roomId", "r"}});
    EXPECT_EQ(reply.status, 200);
    EXPECT_EQ(reply.body, done);
  }
  EXPECT_EQ(t.commits.size(), 2U) << "one create, one end";
}

TEST(GetRoom, ShowsTheRoom) {
  HubUnderTest t;
  t.ask({{"action", "create-room"}, {"appointmentId", 9}});
  t.join("appointment-9", "Ann");
  EXPECT_EQ(t.get("appointment-9").body, (Json{{"success", true},
                                               {"room",
                                                {{"roomId", "appointment-9"},
                                                 {"appointmentId", 9},
                                                 {"participantCount", 1},
                                                 {"active", true},
                                                 {"createdAt", 1704067200000}}}}));
  EXPECT_EQ(t.get("nope").status, 404);
  EXPECT_EQ(t.get("nope").body["error"], "Room not found");
}

TEST(GetRoom, CountsJoinsUntilTheirLeaseLapsesAndAttachedPeopleAlways) {
  HubUnderTest t;
  t.create("r");
  const auto ann = t.join("r", "Ann");
  t.join("r", "Ben");
  t.attach(ann);
  EXPECT_EQ(t.count("r"), 2U);
  EXPECT_EQ(t.live.size(), 2U);
  t.advance(seconds{60} - milliseconds{1});
  EXPECT_EQ(t.count("r"), 2U);
  t.advance(milliseconds{1});
  EXPECT_EQ(t.count("r"), 1U);
  EXPECT_EQ(t.live.count("p2"), 0U);
  t.advance(seconds{3600});
  EXPECT_EQ(t.count("r"), 1U);
}

TEST(GetRoom, ShowsAnEndedRoomForOneHourThen404) {
  HubUnderTest t;
  t.create("r");
  t.ask({{"action", "end-room"}, {"roomId", "r"}});
  EXPECT_EQ(t.get("r").body["room"]["active"], false);
  t.advance(seconds{3600} - milliseconds{1});
  EXPECT_EQ(t.get("r").status, 200);
  t.advance(milliseconds{1});
  EXPECT_EQ(t.get("r").status, 404);
  EXPECT_TRUE(t.hub.rooms().empty());
}

}  // namespace
}  // namespace bedside::signaling
