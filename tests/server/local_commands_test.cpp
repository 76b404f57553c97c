// `bedside token` and `bedside room` against a server that runs and one that does not, and
// strangers' bytes on the socket they use.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <httplib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <csignal>
#include <cstring>
#include <nlohmann/json.hpp>
#include <utility>

#include "server/bearer_secret.h"
#include "server/first_key.h"
#include "server/local_user.h"
#include "server/operator_listener.h"
#include "store/reader.h"
#include "tests/server/bedside_process.h"
#include "tests/server/small_disk.h"

namespace bedside::server {
namespace {

using nlohmann::json;
using testing::AnyOf;
using testing::Contains;
using testing::ElementsAre;
using testing::ElementsAreArray;
using testing::HasSubstr;
using testing::MatchesRegex;
using testing::Not;

class LocalCommands : public testing::Test {
 protected:
  LocalCommands() {
    std::string text = server_.folder().read("bedside.toml");
    const std::string open = "access = \"open\"";
    text.replace(text.find(open), open.size(), "access = \"invite\"");
    text.insert(text.find("[turn]\n") + 7, "shared_secret_file = \"turn.secret\"\n");
    server_.folder().write("turn.secret", "a secret of good length\n", 0600);
    server_.folder().write("bedside.toml", text, 0600);
  }
  Ended run(std::vector<std::string> words) const {
    words.insert(words.end(), {"--config", server_.config_file().string()});
    return run_bedside(words);
  }
  // The token of a successful `token create`, and its id.
  struct Token {
    std::string secret, id;
  };
  Token create_token() const {
    const Ended ended = run({"token", "create", "--name", "EHR", "--scope", "rooms.create"});
    EXPECT_EQ(ended.exit_code, 0) << ended.errors;
    EXPECT_THAT(ended.output, MatchesRegex("bedside_[A-Za-z0-9_-]+\n"));
    const Ended list = run({"token", "list"});
    EXPECT_THAT(list.output, HasSubstr("rooms.create"));
    const std::size_t id = ended.errors.rfind(' ') + 1;
    const Token made{ended.output.substr(0, ended.output.size() - 1),
                     ended.errors.substr(id, ended.errors.find('\n', id) - id)};
    EXPECT_THAT(list.output, HasSubstr(made.id + " "));
    return made;
  }
  int status_of_create(const std::string& token) const {
    httplib::Client client("127.0.0.1", server_.http());
    const auto answer =
        client.Post("/api/webrtc-signaling", {{"Authorization", "Bearer " + token}},
                    R"({"action":"create-room","appointmentId":5})", "application/json");
    return answer ? answer->status : 0;
  }
  // The types of the records since the last call, in order. What the machine does of itself is not
  // about commands.
  std::vector<std::string> new_records() {
    const auto reader = store::Reader::open((server_.data_dir() / "bedside.db").string());
    const auto rows = reader->audit({});
    std::vector<std::string> types;
    const std::uint64_t before = std::exchange(seen_, rows->front().seq);
    for (const store::AuditRow& row : *rows) {
      if (row.seq <= before) break;
      const bool own = row.type.starts_with("storage.") || row.type.starts_with("time.");
      if (!own) types.insert(types.begin(), row.type);
    }
    return types;
  }
  std::filesystem::path socket_file() const { return server_.data_dir() / "bedside.sock"; }
  // Sends these bytes to the socket and returns what comes back until it is closed.
  std::string talk(const std::string& bytes) const {
    const int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::strncpy(address.sun_path, socket_file().c_str(), sizeof address.sun_path - 1);
    const void* untyped = &address;
    EXPECT_EQ(::connect(fd, static_cast<const sockaddr*>(untyped), sizeof address), 0);
    static_cast<void>(::send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL));
    ::shutdown(fd, SHUT_WR);
    std::string answer;
    char block[4096];
    for (ssize_t got = 0; (got = ::recv(fd, block, sizeof block, 0)) > 0;) {
      answer.append(block, static_cast<std::size_t>(got));
    }
    ::close(fd);
    return answer;
  }
  static std::string request(const std::string& line, const std::string& body) {
    return line + " HTTP/1.1\r\nHost: x\r\nBedside-User: anna root\r\nContent-Length: " +
           std::to_string(body.size()) + "\r\n\r\n" + body;
  }

  TestServer server_;
  std::uint64_t seen_ = 0;
};

TEST_F(LocalCommands, MakeListAndRevokeTokensOfTheRunningServer) {
  server_.start();
  const Token token = create_token();
  EXPECT_EQ(status_of_create(token.secret), 200);
  EXPECT_EQ(run({"token", "revoke", token.id}).exit_code, 0);
  EXPECT_EQ(status_of_create(token.secret), 401);
  EXPECT_THAT(run({"token", "list"}).output, Not(HasSubstr(token.id)));
  const Ended again = run({"token", "revoke", token.id});
  EXPECT_EQ(again.exit_code, 1);
  EXPECT_THAT(again.errors, HasSubstr("there is no token with this id"));
  const Ended wrong = run({"token", "create", "--name", "EHR", "--scope", "rooms.burn"});
  EXPECT_EQ(wrong.exit_code, 1);
  EXPECT_EQ(wrong.output, "");
}

TEST(NewName, IsNoOptionOfACommandLine) {
  for (int i = 0; i < 1000; ++i) EXPECT_NE(new_name().front(), '-');
}

TEST_F(LocalCommands, MakeAndRevokeTokensOfAStoppedServerToo) {
  server_.start();
  server_.stop(SIGTERM);
  const Token kept = create_token();
  const Token revoked = create_token();
  EXPECT_EQ(run({"token", "revoke", revoked.id}).exit_code, 0);
  server_.start();
  EXPECT_EQ(status_of_create(kept.secret), 200);
  EXPECT_EQ(status_of_create(revoked.secret), 401);
}

TEST_F(LocalCommands, MakeListAndEndRoomsOfTheRunningServerOnly) {
  server_.start();
  const Ended made = run({"room", "create", "a-7"});
  EXPECT_EQ(made.exit_code, 0) << made.errors;
  EXPECT_THAT(made.output, HasSubstr("?room=appointment-a-7#"));
  EXPECT_THAT(run({"room", "list"}).output, HasSubstr("appointment-a-7"));
  EXPECT_EQ(run({"room", "end", "appointment-a-7"}).exit_code, 0);
  EXPECT_THAT(run({"room", "list"}).output, Not(HasSubstr("appointment-a-7")));
  EXPECT_EQ(run({"room", "end", "nowhere"}).exit_code, 1);
  server_.stop(SIGTERM);
  for (const std::vector<std::string>& words : {std::vector<std::string>{"room", "create", "a-8"},
                                                {"room", "list"},
                                                {"room", "end", "x"}}) {
    const Ended refused = run(words);
    EXPECT_EQ(refused.exit_code, 1);
    EXPECT_THAT(refused.errors, HasSubstr("no server answers"));
  }
}

TEST_F(LocalCommands, LeaveExactlyTheirRecord) {
  server_.start();
  const auto expect = [&](const std::vector<std::string>& words, bool done,
                          const std::vector<std::string>& records) {
    const Ended ended = run(words);
    EXPECT_EQ(ended.exit_code == 0, done) << words[0] << " " << words[1] << ": " << ended.errors;
    EXPECT_THAT(new_records(), ElementsAreArray(records)) << words[0] << " " << words[1];
  };
  const std::vector<std::string> none;
  const std::string me = this_user().login;
  (void)new_records();
  const Token token = create_token();
  EXPECT_THAT(new_records(), ElementsAre("token.created"));
  expect({"token", "create", "--name", "EHR", "--scope", "rooms.burn"}, false, none);
  expect({"token", "revoke", token.id}, true, {"token.revoked"});
  expect({"token", "revoke", token.id}, false, none);
  expect({"room", "create", "a-9"}, true, {"room.created", "link.issued", "link.issued"});
  expect({"room", "list"}, true, none);
  expect({"room", "end", "appointment-a-9"}, true, {"room.ended"});
  expect({"room", "end", "nowhere"}, false, none);
  expect({"admin", "add", "ben"}, true, {"user.invited"});
  expect({"admin", "add", "no name"}, false, none);
  expect({"admin", "disable", "nobody"}, false, none);
  expect({"audit", "hold", "set", "--person", me, "--reason", "complaint"}, true,
         {"audit.hold_set"});
  expect({"audit", "hold", "set", "--person", me, "--reason", "whim"}, false, none);
  expect({"audit", "hold", "clear", "0123456789abcdef", "--reason", "closed"}, false, none);
  expect({"audit", "export", "--out", (server_.folder().path() / "log.tar").string()}, true,
         {"audit.exported"});
  expect({"audit", "verify"}, true, {"audit.verified"});
  expect({"turn-credential", "--subject", "desk-phone"}, true, {"cred.issued"});
  expect({"turn-credential", "--subject", "no name"}, false, none);
  server_.stop(SIGTERM);
  EXPECT_THAT(new_records(), ElementsAre("service.stop"));
  expect({"audit", "verify"}, true, none);  // nobody to tell
  expect({"turn-credential", "--subject", "desk-phone"}, true, {"epoch.rotated", "cred.issued"});
}

TEST_F(LocalCommands, EveryRouteOfTheOperatorListenerThatChangesSomethingIsRecorded) {
  server_.start();
  (void)new_records();
  httplib::Client operators("127.0.0.1", server_.operator_port());
  for (const OperatorRoute& route : operator_routes()) {
    httplib::Request request;
    request.method = route.method;
    request.path = route.path;
    const auto answer = operators.send(request);
    EXPECT_EQ(answer ? answer->status : 0, 200) << route.method << " " << route.path;
    (void)create_token();  // what comes after it in the log is written after it
    const std::vector<std::string> records = new_records();
    EXPECT_EQ(records.front() == route.record, !route.record.empty()) << route.path;
  }
}

TEST_F(LocalCommands, ChangeNothingThatAFullDiskCannotRecord) {
  const SmallDisk disk(server_.data_dir());
  if (!disk.mounted()) {
    GTEST_SKIP() << "NOT TESTED: commands on a full disk; mounting a tmpfs needs root: "
                 << std::strerror(errno);
  }
  server_.start();
  const Token token = create_token();
  EXPECT_EQ(run({"room", "create", "a-10"}).exit_code, 0);
  (void)new_records();
  disk.fill();
  while (
      run({"audit", "hold", "set", "--person", this_user().login, "--reason", "other"}).exit_code ==
      0) {
  }
  (void)new_records();
  const std::string bundle = (server_.folder().path() / "log.tar").string();
  for (const std::vector<std::string>& words :
       {std::vector<std::string>{"token", "create", "--name", "EHR", "--scope", "rooms.create"},
        {"token", "revoke", token.id},
        {"room", "create", "a-11"},
        {"admin", "add", "ben"},
        {"turn-credential", "--subject", "desk-phone"},
        {"audit", "hold", "set", "--person", this_user().login, "--reason", "complaint"},
        {"audit", "export", "--out", bundle}}) {
    const Ended refused = run(words);
    EXPECT_EQ(refused.exit_code, 1) << words[0] << " " << words[1];
    EXPECT_EQ(refused.output, "") << words[0] << " " << words[1];
    EXPECT_THAT(refused.errors, HasSubstr("free space")) << words[0] << " " << words[1];
  }
  EXPECT_FALSE(std::filesystem::exists(bundle));
  EXPECT_EQ(run({"room", "end", "appointment-a-10"}).exit_code, 0);  // its record waits for space
  disk.make_space();
  while (status_of_create(token.secret) != 200) {
  }
  EXPECT_THAT(new_records(), Not(Contains(AnyOf("token.created", "token.revoked", "user.invited",
                                                "audit.hold_set", "audit.exported"))));
  EXPECT_THAT(run({"room", "list"}).output, Not(HasSubstr("a-11")));
  EXPECT_EQ(run({"token", "revoke", token.id}).exit_code, 0);
}

TEST_F(LocalCommands, PrintTheFirstKeyWheneverItIsAskedFor) {
  server_.start();
  const auto reader = store::Reader::open((server_.data_dir() / "bedside.db").string());
  ASSERT_TRUE(reader) << reader.error();
  const std::string key = first_key_of(*reader);
  EXPECT_EQ(key.size(), 64U);
  EXPECT_EQ(run({"audit", "first-key"}).output, key + "\n");
  server_.stop(SIGTERM);
  EXPECT_EQ(run({"audit", "first-key"}).output, key + "\n");
  std::filesystem::remove(server_.data_dir() / "bedside.db");
  EXPECT_EQ(run({"audit", "first-key"}).exit_code, 1);
}

TEST_F(LocalCommands, GiveAReceiptForWhatTheyChanged) {
  server_.start();
  httplib::Client socket(socket_file().string(), 80);
  socket.set_address_family(AF_UNIX);
  socket.set_default_headers({{"Bedside-User", "anna root"}});
  const auto check = [&](const httplib::Result& answer) {
    const json body = answer ? json::parse(answer->body, nullptr, false) : json::object();
    const auto file = server_.folder().write("receipt", body.value("receipt", ""), 0600);
    EXPECT_EQ(run({"audit", "verify", "--receipt", file.string()}).exit_code, 0) << body;
    return body;
  };
  const json token = check(socket.Post(
      "/tokens", R"({"name":"EHR","scopes":["rooms.create"],"days":1})", "application/json"));
  check(socket.Delete("/tokens?id=" + token.value("id", "")));
  check(socket.Post("/rooms", R"({"appointmentId":"4711"})", "application/json"));
  check(socket.Post("/audit/holds", R"({"room":"appointment-4711","reason":"other"})",
                    "application/json"));
}

TEST_F(LocalCommands, AreForTheServersUserOnly) {
  server_.start();
  struct stat info {};
  ASSERT_EQ(::stat(socket_file().c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 07777, 0600U);
  server_.stop(SIGTERM);
  EXPECT_FALSE(std::filesystem::exists(socket_file()));
  if (::geteuid() != 0) GTEST_SKIP() << "needs root to give the folder to somebody else";
  ASSERT_EQ(::chown(server_.data_dir().c_str(), 65534, 65534), 0);
  const Ended refused = run({"token", "list"});
  EXPECT_EQ(refused.exit_code, 1);
  EXPECT_THAT(refused.errors, HasSubstr("belongs to user id 65534"));
}

TEST_F(LocalCommands, SocketSurvivesWhatNobodyShouldSend) {
  server_.start();
  for (const std::string& bytes :
       {std::string("\x16\x03\x01 hello"), std::string(100'000, 'A'), std::string("GET"),
        std::string("GET /tokens HTTP/9.9\r\n\r\n"), std::string(3, '\0'),
        request("POST /tokens", "{"), request("POST /tokens", "[]"),
        request("POST /tokens", R"({"name":7,"scopes":{"a":[]},"days":-1})"),
        request("POST /tokens", std::string(50'000, '[')), request("POST /rooms", "null"),
        request("POST /rooms", R"({"appointmentId":{"a":1},"roomName":["x"]})"),
        request("POST /rooms", R"({"appointmentId":"x","roomName":"../../etc"})"),
        request("DELETE /tokens?id=%00%ff'%3B--", ""), request("DELETE /rooms?roomId=a%2fb", ""),
        request("POST /audit/verified", "{}"),
        request("POST /audit/verified", R"({"ok":true,"records":1,"root":"x","firstBad":0})"),
        request("DELETE /tokens", ""), request("GET /../../etc/passwd", "")}) {
    const std::string answer = talk(bytes);
    EXPECT_THAT(answer, Not(HasSubstr(" 200 "))) << bytes.substr(0, 60);
    EXPECT_THAT(answer, Not(HasSubstr("root:"))) << bytes.substr(0, 60);
  }
  EXPECT_THAT(run({"token", "list"}).output, Not(HasSubstr("bedside_")));
  EXPECT_EQ(create_token().secret.rfind("bedside_", 0), 0U) << "it still answers";
  EXPECT_EQ(server_.stop(SIGTERM).exit_code, 0);
}

}  // namespace
}  // namespace bedside::server
