// Puts the same traffic on any TURN server and measures what the server's process spends on it.
//
//   relay_load --server 127.0.0.1:3478 --secret-file FILE --pid PID
//              --allocations 100 --rate 100 --size 1200 --seconds 5
//
// Every allocation belongs to a user of its own, by short-lived credentials made from the shared
// secret (the TURN REST convention), because a sane server limits the allocations of one user.
// Each allocation sends `rate` ChannelData packets a second to one echoing peer, which sends every
// packet back through the relay. Prints one line: packets relayed, the server's CPU time a relayed
// packet, loss, and memory an idle allocation.
#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <map>
#include <sstream>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "tests/bench/turn_session.h"

namespace {

using bedside::bench::LoopbackSocket;
using bedside::bench::TurnSession;
using Clock = std::chrono::steady_clock;

struct Options {
  bedside::stun::Endpoint server;
  std::string secret;
  int pid = 0;
  std::size_t allocations = 1;
  double rate = 1000;
  std::size_t size = 1200;
  double seconds = 5;
};

bedside::bench::Login short_lived_login(const std::string& secret, std::size_t number) {
  const auto expiry = std::chrono::duration_cast<std::chrono::seconds>(
                          std::chrono::system_clock::now().time_since_epoch()) +
                      std::chrono::minutes(10);
  return bedside::bench::rest_login(
      secret, std::to_string(expiry.count()) + ":bench-" + std::to_string(number));
}

double cpu_seconds(int pid) {
  std::ifstream stat("/proc/" + std::to_string(pid) + "/stat");
  std::string line;
  std::getline(stat, line);
  std::istringstream fields(line.substr(line.rfind(')') + 2));
  std::string skipped;
  for (int i = 0; i < 11; ++i) fields >> skipped;  // fields 3 to 13
  double user = 0;
  double system = 0;
  fields >> user >> system;
  return (user + system) / static_cast<double>(sysconf(_SC_CLK_TCK));
}

double resident_kib(int pid) {
  std::ifstream status("/proc/" + std::to_string(pid) + "/status");
  for (std::string line; std::getline(status, line);) {
    if (line.starts_with("VmRSS:")) return std::strtod(line.c_str() + 6, nullptr);
  }
  return 0;
}

// Sends every datagram back to where it came from until it is stopped.
class EchoPeer {
 public:
  EchoPeer() : thread_([this] { run(); }) {}
  ~EchoPeer() {
    stop_ = true;
    thread_.join();
  }
  EchoPeer(const EchoPeer&) = delete;
  EchoPeer& operator=(const EchoPeer&) = delete;
  const LoopbackSocket& socket() const { return socket_; }

 private:
  static constexpr unsigned kBatch = 64;

  void run() {
    std::vector<std::array<char, 2048>> buffers(kBatch);
    std::vector<sockaddr_in> from(kBatch);
    std::vector<iovec> parts(kBatch);
    std::vector<mmsghdr> messages(kBatch);
    while (!stop_) {
      pollfd waiting{socket_.fd(), POLLIN, 0};
      if (poll(&waiting, 1, 50) <= 0) continue;
      for (unsigned i = 0; i < kBatch; ++i) {
        parts[i] = {buffers[i].data(), buffers[i].size()};
        messages[i] = {};
        messages[i].msg_hdr.msg_name = &from[i];
        messages[i].msg_hdr.msg_namelen = sizeof from[i];
        messages[i].msg_hdr.msg_iov = &parts[i];
        messages[i].msg_hdr.msg_iovlen = 1;
      }
      const int received = recvmmsg(socket_.fd(), messages.data(), kBatch, MSG_DONTWAIT, nullptr);
      for (int i = 0; i < received; ++i) {
        parts[static_cast<std::size_t>(i)].iov_len = messages[static_cast<std::size_t>(i)].msg_len;
      }
      if (received > 0) {
        sendmmsg(socket_.fd(), messages.data(), static_cast<unsigned>(received), MSG_DONTWAIT);
      }
    }
  }

  LoopbackSocket socket_;
  std::atomic<bool> stop_ = false;
  std::thread thread_;
};

struct Result {
  std::uint64_t sent = 0;
  std::uint64_t echoed = 0;
};

std::uint64_t drain(int fd) {
  std::array<char, 2048> buffer;
  std::uint64_t count = 0;
  while (recv(fd, buffer.data(), buffer.size(), MSG_DONTWAIT) > 0) ++count;
  return count;
}

Result run_traffic(const std::vector<TurnSession>& sessions, const Options& options) {
  std::vector<std::uint8_t> packet(TurnSession::kChannelHeader + options.size, 0x5A);
  packet[0] = TurnSession::kChannel >> 8;
  packet[1] = TurnSession::kChannel & 0xFF;
  packet[2] = static_cast<std::uint8_t>(options.size >> 8);
  packet[3] = static_cast<std::uint8_t>(options.size & 0xFF);
  const int poller = epoll_create1(EPOLL_CLOEXEC);
  for (const TurnSession& session : sessions) {
    epoll_event event{};
    event.events = EPOLLIN;
    event.data.fd = session.socket().fd();
    epoll_ctl(poller, EPOLL_CTL_ADD, event.data.fd, &event);
  }
  Result result;
  const double total_rate = options.rate * static_cast<double>(sessions.size());
  const auto start = Clock::now();
  std::size_t next = 0;
  std::array<epoll_event, 256> events{};
  for (;;) {
    const double elapsed = std::chrono::duration<double>(Clock::now() - start).count();
    if (elapsed > options.seconds + 0.3) break;  // the last echoes come in
    const double until = std::min(elapsed, options.seconds);
    const auto due = static_cast<std::uint64_t>(until * total_rate);
    for (int burst = 0; result.sent < due && burst < 256; ++burst) {
      const int fd = sessions[next].socket().fd();
      next = (next + 1) % sessions.size();
      if (send(fd, packet.data(), packet.size(), MSG_DONTWAIT) > 0) ++result.sent;
    }
    const int ready = epoll_wait(poller, events.data(), events.size(), result.sent < due ? 0 : 1);
    for (int i = 0; i < ready; ++i) {
      result.echoed += drain(events[static_cast<std::size_t>(i)].data.fd);
    }
  }
  close(poller);
  return result;
}

Options parse(int argc, char** argv) {
  std::map<std::string, std::string> given;
  for (int i = 1; i + 1 < argc; i += 2) given[argv[i]] = argv[i + 1];
  const auto take = [&](const std::string& name, const std::string& otherwise) {
    const auto found = given.find(name);
    return found == given.end() ? otherwise : found->second;
  };
  Options options;
  const auto server = bedside::stun::Endpoint::parse(take("--server", ""));
  if (!server) {
    throw std::runtime_error(
        "usage: relay_load --server IP:PORT --secret-file FILE --pid PID"
        " [--allocations N] [--rate PACKETS-PER-SECOND] [--size BYTES] [--seconds S]");
  }
  options.server = *server;
  std::ifstream(take("--secret-file", "")) >> options.secret;
  if (options.secret.empty()) throw std::runtime_error("--secret-file names no readable secret");
  options.pid = std::stoi(take("--pid", "0"));
  options.allocations = std::stoul(take("--allocations", "1"));
  options.rate = std::stod(take("--rate", "1000"));
  options.size = std::stoul(take("--size", "1200"));
  options.seconds = std::stod(take("--seconds", "5"));
  return options;
}

int measure(const Options& options) {
  EchoPeer peer;
  std::vector<TurnSession> sessions;
  sessions.reserve(options.allocations);
  const double resident_before = resident_kib(options.pid);
  for (std::size_t i = 0; i < options.allocations; ++i) {
    sessions.emplace_back(options.server, short_lived_login(options.secret, i));
    sessions.back().allocate();
  }
  const double resident_after = resident_kib(options.pid);
  for (TurnSession& session : sessions) session.bind_channel(peer.socket().local());
  const double cpu_before = cpu_seconds(options.pid);
  const Result result = run_traffic(sessions, options);
  const double cpu = cpu_seconds(options.pid) - cpu_before;
  for (TurnSession& session : sessions) session.release();
  const double relayed = static_cast<double>(result.echoed) * 2;  // there and back
  std::printf("relayed=%.0f us_per_packet=%.3f loss_percent=%.3f kib_per_allocation=%.2f\n",
              relayed, relayed > 0 ? cpu * 1e6 / relayed : 0,
              100.0 * (1.0 - static_cast<double>(result.echoed) /
                                 static_cast<double>(std::max<std::uint64_t>(result.sent, 1))),
              (resident_after - resident_before) / static_cast<double>(options.allocations));
  return result.echoed == 0 ? 1 : 0;
}

// A port that nobody used a moment ago, for a server that the bench starts.
int print_free_port() {
  std::printf("%u\n", unsigned{LoopbackSocket().local().port});
  return 0;
}

// Does a STUN server answer there?
int probe(const std::string& where) {
  const auto server = bedside::stun::Endpoint::parse(where);
  if (!server) throw std::runtime_error("--probe needs IP:PORT");
  TurnSession(*server, {}).probe();
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  try {
    const std::string verb = argc > 1 ? argv[1] : "";
    if (verb == "--free-port") return print_free_port();
    if (verb == "--probe" && argc > 2) return probe(argv[2]);
    return measure(parse(argc, argv));
  } catch (const std::exception& error) {
    std::fprintf(stderr, "relay_load: %s\n", error.what());
    return 2;
  }
}
