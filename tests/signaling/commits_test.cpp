// Nothing is acknowledged before its commit; a refused commit changes nothing; order is kept.
#include "tests/signaling/hub_under_test.h"

namespace bedside::signaling {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

TEST(Commits, NothingIsAnsweredOrVisibleBeforeTheCommit) {
  HubUnderTest t;
  t.store = HubUnderTest::Store::holds;
  const RequestId create =
      t.post({{"action", "create-room"}, {"appointmentId", 1}, {"roomName", "r"}});
  EXPECT_FALSE(t.answered(create));
  EXPECT_THAT(t.hub.rooms(), IsEmpty());
  t.decide(0, true);
  EXPECT_EQ(t.reply(create).status, 200);

  const RequestId join =
      t.post({{"action", "join-room"}, {"roomId", "r"}, {"participantName", "A"}});
  EXPECT_FALSE(t.answered(join));
  EXPECT_THAT(t.live, IsEmpty());
  t.decide(0, true);
  EXPECT_EQ(t.reply(join).status, 200);
  EXPECT_THAT(t.live, ElementsAre("p1"));

  const SocketId a = t.attach({"r", "p1", "token-1"});
  EXPECT_THAT(t.heard(a), IsEmpty());
  t.decide(0, true);
  EXPECT_THAT(t.types(a), ElementsAre("existing-peers"));
}

TEST(Commits, LiveIsPublishedBeforeTheAnswerLeaves) {
  HubUnderTest t;
  t.create("r");
  t.order.clear();
  const auto ann = t.join("r", "Ann");
  EXPECT_THAT(t.order, ElementsAre("commit", "live p1", "answer 200"));
  t.order.clear();
  t.ask(
      {{"action", "leave-room"}, {"roomId", "r"}, {"participantId", ann.id}, {"token", ann.token}});
  EXPECT_THAT(t.order, ElementsAre("gone p1", "commit", "answer 200"));
}

TEST(Commits, RelayDoesNotWaitForTheDiskToForgetWhoLeaves) {
  HubUnderTest t;
  t.create("r");
  const auto ann = t.join("r", "Ann");
  const auto ben = t.join("r", "Ben");
  const SocketId b = t.attach(ben);
  t.store = HubUnderTest::Store::holds;
  const RequestId leave = t.post(
      {{"action", "leave-room"}, {"roomId", "r"}, {"participantId", ann.id}, {"token", ann.token}});
  EXPECT_THAT(t.live, ElementsAre(ben.id));
  EXPECT_FALSE(t.answered(leave));
  t.post(
      {{"action", "leave-room"}, {"roomId", "r"}, {"participantId", ben.id}, {"token", "guess"}});
  EXPECT_THAT(t.live, ElementsAre(ben.id)) << "a stranger must not end the service";
  t.say(b, {{"type", "leave"}});
  EXPECT_THAT(t.live, IsEmpty()) << "also while the leave waits for its turn";
  t.decide_all();
  EXPECT_EQ(t.reply(leave).status, 200);
  EXPECT_EQ(t.count("r"), 0U);
}

TEST(Commits, RefusedCreateIs503AndTheRoomDoesNotExist) {
  HubUnderTest t;
  t.store = HubUnderTest::Store::refuses;
  const Reply reply = t.ask({{"action", "create-room"}, {"appointmentId", 1}});
  EXPECT_EQ(reply.status, 503);
  EXPECT_EQ(reply.body["success"], false);
  EXPECT_TRUE(reply.retry_after.has_value());
  EXPECT_EQ(t.get("appointment-1").status, 404);
  EXPECT_EQ(t.hub.next_deadline(), std::nullopt);
}

TEST(Commits, RefusedJoinAndAttachChangeNothing) {
  HubUnderTest t;
  t.create("r");
  const auto ann = t.join("r", "Ann");
  t.store = HubUnderTest::Store::refuses;
  EXPECT_EQ(t.ask({{"action", "join-room"}, {"roomId", "r"}, {"participantName", "B"}}).status,
            503);
  EXPECT_EQ(t.ask({{"action", "ice-servers"},
                   {"roomId", "r"},
                   {"participantId", ann.id},
                   {"token", ann.token}})
                .status,
            503);
  EXPECT_EQ(t.reply(t.poll(ann, 0)).status, 503);
  const SocketId a = t.attach(ann);
  EXPECT_EQ(t.closed(a)->code, 1013);
  EXPECT_EQ(t.count("r"), 1U);
  EXPECT_EQ(t.get("r").body["room"]["active"], true);
  EXPECT_EQ(t.hub.stats().participants, 0U);
  t.store = HubUnderTest::Store::commits;
  EXPECT_THAT(t.types(t.attach(ann)), ElementsAre("existing-peers"));
}

// A visit must be able to end: its record waits.
TEST(Commits, ARoomEndsAlsoWhenItsRecordCannotBeWrittenNow) {
  HubUnderTest t;
  t.create("r");
  const auto ann = t.join("r", "Ann");
  const SocketId a = t.attach(ann);
  t.store = HubUnderTest::Store::refuses;
  EXPECT_EQ(t.ask({{"action", "end-room"}, {"roomId", "r"}}).status, 200);
  EXPECT_EQ(t.closed(a)->code, 4001);
  EXPECT_EQ(t.get("r").body["room"]["active"], false);
}

TEST(Commits, RefusedSupersedeLeavesTheFirstClientInThePlace) {
  HubUnderTest t;
  t.create("r");
  const auto ann = t.join("r", "Ann");
  const SocketId first = t.attach(ann);
  t.heard(first);
  t.store = HubUnderTest::Store::refuses;
  const SocketId second = t.attach(ann);
  EXPECT_EQ(t.closed(second)->code, 1013);
  EXPECT_FALSE(t.closed(first).has_value());
  t.say(first, {{"type", "kick"}});
  EXPECT_THAT(t.types(first), ElementsAre("error")) << "still attached";
}

TEST(Commits, DeparturesHappenWhateverTheStoreSays) {
  HubUnderTest t;
  t.create("r");
  const auto ann = t.join("r", "Ann");
  const auto ben = t.join("r", "Ben");
  const auto cleo = t.join("r", "Cleo");
  const SocketId a = t.attach_old(ann);
  const SocketId b = t.attach_old(ben);
  const SocketId c = t.attach(cleo);
  t.heard(a);
  t.store = HubUnderTest::Store::refuses;
  t.say(b, {{"type", "leave"}});
  t.hang_up(c);
  t.advance(kAwayGrace);
  EXPECT_THAT(t.types(a), ElementsAre("peer-left", "peer-left"));
  EXPECT_EQ(t.count("r"), 1U);
  EXPECT_TRUE(t.commits[t.commits.size() - 1].keep);
  EXPECT_TRUE(t.commits[t.commits.size() - 2].keep);
}

TEST(Commits, CommandsOfARoomWaitInOrderAndOtherRoomsDoNotWait) {
  HubUnderTest t;
  t.create("r");
  t.create("other");
  t.store = HubUnderTest::Store::holds;
  const RequestId join =
      t.post({{"action", "join-room"}, {"roomId", "r"}, {"participantName", "A"}});
  const RequestId end = t.post({{"action", "end-room"}, {"roomId", "r"}});
  const RequestId late =
      t.post({{"action", "join-room"}, {"roomId", "r"}, {"participantName", "B"}});
  const RequestId elsewhere =
      t.post({{"action", "join-room"}, {"roomId", "other"}, {"participantName", "C"}});
  ASSERT_EQ(t.held.size(), 2U) << "one commit in flight per room";
  t.decide(1, true);
  EXPECT_EQ(t.reply(elsewhere).status, 200);
  EXPECT_FALSE(t.answered(join));
  t.decide_all();
  EXPECT_EQ(t.reply(join).status, 200);
  EXPECT_EQ(t.reply(end).status, 200);
  EXPECT_EQ(t.reply(late).status, 410);
}

TEST(Commits, WaitingCommandsOfARoomThatWasNotCreatedFindNoRoom) {
  HubUnderTest t;
  t.store = HubUnderTest::Store::holds;
  const Json create{{"action", "create-room"}, {"appointmentId", 1}, {"roomName", "r"}};
  const RequestId first = t.post(create);
  const RequestId join =
      t.post({{"action", "join-room"}, {"roomId", "r"}, {"participantName", "A"}});
  const RequestId second = t.post(create);
  t.decide(0, false);
  EXPECT_EQ(t.reply(first).status, 503);
  EXPECT_EQ(t.reply(join).status, 404);
  t.decide(0, true);
  EXPECT_EQ(t.reply(second).status, 200);
}

TEST(Commits, MessagesOfOthersPassACommitInFlight) {
  HubUnderTest t;
  t.create("r");
  const auto ann = t.join("r", "Ann");
  const auto ben = t.join("r", "Ben");
  const auto cleo = t.join("r", "Cleo");
  const SocketId a = t.attach_old(ann);
  const SocketId b = t.attach_old(ben);
  t.heard(a);
  t.heard(b);
  t.store = HubUnderTest::Store::holds;
  const SocketId c = t.attach_old(cleo);
  t.say(a, {{"type", "offer"}, {"targetPeerId", ben.id}, {"offer", 1}});
  EXPECT_THAT(t.types(b), ElementsAre("offer")) << "a slow disk does not stop an ICE restart";
  t.say(c, {{"type", "offer"}, {"targetPeerId", ann.id}, {"offer", 2}});
  EXPECT_THAT(t.heard(a), IsEmpty()) << "no offer before its sender's peer-joined";
  t.decide_all();
  EXPECT_THAT(t.types(a), ElementsAre("peer-joined", "offer"));
}

TEST(Commits, ASocketThatClosesDuringItsAttachLeavesNoGhost) {
  HubUnderTest t;
  t.create("r");
  const auto ann = t.join("r", "Ann");
  const auto ben = t.join("r", "Ben");
  const SocketId a = t.attach_old(ann);
  t.heard(a);
  t.store = HubUnderTest::Store::holds;
  const SocketId b = t.attach_old(ben);
  t.hang_up(b);
  t.decide_all();
  EXPECT_THAT(t.types(a), ElementsAre("peer-joined", "peer-left"));
  EXPECT_EQ(t.count("r"), 1U);
}

TEST(Commits, TooManyWaitingCommandsAreRefusedWith503) {
  HubUnderTest t;
  t.create("r");
  t.store = HubUnderTest::Store::holds;
  const Json join{{"action", "join-room"}, {"roomId", "r"}, {"participantName", "A"}};
  std::vector<RequestId> requests;
  for (std::size_t i = 0; i < kMaxWaitingCommands + 2; ++i) requests.push_back(t.post(join));
  EXPECT_EQ(t.reply(requests.back()).status, 503);
  EXPECT_FALSE(t.answered(requests[requests.size() - 2]));
  t.decide_all();
  int joined = 0;
  for (const RequestId request : requests) joined += t.reply(request).status == 200 ? 1 : 0;
  EXPECT_EQ(joined, 8);
}

}  // namespace
}  // namespace bedside::signaling
