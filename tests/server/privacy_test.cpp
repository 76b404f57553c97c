// What people type and what proves who they are must not turn up where operators look.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <httplib.h>

#include <csignal>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>

#include "tests/server/bedside_process.h"

namespace bedside::server {
namespace {

using Json = nlohmann::json;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

constexpr const char* kCanary = "Zebulon-Canary";

Json post(httplib::Client& web, const Json& body) {
  const auto answer = web.Post("/api/webrtc-signaling", body.dump(), "application/json");
  return answer ? Json::parse(answer->body) : Json();
}

TEST(Privacy, NamesRoomsAndTokensAreInNoLogAndNoMetric) {
  TestServer server;
  server.start();
  httplib::Client web("127.0.0.1", server.http());
  const std::string room = std::string("room-") + kCanary;
  post(web, {{"action", "create-room"}, {"appointmentId", kCanary}, {"roomName", room}});
  const Json joined =
      post(web, {{"action", "join-room"}, {"roomId", room}, {"participantName", kCanary}});
  const std::string token = joined.at("participantToken");
  const std::string credential = joined.at("iceServers").back().at("credential");
  Json poll{{"action", "poll"}, {"roomId", room}, {"participantId", joined.at("participantId")},
            {"token", token},   {"after", 0},     {"wait", 0}};
  EXPECT_EQ(post(web, poll)["success"], true);
  poll["token"] = kCanary;  // refused
  EXPECT_EQ(post(web, poll)["success"], false);
  web.Get(std::string("/") + kCanary + "?name=" + kCanary);
  web.Post("/api/webrtc-signaling", std::string("{") + kCanary, "application/json");
  web.Post("/admin/api/login", Json{{"name", kCanary}, {"password", kCanary}}.dump(),
           "application/json");
  web.Get("/admin/api/state", {{"Cookie", std::string("bedside=") + kCanary},
                               {"User-Agent", kCanary},
                               {"Authorization", std::string("Bearer ") + kCanary}});
  httplib::Client operators("127.0.0.1", server.operator_port());
  const auto metrics = operators.Get("/metrics");
  ASSERT_TRUE(metrics);
  EXPECT_THAT(metrics->body, Not(HasSubstr(kCanary)));
  post(web, {{"action", "end-room"}, {"roomId", room}});
  const Ended ended = server.stop(SIGTERM);
  for (const std::string& secret : {std::string(kCanary), token, credential}) {
    EXPECT_THAT(ended.errors, Not(HasSubstr(secret)));
    EXPECT_THAT(ended.output, Not(HasSubstr(secret)));
  }
  EXPECT_THAT(ended.errors, HasSubstr("stopped")) << "the log was read";
}

std::string content_of(const std::filesystem::path& file) {
  std::ifstream in(file, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

TEST(Privacy, PersonalValuesLeaveOnlyInAnExportThatOpensThem) {
  TestServer server;
  const auto own_key = server.folder().path() / "audit.key";
  server.folder().write("audit.key", std::string(32, 'k'), 0400);
  server.configure("[audit]\nkey_file = \"" + own_key.string() + "\"\n", "");
  server.start();
  httplib::Client web("127.0.0.1", server.http());
  const std::string appointment = std::string("appointment-of-") + kCanary;
  post(web, {{"action", "create-room"}, {"appointmentId", appointment}, {"roomName", "r"}});
  post(web, {{"action", "join-room"}, {"roomId", "r"}, {"participantName", kCanary}});
  server.stop(SIGTERM);

  const auto exported = [&](const std::string& name, std::vector<std::string> more) {
    const auto out = server.folder().path() / name;
    more.insert(more.begin(),
                {"audit", "export", "--config", server.config_file().string(), "--out", out});
    const Ended ended = run_bedside(more);
    return ended.exit_code == 0 ? content_of(out) : ended.errors;
  };
  EXPECT_THAT(exported("closed.tar", {}), Not(HasSubstr(kCanary)));
  const std::string opened = exported("open.tar", {"--disclose", "--redact", "ip"});
  EXPECT_THAT(opened, HasSubstr(R"("field":"display")"));
  EXPECT_THAT(opened, HasSubstr(std::string(R"("value":")") + kCanary + '"'));
  EXPECT_THAT(opened, HasSubstr(appointment));
  EXPECT_THAT(opened, Not(HasSubstr(R"("field":"ip")")));

  // Nor does what a command writes while no server runs.
  const auto set_hold = [&](const std::vector<std::string>& more) {
    std::vector<std::string> words{
        "audit",  "hold", "set",      "--config", server.config_file().string(),
        "--room", "r",    "--reason", "other"};
    words.insert(words.end(), more.begin(), more.end());
    return run_bedside(words);
  };
  EXPECT_EQ(set_hold({"--reference", kCanary}).exit_code, 0);
  EXPECT_THAT(exported("held.tar", {"--disclose"}), HasSubstr(R"("field":"reference")"));

  std::filesystem::remove(own_key);  // who has the database and its keys folder alone opens nothing
  server.folder().write("audit.key", std::string(32, 'x'), 0400);
  EXPECT_THAT(exported("stolen.tar", {"--disclose"}), HasSubstr("does not open with the key"));
  EXPECT_THAT(set_hold({"--reference", kCanary}).errors, HasSubstr("does not open with the key"));
  EXPECT_EQ(set_hold({}).exit_code, 0);  // nothing personal in it
  const Ended refused = run_bedside({"serve", "--config", server.config_file().string()});
  EXPECT_NE(refused.exit_code, 0);
  EXPECT_THAT(refused.errors, HasSubstr("does not open with the key"));
}

// Nobody reads personal values of those months again, so it takes more than a command that sees no
// key.
TEST(Privacy, KeysAreGivenUpOnlyWhereTheyAreSaidToBeLost) {
  TestServer server;
  const auto own_key = server.folder().path() / "audit.key";
  const std::string with_key = "[audit]\nkey_file = \"" + own_key.string() + "\"\n";
  server.folder().write("audit.key", std::string(32, 'k'), 0400);
  server.configure(with_key, "");
  server.start();
  httplib::Client web("127.0.0.1", server.http());
  post(web, {{"action", "create-room"}, {"appointmentId", kCanary}, {"roomName", "r"}});
  server.stop(SIGTERM);
  std::filesystem::remove(own_key);
  server.folder().write("audit.key", std::string(32, 'x'), 0400);
  const auto give_up = [&](std::vector<std::string> more) {
    more.insert(more.begin(),
                {"audit", "keys", "give-up", "--config", server.config_file().string()});
    return run_bedside(more);
  };
  const Ended told = give_up({});
  EXPECT_EQ(told.exit_code, 1);
  EXPECT_THAT(told.errors, HasSubstr("nothing was changed"));
  EXPECT_NE(run_bedside({"serve", "--config", server.config_file().string()}).exit_code, 0);

  // As in a shell, which has no credential of the service: a key that is well looks like a lost
  // one.
  server.configure("", "");
  for (const auto& words : {std::vector<std::string>{}, std::vector<std::string>{"--yes"}}) {
    const Ended blind = give_up(words);
    EXPECT_EQ(blind.exit_code, 1);
    EXPECT_THAT(blind.errors, AllOf(HasSubstr("nothing was changed"), HasSubstr("in reach"),
                                    HasSubstr("LoadCredentialEncrypted=audit-key")));
  }
  EXPECT_EQ(give_up({"--key-is-lost"}).exit_code, 1) << "without --yes";
  EXPECT_EQ(give_up({"--key-is-lost", "--yes"}).exit_code, 0);
  const auto out = server.folder().path() / "after.tar";
  EXPECT_EQ(
      run_bedside({"audit", "export", "--config", server.config_file().string(), "--out", out})
          .exit_code,
      0);
  EXPECT_THAT(content_of(out), HasSubstr(R"("type":"key.given_up")"));
  EXPECT_THAT(give_up({"--yes"}).output, HasSubstr("nothing is to be given up"));
  server.start();
  server.stop(SIGTERM);
}

}  // namespace
}  // namespace bedside::server
