// Calls that go through the relay from one side to the other, for as long as somebody watches.
//
//   relayed_calls --server 127.0.0.1:3478 --secret-file FILE --calls 20 --rate 50 --size 1000
//
// Each call has two allocations whose peers are each other's relayed addresses, and both sides send
// `rate` ChannelData packets a second. Allocations, permissions and channels are refreshed as
// clients do. Prints a line of JSON every five seconds: packets sent and arrived so far, calls of
// which nothing arrived on a side in that time, the longest silence of any side in it, and refused
// refreshes. Ends with its standard input.
#include <poll.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <map>
#include <stdexcept>
#include <string>
#include <vector>

#include "tests/bench/turn_session.h"

namespace {

using bedside::bench::TurnSession;
using Clock = std::chrono::steady_clock;
using std::chrono::seconds;

constexpr seconds kReportEvery{5};
constexpr seconds kRefreshEvery{60};

struct Options {
  bedside::stun::Endpoint server;
  std::string secret;
  std::size_t calls = 20;
  double rate = 50;
  std::size_t size = 1000;
};

struct Side {
  TurnSession session;
  bedside::stun::Endpoint peer{};
  std::uint64_t arrived = 0;  // since the last report
  Clock::time_point heard{};  // the last packet
  Clock::duration silence{};  // the longest since the last report
};

class Calls {
 public:
  explicit Calls(const Options& options)
      : options_(options), poller_(epoll_create1(EPOLL_CLOEXEC)) {
    const auto expiry =
        std::chrono::duration_cast<seconds>(std::chrono::system_clock::now().time_since_epoch()) +
        std::chrono::hours(2);
    for (std::size_t i = 0; i < 2 * options.calls; ++i) {
      const std::string user = std::to_string(expiry.count()) + ":call-" + std::to_string(i);
      sides_.push_back(
          {TurnSession(options.server, bedside::bench::rest_login(options.secret, user))});
      sides_.back().session.allocate();
    }
    for (std::size_t i = 0; i < sides_.size(); ++i) {
      sides_[i].peer = sides_[i ^ 1U].session.relayed().value();
      sides_[i].session.bind_channel(sides_[i].peer);
      epoll_event event{};
      event.events = EPOLLIN;
      event.data.u64 = i;
      epoll_ctl(poller_, EPOLL_CTL_ADD, sides_[i].session.socket().fd(), &event);
    }
  }
  ~Calls() { close(poller_); }
  Calls(const Calls&) = delete;
  Calls& operator=(const Calls&) = delete;

  void run() {
    packet_.assign(TurnSession::kChannelHeader + options_.size, 0x5A);
    packet_[0] = TurnSession::kChannel >> 8;
    packet_[1] = TurnSession::kChannel & 0xFF;
    packet_[2] = static_cast<std::uint8_t>(options_.size >> 8);
    packet_[3] = static_cast<std::uint8_t>(options_.size & 0xFF);
    const auto start = Clock::now();
    auto reported = start;
    auto refreshed = start;
    for (Side& side : sides_) side.heard = start;
    for (auto now = start; watched(); now = Clock::now()) {
      send_due(std::chrono::duration<double>(now - start).count());
      receive();
      if (now - refreshed >= kRefreshEvery) {
        refreshed = now;
        for (Side& side : sides_) side.session.keep_alive(side.peer);
      }
      if (now - reported >= kReportEvery) {
        reported = now;
        report(now);
      }
    }
    for (Side& side : sides_) side.session.release();
  }

 private:
  static bool watched() {
    pollfd input{STDIN_FILENO, POLLIN, 0};
    return poll(&input, 1, 0) == 0;
  }

  // Sides take turns, so that the load is even.
  void send_due(double elapsed) {
    const auto due =
        static_cast<std::uint64_t>(elapsed * options_.rate * static_cast<double>(sides_.size()));
    for (int burst = 0; sent_ < due && burst < 64; ++burst) {
      const int fd = sides_[next_].session.socket().fd();
      next_ = (next_ + 1) % sides_.size();
      if (send(fd, packet_.data(), packet_.size(), MSG_DONTWAIT) > 0) ++sent_;
    }
  }

  void receive() {
    std::array<epoll_event, 64> events{};
    const int ready = epoll_wait(poller_, events.data(), events.size(), 1);
    std::array<std::uint8_t, 2048> buffer;
    for (int i = 0; i < ready; ++i) {
      Side& side = sides_[events[static_cast<std::size_t>(i)].data.u64];
      for (;;) {
        const auto size =
            recv(side.session.socket().fd(), buffer.data(), buffer.size(), MSG_DONTWAIT);
        if (size <= 0) break;
        if ((buffer[0] & 0xC0) == 0) {  // STUN: an answer to a refresh
          if ((buffer[0] & 0x01) != 0 && (buffer[1] & 0x10) != 0) ++refused_;
          continue;
        }
        const auto now = Clock::now();
        side.silence = std::max(side.silence, now - side.heard);
        side.heard = now;
        ++side.arrived;
        ++arrived_;
      }
    }
  }

  void report(Clock::time_point now) {
    std::size_t silent = 0;
    Clock::duration longest{};
    for (std::size_t i = 0; i < sides_.size(); i += 2) {
      if (sides_[i].arrived == 0 || sides_[i + 1].arrived == 0) ++silent;
    }
    for (Side& side : sides_) {
      longest = std::max({longest, side.silence, now - side.heard});
      side.silence = {};
      side.arrived = 0;
    }
    std::printf(
        R"({"sent":%llu,"arrived":%llu,"silent_calls":%zu,"longest_silence_ms":%.0f,"refused":%llu})"
        "\n",
        static_cast<unsigned long long>(sent_), static_cast<unsigned long long>(arrived_), silent,
        std::chrono::duration<double, std::milli>(longest).count(),
        static_cast<unsigned long long>(refused_));
    std::fflush(stdout);
  }

  const Options options_;
  const int poller_;
  std::vector<Side> sides_;  // two a call
  std::vector<std::uint8_t> packet_;
  std::size_t next_ = 0;
  std::uint64_t sent_ = 0;
  std::uint64_t arrived_ = 0;
  std::uint64_t refused_ = 0;
};

Options parse(int argc, char** argv) {
  std::map<std::string, std::string> given;
  for (int i = 1; i + 1 < argc; i += 2) given[argv[i]] = argv[i + 1];
  Options options;
  const auto server = bedside::stun::Endpoint::parse(given["--server"]);
  std::ifstream(given["--secret-file"]) >> options.secret;
  if (!server || options.secret.empty()) {
    throw std::runtime_error(
        "usage: relayed_calls --server IP:PORT --secret-file FILE [--calls N] [--rate N] [--size "
        "N]");
  }
  options.server = *server;
  if (given.contains("--calls")) options.calls = std::stoul(given["--calls"]);
  if (given.contains("--rate")) options.rate = std::stod(given["--rate"]);
  if (given.contains("--size")) options.size = std::stoul(given["--size"]);
  return options;
}

}  // namespace

int main(int argc, char** argv) {
  try {
    Calls(parse(argc, argv)).run();
    return 0;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "relayed_calls: %s\n", error.what());
    return 2;
  }
}
