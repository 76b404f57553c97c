// protocol.md 1.2 with clients of section 1, and section 3 point by point.
#include "tests/signaling/hub_under_test.h"

namespace bedside::signaling {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::SizeIs;

// A room "r" with Ann, Ben and Cleo attached in this order, as old pages do it.
class OldPages : public testing::Test {
 protected:
  void SetUp() override {
    t.create("r");
    ann = t.join("r", "Ann");
    ben = t.join("r", "Ben");
    a = t.attach_old(ann, "Ann");
    b = t.attach_old(ben, "Ben");
  }
  void clear() {
    t.heard(a);
    t.heard(b);
  }
  HubUnderTest t;
  HubUnderTest::Person ann, ben;
  SocketId a = 0, b = 0;
};

TEST_F(OldPages, NewcomerGetsExistingPeersAndTheOthersGetPeerJoined) {
  const auto to_ann = t.heard(a);
  ASSERT_THAT(to_ann, SizeIs(2));
  EXPECT_EQ(to_ann[0]["type"], "existing-peers");
  EXPECT_EQ(to_ann[0]["peers"], Json::array());
  EXPECT_EQ(to_ann[1]["type"], "peer-joined");
  EXPECT_EQ(to_ann[1]["peerId"], ben.id);
  EXPECT_EQ(to_ann[1]["peerName"], "Ben");
  const auto to_ben = t.heard(b);
  ASSERT_THAT(to_ben, SizeIs(1));
  EXPECT_EQ(to_ben[0]["peers"], Json({ann.id}));
  EXPECT_EQ(to_ben[0]["names"], (Json{{ann.id, "Ann"}}));
  EXPECT_EQ(to_ben[0]["roles"], (Json{{ann.id, "guest"}}));
}

TEST_F(OldPages, ExistingPeersAreListedInTheOrderOfTheirAttach) {
  const auto cleo = t.join("r", "Cleo");
  const auto dan = t.join("r", "Dan");
  t.attach_old(dan);
  const SocketId c = t.attach_old(cleo);
  EXPECT_EQ(t.heard(c)[0]["peers"], Json({ann.id, ben.id, dan.id}));
}

TEST_F(OldPages, NameOfJoinRoomIsUsedWhenTheSocketBringsNone) {
  const auto cleo = t.join("r", "Cleo");
  clear();
  t.attach_old(cleo);
  EXPECT_EQ(t.heard(a)[0]["peerName"], "Cleo");
}

TEST_F(OldPages, OfferAnswerAndCandidateArriveWholeWithTheServersFromPeerId) {
  clear();
  const Json offer{{"type", "offer"},
                   {"targetPeerId", ann.id},
                   {"offer", {{"type", "offer"}, {"sdp", "v=0\r\n\"ü\""}}},
                   {"fromPeerId", "somebody-else"},
                   {"extra", {1, 2.5, nullptr, true}}};
  t.say(b, offer);
  const auto heard = t.heard(a);
  ASSERT_THAT(heard, SizeIs(1));
  Json expected = offer;
  expected["fromPeerId"] = ben.id;
  expected["seq"] = heard[0]["seq"];
  EXPECT_EQ(heard[0], expected);

  t.say(a, {{"type", "answer"}, {"targetPeerId", ben.id}, {"answer", {{"sdp", "x"}}}});
  t.say(a, {{"type", "ice-candidate"}, {"targetPeerId", ben.id}, {"candidate", nullptr}});
  const auto to_ben = t.heard(b);
  EXPECT_THAT(t.types(to_ben), ElementsAre("answer", "ice-candidate"));
  EXPECT_EQ(to_ben[1]["fromPeerId"], ann.id);
  EXPECT_TRUE(to_ben[1]["candidate"].is_null());
  EXPECT_THAT(t.heard(a), IsEmpty());
}

TEST_F(OldPages, SeqCountsUpByOne) {
  t.say(b, {{"type", "offer"}, {"targetPeerId", ann.id}, {"offer", 1}});
  t.say(b, {{"type", "media-state"}, {"audio", true}});
  std::uint64_t expected = 1;
  for (const Json& message : t.heard(a)) EXPECT_EQ(message["seq"], expected++);
  EXPECT_EQ(expected, 5U);
}

TEST_F(OldPages, LeaveTellsTheOthersOnceAndNotTheLeaver) {
  clear();
  t.say(b, {{"type", "leave"}, {"roomId", "r"}, {"peerId", ben.id}});
  t.hang_up(b);
  const auto heard = t.heard(a);
  EXPECT_THAT(t.types(heard), ElementsAre("peer-left"));
  EXPECT_EQ(heard[0]["peerId"], ben.id);
  EXPECT_THAT(t.heard(b), IsEmpty());
  EXPECT_EQ(t.count("r"), 1U);
  t.advance(seconds{3600 * 3});
  EXPECT_THAT(t.heard(a), IsEmpty());
}

TEST_F(OldPages, ClosingIsADepartureAndTheSameIdMayComeBack) {
  clear();
  t.hang_up(b);
  EXPECT_THAT(t.types(a), ElementsAre("peer-left"));
  EXPECT_EQ(t.count("r"), 1U);
  EXPECT_EQ(t.live.count(ben.id), 0U);
  const SocketId again = t.attach_old(ben);
  EXPECT_THAT(t.types(a), ElementsAre("peer-joined"));
  EXPECT_EQ(t.heard(again)[0]["peers"], Json({ann.id}));
  EXPECT_EQ(t.live.count(ben.id), 1U);
}

TEST_F(OldPages, LeavingForGoodDoesNotComeBack) {
  t.say(b, {{"type", "leave"}});
  const SocketId again = t.attach_old(ben);
  EXPECT_EQ(t.closed(again)->code, 4003);
}

TEST_F(OldPages, SecondSocketOfTheSameIdTakesThePlaceOfTheFirst) {
  clear();
  const SocketId b2 = t.attach_old(ben);
  EXPECT_EQ(t.closed(b)->code, 4000);
  EXPECT_THAT(t.types(a), ElementsAre("peer-left", "peer-joined"));
  EXPECT_THAT(t.types(b2), ElementsAre("existing-peers"));
  t.hang_up(b);  // late news about the old socket
  EXPECT_THAT(t.heard(a), IsEmpty());
  EXPECT_EQ(t.count("r"), 2U);
}

TEST_F(OldPages, MessageToNobodyIsAnErrorForTheSenderOnly) {
  clear();
  t.say(a, {{"type", "offer"}, {"targetPeerId", "nobody"}, {"offer", 1}, {"requestId", 17}});
  t.say(a, {{"type", "offer"}, {"targetPeerId", ann.id}, {"offer", 1}});
  const auto heard = t.heard(a);
  EXPECT_THAT(t.types(heard), ElementsAre("error", "error"));
  EXPECT_EQ(heard[0]["code"], "unknown-peer");
  EXPECT_EQ(heard[0]["requestId"], 17);
  EXPECT_THAT(t.heard(b), IsEmpty());
}

TEST_F(OldPages, HostMessagesAreRefusedForGuests) {
  clear();
  for (const char* type : {"kick", "lock", "admit", "decline"}) {
    t.say(a, {{"type", type}, {"peerId", ben.id}});
    EXPECT_EQ(t.heard(a)[0]["code"], "forbidden");
  }
  EXPECT_FALSE(t.closed(b).has_value());
}

// ---- section 3

TEST(Section3, Point2_RoomsAndPeopleSurviveAKillBecauseTheyAreRestored) {
  HubUnderTest before;
  before.create("r");
  const auto ann = before.join("r", "Ann");
  before.attach(ann);
  const auto& joined = std::get<ParticipantJoined>(before.commits[1].changes[0]);

  HubUnderTest after;
  after.hub.restore({{"r",
                      "1",
                      milliseconds{5},
                      std::nullopt,
                      {{joined.participant, joined.name, joined.role, joined.token_hash,
                        joined.lease_wall, milliseconds{0}}}}},
                    after.now);
  after.pump();
  EXPECT_EQ(after.get("r").body["room"]["createdAt"], 5);
  EXPECT_EQ(after.live.count(ann.id), 1U);
  EXPECT_EQ(
      after.ask({{"action", "join-room"}, {"roomId", "r"}, {"participantName", "Ben"}}).status,
      200);
  const SocketId socket = after.attach(ann, 7);
  const auto heard = after.heard(socket);
  EXPECT_EQ(heard[0]["type"], "resync") << "numbers of the process before mean nothing now";
  EXPECT_GT(heard[0]["seq"], 7);
}

TEST(Section3, Point2_WhoDoesNotComeBackAfterARestartIsGoneAfterAMinute) {
  HubUnderTest t;
  t.hub.restore({{"r",
                  "1",
                  milliseconds{5},
                  std::nullopt,
                  {{"gone", "Ann", Role::guest, {}, milliseconds{0}, milliseconds{0}},
                   {"back", "Ben", Role::guest, {}, milliseconds{0}, milliseconds{0}},
                   {"lapsed", "Cleo", Role::guest, {}, milliseconds{0}, std::nullopt}}}},
                t.now);
  t.pump();
  EXPECT_EQ(t.count("r"), 2U);
  const SocketId b = t.attach_old({"r", "back", ""});
  t.heard(b);
  t.advance(seconds{60});
  const auto heard = t.heard(b);
  EXPECT_THAT(t.types(heard), ElementsAre("peer-left"));
  EXPECT_EQ(heard[0]["peerId"], "gone");
  EXPECT_EQ(t.count("r"), 1U);
  EXPECT_EQ(t.live, std::set<std::string>{"back"});
}

TEST(Section3, Point2_RestoredEndedRoomsAreForgottenAtTheirStoredTime) {
  HubUnderTest t;
  t.hub.restore({{"r", "1", milliseconds{5}, t.now.wall + seconds{10}, {}},
                 {"overdue", "2", milliseconds{5}, t.now.wall - seconds{10}, {}}},
                t.now);
  t.pump();
  EXPECT_EQ(t.get("r").body["room"]["active"], false);
  t.advance(seconds{1});
  EXPECT_EQ(t.get("overdue").status, 404);
  t.advance(seconds{9});
  EXPECT_EQ(t.get("r").status, 404);
}

TEST(Section3, Point3_NobodyEntersUnderAForeignOrInventedId) {
  HubUnderTest t;
  t.create("r");
  t.create("other");
  const auto ann = t.join("r", "Ann");
  struct Try {
    Json join;
    int code;
  };
  const std::vector<Try> tries{
      {{{"type", "join"}, {"roomId", "r"}, {"peerId", "invented"}}, 4003},
      {{{"type", "join"}, {"roomId", "other"}, {"peerId", ann.id}}, 4003},
      {{{"type", "join"}, {"roomId", "nowhere"}, {"peerId", ann.id}}, 4004},
      {{{"type", "join"}, {"roomId", "r"}, {"peerId", ann.id}, {"token", "wrong"}}, 4003}};
  for (const Try& attempt : tries) {
    const SocketId socket = t.open();
    t.say(socket, attempt.join);
    ASSERT_TRUE(t.closed(socket).has_value()) << attempt.join;
    EXPECT_EQ(t.closed(socket)->code, attempt.code) << attempt.join;
    EXPECT_THAT(t.types(socket), ElementsAre("error"));
  }
  EXPECT_EQ(t.commits.size(), 3U);
  EXPECT_EQ(t.misuse, 3);
}

TEST(Section3, Point3_EndingARoomTellsAndClosesEverybody) {
  HubUnderTest t;
  t.create("r");
  const auto ann = t.join("r", "Ann");
  const auto ben = t.join("r", "Ben");
  const auto cleo = t.join("r", "Cleo");
  const SocketId a = t.attach_old(ann);
  const RequestId first = t.poll(ben, 0);
  const RequestId parked = t.poll(ben, t.reply(first).body["next"].get<std::uint64_t>());
  t.heard(a);
  t.order.clear();
  EXPECT_EQ(t.ask({{"action", "end-room"}, {"roomId", "r"}}).status, 200);
  EXPECT_THAT(t.types(a), ElementsAre("room-ended"));
  EXPECT_EQ(t.closed(a)->code, 4001);
  EXPECT_EQ(t.reply(parked).body["messages"][0]["type"], "room-ended");
  EXPECT_THAT(t.live, IsEmpty()) << "credentials die with the room, also of those who only joined";
  EXPECT_EQ(t.order.front(), "commit");
  EXPECT_EQ(t.order.back(), "answer 200") << "everybody is gone before the answer leaves";
  const SocketId late = t.attach_old(cleo);
  EXPECT_EQ(t.closed(late)->code, 4001);
  EXPECT_EQ(t.reply(t.poll(ben, 1)).status, 410);
}

TEST(Section3, Point5_OneRoomPerSocketAndNoRoomNamedUndefined) {
  HubUnderTest t;
  t.create("r");
  t.create("other");
  const auto ann = t.join("r", "Ann");
  const auto twin = t.join("other", "Ann");
  const SocketId socket = t.open();
  t.say(socket, {{"type", "join"}, {"peerId", ann.id}});
  EXPECT_EQ(t.heard(socket)[0]["code"], "bad-message");
  t.say(socket, {{"type", "offer"}, {"targetPeerId", "x"}, {"offer", 1}});
  EXPECT_EQ(t.heard(socket)[0]["code"], "join-first");
  t.say(socket, {{"type", "join"}, {"roomId", "r"}, {"peerId", ann.id}});
  EXPECT_THAT(t.types(socket), ElementsAre("existing-peers"));
  t.say(socket, {{"type", "join"}, {"roomId", "other"}, {"peerId", twin.id}});
  EXPECT_EQ(t.heard(socket)[0]["code"], "already-joined");
  EXPECT_EQ(t.hub.room("other")->people[0].presence, Presence::leased);
  t.say(socket, {{"type", "leave"}});
  t.say(socket, {{"type", "join"}, {"roomId", "other"}, {"peerId", twin.id}});
  EXPECT_THAT(t.types(socket), ElementsAre("existing-peers"));
  EXPECT_EQ(t.count("r"), 0U);
}

TEST(Section3, Point6_SilentSocketsThatNeverJoinAreClosed) {
  HubUnderTest t;
  const SocketId socket = t.open();
  t.advance(seconds{30});
  EXPECT_EQ(t.closed(socket)->code, 4002);
  EXPECT_EQ(t.hub.stats().sockets, 0U);
}

TEST(Section3, Point7_MalformedMessagesAreErrorsAndTheSocketLives) {
  HubUnderTest t;
  t.create("r");
  const SocketId socket = t.attach_old(t.join("r", "Ann"));
  t.heard(socket);
  const std::vector<std::string> bad{"",
                                     "{",
                                     "null",
                                     "[]",
                                     "42",
                                     "{\"type\":7}",
                                     "{\"type\":\"x\"}",
                                     "{\"type\":\"offer\"}",
                                     std::string(17, '[') + std::string(17, ']'),
                                     "{\"a\":\"\xc3\x28\"}"};
  for (const std::string& text : bad) {
    t.say_text(socket, text);
    EXPECT_THAT(t.types(socket), ElementsAre("error")) << text;
  }
  EXPECT_FALSE(t.closed(socket).has_value());
  t.say_text(socket, "{\"type\":\"media-state\",\"x\":" + std::string(15, '[') +
                         std::string(15, ']') + "}");
  EXPECT_THAT(t.heard(socket), IsEmpty()) << "depth 16 is still fine";
}

TEST(Section3, Point7_RoomSizeIsLimitedForReturnersToo) {
  Limits limits;
  limits.max_participants = 2;
  HubUnderTest t(limits);
  t.create("r");
  const auto ann = t.join("r", "Ann");
  t.advance(seconds{60});
  t.attach_old(t.join("r", "Ben"));
  t.attach_old(t.join("r", "Cleo"));
  const SocketId late = t.attach_old(ann);
  EXPECT_EQ(t.closed(late)->code, 4009);
  EXPECT_EQ(t.heard(late)[0]["code"], "room-full");
}

TEST(Joining, IsRefusedWithItsRequestId) {
  Limits limits;
  limits.max_participants = 1;
  HubUnderTest t(limits);
  t.create("r");
  t.create("ended");
  t.ask({{"action", "end-room"}, {"roomId", "ended"}});
  const auto ann = t.join("r", "Ann");
  t.advance(kJoinLease);
  const auto ben = t.join("r", "Ben");
  const auto refused = [&](const HubUnderTest::Person& who, std::optional<int> after = {}) {
    Json join{{"type", "join"}, {"roomId", who.room}, {"peerId", who.id}, {"requestId", "r1"}};
    if (!who.token.empty()) join["token"] = who.token;
    if (after) join["after"] = *after;
    const SocketId socket = t.open();
    t.say(socket, join);
    const auto told = t.heard(socket);
    EXPECT_TRUE(t.closed(socket));
    EXPECT_EQ(told.size(), 1U);
    EXPECT_EQ(told.at(0)["requestId"], "r1") << told.at(0);
    return told.at(0).value("code", "");
  };
  EXPECT_EQ(refused({"nowhere", "p1", ""}), "room-not-found");
  EXPECT_EQ(refused({"ended", "p1", ""}), "room-ended");
  EXPECT_EQ(refused({"r", "p9", ""}), "not-a-participant");
  EXPECT_EQ(refused(ann), "room-full");
  t.store = HubUnderTest::Store::refuses;
  EXPECT_EQ(refused(ben), "unavailable");
  t.store = HubUnderTest::Store::commits;
  for (const std::optional<int> after : {std::optional<int>(), {1}, {2}}) t.attach(ben, after);
  EXPECT_EQ(refused(ben, 1), "superseded");
  t.store = HubUnderTest::Store::holds;
  for (std::size_t i = 0; i <= kMaxWaitingCommands; ++i) {
    t.post({{"action", "end-room"}, {"roomId", "r"}});
  }
  EXPECT_EQ(refused({"r", "p9", ""}), "busy");
}

TEST(Section3, Point8_EndingTwiceLeavesOneExpiry) {
  HubUnderTest t;
  t.create("r");
  t.ask({{"action", "end-room"}, {"roomId", "r"}});
  t.advance(seconds{1800});
  t.ask({{"action", "end-room"}, {"roomId", "r"}});
  t.advance(seconds{1800});
  EXPECT_EQ(t.get("r").status, 404) << "the second end does not prolong";
  t.create("r");
  t.advance(seconds{1800});
  EXPECT_EQ(t.get("r").body["room"]["active"], true) << "no timer of the former room is left";
  int forgotten = 0;
  for (const CommitNeeded& commit : t.commits) {
    for (const Change& change : commit.changes)
      forgotten += std::holds_alternative<RoomForgotten>(change);
  }
  EXPECT_EQ(forgotten, 1);
}

TEST(Section3, Point9_EveryRoomAndParticipantActionIsACommit) {
  HubUnderTest t;
  t.create("r");
  const auto ann = t.join("r", "Ann");
  const auto ben = t.join("r", "Ben");
  const SocketId a = t.attach(ann);
  t.attach_old(ben);
  t.ask({{"action", "ice-servers"},
         {"roomId", "r"},
         {"participantId", ann.id},
         {"token", ann.token}});
  t.say(a, {{"type", "leave"}});
  t.advance(seconds{5});
  t.ask({{"action", "end-room"}, {"roomId", "r"}});
  std::vector<std::string> kinds;
  for (const CommitNeeded& commit : t.commits) {
    for (const Change& change : commit.changes) {
      kinds.emplace_back(std::array{"created", "kept", "locked", "link", "link dropped", "ended",
                                    "forgotten", "joined", "attached", "admitted", "declined",
                                    "kicked", "detached", "left", "cred"}
                             .at(change.index()));
    }
    EXPECT_EQ(commit.room, "r");
    EXPECT_EQ(commit.caller.listener, "http");
  }
  EXPECT_THAT(kinds, ElementsAre("created", "joined", "cred", "joined", "cred", "attached",
                                 "attached", "cred", "left", "ended", "left"));
  const auto& last = std::get<ParticipantLeft>(t.commits.back().changes[1]);
  EXPECT_EQ(last.reason, LeaveReason::room_ended);
  EXPECT_EQ(last.attended, seconds{5});
}

}  // namespace
}  // namespace bedside::signaling
