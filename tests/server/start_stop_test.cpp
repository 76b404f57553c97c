// The real binary: how it starts, why it does not, and how it stops.

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <httplib.h>
#include <poll.h>
#include <sqlite3.h>
#include <sys/stat.h>

#include <atomic>
#include <chrono>
#include <csignal>
#include <thread>

#include "server/operator_listener.h"
#include "store/reader.h"
#include "tests/net/loopback_client.h"
#include "tests/server/bedside_process.h"

namespace bedside::server {
namespace {

using std::chrono::steady_clock;
using ::testing::HasSubstr;
using ::testing::Not;

std::string newest_record(const TestServer& server) {
  const auto reader = store::Reader::open((server.data_dir() / "bedside.db").string());
  if (!reader) return reader.error();
  store::AuditQuery query;
  query.limit = 1;
  const auto rows = reader->audit(query);
  return rows && !rows->empty() ? rows->front().type : "none";
}

TEST(Start, ServesPagesApiAndOperatorOnTheConfiguredPorts) {
  TestServer server;
  server.start();
  httplib::Client web("127.0.0.1", server.http());
  for (const char* path :
       {"/", "/telehealth-webrtc.html?room=x", "/telehealth-webrtc", "/admin/"}) {
    const auto page = web.Get(path);
    ASSERT_TRUE(page) << path;
    EXPECT_EQ(page->status, 200) << path;
    EXPECT_THAT(page->get_header_value("Content-Security-Policy"), HasSubstr("default-src"));
  }
  const auto created =
      web.Post("/api/webrtc-signaling", R"({"action":"create-room","appointmentId":42})",
               "application/json");
  ASSERT_TRUE(created);
  EXPECT_EQ(created->status, 200);
  httplib::Client operator_client("127.0.0.1", server.operator_port());
  const auto health = operator_client.Get("/healthz");
  ASSERT_TRUE(health);
  EXPECT_EQ(health->status, 200) << health->body;
  const auto metrics = operator_client.Get("/metrics");
  ASSERT_TRUE(metrics);
  EXPECT_THAT(metrics->body, HasSubstr("\nbedside_audit_records_total 3\n"));
  const Ended ended = server.stop(SIGTERM);
  EXPECT_EQ(ended.exit_code, 0);
  EXPECT_THAT(ended.errors, HasSubstr(sqlite3_libversion())) << "which SQLite it runs on";
}

TEST(Start, AMonitorMayAskAtAnyMoment) {
  TestServer server;
  std::atomic<bool> over{false};
  std::thread monitor([&] {
    httplib::Client client("127.0.0.1", server.operator_port());
    while (!over) client.Get("/metrics");
  });
  for (int round = 0; round < 5; ++round) {
    server.start();
    EXPECT_EQ(server.stop(SIGTERM).exit_code, 0);
  }
  over = true;
  monitor.join();
}

TEST(Stop, EndsWithCode0WithinTwoSecondsAndRecordsIt) {
  for (const int signal : {SIGTERM, SIGINT}) {
    TestServer server;
    server.start();
    const auto begin = steady_clock::now();
    const Ended ended = server.stop(signal);
    EXPECT_LT(steady_clock::now() - begin, std::chrono::seconds(2));
    EXPECT_EQ(ended.exit_code, 0) << ended.errors;
    EXPECT_EQ(newest_record(server), "service.stop");
  }
}

// A WebSocket whose client never answers the close frame holds the orderly stop up for a while.
class SilentSocket {
 public:
  explicit SilentSocket(std::uint16_t port)
      : client_(stun::Endpoint{stun::IpAddress::v4(127, 0, 0, 1), port}) {
    client_.send(
        "GET /api/webrtc-ws HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\n"
        "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n");
    read_until("\r\n\r\n");
  }
  bool accepted() const { return client_.received().starts_with("HTTP/1.1 101 "); }

  // Whether the server's close frame with code 1001 ("going away") arrived.
  bool was_told() {
    static constexpr std::string_view kGoingAway("\x03\xe9", 2);
    return read_until(kGoingAway);
  }

 private:
  bool read_until(std::string_view text) {
    const auto deadline = steady_clock::now() + std::chrono::seconds(10);
    while (client_.received().find(text) == std::string::npos) {
      pollfd descriptor{client_.fd(), POLLIN, 0};
      ::poll(&descriptor, 1, 100);
      client_.pump();
      if (client_.ended() || steady_clock::now() > deadline) break;
    }
    return client_.received().find(text) != std::string::npos;
  }

  tests::LoopbackClient client_;
};

TEST(Stop, TellsClientsAndWaitsForSilentOnesButNotBeyondTwoSeconds) {
  TestServer server;
  server.start();
  SilentSocket socket(server.http());
  ASSERT_TRUE(socket.accepted());
  const auto begin = steady_clock::now();
  const Ended ended = server.stop(SIGTERM);
  EXPECT_LT(steady_clock::now() - begin, std::chrono::seconds(2));
  EXPECT_EQ(ended.exit_code, 0) << ended.errors;
  EXPECT_TRUE(socket.was_told());
}

TEST(Stop, ASecondSignalEndsItAtOnce) {
  TestServer server;
  BedsideProcess& process = server.start();
  SilentSocket socket(server.http());
  ASSERT_TRUE(socket.accepted());
  process.signal(SIGTERM);
  ASSERT_TRUE(process.wait_for_errors("stopping"));
  const Ended ended = server.stop(SIGTERM);
  EXPECT_EQ(ended.signal, SIGTERM) << ended.errors;
  EXPECT_THAT(ended.errors, Not(HasSubstr("stopped")));
}

TEST(Start, EveryOccupiedPortIsToldAtOnceWithWhatToDo) {
  const TestServer server;
  const auto on = [](std::uint16_t port) {
    return stun::Endpoint{stun::IpAddress::v4(127, 0, 0, 1), port};
  };
  const auto http = OperatorListener::start(on(server.http()), {});
  const auto turn = OperatorListener::start(on(server.turn()), {});
  ASSERT_TRUE(http && turn);
  const Ended ended = run_bedside({"serve", "--config", server.config_file().string()});
  EXPECT_EQ(ended.exit_code, 1);
  EXPECT_THAT(ended.errors, HasSubstr("127.0.0.1:" + std::to_string(server.http())));
  EXPECT_THAT(ended.errors, HasSubstr("127.0.0.1:" + std::to_string(server.turn())));
  EXPECT_THAT(ended.errors, HasSubstr("another program has the port"));
  EXPECT_THAT(ended.errors, HasSubstr("http.listen"));
  EXPECT_EQ(ended.output, "");
}

TEST(Start, ASecondServerOnTheSamePortsIsRefusedAndTheFirstGoesOn) {
  TestServer server;
  server.start();
  const Ended second = run_bedside({"serve", "--config", server.config_file().string()});
  EXPECT_EQ(second.exit_code, 1);
  EXPECT_THAT(second.errors, HasSubstr("another program has the port"));
  EXPECT_EQ(httplib::Client("127.0.0.1", server.http()).Get("/")->status, 200);
}

TEST(Start, AKeyOthersCanReadStopsTheStart) {
  TestServer server;
  server.start();
  EXPECT_EQ(server.stop(SIGTERM).exit_code, 0);
  const auto key = server.data_dir() / "keys" / "field.key";
  ASSERT_EQ(::chmod(key.c_str(), 0644), 0);
  const Ended ended = run_bedside({"serve", "--config", server.config_file().string()});
  EXPECT_EQ(ended.exit_code, 1);
  EXPECT_THAT(ended.errors, HasSubstr(key.string()));
  EXPECT_THAT(ended.errors, HasSubstr("chmod 400"));
}

TEST(Start, ADatabaseOfANewerVersionIsLeftAlone) {
  TestServer server;
  server.start();
  EXPECT_EQ(server.stop(SIGTERM).exit_code, 0);
  sqlite3* database = nullptr;
  ASSERT_EQ(sqlite3_open((server.data_dir() / "bedside.db").c_str(), &database), SQLITE_OK);
  ASSERT_EQ(sqlite3_exec(database, "PRAGMA user_version=9999", nullptr, nullptr, nullptr),
            SQLITE_OK);
  sqlite3_close(database);
  const Ended ended = run_bedside({"serve", "--config", server.config_file().string()});
  EXPECT_EQ(ended.exit_code, 1);
  EXPECT_THAT(ended.errors, HasSubstr("written by a newer Bedside"));
}

TEST(Start, AFileThatIsNoDatabaseIsLeftAlone) {
  TestServer server;
  server.start();
  EXPECT_EQ(server.stop(SIGTERM).exit_code, 0);
  server.folder().write("data/bedside.db", std::string(8192, 'x'), 0600);
  const Ended ended = run_bedside({"serve", "--config", server.config_file().string()});
  EXPECT_EQ(ended.exit_code, 1);
  EXPECT_THAT(ended.errors, HasSubstr("bedside.db"));
  EXPECT_EQ(server.folder().read("data/bedside.db"), std::string(8192, 'x'));
}

TEST(CommandLine, CheckConfigTellsEverythingAndExits1) {
  const ScratchFolder folder;
  const auto file = folder.write("b.toml", "data_dri = 1\n[turn]\nrealm = 5\n", 0600);
  const Ended ended = run_bedside({"check-config", file.string()});
  EXPECT_EQ(ended.exit_code, 1);
  EXPECT_THAT(ended.errors, HasSubstr("b.toml:1:1: error: unknown key data_dri"));
  EXPECT_THAT(ended.errors, HasSubstr("did you mean data_dir?"));
  EXPECT_THAT(ended.errors, HasSubstr("b.toml:3:9: error: turn.realm must be text"));
}

TEST(CommandLine, CheckConfigAcceptsAGoodFile) {
  const TestServer server;
  const Ended ended = run_bedside({"check-config", server.config_file().string()});
  EXPECT_EQ(ended.exit_code, 0) << ended.errors;
  EXPECT_THAT(ended.output, HasSubstr("is a good configuration"));
}

TEST(CommandLine, AnOpenServerOnAPublicAddressIsWarnedAboutLoudly) {
  const ScratchFolder folder;
  const auto file = folder.write("b.toml",
                                 "public_host = \"a.example\"\n[https]\nlisten = []\n[http]\n"
                                 "listen = \"[::]:8080\"\n[signaling]\naccess = \"open\"\n",
                                 0600);
  const Ended ended = run_bedside({"check-config", file.string()});
  EXPECT_EQ(ended.exit_code, 0) << ended.errors;
  EXPECT_THAT(ended.errors, HasSubstr("warning: rooms are open"));
}

TEST(CommandLine, VersionHelpAndWrongUsage) {
  const std::string version = run_bedside({"--version"}).output;
  EXPECT_THAT(version, HasSubstr("bedside 0."));
  EXPECT_THAT(version, HasSubstr(std::string("\nSQLite ") + sqlite3_libversion() + "\n"));
  const Ended help = run_bedside({"--help"});
  EXPECT_EQ(help.exit_code, 0);
  for (const char* command : {"serve", "check-config", "turn-credential"}) {
    EXPECT_THAT(help.output, HasSubstr(command));
  }
  EXPECT_EQ(run_bedside({}).exit_code, 2);
  EXPECT_EQ(run_bedside({"server"}).exit_code, 2);
  EXPECT_EQ(run_bedside({"serve", "--confg", "x"}).exit_code, 2);
}

// 1 is what a log that was changed gives.
TEST(CommandLine, VerifyTellsThatItCouldNotLook) {
  const ScratchFolder folder;
  const std::string missing = (folder.path() / "none.toml").string();
  const std::string broken = folder.write("broken.toml", "data_dir = 7\n", 0600).string();
  const std::string database = (folder.path() / "none.db").string();
  for (const std::vector<std::string>& words :
       std::vector<std::vector<std::string>>{{"--config", missing},
                                             {"--config", broken},
                                             {"--database", database},
                                             {"--bundle", database},
                                             {"--database", database, "--bundle", database}}) {
    std::vector<std::string> all{"audit", "verify"};
    all.insert(all.end(), words.begin(), words.end());
    const Ended ended = run_bedside(all);
    EXPECT_EQ(ended.exit_code, 2) << words.at(1);
    if (words.size() > 2) {
      EXPECT_THAT(ended.errors, HasSubstr("excludes"));
    }
  }
}

TEST(CommandLine, TurnCredentialSignsWithTheSharedSecret) {
  TestServer server;
  server.folder().write("turn.secret", "a secret of good length\n", 0600);
  server.configure("", "shared_secret_file = \"turn.secret\"\n");
  const std::vector<std::string> words{"turn-credential", "--config", server.config_file().string(),
                                       "--subject", "desk-phone"};
  const Ended early = run_bedside(words);  // there is no log that could tell of it
  EXPECT_EQ(early.exit_code, 1);
  EXPECT_EQ(early.output, "");
  server.start();
  const Ended ended = run_bedside(words);
  EXPECT_EQ(ended.exit_code, 0) << ended.errors;
  EXPECT_THAT(ended.output, HasSubstr(R"({"iceServers":[{"urls":["stun:127.0.0.1:)"));
  EXPECT_THAT(ended.output, HasSubstr(R"(:desk-phone","credential":")"));
  const ScratchFolder folder;
  const Ended without = run_bedside({"turn-credential", "--subject", "x"}, folder.path());
  EXPECT_EQ(without.exit_code, 1);
  EXPECT_THAT(without.errors, HasSubstr("start the demo once"));
}

// The only listener of these tests that is not on loopback alone, for as long as a start takes.
TEST(Start, RoomsOpenToAllAreWarnedAboutAtEveryStartAndByCheckConfig) {
  TestServer server;
  const auto listen = [&](const std::string& address) {
    std::string text = server.folder().read("bedside.toml");
    const std::string now = "[http]\nlisten = \"";
    const std::size_t at = text.find(now) + now.size();
    text.replace(at, text.find(':', at) - at, address);
    server.folder().write("bedside.toml", "public_host = \"visit.example\"\n" + text, 0600);
  };
  const std::string warning = "rooms are open: whoever reaches this server";
  server.start();
  EXPECT_THAT(server.stop(SIGTERM).errors, Not(HasSubstr(warning))) << "only this machine comes";
  listen("0.0.0.0");
  for (int start = 1; start <= 3; ++start) {
    server.start();
    EXPECT_THAT(server.stop(SIGTERM).errors, HasSubstr(warning)) << "start " << start;
  }
  const Ended checked = run_bedside({"check-config", server.config_file().string()});
  EXPECT_EQ(checked.exit_code, 0) << checked.errors;
  EXPECT_THAT(checked.output + checked.errors, HasSubstr(warning));
}

}  // namespace
}  // namespace bedside::server
