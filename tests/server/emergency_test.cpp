// A clinician and a patient who cannot wait while the disk is really full, under the real binary:
// they meet, the process dies, and every record is in the log afterwards.

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <httplib.h>
#include <sqlite3.h>

#include <chrono>
#include <csignal>
#include <cstring>
#include <functional>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "tests/bench/turn_session.h"
#include "tests/server/bedside_process.h"
#include "tests/server/small_disk.h"

namespace bedside::server {
namespace {

using nlohmann::json;
using std::chrono::steady_clock;
using testing::Contains;
using testing::HasSubstr;
using testing::Not;

class EmergencyOnAFullDisk : public testing::Test {
 protected:
  EmergencyOnAFullDisk() {
    std::string text = server_.folder().read("bedside.toml");
    const std::string open = "access = \"open\"";
    text.replace(text.find(open), open.size(), "access = \"invite\"");
    text += "[audit]\nemergency_journal = \"journal\"\n";
    server_.folder().write("bedside.toml", text, 0600);
  }
  Ended run(std::vector<std::string> words) const {
    words.insert(words.end(), {"--config", server_.config_file().string()});
    return run_bedside(words);
  }
  json post(const json& body) {
    httplib::Client client("127.0.0.1", server_.http());
    const auto answer = client.Post("/api/webrtc-signaling", body.dump(), "application/json");
    status_ = answer ? answer->status : 0;
    return answer ? json::parse(answer->body, nullptr, false) : json();
  }
  json join(const std::string& secret, const std::string& name, bool emergency) {
    return post({{"action", "join-room"},
                 {"roomId", "appointment-1"},
                 {"participantName", name},
                 {"token", secret},
                 {"emergency", emergency}});
  }
  static json as(const json& joined, const char* action) {
    return {{"action", action},
            {"roomId", "appointment-1"},
            {"participantId", joined["participantId"]},
            {"token", joined["participantToken"]}};
  }
  std::string allocate(const json& joined) const {
    const json& turn = joined["iceServers"][1];
    bench::TurnSession session({stun::IpAddress::v4(127, 0, 0, 1), server_.turn()},
                               {turn["username"], turn["credential"]});
    try {
      session.allocate();
      return "granted";
    } catch (const std::runtime_error& refused) {
      return refused.what();
    }
  }
  static bool until(const std::function<bool()>& holds) {
    const auto deadline = steady_clock::now() + std::chrono::seconds(10);
    while (steady_clock::now() < deadline) {
      if (holds()) return true;
    }
    return false;
  }
  // type, purpose and late of every record.
  std::vector<std::string> records() const {
    sqlite3* database = nullptr;
    sqlite3_open((server_.data_dir() / "bedside.db").c_str(), &database);
    std::vector<std::string> rows;
    const auto add = [](void* list, int, char** values, char**) {
      static_cast<std::vector<std::string>*>(list)->emplace_back(values[0]);
      return 0;
    };
    sqlite3_exec(database,
                 "SELECT type || coalesce(' ' || json_extract(CAST(body AS TEXT), '$.purpose'), '')"
                 " || coalesce(' late' || json_extract(CAST(body AS TEXT), '$.late'), '')"
                 " FROM audit ORDER BY seq",
                 add, &rows, nullptr);
    sqlite3_close(database);
    return rows;
  }
  // The secret of the link that `bedside room create` prints for this person.
  static std::string secret_for(const std::string& person, const std::string& output) {
    const std::size_t at = output.find('#', output.find(person)) + 1;
    return output.substr(at, output.find_first_of(" \n", at) - at);
  }

  TestServer server_;
  int status_ = 0;
};

TEST_F(EmergencyOnAFullDisk, LetsThemMeetAndLosesNoRecordOfIt) {
  const SmallDisk disk(server_.data_dir());
  if (!disk.mounted()) {
    GTEST_SKIP() << "NOT TESTED: an emergency on a full disk; mounting a tmpfs needs root: "
                 << std::strerror(errno);
  }
  server_.start();
  const std::string links = run({"room", "create", "1"}).output;
  const std::string host_secret = secret_for("Clinician", links);
  const std::string guest_secret = secret_for("Patient", links);
  disk.fill();
  json refused;
  ASSERT_TRUE(until([&] {
    refused = join(host_secret, "Dr. Adaeze", false);
    return status_ == 503;
  })) << status_;
  EXPECT_EQ(refused["mayDeclareEmergency"], true) << refused;
  join(guest_secret, "Margaret", false);
  EXPECT_EQ(status_, 503);

  const json host = join(host_secret, "Dr. Adaeze", true);
  ASSERT_EQ(status_, 200) << host;
  EXPECT_EQ(allocate(host), "granted");
  const json guest = join(guest_secret, "Margaret", false);
  ASSERT_EQ(status_, 200) << guest;
  EXPECT_EQ(guest["waiting"], true);
  post(as(host, "poll"));
  post(as(guest, "poll"));
  json admit = as(host, "signal");
  admit["message"] = {{"type", "admit"}, {"peerId", guest["participantId"]}};
  post(admit);
  EXPECT_EQ(status_, 200);
  for (const char* planted : {"Adaeze", "Margaret", "appointment-1", "room.admit"}) {
    EXPECT_THAT(server_.folder().read("journal"), Not(HasSubstr(planted)));
  }

  server_.stop(SIGKILL);
  disk.make_space();
  server_.start();
  const json ice = post(as(guest, "ice-servers"));
  EXPECT_EQ(status_, 200) << ice;  // the place is kept: it was admitted
  EXPECT_EQ(server_.stop(SIGTERM).exit_code, 0);
  const auto all = records();
  EXPECT_THAT(all, Contains("room.emergency_opened BTG late1"));
  EXPECT_THAT(all, Contains("room.admit BTG late1"));
  EXPECT_THAT(all, Contains("alloc.open late1"));
  EXPECT_THAT(all, Contains("storage.recovered"));
  EXPECT_EQ(run({"audit", "verify"}).exit_code, 0);
}

}  // namespace
}  // namespace bedside::server
