// coturn's own test client against our relay: everything it sends must come back. The client is an
// independent implementation of the protocol, with habits of its own (channels of RFC 5766,
// RTP/RTCP port pairs), so this finds what our tests and our server misunderstand alike.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <optional>
#include <regex>
#include <string>
#include <vector>

#include "server/net/tcp_listener.h"
#include "tests/server/shard_rig.h"

namespace bedside::server::testing {
namespace {

using namespace std::chrono_literals;

std::optional<std::string> find_program(const std::string& name) {
  for (const char* folder : {"/usr/bin/", "/usr/local/bin/"}) {
    if (std::filesystem::exists(folder + name)) return folder + name;
  }
  return std::nullopt;
}

struct Finished {
  int status = -1;
  std::string output;
};

// Runs a program to its end, with both of its outputs.
Finished run(const std::vector<std::string>& command) {
  std::string line;
  for (const std::string& word : command) line += "'" + word + "' ";
  Finished finished;
  FILE* pipe = ::popen((line + "2>&1").c_str(), "r");
  if (pipe == nullptr) return finished;
  std::array<char, 4096> piece{};
  while (const std::size_t got = std::fread(piece.data(), 1, piece.size(), pipe)) {
    finished.output.append(piece.data(), got);
  }
  finished.status = ::pclose(pipe);
  return finished;
}

// A child that echoes datagrams (turnutils_peer), ended with the test.
class Peer {
 public:
  explicit Peer(const std::string& program, std::uint16_t port) : pid_(::fork()) {
    if (pid_ != 0) return;
    const std::string number = std::to_string(port);
    const int nowhere = ::open("/dev/null", O_WRONLY);
    ::dup2(nowhere, STDOUT_FILENO);
    ::dup2(nowhere, STDERR_FILENO);
    ::execl(program.c_str(), program.c_str(), "-L", "127.0.0.1", "-p", number.c_str(), nullptr);
    ::_exit(127);
  }
  ~Peer() {
    if (pid_ <= 0) return;
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
  }
  Peer(const Peer&) = delete;
  Peer& operator=(const Peer&) = delete;

 private:
  pid_t pid_;
};

struct Totals {
  long sent = 0;
  long received = 0;
};

// The last "tot_send_bytes ~ N, tot_recv_bytes ~ N" is the client's verdict.
Totals totals(const std::string& output) {
  static const std::regex kLine(R"(tot_send_bytes ~ (\d+), tot_recv_bytes ~ (\d+))");
  Totals last;
  for (auto it = std::sregex_iterator(output.begin(), output.end(), kLine);
       it != std::sregex_iterator(); ++it) {
    last = {std::stol((*it)[1]), std::stol((*it)[2])};
  }
  return last;
}

class Turnutils : public ::testing::Test {
 protected:
  void SetUp() override {
    client_ = find_program("turnutils_uclient").value_or("");
    peer_ = find_program("turnutils_peer").value_or("");
    if (client_.empty() || peer_.empty()) {
      GTEST_SKIP() << "turnutils_uclient or turnutils_peer is not installed: the relay was NOT "
                      "checked against coturn's client (apt-get install coturn-utils or coturn)";
    }
    RigOptions options;
    options.accept_rfc5766_channels = true;  // this client picks channels up to 0x7FFF
    rig_.emplace(options);
    // What the front door does, on the one loop there is.
    listener_ = net::TcpListener::open(rig_->server()).value();
    listener_->start(rig_->shard().loop(), [this](net::AcceptedSocket socket) {
      net::DetachedConnection connection;
      connection.fd = std::move(socket.fd);
      connection.peer = socket.peer;
      connection.local = socket.local;
      rig_->shard().adopt(std::move(connection));
    });
    rig_->shard().start();
  }

  void TearDown() override {
    if (rig_) rig_->shard().stop();
    listener_.reset();
  }

  void expect_everything_back(const std::vector<std::string>& options) {
    std::vector<std::string> command{client_, "-u", "alice", "-w", "alice-password"};
    command.insert(command.end(), options.begin(), options.end());
    const std::string port = std::to_string(rig_->server().port);
    command.insert(command.end(), {"-p", port, "127.0.0.1"});
    const Finished finished = run(command);
    const Totals seen = totals(finished.output);
    EXPECT_GT(seen.sent, 0) << finished.output;
    EXPECT_EQ(seen.sent, seen.received) << finished.output;
    EXPECT_EQ(finished.status, 0);
  }

  static std::uint16_t free_port() {
    return net::UdpSocket::bind(endpoint("127.0.0.1:0")).value().local().port;
  }

  std::string client_;
  std::string peer_;
  std::optional<ShardRig> rig_;
  std::unique_ptr<net::TcpListener> listener_;
};

// -y: two clients in one process talk through two of our relay ports. -n: messages. -m: clients.
TEST_F(Turnutils, Relay_to_relay_over_udp) {
  expect_everything_back({"-y", "-n", "50", "-m", "4"});
}

TEST_F(Turnutils, Relay_to_relay_over_tcp) {
  expect_everything_back({"-t", "-y", "-n", "50", "-m", "4"});
}

TEST_F(Turnutils, Relay_to_relay_with_send_indications) {
  expect_everything_back({"-s", "-y", "-n", "50", "-m", "4"});
}

TEST_F(Turnutils, Port_pairs_towards_an_echoing_peer_over_udp) {
  const std::uint16_t port = free_port();
  const Peer peer(peer_, port);
  expect_everything_back({"-e", "127.0.0.1", "-r", std::to_string(port), "-n", "50", "-m", "4"});
}

TEST_F(Turnutils, An_echoing_peer_over_tcp) {
  const std::uint16_t port = free_port();
  const Peer peer(peer_, port);
  expect_everything_back(
      {"-t", "-e", "127.0.0.1", "-r", std::to_string(port), "-n", "50", "-m", "4"});
}

}  // namespace
}  // namespace bedside::server::testing
