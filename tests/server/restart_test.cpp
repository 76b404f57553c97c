// What survives when the process is killed in the middle.

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <httplib.h>

#include <csignal>
#include <nlohmann/json.hpp>

#include "store/reader.h"
#include "tests/server/bedside_process.h"

namespace bedside::server {
namespace {

using nlohmann::json;

struct Reply {
  int status = 0;
  json body;
};

Reply post(const TestServer& server, const json& body) {
  httplib::Client client("127.0.0.1", server.http());
  const auto answer = client.Post("/api/webrtc-signaling", body.dump(), "application/json");
  if (!answer) return {};
  return {answer->status, json::parse(answer->body, nullptr, false)};
}

TEST(Restart, ARoomThatWasAcknowledgedSurvivesKill9) {
  TestServer server;
  server.start();
  const Reply created = post(server, {{"action", "create-room"}, {"appointmentId", "a-7"}});
  ASSERT_EQ(created.status, 200);
  EXPECT_EQ(server.stop(SIGKILL).signal, SIGKILL);

  server.start();
  const Reply joined = post(
      server, {{"action", "join-room"}, {"roomId", "appointment-a-7"}, {"participantName", "Ada"}});
  EXPECT_EQ(joined.status, 200);
  EXPECT_EQ(joined.body["room"]["participantCount"], 1);
  const auto again = httplib::Client("127.0.0.1", server.http())
                         .Get("/api/webrtc-signaling?roomId=appointment-a-7");
  ASSERT_TRUE(again);
  const json room = json::parse(again->body)["room"];
  EXPECT_EQ(room["appointmentId"], "a-7");
  EXPECT_EQ(room["createdAt"], created.body["room"]["createdAt"]);
  EXPECT_EQ(server.stop(SIGTERM).exit_code, 0);
}

TEST(Restart, AnEndedRoomStaysEndedAfterKill9) {
  TestServer server;
  server.start();
  ASSERT_EQ(post(server, {{"action", "create-room"}, {"appointmentId", 1}}).status, 200);
  ASSERT_EQ(post(server, {{"action", "end-room"}, {"roomId", "appointment-1"}}).status, 200);
  server.stop(SIGKILL);
  server.start();
  EXPECT_EQ(post(server,
                 {{"action", "join-room"}, {"roomId", "appointment-1"}, {"participantName", "Ada"}})
                .status,
            410);
}

TEST(Restart, AJoinedParticipantStillCountsAfterKill9) {
  TestServer server;
  server.start();
  ASSERT_EQ(post(server, {{"action", "create-room"}, {"appointmentId", 2}}).status, 200);
  const json join = {
      {"action", "join-room"}, {"roomId", "appointment-2"}, {"participantName", "Ada"}};
  ASSERT_EQ(post(server, join).status, 200);
  server.stop(SIGKILL);
  server.start();
  EXPECT_EQ(post(server, join).body["room"]["participantCount"], 2);
}

TEST(Restart, TheAuditLogKeepsItsOrderAndTellsTheCrash) {
  TestServer server;
  server.start();
  ASSERT_EQ(post(server, {{"action", "create-room"}, {"appointmentId", 3}}).status, 200);
  server.stop(SIGKILL);
  server.start();
  server.stop(SIGTERM);
  const auto reader = store::Reader::open((server.data_dir() / "bedside.db").string());
  ASSERT_TRUE(reader) << reader.error();
  const auto rows = reader->audit({});
  ASSERT_TRUE(rows);
  std::vector<std::string> types;
  std::size_t months = 0;
  std::uint64_t seq = rows->size();
  for (const store::AuditRow& row : *rows) {
    // One at the first start, and one more should a month end in between.
    if (row.type == "key.rotated") {
      ++months;
    } else {
      types.insert(types.begin(), row.type);
    }
    EXPECT_EQ(row.seq, seq--);
  }
  EXPECT_EQ(types, (std::vector<std::string>{"epoch.rotated", "service.start", "room.created",
                                             "epoch.rotated", "service.start", "service.stop"}));
  EXPECT_GE(months, 1U);
  EXPECT_THAT((*rows)[1].body, testing::HasSubstr("crash"));
}

}  // namespace
}  // namespace bedside::server
