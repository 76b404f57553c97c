// What an established call loses while strangers send as fast as they can.
//
//   stranger_flood --port 3478 --secret-file FILE --pid PID --seconds 10
//
// One call relays 200 packets a second of 1,000 bytes to a peer, first in peace, then beside a
// flood of Binding, Allocate and garbage from many sources. Prints for both: the call's loss,
// hostile datagrams a second, and how much the server's memory grew.
#include <poll.h>
#include <sys/socket.h>

#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "tests/bench/turn_session.h"
#include "tests/support/stranger.h"

namespace {

using bedside::bench::LoopbackSocket;
using bedside::bench::TurnSession;
using bedside::testing_support::Datagram;
using bedside::testing_support::Stranger;
using Clock = std::chrono::steady_clock;

constexpr std::size_t kPayload = 1000;
constexpr std::chrono::milliseconds kPause{5};

struct Options {
  std::uint16_t port = 0;
  std::string secret;
  int pid = 0;
  int seconds = 10;
};

long resident_kilobytes(int pid) {
  std::ifstream status("/proc/" + std::to_string(pid) + "/status");
  for (std::string line; std::getline(status, line);) {
    if (line.starts_with("VmRSS:")) return std::stol(line.substr(6));
  }
  return 0;
}

// Sends without a pause until told to stop. Returns how many datagrams.
std::uint64_t flood(std::uint16_t port, const std::atomic<bool>& stop) {
  std::vector<Stranger> strangers;
  for (std::uint32_t i = 0; i < 500; ++i) strangers.emplace_back(port, i * 50);
  const std::vector<Datagram> packets{bedside::testing_support::binding_request(),
                                      bedside::testing_support::allocate_request(),
                                      Datagram(200, 0xAA), Datagram(200, 0x41)};
  std::uint64_t sent = 0;
  while (!stop) {
    for (const Stranger& stranger : strangers) stranger.send(packets[sent++ % packets.size()]);
  }
  return sent;
}

int drain(const LoopbackSocket& peer, int patience_ms) {
  std::vector<std::uint8_t> buffer(2048);
  int received = 0;
  pollfd descriptor{peer.fd(), POLLIN, 0};
  while (poll(&descriptor, 1, received == 0 ? patience_ms : 0) > 0) {
    if (recv(peer.fd(), buffer.data(), buffer.size(), 0) <= 0) break;
    ++received;
  }
  return received;
}

struct Call {
  int sent = 0;
  int received = 0;
  double loss() const { return 100.0 * (sent - received) / std::max(sent, 1); }
};

Call talk(const TurnSession& session, const LoopbackSocket& peer, int seconds) {
  std::vector<std::uint8_t> packet(TurnSession::kChannelHeader + kPayload, 0x55);
  bedside::stun::store_u16(packet, 0, TurnSession::kChannel);
  bedside::stun::store_u16(packet, 2, kPayload);
  Call call;
  auto next = Clock::now();
  const auto end = next + std::chrono::seconds(seconds);
  while (next < end) {
    std::this_thread::sleep_until(next);
    next += kPause;
    if (send(session.socket().fd(), packet.data(), packet.size(), 0) > 0) ++call.sent;
    call.received += drain(peer, 0);
  }
  while (const int late = drain(peer, 500)) call.received += late;
  return call;
}

Options parse(int argc, char** argv) {
  Options options;
  for (int i = 1; i + 1 < argc; i += 2) {
    const std::string name = argv[i];
    const std::string value = argv[i + 1];
    if (name == "--port") options.port = static_cast<std::uint16_t>(std::stoi(value));
    if (name == "--secret-file") std::getline(std::ifstream(value) >> std::ws, options.secret);
    if (name == "--pid") options.pid = std::stoi(value);
    if (name == "--seconds") options.seconds = std::stoi(value);
  }
  if (options.port == 0 || options.secret.empty()) throw std::runtime_error("see the source");
  return options;
}

void run(const Options& options) {
  const auto expiry = std::chrono::duration_cast<std::chrono::seconds>(
                          std::chrono::system_clock::now().time_since_epoch()) +
                      std::chrono::minutes(10);
  TurnSession session(
      {bedside::stun::IpAddress::v4(127, 0, 0, 1), options.port},
      bedside::bench::rest_login(options.secret, std::to_string(expiry.count()) + ":flood"));
  session.allocate();
  const LoopbackSocket peer;
  session.bind_channel(peer.local());

  const Call quiet = talk(session, peer, options.seconds);
  std::printf("in peace: %d packets, %.2f %% lost\n", quiet.sent, quiet.loss());
  const long before = resident_kilobytes(options.pid);
  std::atomic<bool> stop = false;
  std::uint64_t hostile = 0;
  std::thread flooder([&] { hostile = flood(options.port, stop); });
  const Call besieged = talk(session, peer, options.seconds);
  stop = true;
  flooder.join();
  std::printf(
      "beside %.0f hostile datagrams/s: %d packets, %.2f %% lost, memory grown by %ld KiB\n",
      static_cast<double>(hostile) / options.seconds, besieged.sent, besieged.loss(),
      resident_kilobytes(options.pid) - before);
  session.release();
}

}  // namespace

int main(int argc, char** argv) {
  try {
    run(parse(argc, argv));
  } catch (const std::exception& e) {
    std::fprintf(stderr, "stranger_flood: %s\n", e.what());
    return 1;
  }
  return 0;
}
