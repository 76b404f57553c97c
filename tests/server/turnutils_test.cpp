// coturn's own test client against our relay: everything it sends must come back. The client is an
// independent implementation of the protocol, with habits of its own (channels of RFC 5766,
// RTP/RTCP port pairs), so this finds what our tests and our server misunderstand alike.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <csignal>
#include <cstdio>
#include <filesystem>
#include <future>
#include <optional>
#include <regex>
#include <string>
#include <vector>

#include "tests/server/dual_rewriter.h"
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
  FILE* pipe = ::popen((line + "2>&1").c_str(), "re");
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
  Peer(const std::string& program, const stun::Endpoint& at) : pid_(::fork()) {
    if (pid_ != 0) return;
    const std::string host = at.address.to_string();
    const std::string number = std::to_string(at.port);
    const int nowhere = ::open("/dev/null", O_WRONLY);
    ::dup2(nowhere, STDOUT_FILENO);
    ::dup2(nowhere, STDERR_FILENO);
    ::execl(program.c_str(), program.c_str(), "-L", host.c_str(), "-p", number.c_str(), nullptr);
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
  }

  // Starts a relay on `listen` and lets the client send through it. Every message must come back.
  void expect_everything_back(const std::vector<std::string>& options,
                              const std::vector<stun::Endpoint>& listen) {
    RigOptions wanted;
    wanted.listen = listen;
    wanted.mobility = true;
    wanted.tcp_relay = true;
    wanted.accept_rfc5766_channels = true;  // this client picks channels up to 0x7FFF
    ShardRig rig(wanted);
    rig.open_door();
    rig.shard().start();
    const auto asked_for = [&](const char* flag) {
      return std::find(options.begin(), options.end(), flag) != options.end();
    };
    stun::Endpoint server = asked_for("-t") ? rig.door().listeners()[0].endpoint : rig.server();
    std::optional<DualRewriter> dual;
    if (asked_for("-Z")) {
      dual.emplace(server, Signer("alice", kRealm, "alice-password"));
      server = dual->local();
    }
    std::vector<std::string> command{client_, "-u", "alice", "-w", "alice-password"};
    command.insert(command.end(), options.begin(), options.end());
    command.insert(command.end(), {"-p", std::to_string(server.port), server.address.to_string()});
    const Finished finished = run(command);
    rig.shard().stop();
    if (dual) {
      EXPECT_GT(dual->rewritten(), 0) << "nobody asked for both families";
    }
    const Totals seen = totals(finished.output);
    EXPECT_GT(seen.sent, 0) << finished.output;
    EXPECT_EQ(seen.sent, seen.received) << finished.output;
    EXPECT_EQ(finished.status, 0);
  }

  static stun::Endpoint free_endpoint(std::string_view host = "127.0.0.1") {
    return net::UdpSocket::bind({address(host), 0}).value().local();
  }

  std::string client_;
  std::string peer_;
};

// How the client reaches us, as its flags: -t TCP, -S with TLS over TCP or DTLS over UDP.
using Ways = std::vector<std::vector<std::string>>;
const Ways kWays{{}, {"-t"}, {"-t", "-S"}, {"-S"}};

class EveryWay : public Turnutils {
 protected:
  // All ways at once: the client spends most of its time waiting for itself.
  void send(const std::vector<std::string>& options,
            const std::vector<stun::Endpoint>& listen = {endpoint("127.0.0.1:0")},
            const Ways& ways = kWays, const std::string& clients = "4") {
    std::vector<std::future<void>> runs;
    for (std::vector<std::string> command : ways) {
      command.insert(command.end(), options.begin(), options.end());
      command.insert(command.end(), {"-n", "50", "-m", clients});  // messages
      runs.push_back(std::async(std::launch::async, [this, command, listen] {
        expect_everything_back(command, listen);
      }));
    }
  }
};

// -y: two clients in one process talk through two of our relay ports.
TEST_F(EveryWay, Relay_to_relay) { send({"-y"}); }

TEST_F(EveryWay, Relay_to_relay_with_send_indications) { send({"-s", "-y"}); }

// -c: without the RTCP port.
TEST_F(EveryWay, Relay_to_relay_without_rtcp) { send({"-c", "-y"}); }

TEST_F(EveryWay, Port_pairs_towards_an_echoing_peer) {
  const stun::Endpoint at = free_endpoint();
  const Peer peer(peer_, at);
  send({"-e", "127.0.0.1", "-r", std::to_string(at.port)});
}

TEST_F(EveryWay, An_echoing_peer_by_send_indications) {
  const stun::Endpoint at = free_endpoint();
  const Peer peer(peer_, at);
  send({"-s", "-e", "127.0.0.1", "-r", std::to_string(at.port)});
}

// -M: each client changes its socket and takes its allocation along (RFC 8016). Not over TLS and
// DTLS: this client makes its second session with TLS 1.1 or DTLS 1.0, which we refuse, and
// crashes.
TEST_F(EveryWay, Relay_to_relay_of_clients_that_move) {
  send({"-M", "-y"}, {endpoint("127.0.0.1:0")}, {{}, {"-t"}});
}

// -T: TCP allocations (RFC 6062). One of two clients connects to the relayed address of the other.
TEST_F(EveryWay, Relay_to_relay_over_tcp_allocations) {
  send({"-T"}, {endpoint("127.0.0.1:0")}, {{"-t"}, {"-t", "-S"}}, "2");
}

// Four endpoints for behaviour discovery (RFC 5780): two loopback addresses, two free ports.
std::vector<stun::Endpoint> four_endpoints() {
  for (int attempt = 0; attempt < 100; ++attempt) {
    const auto first = net::UdpSocket::bind(endpoint("127.0.0.1:0")).value();
    const auto second = net::UdpSocket::bind(endpoint("127.0.0.1:0")).value();
    const std::uint16_t ports[] = {first.local().port, second.local().port};
    std::vector<stun::Endpoint> four;
    bool free = true;
    for (const char* address : {"127.0.0.1", "127.0.0.2"}) {
      for (const std::uint16_t port : ports) {
        four.push_back({*stun::IpAddress::parse(address), port});
        free = free && (four.size() <= 2 || net::UdpSocket::bind(four.back()).has_value());
      }
    }
    if (free) return four;
  }
  throw std::runtime_error("no two ports are free on both addresses");
}

// coturn's client for behaviour discovery, from a machine without a NAT.
TEST_F(Turnutils, Nat_discovery_finds_no_nat) {
  const auto discover = find_program("turnutils_natdiscovery");
  if (!discover)
    GTEST_SKIP() << "turnutils_natdiscovery is not installed: RFC 5780 was NOT checked";
  RigOptions wanted;
  wanted.listen = four_endpoints();
  wanted.behavior_discovery = true;
  ShardRig rig(wanted);
  rig.shard().start();
  const std::string port = std::to_string(rig.server().port);
  const Finished mapping = run({*discover, "-m", "-L", "127.0.0.1", "-p", port, "127.0.0.1"});
  const Finished filtering = run({*discover, "-f", "-p", port, "127.0.0.1"});
  const Finished padded = run({*discover, "-f", "-P", "-p", port, "127.0.0.1"});
  rig.shard().stop();
  EXPECT_NE(mapping.output.find("No NAT! (Endpoint Independent Mapping)"), std::string::npos)
      << mapping.output;
  for (const Finished* each : {&filtering, &padded}) {
    EXPECT_NE(each->output.find("NAT with Endpoint Independent Filtering!"), std::string::npos)
        << each->output;
  }
}

TEST_F(Turnutils, Stun_client_hears_of_the_other_address) {
  const auto ask = find_program("turnutils_stunclient");
  if (!ask) GTEST_SKIP() << "turnutils_stunclient is not installed: RFC 5780 was NOT checked";
  RigOptions wanted;
  wanted.listen = four_endpoints();
  wanted.behavior_discovery = true;
  ShardRig rig(wanted);
  rig.shard().start();
  const Finished asked = run({*ask, "-p", std::to_string(rig.server().port), "127.0.0.1"});
  rig.shard().stop();
  const std::string other = "127.0.0.2:" + std::to_string(rig.endpoints()[3].port);
  EXPECT_NE(asked.output.find(other), std::string::npos) << asked.output;
}

// -Z: IPv4 and IPv6 in one allocation, towards peers of either family and between two clients. The
// client asks with the number of a draft: the rewriter before the server puts that right.
TEST_F(EveryWay, Dual_allocations) {
  const stun::Endpoint v4 = free_endpoint();
  const stun::Endpoint v6 = free_endpoint("::1");
  const Peer peer4(peer_, v4);
  const Peer peer6(peer_, v6);
  const std::string port6 = std::to_string(v6.port);
  send({"-Z"}, {endpoint("127.0.0.1:0"), endpoint("[::1]:0")},
       {{"-y"},
        {"-e", "127.0.0.1", "-r", std::to_string(v4.port)},
        {"-e", "::1", "-r", port6},
        {"-s", "-e", "::1", "-r", port6}});
}

// -x: IPv6 relayed addresses.
TEST_F(EveryWay, Relay_to_relay_over_ipv6) { send({"-x", "-y"}, {endpoint("[::1]:0")}); }

}  // namespace
}  // namespace bedside::server::testing
