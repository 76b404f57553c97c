// A host goes on although the disk is full: what their room needs is marked for the journal, and
// nothing else is granted.
#include "tests/signaling/hub_under_test.h"

namespace bedside::signaling {
namespace {

using testing::Contains;
using testing::ElementsAre;

Limits with_journal() {
  Limits limits;
  limits.emergencies = true;
  return limits;
}

class Emergency : public HubUnderTest {
 public:
  explicit Emergency(const Limits& limits = with_journal()) : HubUnderTest(limits, Access::invite) {
    const Json made =
        ask({{"action", "create-room"}, {"appointmentId", 1}, {"roomName", "visit"}}).body;
    guest_secret = secret_of(made.value("link", ""));
    host_secret = secret_of(made.value("hostLink", ""));
  }
  Reply join_with(const std::string& secret, bool emergency) {
    Json wish{{"action", "join-room"}, {"roomId", "visit"}, {"participantName", "A"}};
    wish["token"] = secret;
    if (emergency) wish["emergency"] = true;
    return ask(wish);
  }
  static Person person(const Reply& reply) {
    return {"visit", reply.body.value("participantId", ""),
            reply.body.value("participantToken", "")};
  }

  std::string guest_secret;
  std::string host_secret;

 private:
  static std::string secret_of(const std::string& link) { return link.substr(link.find('#') + 1); }
};

TEST(Emergencies, AreOfferedToAHostWhoIsRefused) {
  Emergency t;
  t.store = HubUnderTest::Store::journals;
  const Reply host = t.join_with(t.host_secret, false);
  EXPECT_EQ(host.status, 503);
  EXPECT_EQ(host.body["mayDeclareEmergency"], true);
  const Reply guest = t.join_with(t.guest_secret, false);
  EXPECT_EQ(guest.status, 503);
  EXPECT_FALSE(guest.body.contains("mayDeclareEmergency"));
}

TEST(Emergencies, OpenTheRoomForItsPeopleOnly) {
  Emergency t;
  t.ask({{"action", "create-room"}, {"appointmentId", 2}, {"roomName", "other"}});
  t.store = HubUnderTest::Store::journals;
  const Reply host = t.join_with(t.host_secret, true);
  ASSERT_EQ(host.status, 200) << host.body;
  EXPECT_TRUE(t.commits.back().emergency);
  ASSERT_TRUE(std::holds_alternative<EmergencyOpened>(t.commits.back().changes.back()));
  EXPECT_EQ(std::get<EmergencyOpened>(t.commits.back().changes.back()).until_wall,
            t.now.wall + kEmergency);

  const SocketId host_socket = t.attach(Emergency::person(host));
  const Reply guest = t.join_with(t.guest_secret, false);
  ASSERT_EQ(guest.status, 200);
  const SocketId guest_socket = t.attach(Emergency::person(guest));
  t.say(host_socket, {{"type", "admit"}, {"peerId", Emergency::person(guest).id}});
  EXPECT_THAT(t.types(guest_socket), ElementsAre("waiting", "admitted", "existing-peers"));
  EXPECT_THAT(t.live, Contains(Emergency::person(guest).id));

  EXPECT_EQ(t.ask({{"action", "create-room"}, {"appointmentId", 3}}).status, 503);
  EXPECT_FALSE(t.commits.back().emergency);
}

TEST(Emergencies, AreDeclaredFromInsideTheVisitToo) {
  Emergency t;
  const SocketId host = t.attach(Emergency::person(t.join_with(t.host_secret, false)));
  const HubUnderTest::Person guest = Emergency::person(t.join_with(t.guest_secret, false));
  t.attach(guest);
  t.heard(host);
  t.store = HubUnderTest::Store::journals;
  t.say(host, {{"type", "admit"}, {"peerId", guest.id}});
  EXPECT_EQ(t.heard(host).back()["code"], "unavailable");
  t.say(host, {{"type", "emergency"}});
  EXPECT_THAT(t.types(host), ElementsAre("emergency"));
  t.say(host, {{"type", "admit"}, {"peerId", guest.id}});
  EXPECT_THAT(t.types(host), Contains("peer-joined"));
}

TEST(Emergencies, EndAfterTheirTime) {
  Emergency t;
  ASSERT_EQ(t.join_with(t.host_secret, true).status, 200);
  t.advance(kEmergency - milliseconds{1});
  ASSERT_EQ(t.join_with(t.guest_secret, false).status, 200);
  EXPECT_TRUE(t.commits.back().emergency);
  t.advance(milliseconds{1});
  ASSERT_EQ(t.join_with(t.guest_secret, false).status, 200);
  EXPECT_FALSE(t.commits.back().emergency);
}

TEST(Emergencies, LeaveNothingBehindWhenTheyAreRefused) {
  Emergency t;
  t.store = HubUnderTest::Store::refuses;  // the journal takes nothing either
  EXPECT_EQ(t.join_with(t.host_secret, true).status, 503);
  t.store = HubUnderTest::Store::commits;
  EXPECT_EQ(t.join_with(t.guest_secret, false).status, 200);
  EXPECT_FALSE(t.commits.back().emergency);
}

TEST(Emergencies, AreForHostsOfInvitedVisits) {
  Emergency t;
  EXPECT_EQ(t.join_with(t.guest_secret, true).status, 403);
  EXPECT_EQ(t.join_with("wrong", true).status, 403);
  const SocketId guest = t.attach(Emergency::person(t.join_with(t.guest_secret, false)));
  t.heard(guest);
  t.say(guest, {{"type", "emergency"}});
  EXPECT_EQ(t.heard(guest).back()["code"], "forbidden");

  HubUnderTest open(with_journal());
  open.create("visit");
  EXPECT_EQ(open.ask({{"action", "join-room"},
                      {"roomId", "visit"},
                      {"participantName", "A"},
                      {"emergency", true}})
                .status,
            403);
}

TEST(Emergencies, NeedAJournal) {
  Emergency t{Limits{}};
  EXPECT_EQ(t.join_with(t.host_secret, true).status, 503);
  const SocketId host = t.attach(Emergency::person(t.join_with(t.host_secret, false)));
  t.heard(host);
  t.say(host, {{"type", "emergency"}});
  EXPECT_EQ(t.heard(host).back()["code"], "no-journal");
  t.store = HubUnderTest::Store::journals;
  EXPECT_FALSE(t.join_with(t.host_secret, false).body.contains("mayDeclareEmergency"));
}

}  // namespace
}  // namespace bedside::signaling
