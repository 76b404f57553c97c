// Lines of the checklist that only the real process can hold: what is reachable through the relay,
// what reaches the log, what a start without rights says, and what the process keeps to itself.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <grp.h>
#include <gtest/gtest.h>
#include <httplib.h>
#include <poll.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <csignal>
#include <cstdlib>
#include <ctime>

#include "server/config.h"
#include "server/net/fd.h"
#include "server/net/udp_socket.h"
#include "server/service.h"
#include "tests/bench/turn_session.h"
#include "tests/net/test_certificate.h"
#include "tests/server/bedside_process.h"
#include "tests/support/stranger.h"

namespace bedside::server {
namespace {

using stun::Attribute;
using stun::Class;
using stun::Method;
using ::testing::HasSubstr;
using ::testing::Not;
using testing_support::unsigned_message;

constexpr uid_t kNobody = 65534;

stun::Endpoint on(std::uint8_t host, std::uint16_t port) {
  return {stun::IpAddress::v4(127, 0, 0, host), port};
}

// What the server answers, "" when it agrees.
template <typename Ask>
std::string refusal(Ask ask) {
  try {
    ask();
  } catch (const std::exception& error) {
    return error.what();
  }
  return {};
}

// Listens where a datagram for one of our TCP ports would arrive.
class Witness {
 public:
  explicit Witness(const stun::Endpoint& at) : socket_(net::UdpSocket::bind(at).value()) {}
  stun::Endpoint local() const { return socket_.local(); }
  bool hears_something_within(int patience_ms) const {
    pollfd descriptor{socket_.fd(), POLLIN, 0};
    return ::poll(&descriptor, 1, patience_ms) > 0;
  }

 private:
  net::UdpSocket socket_;
};

void send_to(const bench::TurnSession& client, const stun::Endpoint& peer) {
  const auto packet = unsigned_message(Class::indication, Method::send, [&](auto& writer) {
    writer.add_xor_address(Attribute::xor_peer_address, peer);
    writer.add_text(Attribute::data, "GET / HTTP/1.0");
  });
  ASSERT_EQ(::send(client.socket().fd(), packet.data(), packet.size(), 0),
            static_cast<ssize_t>(packet.size()));
}

// Even in test mode, where loopback peers are allowed.
TEST(ChecklistA, Line14_the_admin_page_is_not_reachable_through_the_relay) {
  const ScratchFolder folder;
  const tests::TestCertificate certificate;
  const std::uint16_t https = free_port();
  const std::uint16_t http = free_port();
  const std::uint16_t turn = free_port();
  const std::uint16_t operators = free_port();
  const auto listen = [](std::uint16_t port) { return on(1, port).to_string() + "\"\n"; };
  const auto file = folder.write(
      "bedside.toml",
      "data_dir = \"data\"\n[https]\nlisten = \"" + listen(https) + "certificate = \"" +
          certificate.certificate() + "\"\nprivate_key = \"" + certificate.key() +
          "\"\n[http]\nlisten = \"" + listen(http) + "[operator]\nlisten = \"" + listen(operators) +
          "[signaling]\naccess = \"open\"\n[turn]\nallow_loopback_peers = true\nlisten = \"" +
          listen(turn) + "[[turn.user]]\nname = \"desk\"\npassword = \"desk-password\"\n",
      0600);
  BedsideProcess process({"serve", "--config", file.string()});
  ASSERT_TRUE(process.wait_for_output("Bedside is running")) << process.wait().errors;
  const auto admin = httplib::Client("127.0.0.1", http).Get("/admin/");
  ASSERT_TRUE(admin) << "the page is there, for those who come directly";

  bench::TurnSession client(on(1, turn), {"desk", "desk-password"});
  bench::TurnSession other(on(1, turn), {"desk", "desk-password"});
  client.allocate();
  other.allocate();
  std::vector<Witness> silent;
  for (const std::uint16_t port : {https, http, operators, turn}) {
    // Also by an address that only a listener on a wildcard would have.
    for (const std::uint8_t host : {std::uint8_t{1}, std::uint8_t{2}}) {
      EXPECT_THAT(refusal([&] { client.bind_channel(on(host, port)); }), HasSubstr("403"))
          << int{host} << ':' << port;
      if (port != turn || host != 1) silent.emplace_back(on(host, port));
    }
  }
  // Permissions for both addresses, by channels to ports that are allowed: a witness, and the
  // other client's relayed transport address.
  const Witness heard(on(2, 0));
  client.bind_channel(heard.local());
  bench::TurnSession second(on(1, turn), {"desk", "desk-password"});
  second.allocate();
  ASSERT_EQ(refusal([&] { second.bind_channel(*other.relayed()); }), "");
  for (const bench::TurnSession* sender : {&client, &second}) {
    for (const Witness& witness : silent) send_to(*sender, witness.local());
  }
  send_to(second, on(1, turn));
  send_to(client, heard.local());
  EXPECT_TRUE(heard.hears_something_within(5'000)) << "the way itself is open";
  for (const Witness& witness : silent) {
    EXPECT_FALSE(witness.hears_something_within(0)) << witness.local().to_string();
  }
  process.signal(SIGTERM);
  EXPECT_EQ(process.wait().exit_code, 0);
}

TEST(ChecklistA, Line15_no_realm_nonce_or_credential_in_logs_and_no_line_per_stranger) {
  TestServer server;
  server.folder().write("secret", "Canary-secret of the operator\n", 0600);
  server.configure("log_level = \"debug\"\n",
                   "realm = \"Canary-realm\"\nshared_secret_file = \"secret\"\n[[turn.user]]\n"
                   "name = \"Canary-user\"\npassword = \"Canary-password\"\n");
  server.start();
  const stun::Endpoint relay = on(1, server.turn());
  std::string nonce;
  {
    const testing_support::Stranger stranger(server.turn(), 1);
    stranger.send(testing_support::allocate_request());
    const auto answer = stranger.receive(std::chrono::seconds(10));
    ASSERT_TRUE(answer);
    const auto message = stun::MessageView::parse(*answer);
    ASSERT_TRUE(message);
    EXPECT_EQ(message->text(Attribute::realm), "Canary-realm");
    nonce = std::string(message->text(Attribute::nonce).value_or(""));
    ASSERT_FALSE(nonce.empty());
  }
  const auto login =
      bench::rest_login("Canary-secret of the operator",
                        std::to_string(std::time(nullptr) + 3600) + ":Canary-subject");
  for (const bench::Login& good : {bench::Login{"Canary-user", "Canary-password"}, login}) {
    bench::TurnSession session(relay, good);
    EXPECT_EQ(refusal([&] { session.allocate(); }), "");
    EXPECT_NE(refusal([&] { session.bind_channel(on(9, 1)); }), "");
  }
  for (int i = 0; i < 20; ++i) {
    bench::TurnSession session(relay, {"Canary-user", "Canary-guess"});
    EXPECT_NE(refusal([&] { session.allocate(); }), "");
  }
  for (std::uint32_t i = 0; i < 2'000; ++i) {
    const testing_support::Stranger stranger(server.turn(), i);
    stranger.send(testing_support::allocate_request());
  }
  const Ended ended = server.stop(SIGTERM);
  for (const std::string& told : {ended.errors, ended.output}) {
    EXPECT_THAT(told, Not(HasSubstr("Canary")));
    EXPECT_THAT(told, Not(HasSubstr(nonce)));
    EXPECT_THAT(told, Not(HasSubstr(login.password)));
  }
  EXPECT_THAT(ended.errors, HasSubstr("stopped")) << "the log was read";
  EXPECT_LT(std::count(ended.errors.begin(), ended.errors.end(), '\n'), 20) << ended.errors;
}

// serve() in a child without the rights of root, which may read everything.
Ended serve_without_rights(const std::filesystem::path& file) {
  std::array<int, 2> pipe{};
  if (::pipe2(pipe.data(), O_CLOEXEC) != 0) std::abort();
  const pid_t child = ::fork();
  if (child == 0) {
    const bool root = ::geteuid() == 0;
    if (root &&
        (::setgroups(0, nullptr) != 0 || ::setgid(kNobody) != 0 || ::setuid(kNobody) != 0)) {
      ::_exit(99);
    }
    ::dup2(pipe[1], STDERR_FILENO);
    const auto checked = load_config(file);
    for (const Problem& problem : checked.problems) {
      std::fprintf(stderr, "%s\n", describe(problem, file.string()).c_str());
    }
    ::_exit(checked.ok() ? serve(checked.config, {}) : 1);
  }
  ::close(pipe[1]);
  const net::Fd errors(pipe[0]);
  Ended ended;
  std::array<char, 4096> block{};
  for (ssize_t got = 0; (got = ::read(errors.get(), block.data(), block.size())) > 0;) {
    ended.errors.append(block.data(), static_cast<std::size_t>(got));
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  if (WIFEXITED(status)) ended.exit_code = WEXITSTATUS(status);
  return ended;
}

TEST(ChecklistA, Line16_an_unreadable_certificate_or_secret_is_told_with_file_and_user) {
  const uid_t user = ::geteuid() == 0 ? kNobody : ::geteuid();
  struct Case {
    const char* file;
    const char* https;  // lines of [https] and [turn]
    const char* turn;
  };
  const std::array<Case, 4> cases{{
      {"chain.pem", "certificate = \"chain.pem\"\nprivate_key = \"key.pem\"\n", ""},
      {"key.pem", "certificate = \"chain.pem\"\nprivate_key = \"key.pem\"\n", ""},
      {"turn.secret", "", "shared_secret_file = \"turn.secret\"\n"},
      {"user.secret", "", "[[turn.user]]\nname = \"a\"\npassword_file = \"user.secret\"\n"},
  }};
  for (const Case& each : cases) {
    const ScratchFolder folder;
    const tests::TestCertificate made;
    const auto copy = [&](const std::string& from, const char* to) {
      std::filesystem::copy_file(from, folder.path() / to);
    };
    copy(made.certificate(), "chain.pem");
    copy(made.key(), "key.pem");
    folder.write("turn.secret", "a secret of good length\n", 0600);
    folder.write("user.secret", "a password\n", 0600);
    const std::string https = std::string(each.https).empty()
                                  ? "listen = []\n"
                                  : "listen = \"" + on(1, free_port()).to_string() + "\"\n";
    const auto file = folder.write(
        "bedside.toml",
        "data_dir = \"data\"\n[https]\n" + https + each.https + "[http]\nlisten = \"" +
            on(1, free_port()).to_string() + "\"\n[signaling]\naccess = \"open\"\n" +
            "[turn]\nlisten = \"" + on(1, free_port()).to_string() + "\"\n" + each.turn,
        0600);
    if (::geteuid() == 0) {
      ASSERT_EQ(::chown(folder.path().c_str(), user, user), 0);
      for (const auto& entry : std::filesystem::directory_iterator(folder.path())) {
        ASSERT_EQ(::chown(entry.path().c_str(), user, user), 0);
      }
    }
    ASSERT_EQ(::chmod((folder.path() / each.file).c_str(), 0), 0);
    const Ended ended = serve_without_rights(file);
    EXPECT_EQ(ended.exit_code, 1) << each.file << ": " << ended.errors;
    EXPECT_THAT(ended.errors, HasSubstr((folder.path() / each.file).string()));
    EXPECT_THAT(ended.errors, HasSubstr("Permission denied"));
    EXPECT_THAT(ended.errors, HasSubstr("user id " + std::to_string(user)));
    EXPECT_THAT(ended.errors, Not(HasSubstr("serving"))) << "it must not get that far";
  }
}

// The group that owns a process's files below /proc: its own, or root's when nothing of it may be
// dumped (proc(5), PR_SET_DUMPABLE).
gid_t group_of_files_of(const std::string& process) {
  struct stat status {};
  EXPECT_EQ(::stat(("/proc/" + process + "/environ").c_str(), &status), 0);
  return status.st_gid;
}

// Runs with a group other than root's, so that the owner tells something when root runs this, too.
class AnotherGroup {
 public:
  AnotherGroup() : before_(::getegid()), during_(before_ == 0 ? kNobody : before_) {
    EXPECT_EQ(::setresgid(during_, during_, before_), 0);
  }
  ~AnotherGroup() { EXPECT_EQ(::setresgid(before_, before_, before_), 0); }
  AnotherGroup(const AnotherGroup&) = delete;
  AnotherGroup& operator=(const AnotherGroup&) = delete;
  gid_t id() const { return during_; }

 private:
  gid_t before_;
  gid_t during_;
};

TEST(ChecklistB, Line67_the_memory_of_the_process_is_neither_dumped_nor_debugged) {
  const AnotherGroup group;
  ASSERT_NE(group.id(), 0U);
  TestServer server;
  server.start();
  const std::string pid = std::to_string(server.process().pid());
  EXPECT_EQ(group_of_files_of(pid), 0U);
  rlimit core{1, 1};
  EXPECT_EQ(::prlimit(server.process().pid(), RLIMIT_CORE, nullptr, &core), 0);
  EXPECT_EQ(core.rlim_cur, 0U);
  EXPECT_EQ(core.rlim_max, 0U) << "it cannot be raised again";
  EXPECT_EQ(server.stop(SIGTERM).exit_code, 0);
}

}  // namespace
}  // namespace bedside::server
