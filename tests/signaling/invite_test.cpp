// Invite mode: links, roles, the waiting room, and what hosts do (protocol.md 2.1 and 2.3).
#include "signaling/close_codes.h"
#include "tests/signaling/hub_under_test.h"

namespace bedside::signaling {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

Limits with_room_for(std::size_t people) {
  Limits limits;
  limits.max_participants = people;
  return limits;
}

// A room with its links, in a hub that asks for them.
class Invite : public HubUnderTest {
 public:
  explicit Invite(const Limits& limits = {}) : HubUnderTest(limits, Access::invite) {
    const Reply made = create_invited("visit");
    guest_secret = secret_of(made.body.value("link", ""));
    host_secret = secret_of(made.body.value("hostLink", ""));
  }
  Reply create_invited(const std::string& room) {
    return ask({{"action", "create-room"}, {"appointmentId", 1}, {"roomName", room}});
  }
  static std::string secret_of(const std::string& link) { return link.substr(link.find('#') + 1); }
  Reply join_with(const std::string& secret, const std::string& name,
                  const std::string& room = "visit") {
    return ask(
        {{"action", "join-room"}, {"roomId", room}, {"participantName", name}, {"token", secret}});
  }
  Person enter(const std::string& secret, const std::string& name) {
    const Reply reply = join_with(secret, name);
    EXPECT_EQ(reply.status, 200) << reply.body;
    return {"visit", reply.body.value("participantId", ""),
            reply.body.value("participantToken", "")};
  }
  Person host(const std::string& name = "Dr. Okafor") { return enter(host_secret, name); }
  Person guest(const std::string& name = "Margaret") { return enter(guest_secret, name); }

  std::string guest_secret;
  std::string host_secret;
};

const Json kAdmitFirst{{"type", "admit"}, {"peerId", "p2"}};

// ---- links

TEST(InviteLinks, CarryDifferentSecretsInTheFragmentAndTellTheirExpiry) {
  Invite t;
  const Reply made = t.create_invited("other");
  const std::string link = made.body["link"];
  const std::string host_link = made.body["hostLink"];
  EXPECT_EQ(link.find("/telehealth-webrtc.html?room=other#"), 0U);
  EXPECT_EQ(host_link.find("/telehealth-webrtc.html?room=other#"), 0U);
  EXPECT_NE(link, host_link);
  EXPECT_EQ(made.body["expiresAt"], (t.now.wall + Limits{}.room_lifetime).count());
}

TEST(InviteLinks, AreKeptAsHashesOnly) {
  Invite t;
  int links = 0;
  for (const Change& change : t.commits.at(0).changes) {
    const auto* issued = std::get_if<LinkIssued>(&change);
    if (issued == nullptr) continue;
    ++links;
    const std::string& secret = issued->role == Role::host ? t.host_secret : t.guest_secret;
    EXPECT_EQ(issued->secret_hash, t.issuer.hash(secret));
  }
  EXPECT_EQ(links, 2);
}

TEST(InviteLinks, GiveTheirRole) {
  Invite t;
  EXPECT_EQ(t.join_with(t.host_secret, "Dr. Okafor").body["role"], "host");
  EXPECT_EQ(t.join_with(t.guest_secret, "Margaret").body["role"], "guest");
}

TEST(InviteLinks, ThatOpenNothingAreAllRefusedAlike) {
  Invite t;
  const Json refused{{"success", false}, {"error", "This link is not valid"}};
  const std::pair<std::string, std::string> tries[] = {
      {"visit", ""}, {"visit", "wrong"}, {"nowhere", "wrong"}, {"nowhere", t.guest_secret}};
  for (const auto& [room, secret] : tries) {
    const Reply reply = t.join_with(secret, "Mallory", room);
    EXPECT_EQ(reply.status, 403) << room;
    EXPECT_EQ(reply.body, refused) << room;
  }
  EXPECT_EQ(t.misuse, 4) << "counted for the audit log";
}

TEST(InviteLinks, OfOneRoomOpenNoOther) {
  Invite t;
  t.create_invited("other");
  EXPECT_EQ(t.join_with(t.host_secret, "Ann", "other").status, 403);
}

TEST(InviteLinks, OfAnEndedRoomSayThatItHasEndedAndWrongOnesDoNot) {
  Invite t;
  ASSERT_EQ(t.ask({{"action", "end-room"}, {"roomId", "visit"}}).status, 200);
  EXPECT_EQ(t.join_with(t.guest_secret, "Margaret").status, 410);
  EXPECT_EQ(t.join_with("wrong", "Mallory").status, 403);
}

TEST(InviteLinks, OfARepeatedCreateAndOfTheFirstAreGood) {
  Invite t;
  const Reply again = t.create_invited("visit");
  EXPECT_EQ(t.join_with(Invite::secret_of(again.body["link"]), "Margaret").status, 200);
  EXPECT_EQ(t.join_with(t.guest_secret, "Margaret").status, 200);
}

TEST(InviteLinks, BeyondTheMaximumMakeTheOldestVoid) {
  Invite t;
  for (std::size_t i = 0; i < kMaxLinks; ++i) t.create_invited("visit");
  EXPECT_EQ(t.join_with(t.guest_secret, "Margaret").status, 403);
}

TEST(InviteLinks, Expire) {
  Limits limits;
  limits.room_lifetime = std::chrono::hours{2};  // fewer renewals of credentials to step through
  Invite t(limits);
  const auto host = t.attach(t.host());
  t.advance(limits.room_lifetime - milliseconds{1});
  EXPECT_EQ(t.join_with(t.guest_secret, "Margaret").status, 200);
  t.advance(milliseconds{1});
  EXPECT_EQ(t.join_with(t.guest_secret, "Margaret").status, 403);
  EXPECT_FALSE(t.closed(host)) << "the room itself is in use";
}

// Everything that is said to a stranger, not only the code: one member more would tell apart.
TEST(InviteLinks, AndStrangersLearnNothingBySocket) {
  for (const Json& request_id : {Json(), Json(1), Json("r1")}) {
    Invite t;
    t.create_invited("ended");
    t.ask({{"action", "end-room"}, {"roomId", "ended"}});
    Json join{{"type", "join"}, {"peerId", "p9"}, {"token", "guessed"}};
    Json expected{{"type", "error"},
                  {"code", "not-a-participant"},
                  {"message", "This participant is not in the room"}};
    if (!request_id.is_null()) join["requestId"] = expected["requestId"] = request_id;
    for (const std::string room : {"visit", "ended", "nowhere"}) {
      join["roomId"] = room;
      const auto socket = t.open();
      t.say(socket, join);
      EXPECT_THAT(t.heard(socket), ElementsAre(expected)) << room;
      ASSERT_TRUE(t.closed(socket)) << room;
      EXPECT_EQ(t.closed(socket)->code, close_codes::kNotAParticipant) << room;
      EXPECT_EQ(t.closed(socket)->reason, "not-a-participant") << room;
    }
    EXPECT_EQ(t.misuse, 3) << "counted for the audit log";
  }
}

TEST(InviteLinks, AndStrangersLearnNothingByPoll) {
  Invite t;
  t.create_invited("ended");
  t.ask({{"action", "end-room"}, {"roomId", "ended"}});
  const Json refused{{"success", false}, {"error", "This participant is not in the room"}};
  for (const std::string action : {"poll", "signal", "leave-room", "ice-servers"}) {
    for (const std::string room : {"visit", "ended", "nowhere"}) {
      const Reply reply = t.ask({{"action", action},
                                 {"roomId", room},
                                 {"participantId", "p9"},
                                 {"token", "guessed"},
                                 {"message", {{"type", "leave"}, {"requestId", 1}}}});
      EXPECT_EQ(reply.status, 403) << action << " " << room;
      EXPECT_EQ(reply.body, refused) << action << " " << room;
      EXPECT_FALSE(reply.retry_after) << action << " " << room;
    }
  }
}

TEST(InviteLinks, AndLocksAndTheWaitingSurviveARestart) {
  Invite t;
  Hub second(Limits{}, Access::invite, t.issuer);
  RoomRecord record;
  record.id = "visit";
  record.appointment = "1";
  record.locked = true;
  record.links = {{Role::guest, t.issuer.hash(t.guest_secret), t.now.wall + seconds{60}},
                  {Role::host, t.issuer.hash(t.host_secret), t.now.wall + seconds{60}}};
  ParticipantRecord waiting;
  waiting.id = "p1";
  waiting.token_hash = t.issuer.hash("token-9");
  waiting.attached_wall = t.now.wall;
  waiting.admitted = false;
  record.participants = {waiting};
  second.restore({record}, t.now);
  second.request(1, JoinRoom{"visit", "Margaret", t.guest_secret}, t.caller(), t.now);
  second.request(2, RenewIce{{"visit", "p1", "token-9"}}, t.caller(), t.now);
  std::map<RequestId, int> statuses;
  for (const Output& output : second.outputs()) {
    EXPECT_FALSE(std::holds_alternative<ParticipantLive>(output)) << "waits: no relay";
    if (const auto* answer = std::get_if<Answer>(&output))
      statuses[answer->request] = answer->status;
  }
  EXPECT_EQ(statuses[1], 423);
  EXPECT_EQ(statuses[2], 409);
}

// ---- the waiting room

TEST(WaitingRoom, GuestsGetNoRelayCredentialsAndDoNotCount) {
  Invite t;
  const Reply reply = t.join_with(t.guest_secret, "Margaret");
  EXPECT_EQ(reply.body["waiting"], true);
  EXPECT_FALSE(reply.body.contains("iceServers"));
  EXPECT_THAT(t.live, IsEmpty());
  EXPECT_EQ(t.count("visit"), 0U);
  const Json renew{{"action", "ice-servers"},
                   {"roomId", "visit"},
                   {"participantId", reply.body["participantId"]},
                   {"token", reply.body["participantToken"]}};
  EXPECT_EQ(t.ask(renew).status, 409);
  for (const CommitNeeded& commit : t.commits) {
    for (const Change& change : commit.changes) {
      EXPECT_FALSE(std::holds_alternative<CredentialIssued>(change));
    }
  }
}

TEST(WaitingRoom, HostsDoNotWait) {
  Invite t;
  const Reply reply = t.join_with(t.host_secret, "Dr. Okafor");
  EXPECT_EQ(reply.body["waiting"], false);
  EXPECT_TRUE(reply.body.contains("iceServers"));
}

TEST(WaitingRoom, CanBeSwitchedOff) {
  Limits limits;
  limits.waiting_room = false;
  Invite t(limits);
  EXPECT_EQ(t.join_with(t.guest_secret, "Margaret").body["waiting"], false);
}

TEST(WaitingRoom, AGuestWaitsUntilAHostAdmits) {
  Invite t;
  const auto doctor = t.attach(t.host());
  EXPECT_THAT(t.types(doctor), ElementsAre("existing-peers"));
  const auto patient = t.guest();
  const auto waiting = t.attach(patient);
  EXPECT_THAT(t.types(waiting), ElementsAre("waiting"));
  const auto knock = t.heard(doctor);
  ASSERT_THAT(HubUnderTest::types(knock), ElementsAre("knock"));
  EXPECT_EQ(knock[0]["peerId"], patient.id);
  EXPECT_EQ(knock[0]["name"], "Margaret");

  t.say(doctor, {{"type", "admit"}, {"peerId", patient.id}});
  const auto inside = t.heard(waiting);
  ASSERT_THAT(HubUnderTest::types(inside), ElementsAre("admitted", "existing-peers"));
  EXPECT_TRUE(inside[0].contains("iceServers"));
  EXPECT_EQ(inside[1]["peers"], Json::array({"p1"}));
  EXPECT_EQ(inside[1]["roles"]["p1"], "host");
  EXPECT_THAT(t.types(doctor), ElementsAre("knock-over", "peer-joined"));
  EXPECT_EQ(t.live.count(patient.id), 1U);
  EXPECT_EQ(t.count("visit"), 2U);
}

TEST(WaitingRoom, AnOldPageWaitsBecauseItIsToldNothing) {
  Invite t;
  const auto doctor = t.attach(t.host());
  const auto patient = t.guest();
  const auto old = t.attach_old(patient, "Margaret");
  EXPECT_THAT(t.types(old), ElementsAre("waiting"));
  t.heard(doctor);
  t.say(doctor, {{"type", "admit"}, {"peerId", patient.id}});
  EXPECT_THAT(t.types(old), ElementsAre("admitted", "existing-peers"));
}

TEST(WaitingRoom, AnIdThatOthersKnowIsNotEnoughToAttach) {
  Invite t;
  const auto doctor = t.host();
  t.attach(doctor);
  const auto thief = t.attach_old(doctor);
  EXPECT_EQ(t.closed(thief)->code, close_codes::kNotAParticipant);
}

TEST(WaitingRoom, WhoWaitsSeesAndReachesNobody) {
  Invite t;
  const auto doctor = t.attach(t.host());
  const auto waiting = t.attach(t.guest());
  t.heard(doctor);
  t.heard(waiting);
  t.say(waiting, {{"type", "offer"}, {"targetPeerId", "p1"}, {"offer", {{"sdp", "x"}}}});
  t.say(doctor, {{"type", "offer"}, {"targetPeerId", "p2"}, {"offer", {{"sdp", "x"}}}});
  t.say(waiting, {{"type", "media-state"}, {"audio", true}});
  t.say(waiting, kAdmitFirst);
  const auto told = t.heard(waiting);
  ASSERT_EQ(told.size(), 3U);
  EXPECT_EQ(told[0]["code"], "waiting");
  EXPECT_EQ(told[1]["code"], "waiting");
  EXPECT_EQ(told[2]["code"], "forbidden");
  const auto host_told = t.heard(doctor);
  ASSERT_EQ(host_told.size(), 1U);
  EXPECT_EQ(host_told[0]["code"], "unknown-peer");
}

TEST(WaitingRoom, AHostWhoComesLaterHearsWhoWaits) {
  Invite t;
  const auto patient = t.guest();
  t.attach(patient);
  const auto doctor = t.attach(t.host());
  EXPECT_THAT(t.types(doctor), ElementsAre("existing-peers", "knock"));
}

TEST(WaitingRoom, TwoHostsAtOnceAdmitOnce) {
  Invite t;
  const auto first = t.attach(t.host("A"));
  const auto second = t.attach(t.host("B"));
  const auto patient = t.guest();
  const auto waiting = t.attach(patient);
  t.heard(first);
  t.heard(second);
  t.heard(waiting);
  t.store = HubUnderTest::Store::holds;
  t.say(first, {{"type", "admit"}, {"peerId", patient.id}});
  t.say(second, {{"type", "admit"}, {"peerId", patient.id}});
  EXPECT_EQ(t.held.size(), 1U);
  t.decide_all();
  EXPECT_THAT(t.types(waiting), ElementsAre("admitted", "existing-peers"));
  EXPECT_THAT(t.types(first), ElementsAre("knock-over", "peer-joined"));
  EXPECT_THAT(t.types(second), ElementsAre("knock-over", "peer-joined"));
}

TEST(WaitingRoom, AnAdmissionThatCannotBeRecordedAdmitsNobody) {
  Invite t;
  const auto doctor = t.attach(t.host());
  const auto patient = t.guest();
  const auto waiting = t.attach(patient);
  t.heard(doctor);
  t.heard(waiting);
  t.store = HubUnderTest::Store::refuses;
  t.say(doctor, {{"type", "admit"}, {"peerId", patient.id}, {"requestId", "r1"}});
  const auto told = t.heard(doctor);
  ASSERT_EQ(told.size(), 1U);
  EXPECT_EQ(told[0]["code"], "unavailable");
  EXPECT_EQ(told[0]["requestId"], "r1");
  EXPECT_THAT(t.heard(waiting), IsEmpty());
  EXPECT_EQ(t.live.count(patient.id), 0U);
}

TEST(WaitingRoom, ADeclineTellsItsReasonAndIsNotForGood) {
  Invite t;
  const auto doctor = t.attach(t.host());
  const auto patient = t.guest();
  const auto waiting = t.attach(patient);
  t.heard(doctor);
  t.heard(waiting);
  t.say(doctor, {{"type", "decline"}, {"peerId", patient.id}, {"reason", "In ten minutes"}});
  const auto told = t.heard(waiting);
  ASSERT_THAT(HubUnderTest::types(told), ElementsAre("declined"));
  EXPECT_EQ(told[0]["reason"], "In ten minutes");
  EXPECT_EQ(t.closed(waiting)->code, close_codes::kDeclined);
  EXPECT_THAT(t.types(doctor), ElementsAre("knock-over"));
  EXPECT_EQ(t.join_with(t.guest_secret, "Margaret").status, 200);
}

TEST(WaitingRoom, ADeclineBetweenTwoPollsIsToldByTheNext) {
  Invite t;
  const auto doctor = t.attach(t.host());
  const auto patient = t.guest();
  const Reply first = t.reply(t.poll(patient, 0, 0));
  ASSERT_THAT(HubUnderTest::types(first.body["messages"]), ElementsAre("waiting"));
  t.say(doctor, {{"type", "decline"}, {"peerId", patient.id}});
  const Reply next = t.reply(t.poll(patient, first.body["next"], 0));
  EXPECT_EQ(next.status, 200);
  EXPECT_THAT(HubUnderTest::types(next.body["messages"]), ElementsAre("declined"));
}

TEST(WaitingRoom, TheWholeWayByLongPoll) {
  Invite t;
  const auto doctor = t.host();
  const auto patient = t.guest();
  const Reply host_first = t.reply(t.poll(doctor, 0, 0));
  const Reply first = t.reply(t.poll(patient, 0, 0));
  const RequestId parked = t.poll(patient, first.body["next"]);
  const Reply knock = t.reply(t.poll(doctor, host_first.body["next"], 0));
  ASSERT_THAT(HubUnderTest::types(knock.body["messages"]), ElementsAre("knock"));
  EXPECT_FALSE(t.answered(parked));
  EXPECT_EQ(t.signal(doctor, {{"type", "admit"}, {"peerId", patient.id}}).status, 200);
  EXPECT_THAT(HubUnderTest::types(t.reply(parked).body["messages"]),
              ElementsAre("admitted", "existing-peers"));
  EXPECT_EQ(t.signal(patient, {{"type", "admit"}, {"peerId", doctor.id}}).status, 403);
  EXPECT_EQ(t.signal(doctor, {{"type", "admit"}, {"peerId", "nobody"}}).status, 404);
}

TEST(WaitingRoom, KeepsThePlaceOverReconnectAndReload) {
  Invite t;
  const auto doctor = t.attach(t.host());
  const auto patient = t.guest();
  const auto first = t.attach(patient);
  const auto seq = t.heard(first).back()["seq"].get<std::uint64_t>();
  t.heard(doctor);
  t.hang_up(first);
  t.advance(seconds{10});
  const auto resumed = t.attach(patient, seq);  // a reconnect
  EXPECT_THAT(t.types(resumed), ElementsAre("resumed"));
  EXPECT_THAT(t.heard(doctor), IsEmpty()) << "nobody noticed";

  const Reply stepped_out = t.ask({{"action", "leave-room"},
                                   {"roomId", "visit"},
                                   {"participantId", patient.id},
                                   {"token", patient.token},
                                   {"returning", true}});
  EXPECT_EQ(stepped_out.status, 200);
  EXPECT_THAT(t.types(doctor), ElementsAre("knock-over"));
  const auto reloaded = t.attach(patient);  // a page that knows nothing but its token
  EXPECT_THAT(t.types(reloaded), ElementsAre("waiting"));
  EXPECT_THAT(t.types(doctor), ElementsAre("knock"));

  t.say(doctor, {{"type", "admit"}, {"peerId", patient.id}});
  t.ask({{"action", "leave-room"},
         {"roomId", "visit"},
         {"participantId", patient.id},
         {"token", patient.token},
         {"returning", true}});
  EXPECT_EQ(t.live.count(patient.id), 0U) << "out of the page, out of the relay";
  const auto inside = t.attach(patient);
  EXPECT_THAT(t.types(inside), ElementsAre("existing-peers")) << "admitted is admitted";
  EXPECT_EQ(t.live.count(patient.id), 1U);
}

TEST(WaitingRoom, APageReloadedBeforeItsFirstAttachHasNotDeparted) {
  Invite t;
  const auto doctor = t.host();
  const std::size_t before = t.commits.size();
  EXPECT_EQ(t.ask({{"action", "leave-room"},
                   {"roomId", "visit"},
                   {"participantId", doctor.id},
                   {"token", doctor.token},
                   {"returning", true}})
                .status,
            200);
  EXPECT_EQ(t.commits.size(), before) << "who never arrived has no departure in the records";
  EXPECT_EQ(t.live.count(doctor.id), 0U);
  EXPECT_THAT(t.types(t.attach(doctor)), ElementsAre("existing-peers"));
  EXPECT_EQ(t.live.count(doctor.id), 1U);
}

TEST(WaitingRoom, IsBounded) {
  Invite t;
  for (std::size_t i = 0; i < kMaxWaiting; ++i) t.guest();
  EXPECT_EQ(t.join_with(t.guest_secret, "One more").status, 409);
  EXPECT_EQ(t.join_with(t.host_secret, "Dr. Okafor").status, 200) << "hosts are not kept out";
}

TEST(WaitingRoom, NobodyIsAdmittedBeyondTheRoomsSize) {
  Invite t(with_room_for(2));
  const auto doctor = t.attach(t.host());
  const auto first = t.guest();
  const auto second = t.guest();
  t.attach(first);
  const auto waiting = t.attach(second);
  t.say(doctor, {{"type", "admit"}, {"peerId", first.id}});
  t.heard(doctor);
  t.heard(waiting);
  t.say(doctor, {{"type", "admit"}, {"peerId", second.id}});
  EXPECT_EQ(t.heard(doctor).at(0)["code"], "room-full");
  EXPECT_THAT(t.heard(waiting), IsEmpty());
}

// ---- kick, lock, end

struct Visit : Invite {
  Visit()
      : doctor_person(host()),
        doctor(attach(doctor_person)),
        patient_person(guest()),
        patient(attach(patient_person)) {
    say(doctor, {{"type", "admit"}, {"peerId", patient_person.id}});
    heard(doctor);
    heard(patient);
  }
  Person doctor_person;
  SocketId doctor;
  Person patient_person;
  SocketId patient;
};

TEST(Kick, TellsAndClosesAndEndsTheRelayAtOnce) {
  Visit t;
  t.store = HubUnderTest::Store::holds;
  t.say(t.doctor, {{"type", "kick"}, {"peerId", t.patient_person.id}});
  EXPECT_EQ(t.live.count(t.patient_person.id), 0U) << "before the record is on disk";
  t.decide_all();
  const auto told = t.heard(t.patient);
  ASSERT_THAT(HubUnderTest::types(told), ElementsAre("removed"));
  EXPECT_EQ(t.closed(t.patient)->code, close_codes::kRemoved);
  EXPECT_THAT(t.types(t.doctor), ElementsAre("peer-left"));
  const SocketId again = t.attach(t.patient_person);
  EXPECT_THAT(t.heard(again), ElementsAre(told[0])) << "the same message under the same number";
  EXPECT_EQ(t.live.count(t.patient_person.id), 0U) << "the old token opens nothing";
}

TEST(Kick, DoesNotWaitForACommitOfSomebodyElse) {
  Visit t;
  t.store = HubUnderTest::Store::holds;
  t.post({{"action", "join-room"},
          {"roomId", "visit"},
          {"participantName", "B"},
          {"token", t.host_secret}});
  t.say(t.doctor, {{"type", "kick"}, {"peerId", t.patient_person.id}});
  EXPECT_EQ(t.live.count(t.patient_person.id), 0U);
  t.decide_all();
  EXPECT_EQ(t.closed(t.patient)->code, close_codes::kRemoved);
}

TEST(Kick, ByAHostWhoLeftBeforeItsTurnLeavesTheGuestItsRelay) {
  Visit t;
  t.store = HubUnderTest::Store::holds;
  t.say(t.doctor, {{"type", "leave"}, {"roomId", "visit"}, {"peerId", t.doctor_person.id}});
  t.say(t.doctor, {{"type", "kick"}, {"peerId", t.patient_person.id}});
  t.decide_all();
  EXPECT_FALSE(t.closed(t.patient)) << "the doctor had no say any more";
  EXPECT_EQ(t.live, std::set<std::string>{t.patient_person.id});
}

TEST(Kick, IsForHostsAndNotForOneself) {
  Visit t;
  t.say(t.patient, {{"type", "kick"}, {"peerId", t.doctor_person.id}});
  EXPECT_EQ(t.heard(t.patient).at(0)["code"], "forbidden");
  t.say(t.doctor, {{"type", "kick"}, {"peerId", t.doctor_person.id}});
  EXPECT_EQ(t.heard(t.doctor).at(0)["code"], "unknown-peer");
  EXPECT_EQ(t.live.size(), 2U);
}

TEST(Lock, KeepsNewGuestsOutAndEverybodyIsTold) {
  Visit t;
  t.say(t.doctor, {{"type", "lock"}, {"locked", true}});
  EXPECT_THAT(t.types(t.doctor), ElementsAre("locked"));
  EXPECT_THAT(t.types(t.patient), ElementsAre("locked"));
  EXPECT_EQ(t.join_with(t.guest_secret, "Late").status, 423);
  const auto colleague = t.attach(t.host("Colleague"));
  EXPECT_THAT(t.types(colleague), ElementsAre("existing-peers", "locked"));
  t.say(t.doctor, {{"type", "lock"}, {"locked", false}});
  EXPECT_EQ(t.join_with(t.guest_secret, "Late").status, 200);
}

TEST(EndByHost, TellsEverybodyAlsoThoseWhoWait) {
  Visit t;
  const auto waiting = t.attach(t.guest("Late"));
  t.heard(t.doctor);
  t.heard(waiting);
  t.say(t.doctor, {{"type", "end-room"}});
  const SocketId all[] = {t.doctor, t.patient, waiting};
  for (const SocketId socket : all) {
    EXPECT_THAT(t.types(socket), ElementsAre("room-ended"));
    EXPECT_EQ(t.closed(socket)->code, close_codes::kRoomEnded);
  }
  EXPECT_THAT(t.live, IsEmpty());
  EXPECT_EQ(t.reply(t.poll(t.patient_person, 1)).status, 410) << "who was there may know";
}

TEST(HostActions, RepeatedWithTheSameClientSeqHappenOnce) {
  Visit t;
  t.say(t.doctor, {{"type", "lock"}, {"locked", true}, {"clientSeq", 5}});
  t.say(t.doctor, {{"type", "lock"}, {"locked", false}, {"clientSeq", 6}});
  t.heard(t.doctor);
  t.say(t.doctor, {{"type", "lock"}, {"locked", true}, {"clientSeq", 5}});
  EXPECT_THAT(t.heard(t.doctor), IsEmpty());
  EXPECT_EQ(t.join_with(t.guest_secret, "Late").status, 200);
}

// ---- rooms nobody ends

TEST(UnusedRooms, EndAfterTheirLifetimeAndAreForgotten) {
  HubUnderTest t;
  t.create("forgotten");
  t.advance(Limits{}.room_lifetime);
  EXPECT_EQ(t.get("forgotten").body["room"]["active"], false);
  const auto* ended = std::get_if<RoomEnded>(&t.commits.back().changes.at(0));
  ASSERT_NE(ended, nullptr);
  EXPECT_EQ(ended->reason, EndReason::expired);
  t.advance(kEndedVisible);
  EXPECT_EQ(t.get("forgotten").status, 404);
}

TEST(UnusedRooms, LiveOnWhileSomebodyComes) {
  HubUnderTest t;
  t.create("used");
  t.advance(Limits{}.room_lifetime - seconds{1});
  t.join("used", "Ann");
  t.advance(Limits{}.room_lifetime - seconds{1});
  EXPECT_EQ(t.get("used").body["room"]["active"], true);
}

TEST(UnusedRooms, MakeRoomForOthers) {
  Limits limits;
  limits.max_rooms = 1;
  HubUnderTest t(limits);
  t.create("old");
  EXPECT_EQ(t.ask({{"action", "create-room"}, {"appointmentId", 2}}).status, 503);
  t.advance(limits.room_lifetime + kEndedVisible);
  EXPECT_EQ(t.ask({{"action", "create-room"}, {"appointmentId", 2}}).status, 200);
}

}  // namespace
}  // namespace bedside::signaling
