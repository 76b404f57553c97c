// protocol.md 2.3 to 2.5: resuming, long poll, media state, credentials, limits.
#include "signaling/close_codes.h"
#include "tests/signaling/hub_under_test.h"

namespace bedside::signaling {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::SizeIs;

// Ann polls or uses a socket with her token; Ben is there with a socket.
class Session : public testing::Test {
 protected:
  void SetUp() override {
    t.create("r");
    ann = t.join("r", "Ann");
    ben = t.join("r", "Ben");
    b = t.attach(ben);
    t.heard(b);
  }
  void offer_to_ann(int number) {
    t.say(b, {{"type", "offer"}, {"targetPeerId", ann.id}, {"offer", number}});
  }
  Json polled(std::uint64_t after, int wait = 0) { return t.reply(t.poll(ann, after, wait)).body; }

  HubUnderTest t;
  HubUnderTest::Person ann, ben;
  SocketId b = 0;
};

TEST_F(Session, ResumeReplaysWhatCameAfter) {
  const SocketId a = t.attach(ann);
  offer_to_ann(1);
  offer_to_ann(2);
  t.heard(a);
  t.hang_up(a);
  offer_to_ann(3);
  const SocketId again = t.attach(ann, 2);
  const auto heard = t.heard(again);
  EXPECT_THAT(t.types(heard), ElementsAre("offer", "offer", "resumed"));
  EXPECT_EQ(heard[0]["seq"], 3);
  EXPECT_EQ(heard[0]["offer"], 2);
  EXPECT_EQ(heard[1]["offer"], 3);
  EXPECT_THAT(t.heard(b), ElementsAre(testing::_)) << "peer-joined only: nobody noticed the change";
}

TEST_F(Session, ResumeOfWhatIsGoneIsAResyncWithTheRoster) {
  const SocketId a = t.attach(ann);
  t.say(b, {{"type", "media-state"}, {"audio", true}, {"video", false}});
  t.hang_up(a);
  const SocketId again = t.attach(ann, 99);
  const auto heard = t.heard(again);
  EXPECT_THAT(t.types(heard), ElementsAre("resync", "media-state", "resumed"));
  EXPECT_EQ(heard[0]["peers"], Json({ben.id}));
  EXPECT_EQ(heard[0]["names"], (Json{{ben.id, "Ben"}}));
}

// A proxy or the browser's network stack repeats a request: the second copy must not cost what was
// said after the first.
TEST_F(Session, RepeatOfARequestThatLedToAResyncLosesNothing) {
  t.hang_up(t.attach(ann));
  for (std::size_t i = 0; i < kOutboxMessages; ++i) {
    t.advance(milliseconds{40});
    if (i % 100 == 0) polled(1);  // stays in the room without reading on
    offer_to_ann(static_cast<int>(i));
  }
  const Json first = polled(0);
  EXPECT_THAT(t.types(first["messages"]), ElementsAre("resync"));
  offer_to_ann(5);
  const Json again = polled(0);
  EXPECT_THAT(t.types(again["messages"]), ElementsAre("resync", "offer"));
  EXPECT_EQ(again["messages"][0], first["messages"][0]);
  EXPECT_THAT(t.types(polled(first["next"])["messages"]), ElementsAre("offer"));
  EXPECT_THAT(t.types(polled(again["next"])["messages"]), IsEmpty());
}

TEST_F(Session, ResumingSupersedesTheFirstSocketWithoutAnybodyNoticing) {
  const SocketId a = t.attach(ann);
  t.heard(b);
  const SocketId a2 = t.attach(ann, 1);
  EXPECT_EQ(t.closed(a)->code, 4000);
  EXPECT_THAT(t.heard(b), IsEmpty());
  offer_to_ann(1);
  EXPECT_THAT(t.types(a2), ElementsAre("resumed", "offer"));
}

TEST_F(Session, AbsenceIsForgivenForItsGraceTimeAndThenADeparture) {
  const SocketId a = t.attach(ann);
  t.heard(b);
  t.hang_up(a);
  t.advance(kAwayGrace - milliseconds{1});
  EXPECT_THAT(t.heard(b), IsEmpty());
  EXPECT_EQ(t.count("r"), 2U);
  t.advance(milliseconds{1});
  EXPECT_THAT(t.types(b), ElementsAre("peer-left"));
  EXPECT_EQ(t.count("r"), 1U);
  const SocketId late = t.attach(ann, 1);
  EXPECT_THAT(t.types(late), ElementsAre("existing-peers")) << "a new arrival";
  EXPECT_THAT(t.types(b), ElementsAre("peer-joined"));
}

TEST_F(Session, PollAttachesCarriesEverythingAndParks) {
  const Json first = polled(0, 25);
  EXPECT_EQ(first["success"], true);
  EXPECT_THAT(t.types(first["messages"]), ElementsAre("existing-peers"));
  EXPECT_EQ(first["next"], 1);
  EXPECT_THAT(t.types(b), ElementsAre("peer-joined"));
  const RequestId parked = t.poll(ann, 1, 25);
  EXPECT_FALSE(t.answered(parked));
  offer_to_ann(7);
  const Json second = t.reply(parked).body;
  EXPECT_THAT(t.types(second["messages"]), ElementsAre("offer"));
  EXPECT_EQ(second["messages"][0]["fromPeerId"], ben.id);
  EXPECT_EQ(second["next"], 2);
  EXPECT_EQ(t.signal(ann, {{"type", "answer"}, {"targetPeerId", ben.id}, {"answer", 1}}).status,
            200);
  EXPECT_EQ(t.heard(b)[0]["fromPeerId"], ann.id);
}

TEST_F(Session, ParkedPollIsAnsweredAfterItsWaitAndNeverLaterThan25Seconds) {
  polled(0);
  const RequestId five = t.poll(ann, 1, 5);
  t.advance(seconds{5} - milliseconds{1});
  EXPECT_FALSE(t.answered(five));
  t.advance(milliseconds{1});
  EXPECT_EQ(t.reply(five).body["messages"], Json::array());
  EXPECT_EQ(t.reply(five).body["next"], 1);
  const RequestId greedy = t.poll(ann, 1, 3600);
  t.advance(seconds{25});
  EXPECT_TRUE(t.answered(greedy));
}

TEST_F(Session, APollerStaysForAsLongAsItPollsAndLeavesWhenItStops) {
  polled(0);
  t.heard(b);
  for (int i = 0; i < 20; ++i) {
    const std::uint64_t after = 1;
    t.poll(ann, after, 25);
    t.advance(seconds{25} + seconds{4});
  }
  EXPECT_EQ(t.count("r"), 2U);
  t.advance(seconds{30});
  EXPECT_THAT(t.types(b), testing::Contains("peer-left"));
}

TEST_F(Session, AnswerThatWasLostIsGivenAgain) {
  polled(0);
  offer_to_ann(1);
  const Json lost = polled(1);
  const Json again = polled(1);
  EXPECT_EQ(lost["messages"], again["messages"]);
  EXPECT_THAT(again["messages"], SizeIs(1));
  EXPECT_THAT(polled(2)["messages"], IsEmpty());
}

TEST_F(Session, SecondPollTakesThePlaceOfTheFirst) {
  polled(0);
  const RequestId first = t.poll(ann, 1);
  const RequestId second = t.poll(ann, 1);
  EXPECT_EQ(t.reply(first).body["messages"], Json::array());
  offer_to_ann(1);
  EXPECT_THAT(t.reply(second).body["messages"], SizeIs(1));
}

TEST_F(Session, OvertakenPollDoesNotDisturbTheSocketInUse) {
  polled(0);
  offer_to_ann(1);
  polled(1);
  const SocketId a = t.attach(ann, 2);
  const RequestId stale = t.poll(ann, 1);
  EXPECT_EQ(t.reply(stale).body["messages"], Json::array());
  EXPECT_FALSE(t.closed(a).has_value());
  offer_to_ann(2);
  EXPECT_THAT(t.types(a), ElementsAre("resumed", "offer"));
}

TEST_F(Session, ClientThatIsGoneFreesItsParkedPoll) {
  polled(0);
  const RequestId parked = t.poll(ann, 1);
  t.hub.request_gone(parked, t.now);
  offer_to_ann(1);
  EXPECT_FALSE(t.answered(parked));
  EXPECT_THAT(polled(1)["messages"], SizeIs(1));
}

TEST_F(Session, ClientSeqMakesARetryHarmless) {
  polled(0);
  t.heard(b);
  const Json action{{"action", "signal"},
                    {"roomId", "r"},
                    {"participantId", ann.id},
                    {"token", ann.token},
                    {"clientSeq", 1},
                    {"message", {{"type", "offer"}, {"targetPeerId", ben.id}, {"offer", 1}}}};
  EXPECT_EQ(t.ask(action).body, (Json{{"success", true}, {"clientSeq", 1}}));
  EXPECT_EQ(t.ask(action).body, (Json{{"success", true}, {"clientSeq", 1}}));
  EXPECT_THAT(t.types(b), ElementsAre("offer"));
  EXPECT_EQ(polled(1)["clientSeq"], 1);
}

TEST_F(Session, RetryOfARefusedSignalIsRefusedAgain) {
  polled(0);
  Json action{{"action", "signal"},
              {"roomId", "r"},
              {"participantId", ann.id},
              {"token", ann.token},
              {"clientSeq", 1},
              {"message", {{"type", "offer"}, {"targetPeerId", "nobody"}, {"offer", 1}}}};
  EXPECT_EQ(t.ask(action).status, 404);
  EXPECT_EQ(t.ask(action).status, 404);
  EXPECT_EQ(polled(1, 0)["clientSeq"], 0);
  action["message"]["targetPeerId"] = ben.id;
  EXPECT_EQ(t.ask(action).body, (Json{{"success", true}, {"clientSeq", 1}}));
}

TEST_F(Session, OvertakenJoinDoesNotDisturbTheSocketInUse) {
  polled(0);
  offer_to_ann(1);
  polled(1);
  const SocketId a = t.attach(ann, 2);
  t.heard(a);
  const SocketId stale = t.attach(ann, 1);
  EXPECT_EQ(t.closed(stale)->code, 4000);
  EXPECT_FALSE(t.closed(a).has_value());
  offer_to_ann(2);
  EXPECT_THAT(t.types(a), ElementsAre("offer"));
}

TEST_F(Session, SupersededPollDoesNotSkipWhatItDidNotCarry) {
  polled(0);
  const RequestId parked = t.poll(ann, 1);
  const SocketId a = t.attach(ann, 1);
  EXPECT_EQ(t.reply(parked).body["next"], 1);
  EXPECT_THAT(t.types(a), ElementsAre("resumed"));
}

TEST_F(Session, LostArrivalIsAnArrivalAgain) {
  t.poll(ann, 0);  // its answer never reaches the client
  const SocketId a = t.attach(ann, 0);
  EXPECT_THAT(t.types(a), ElementsAre("existing-peers", "resumed"));
}

TEST_F(Session, SignalKnowsEveryClientMessage) {
  EXPECT_EQ(t.signal(ann, {{"type", "offer"}, {"targetPeerId", ben.id}}).status, 409)
      << "not joined";
  EXPECT_EQ(t.signal(ann, {{"type", "join"}, {"roomId", "r"}, {"peerId", ben.id}}).status, 400);
  EXPECT_EQ(t.signal(ann, {{"type", "join"}, {"roomId", "r"}, {"peerId", ann.id}}).status, 200);
  EXPECT_EQ(t.signal(ann, {{"type", "media-state"}, {"audio", true}}).status, 200);
  EXPECT_EQ(t.signal(ann, {{"type", "kick"}, {"peerId", ben.id}}).status, 403);
  EXPECT_EQ(t.signal(ann, {{"type", "offer"}, {"targetPeerId", "x"}}).status, 404);
  EXPECT_EQ(t.signal(ann, {{"type", "dance"}}).status, 400);
  EXPECT_EQ(t.signal(ann, {{"type", "leave"}}).status, 200);
  EXPECT_THAT(t.types(b), ElementsAre("peer-joined", "media-state", "peer-left"));
  EXPECT_EQ(t.signal(ann, {{"type", "leave"}}).status, 403);
}

TEST_F(Session, StrangersAndWrongTokensAreRefused) {
  polled(0);
  t.heard(b);
  const HubUnderTest::Person thief{"r", ann.id, "stolen?"};
  EXPECT_EQ(t.reply(t.poll(thief, 0)).status, 403);
  EXPECT_EQ(t.signal(thief, {{"type", "leave"}}).status, 403);
  EXPECT_EQ(t.reply(t.poll({"r", "nobody", ""}, 0)).status, 403);
  EXPECT_EQ(t.reply(t.poll({"nowhere", ann.id, ""}, 0)).status, 404);
  EXPECT_EQ(t.ask({{"action", "poll"}, {"roomId", "r"}}).status, 400);
  EXPECT_EQ(t.ask({{"action", "ice-servers"}, {"roomId", "r"}, {"participantId", ann.id}}).status,
            403)
      << "credentials need the token, also in open mode";
  EXPECT_EQ(t.reply(t.poll({"r", ann.id, ""}, 0, 0)).status, 403)
      << "ann has shown her token: her id, which everybody knows, is not enough any more";
  EXPECT_THAT(t.heard(b), IsEmpty());
  const HubUnderTest::Person old_page = t.join("r", "Old page");
  EXPECT_EQ(t.reply(t.poll({"r", old_page.id, ""}, 0, 0)).status, 200)
      << "open mode: the id alone polls for who never showed a token";
}

TEST_F(Session, WrongTokensDoNotSpendTheVictimsAllowance) {
  polled(0);
  const HubUnderTest::Person thief{"r", ann.id, "stolen?"};
  for (int i = 0; i < 300; ++i) t.signal(thief, {{"type", "leave"}});
  EXPECT_EQ(t.signal(ann, {{"type", "media-state"}}).status, 200);
}

TEST_F(Session, MediaStateIsShownToTheOthersAndToNewcomers) {
  t.say(b, {{"type", "media-state"},
            {"audio", true},
            {"video", true},
            {"screen", false},
            {"recording", true},
            {"fromPeerId", "forged"}});
  const SocketId a = t.attach(ann);
  const auto heard = t.heard(a);
  EXPECT_THAT(t.types(heard), ElementsAre("existing-peers", "media-state"));
  EXPECT_EQ(heard[1], (Json{{"type", "media-state"},
                            {"audio", true},
                            {"video", true},
                            {"screen", false},
                            {"recording", true},
                            {"fromPeerId", ben.id},
                            {"seq", 2}}));
}

TEST_F(Session, FreshCredentialsArePushedBeforeTheOldOnesExpire) {
  const SocketId a = t.attach(ann);
  t.heard(a);
  t.advance(seconds{480} - milliseconds{1});
  EXPECT_THAT(t.heard(a), IsEmpty());
  t.advance(milliseconds{1});
  const auto heard = t.heard(a);
  EXPECT_THAT(t.types(heard), ElementsAre("ice-servers"));
  EXPECT_EQ(heard[0]["iceExpiresAt"], t.now.wall.count() + 600'000);
  EXPECT_TRUE(heard[0]["iceServers"].is_array());
  t.advance(seconds{480});
  EXPECT_THAT(t.types(a), ElementsAre("ice-servers"));
}

TEST_F(Session, RefusedRenewalIsTriedAgain) {
  const SocketId a = t.attach(ann);
  t.heard(a);
  t.store = HubUnderTest::Store::refuses;
  t.advance(seconds{480});
  EXPECT_THAT(t.heard(a), IsEmpty());
  t.store = HubUnderTest::Store::commits;
  t.advance(seconds{10});
  EXPECT_THAT(t.types(a), ElementsAre("ice-servers"));
}

TEST_F(Session, AskedCredentialsReplaceTheNextPush) {
  const SocketId a = t.attach(ann);
  t.heard(a);
  t.advance(seconds{400});
  const Reply reply = t.ask({{"action", "ice-servers"},
                             {"roomId", "r"},
                             {"participantId", ann.id},
                             {"token", ann.token}});
  EXPECT_EQ(reply.status, 200);
  EXPECT_EQ(reply.body["iceExpiresAt"], t.now.wall.count() + 600'000);
  t.advance(seconds{100});
  EXPECT_THAT(t.heard(a), IsEmpty());
}

TEST_F(Session, CredentialsThatAreAskedForTooOftenAre429) {
  t.attach(ann);
  const auto ask = [&](const std::string& token) {
    return t.ask(
        {{"action", "ice-servers"}, {"roomId", "r"}, {"participantId", ann.id}, {"token", token}});
  };
  for (int i = 0; i < 40; ++i) EXPECT_EQ(ask("guessed").status, 403);  // costs her nothing
  for (int i = 0; i < 10; ++i) EXPECT_EQ(ask(ann.token).status, 200);
  EXPECT_EQ(ask(ann.token).status, 429);
  t.advance(seconds{10});
  EXPECT_EQ(ask(ann.token).status, 200);
  EXPECT_EQ(ask(ann.token).status, 429);
}

TEST_F(Session, TooManySocketMessagesAreAnErrorAndAClose) {
  const SocketId a = t.attach(ann);
  t.heard(a);
  for (int i = 0; i < 200 && !t.closed(a); ++i) offer_to_ann(i);
  int sent = 0;
  while (!t.closed(b) && sent < 200) {
    offer_to_ann(1000 + sent++);
  }
  ASSERT_TRUE(t.closed(b).has_value());
  EXPECT_EQ(t.closed(b)->code, 4008);
  EXPECT_EQ(t.heard(b).back()["code"], "rate-limited");
  EXPECT_EQ(t.count("r"), 2U) << "the participant may come back";
}

TEST_F(Session, TooManyMessagesNameTheOneThatWasTooMany) {
  const SocketId a = t.attach(ann);
  for (int i = 0; i < 200 && !t.closed(a); ++i) {
    t.say(a, {{"type", "media-state"}, {"requestId", i}});
  }
  const Json told = t.heard(a).back();
  EXPECT_EQ(told["code"], "rate-limited");
  EXPECT_EQ(told.value("requestId", 0), 119) << "the join was the first of 120";
}

TEST_F(Session, JoinsCostAsMessagesDo) {
  EXPECT_FALSE(t.closed(t.attach(ann)).has_value());
  for (int i = 1; i < 120; ++i) EXPECT_FALSE(t.closed(t.attach(ann, 1)).has_value()) << i;
  const std::size_t commits = t.commits.size();
  t.heard(b);
  for (int i = 0; i < 10; ++i) {
    const SocketId refused =
        t.attach(ann, i % 2 == 0 ? std::nullopt : std::optional<std::uint64_t>(1));
    ASSERT_TRUE(t.closed(refused).has_value()) << i;
    EXPECT_EQ(t.closed(refused)->code, close_codes::kRateLimited);
    EXPECT_EQ(t.heard(refused).back()["code"], "rate-limited");
  }
  EXPECT_EQ(t.commits.size(), commits) << "what is refused is not recorded";
  EXPECT_THAT(t.heard(b), IsEmpty());
  EXPECT_EQ(t.misuse, 10);
  t.advance(milliseconds{34});
  EXPECT_FALSE(t.closed(t.attach(ann)).has_value()) << "a little later it may come back";
}

TEST_F(Session, ANewSocketIsNoNewAllowance) {
  for (const Json& message :
       {Json{{"type", "offer"}, {"targetPeerId", ben.id}, {"offer", 1}}, Json{{"type", "ping"}}}) {
    t.advance(seconds{10});
    const SocketId first = t.attach(ann);
    for (int i = 0; i < 60; ++i) t.say(first, message);
    const SocketId second = t.attach(ann, 1);
    for (int i = 0; i < 58; ++i) t.say(second, message);
    EXPECT_FALSE(t.closed(second).has_value()) << message;
    t.say(second, message);
    ASSERT_TRUE(t.closed(second).has_value()) << message;
    EXPECT_EQ(t.closed(second)->code, close_codes::kRateLimited);
    EXPECT_EQ(t.heard(second).back()["code"], "rate-limited");
  }
  EXPECT_EQ(t.count("r"), 2U) << "the participant may come back";
}

TEST_F(Session, SocketsWhoseJoinIsUnderWayShareTheAllowanceToo) {
  t.store = HubUnderTest::Store::holds;
  const Json message{{"type", "offer"}, {"targetPeerId", ben.id}, {"offer", 1}};
  const SocketId first = t.attach(ann);
  for (int i = 0; i < 60; ++i) t.say(first, message);
  const SocketId second = t.attach(ann);
  for (int i = 0; i < 58; ++i) t.say(second, message);
  EXPECT_FALSE(t.closed(second).has_value());
  t.say(second, message);
  ASSERT_TRUE(t.closed(second).has_value());
  EXPECT_EQ(t.closed(second)->code, close_codes::kRateLimited);
  t.decide_all();
  t.advance(seconds{1});
  EXPECT_FALSE(t.closed(t.attach(ann)).has_value());
}

TEST_F(Session, JoinsWithAWrongTokenCostTheVictimNothing) {
  const HubUnderTest::Person thief{"r", ann.id, "stolen?"};
  for (int i = 0; i < 200; ++i) t.attach(thief);
  EXPECT_FALSE(t.closed(t.attach(ann)).has_value());
}

TEST_F(Session, ThirtyMessagesASecondAreFineForEver) {
  const SocketId a = t.attach(ann);
  for (int i = 0; i < 3000; ++i) {
    t.advance(milliseconds{34});
    offer_to_ann(i);
  }
  EXPECT_FALSE(t.closed(b).has_value());
  EXPECT_THAT(t.heard(a), SizeIs(testing::Ge(3000U)));
}

TEST_F(Session, TooManySignalsAre429) {
  polled(0);
  int status = 0;
  for (int i = 0; i < 200 && status != 429; ++i) {
    status = t.signal(ann, {{"type", "media-state"}}).status;
  }
  EXPECT_EQ(status, 429);
  t.advance(seconds{1});
  EXPECT_EQ(t.signal(ann, {{"type", "media-state"}}).status, 200);
}

TEST_F(Session, PingIsAnsweredWithoutANumberACommitOrAWordToTheOthers) {
  const SocketId a = t.attach(ann);
  t.heard(a);
  t.heard(b);
  const std::size_t commits = t.commits.size();
  t.say(a, {{"type", "ping"}});
  EXPECT_THAT(t.heard(a), ElementsAre(Json{{"type", "pong"}}));
  EXPECT_THAT(t.heard(b), IsEmpty());
  EXPECT_EQ(t.commits.size(), commits);
  offer_to_ann(1);
  EXPECT_EQ(t.heard(a).at(0)["seq"], 2) << "the session counts on behind existing-peers";
}

TEST_F(Session, PingIsAnsweredWhileACommitOfTheSameParticipantWaits) {
  t.attach(ann);
  t.store = HubUnderTest::Store::holds;
  const SocketId a = t.attach(ann);
  t.say(a, {{"type", "ping"}});
  EXPECT_THAT(t.types(a), ElementsAre("pong"));
  EXPECT_EQ(t.signal(ann, {{"type", "ping"}}).status, 200);
  t.decide_all();
  EXPECT_THAT(t.types(a), ElementsAre("existing-peers"));
}

TEST_F(Session, PingCountsAsAnyOtherMessage) {
  const SocketId a = t.attach(ann);
  for (int i = 0; i < 200; ++i) t.say(a, {{"type", "ping"}});
  EXPECT_EQ(t.closed(a)->code, close_codes::kRateLimited);
  int status = 0;
  for (int i = 0; i < 200 && status != 429; ++i) {
    status = t.signal(ben, {{"type", "ping"}}).status;
  }
  EXPECT_EQ(status, 429);
}

TEST_F(Session, PingOfStrangersTellsNothing) {
  const SocketId stranger = t.open();
  t.say(stranger, {{"type", "ping"}});
  EXPECT_EQ(t.heard(stranger).at(0)["code"], "join-first");
  EXPECT_EQ(t.signal({"r", ann.id, "stolen?"}, {{"type", "ping"}}).status, 403);
}

TEST_F(Session, FullOutboxBecomesAResyncNotMemory) {
  polled(0);
  for (std::size_t i = 0; i < kOutboxMessages + 10; ++i) {
    t.advance(milliseconds{40});
    if (i % 100 == 0) polled(1);  // stays in the room without reading on
    offer_to_ann(static_cast<int>(i));
  }
  const Json body = polled(1);
  EXPECT_THAT(t.types(body["messages"]), ElementsAre("resync"));
  offer_to_ann(5);
  EXPECT_THAT(t.types(polled(body["next"])["messages"]), ElementsAre("offer"));
}

TEST_F(Session, SocketThatDoesNotReadGetsAResyncToo) {
  const SocketId a = t.attach(ann);
  t.heard(a);
  t.stuck.insert(a);
  for (int i = 0; i < 40; ++i) {
    t.advance(seconds{1});
    t.say(b, {{"type", "offer"}, {"targetPeerId", ann.id}, {"offer", std::string(30'000, 'x')}});
  }
  t.stuck.clear();
  t.say(b, {{"type", "media-state"}});
  EXPECT_THAT(t.types(a), ElementsAre("resync", "media-state"));
}

TEST_F(Session, ManyWhoLeftAreNotRememberedForEver) {
  for (int i = 0; i < 200; ++i) {
    const auto guest = t.join("r", "Guest");
    t.hang_up(t.attach_old(guest));
    t.advance(seconds{1});
  }
  EXPECT_LE(t.hub.stats().participants, 2U);
  std::size_t left = 0;
  for (const CommitNeeded& commit : t.commits) {
    for (const Change& change : commit.changes) {
      const auto* gone = std::get_if<ParticipantLeft>(&change);
      left += gone != nullptr && gone->reason == LeaveReason::lapsed ? 1U : 0U;
    }
  }
  EXPECT_GE(left, 200U - kMaxRemembered - 3U);
}

}  // namespace
}  // namespace bedside::signaling
