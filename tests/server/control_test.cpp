// Control with a real store: long poll, restart, the admin's view, the end.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <future>

#include "store/reader.h"
#include "store/receipt.h"
#include "tests/server/control_rig.h"

namespace bedside::server {
namespace {

using testing::ElementsAre;
using tests::SocketClient;

Json poll_body(const std::string& room, const Json& who, std::uint64_t after, int wait) {
  return {{"action", "poll"},
          {"roomId", room},
          {"participantId", who["participantId"]},
          {"token", who["participantToken"]},
          {"after", after},
          {"wait", wait}};
}

std::vector<std::string> audit_types(const ControlRig& rig) {
  auto reader = store::Reader::open(rig.database());
  EXPECT_TRUE(reader);
  store::AuditQuery query;
  query.limit = 100;
  const auto rows = reader->audit(query);
  std::vector<std::string> types;
  for (const auto& row : *rows) types.insert(types.begin(), row.type);
  return types;
}

TEST(ControlServer, LongPollCarriesAVisitWithoutAnySocket) {
  ControlRig rig;
  rig.create("r");
  const Json ann = rig.join("r", "Ann");
  const Json ben = rig.join("r", "Ben");
  const Json first = rig.ask(poll_body("r", ann, 0, 0));
  EXPECT_EQ(first["messages"][0]["type"], "existing-peers");
  auto parked = std::async(std::launch::async, [&] {
    return rig.ask(poll_body("r", ann, first["next"].get<std::uint64_t>(), 25));
  });
  SocketClient b(rig.port(), "/api/webrtc-ws");
  b.send({{"type", "join"}, {"roomId", "r"}, {"peerId", ben["participantId"]}});
  EXPECT_EQ(b.next()["peers"], Json::array({ann["participantId"]}));
  const Json second = parked.get();
  EXPECT_EQ(second["messages"][0]["type"], "peer-joined");
  const Json sent = rig.ask(
      {{"action", "signal"},
       {"roomId", "r"},
       {"participantId", ann["participantId"]},
       {"token", ann["participantToken"]},
       {"message", {{"type", "offer"}, {"targetPeerId", ben["participantId"]}, {"offer", 1}}}});
  EXPECT_EQ(sent["success"], true);
  EXPECT_EQ(b.next()["fromPeerId"], ann["participantId"]);
}

TEST(ControlServer, ClientChangesFromSocketToPollAndBackWithoutLoss) {
  ControlRig rig;
  rig.create("r");
  const Json ann = rig.join("r", "Ann");
  const Json ben = rig.join("r", "Ben");
  SocketClient b(rig.port(), "/api/webrtc-ws");
  b.send({{"type", "join"}, {"roomId", "r"}, {"peerId", ben["participantId"]}});
  b.next();
  const auto offer = [&](int number) {
    b.send({{"type", "offer"}, {"targetPeerId", ann["participantId"]}, {"offer", number}});
  };
  SocketClient a(rig.port(), "/api/webrtc-ws");
  const Json join{{"type", "join"},
                  {"roomId", "r"},
                  {"peerId", ann["participantId"]},
                  {"token", ann["participantToken"]}};
  a.send(join);
  EXPECT_EQ(a.next()["seq"], 1);
  offer(1);
  EXPECT_EQ(a.next()["seq"], 2);
  a.vanish();
  offer(2);
  const Json polled = rig.ask(poll_body("r", ann, 2, 25));
  ASSERT_EQ(polled["messages"].size(), 1U);
  EXPECT_EQ(polled["messages"][0]["offer"], 2);
  offer(3);
  SocketClient a2(rig.port(), "/api/webrtc-ws");
  Json resume = join;
  resume["after"] = 3;
  a2.send(resume);
  const auto heard = a2.until("resumed");
  ASSERT_EQ(heard.size(), 2U);
  EXPECT_EQ(heard[0]["offer"], 3);
  b.until("peer-joined");
  b.send({{"type", "kick"}});
  EXPECT_EQ(b.next()["type"], "error") << "nobody saw Ann leave";
}

TEST(ControlServer, RoomsAndPeopleSurviveARestart) {
  ControlRig rig;
  rig.create("r");
  const Json ann = rig.join("r", "Ann");
  {
    SocketClient a(rig.port(), "/api/webrtc-ws");
    a.send({{"type", "join"},
            {"roomId", "r"},
            {"peerId", ann["participantId"]},
            {"token", ann["participantToken"]}});
    a.next();
    rig.restart();
  }
  EXPECT_EQ(rig.count("r"), 1U);
  EXPECT_TRUE(rig.live().contains(ann["participantId"].get<std::string>()));
  SocketClient a(rig.port(), "/api/webrtc-ws");
  a.send({{"type", "join"},
          {"roomId", "r"},
          {"peerId", ann["participantId"]},
          {"token", ann["participantToken"]},
          {"after", 1}});
  EXPECT_EQ(a.next()["type"], "resync");
  EXPECT_EQ(rig.join("r", "Ben")["room"]["participantCount"], 2);
}

TEST(ControlServer, EveryActionIsInTheAuditTrailBeforeItsAnswer) {
  ControlRig rig;
  rig.create("r");
  EXPECT_THAT(audit_types(rig), ElementsAre("room.created"));
  const Json ann = rig.join("r", "Ann");
  EXPECT_THAT(audit_types(rig), ElementsAre("room.created", "room.join", "cred.issued"));
  SocketClient a(rig.port(), "/api/webrtc-ws");
  a.send({{"type", "join"}, {"roomId", "r"}, {"peerId", ann["participantId"]}});
  a.next();
  EXPECT_THAT(audit_types(rig),
              ElementsAre("room.created", "room.join", "cred.issued", "room.attach"));
  rig.ask({{"action", "end-room"}, {"roomId", "r"}});
  EXPECT_THAT(audit_types(rig), ElementsAre("room.created", "room.join", "cred.issued",
                                            "room.attach", "room.ended", "room.leave"));
}

TEST(ControlServer, AdminSeesCreatesAndEndsRooms) {
  ControlRig rig;
  const AdminActor staff{"dr.smith", "admin", "session"};
  std::promise<CreatedRoom> made;
  rig.on_control([&] {
    rig.control().create_room({"42", ""}, staff, {}, [&](auto room) { made.set_value(*room); });
  });
  const CreatedRoom room = made.get_future().get();
  EXPECT_EQ(room.room, "appointment-42");
  EXPECT_EQ(room.link, "/telehealth-webrtc.html?room=appointment-42");
  EXPECT_FALSE(room.existed);
  const Json ann = rig.join(room.room, "Ann");
  SocketClient a(rig.port(), "/api/webrtc-ws");
  a.send({{"type", "join"}, {"roomId", room.room}, {"peerId", ann["participantId"]}});
  a.next();
  std::vector<AdminRoom> rooms;
  rig.on_control([&] {
    turn::AllocationOpened opened;
    opened.party.participant = ann["participantId"].get<std::string>();
    rig.control().on_relay_event(opened);
    rooms = rig.control().rooms();
  });
  ASSERT_EQ(rooms.size(), 1U);
  EXPECT_EQ(rooms[0].appointment_json, "42");
  ASSERT_EQ(rooms[0].people.size(), 1U);
  EXPECT_TRUE(rooms[0].people[0].connected);
  EXPECT_EQ(rooms[0].people[0].path, AdminPerson::Path::relayed);
  a.send({{"type", "media-state"}, {"path", "direct"}});
  a.send({{"type", "kick"}});
  a.next();
  rig.on_control([&] { rooms = rig.control().rooms(); });
  EXPECT_EQ(rooms[0].people[0].path, AdminPerson::Path::direct);

  std::promise<bool> ended;
  rig.on_control([&] {
    rig.control().end_room(room.room, staff, {},
                           [&](const auto& done) { ended.set_value(bool(done)); });
  });
  EXPECT_TRUE(ended.get_future().get());
  EXPECT_EQ(a.close_code(), 4001);
  std::promise<AdminRefusal> refused;
  rig.on_control([&] {
    rig.control().create_room({"0", ""}, staff, {},
                              [&](auto done) { refused.set_value(done.error()); });
  });
  const AdminRefusal refusal = refused.get_future().get();
  EXPECT_EQ(refusal.status, 400);
  EXPECT_EQ(refusal.error, "appointmentId is required");
}

TEST(ControlServer, GivesAReceiptToWhoeverMakesOrEndsAnOpenRoom) {
  ControlRig rig({}, nullptr, true);
  const Json create{{"action", "create-room"}, {"appointmentId", 1}, {"roomName", "r"}};
  const auto body_of = [](const Json& answer) {
    const std::string text = answer.value("receipt", "");
    const auto valid = store::check_receipt(text);
    EXPECT_TRUE(valid) << valid.error();
    return valid ? store::Receipt::parse(text)->body : "";
  };
  EXPECT_THAT(body_of(rig.ask(create)), testing::HasSubstr(R"("type":"room.created")"));
  EXPECT_FALSE(rig.ask(create).contains("receipt")) << "it is there: nothing changes";
  const Json ann = rig.join("r", "Ann");
  EXPECT_FALSE(ann.contains("receipt"));
  EXPECT_FALSE(rig.ask(poll_body("r", ann, 0, 0)).contains("receipt"));
  EXPECT_THAT(body_of(rig.ask({{"action", "end-room"}, {"roomId", "r"}})),
              testing::HasSubstr(R"("type":"room.ended")"));
}

TEST(ControlServer, TellsStaffWhenToAskAgainOnAFullDisk) {
  ControlRig rig;
  const auto refusal = [&] {
    std::promise<AdminRefusal> refused;
    rig.on_control([&] {
      rig.control().create_room({"1", ""}, {"anna", "admin", "s"}, {}, [&](const auto& room) {
        refused.set_value(room ? AdminRefusal{200, "made"} : room.error());
      });
    });
    return refused.get_future().get();
  };
  rig.store().close();  // nothing can be recorded
  const AdminRefusal full = refusal();
  EXPECT_EQ(full.status, 503);
  EXPECT_EQ(full.retry_after, std::chrono::seconds(2));
  rig.fill_disk();
  const AdminRefusal nearly_full = refusal();
  EXPECT_EQ(nearly_full.status, 503);
  EXPECT_EQ(nearly_full.retry_after, std::chrono::seconds(60));
}

TEST(ControlServer, DrainTellsSocketsAndAnswersParkedPolls) {
  ControlRig rig;
  rig.create("r");
  const Json ann = rig.join("r", "Ann");
  const Json ben = rig.join("r", "Ben");
  SocketClient a(rig.port(), "/api/webrtc-ws");
  a.send({{"type", "join"},
          {"roomId", "r"},
          {"peerId", ann["participantId"]},
          {"token", ann["participantToken"]}});
  a.next();
  rig.ask(poll_body("r", ben, 0, 0));
  auto parked =
      std::async(std::launch::async, [&] { return rig.post(poll_body("r", ben, 1, 25)); });
  // create, two joins, one handshake, two polls: from then on the hub knows the second poll.
  while (rig.control().stats().requests < 6) rig.on_control([] {});
  std::promise<void> drained;
  rig.on_control(
      [&] { rig.control().drain(std::chrono::seconds(10), [&] { drained.set_value(); }); });
  EXPECT_EQ(a.close_code(), 1001);
  a.vanish();
  const auto answer = parked.get();
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->status, 200);
  drained.get_future().wait();
}

TEST(ControlServer, RedirectsPlainHttpWhenAsked) {
  ControlOptions options;
  options.redirect_http_to = "https://visit.example.org";
  ControlRig rig(options);
  const auto page = rig.http().Get("/telehealth-webrtc.html?room=r");
  EXPECT_EQ(page->status, 308);
  EXPECT_EQ(page->get_header_value("Location"),
            "https://visit.example.org/telehealth-webrtc.html?room=r");
  EXPECT_EQ(rig.post({{"action", "create-room"}, {"appointmentId", 1}})->status, 403);
  EXPECT_EQ(SocketClient(rig.port(), "/api/webrtc-ws").status(), 308);
}

}  // namespace
}  // namespace bedside::server
