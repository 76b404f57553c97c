// What strangers cost the real binary: no memory, and never much more than they spend themselves.
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>

#include <array>
#include <csignal>
#include <cstdio>
#include <fstream>
#include <string>

#include "tests/bench/turn_session.h"
#include "tests/net/dtls_client.h"
#include "tests/net/test_certificate.h"
#include "tests/server/bedside_process.h"
#include "tests/support/sanitized.h"
#include "tests/support/stranger.h"

namespace bedside::server {
namespace {

using std::chrono::milliseconds;
using stun::Attribute;
using stun::Class;
using stun::Method;
using testing_support::Datagram;
using testing_support::kSanitized;
using testing_support::Stranger;
using testing_support::unsigned_message;

constexpr milliseconds kPatience{10'000};
// A sanitizer measures nothing here and is slow: it sees that all of it is handled, with fewer.
constexpr std::uint32_t kSources = kSanitized ? 6'000 : 60'000;

long resident_kilobytes(pid_t pid) {
  std::ifstream status("/proc/" + std::to_string(pid) + "/status");
  for (std::string line; std::getline(status, line);) {
    if (line.starts_with("VmRSS:")) return std::stol(line.substr(6));
  }
  return 0;
}

Datagram client_hello() {
  const std::string hello = tests::dtls_client_hello();
  return {hello.begin(), hello.end()};
}

// Binding, Allocate, a ClientHello of DTLS and garbage from `count` source ports.
void flood(std::uint16_t port, std::uint32_t count) {
  const Datagram binding = testing_support::binding_request();
  const Datagram allocate = testing_support::allocate_request();
  const Datagram hello = client_hello();
  Datagram garbage(200, 0x2A);
  for (std::uint32_t i = 0; i < count; ++i) {
    const Stranger stranger(port, i);
    ASSERT_TRUE(stranger.ok()) << i;
    garbage[0] =
        static_cast<std::uint8_t>(i);  // every first byte there is, ChannelData and DTLS too
    stranger.send(binding);
    stranger.send(allocate);
    stranger.send(hello);
    stranger.send(garbage);
  }
}

// With a certificate, as a clinic's: UDP ports speak DTLS too.
class SecureServer : public TestServer {
 public:
  explicit SecureServer(const std::string& turn = {}) {
    configure("", turn,
              "certificate = \"" + certificate_.certificate() + "\"\nprivate_key = \"" +
                  certificate_.key() + "\"\n");
  }

 private:
  tests::TestCertificate certificate_;
};

void expect_answers(std::uint16_t port) {
  // Of a network of its own, so that the flood has not used up what it may ask for. The kernel may
  // have dropped the question behind the flood: it is asked again.
  const Stranger stranger(port, 62'000);
  for (int attempt = 0; attempt < 100; ++attempt) {
    stranger.send(testing_support::binding_request());
    if (stranger.receive(milliseconds{100})) return;
  }
  ADD_FAILURE() << "a Binding is not answered any more";
}

TEST(Flood, Sixty_thousand_sources_cost_no_memory) {
  SecureServer server;
  const BedsideProcess& process = server.start();
  flood(server.turn(), 3'000);  // first uses of code and buffers
  expect_answers(server.turn());
  const long before = resident_kilobytes(process.pid());
  flood(server.turn(), kSources);
  expect_answers(server.turn());
  const long grown = resident_kilobytes(process.pid()) - before;
  std::printf("%u sources; resident: %ld KiB, grown by %ld KiB\n", kSources, before, grown);
  if (!kSanitized) {
    EXPECT_LT(grown, 1024);
  }
  EXPECT_EQ(server.stop(SIGTERM).exit_code, 0);
}

// Allocate without integrity from many ports; an established call goes on meanwhile.
TEST(ChecklistB, Line65_a_flood_of_allocates_without_integrity) {
  SecureServer server(
      "allow_loopback_peers = true\n[[turn.user]]\nname = \"desk\"\n"
      "password = \"desk-password\"\n");
  const BedsideProcess& process = server.start();
  const stun::Endpoint relay{stun::IpAddress::v4(127, 0, 0, 1), server.turn()};
  bench::TurnSession call(relay, {"desk", "desk-password"});
  call.allocate();
  const bench::LoopbackSocket peer(stun::IpAddress::v4(127, 250, 1, 1));
  call.bind_channel(peer.local());
  flood(server.turn(), 2'000);  // first uses of code and buffers
  const long before = resident_kilobytes(process.pid());

  const Datagram allocate = testing_support::allocate_request();
  std::array<std::uint8_t, 104> media{0x40, 0x01, 0x00, 100};
  std::size_t in = 0;
  std::size_t out = 0;
  int said = 0;
  int heard = 0;
  const auto listen = [&](int patience) {
    std::array<std::uint8_t, 256> received{};
    pollfd descriptor{peer.fd(), POLLIN, 0};
    if (::poll(&descriptor, 1, patience) <= 0) return;
    heard += ::recv(peer.fd(), received.data(), received.size(), 0) == 100 ? 1 : 0;
  };
  for (std::uint32_t i = 0; i < kSources; ++i) {
    const Stranger stranger(server.turn(), i);
    ASSERT_TRUE(stranger.ok()) << i;
    stranger.send(allocate);
    in += allocate.size();
    if (i % 20 != 0) continue;
    // A word of the call in between; its arrival also lets the server catch up with the flood.
    said += ::send(call.socket().fd(), media.data(), media.size(), 0) == 104 ? 1 : 0;
    listen(1000);
    if (const auto answer = stranger.receive(milliseconds{1})) out += answer->size() * 20;
  }
  const long grown = resident_kilobytes(process.pid()) - before;
  std::printf("grown by %ld KiB; about %zu bytes in, %zu out; %d of %d packets of the call\n",
              grown, in, out, heard, said);
  if (!kSanitized) {
    EXPECT_LT(grown, 1024);
  }
  EXPECT_LT(out, 4 * in) << "one 401 of at most 128 bytes for 28, within the limit of its network";
  EXPECT_GE(heard * 1000, said * 995) << "less than 0.5 % lost";
  EXPECT_EQ(server.stop(SIGTERM).exit_code, 0);
}

struct Exchange {
  const char* what;
  Datagram question;
  std::size_t most;  // bytes of the answer; 0: none
};

std::vector<Exchange> exchanges() {
  const auto nothing = [](auto&) {};
  const auto unknown = [](auto& writer) {
    for (std::uint16_t type = 0x7000; type < 0x7020; ++type) {
      writer.add_bytes(static_cast<Attribute>(type), {});
    }
  };
  const auto half_signed = [](auto& writer) {
    writer.add_present(Attribute::message_integrity, 20);
  };
  const auto wrong_nonce = [](auto& writer) {
    writer.add_text(Attribute::username, "somebody");
    writer.add_text(Attribute::realm, "somewhere");
    writer.add_text(Attribute::nonce, "obMatJos2AAAAxxxxxxxxxxxxxxxxxxxxxx");
    writer.add_present(Attribute::message_integrity, 20);
  };
  const auto change = [](auto& writer) { writer.add_u32(Attribute::change_request, 6); };
  Datagram channel{0x40, 0x00, 0x00, 0x04, 1, 2, 3, 4};
  Datagram cut_hello = client_hello();
  cut_hello.resize(cut_hello.size() / 2);
  return {
      {"Binding", testing_support::binding_request(), 32},
      {"Binding with FINGERPRINT",
       unsigned_message(Class::request, Method::binding,
                        [](auto& writer) { writer.add_fingerprint(); }),
       40},
      {"Binding with unknown attributes",
       unsigned_message(Class::request, Method::binding, unknown), 128},
      {"Binding with CHANGE-REQUEST", unsigned_message(Class::request, Method::binding, change),
       36},
      {"Binding indication", unsigned_message(Class::indication, Method::binding, nothing), 0},
      {"Allocate", testing_support::allocate_request(), 128},
      {"Allocate without anything", unsigned_message(Class::request, Method::allocate, nothing),
       128},
      {"Allocate, incomplete", unsigned_message(Class::request, Method::allocate, half_signed), 32},
      {"Allocate with a wrong nonce",
       unsigned_message(Class::request, Method::allocate, wrong_nonce), 128},
      {"Refresh", unsigned_message(Class::request, Method::refresh, nothing), 128},
      {"CreatePermission", unsigned_message(Class::request, Method::create_permission, nothing),
       128},
      {"ChannelBind", unsigned_message(Class::request, Method::channel_bind, nothing), 128},
      {"Send", unsigned_message(Class::indication, Method::send, nothing), 0},
      {"an answer", unsigned_message(Class::success, Method::binding, nothing), 0},
      {"an unknown method", unsigned_message(Class::request, static_cast<Method>(0x777), nothing),
       0},
      {"ChannelData", channel, 0},
      {"garbage", Datagram(100, 0xAA), 0},
      {"an empty datagram", {}, 0},
      {"ClientHello of DTLS", client_hello(), 44},
      {"ClientHello of DTLS, cut", cut_hello, 0},
  };
}

TEST(Flood, What_strangers_draw_is_small) {
  SecureServer server;
  server.start();
  std::printf("%-34s %5s %5s %6s\n", "unauthenticated exchange", "in", "out", "ratio");
  std::uint32_t number = 0;
  for (const Exchange& exchange : exchanges()) {
    const Stranger stranger(server.turn(), 250 * ++number);
    stranger.send(exchange.question);
    // Silence is proven by the answer to a Binding of 20 bytes sent behind it.
    const bool silent = exchange.most == 0;
    if (silent) stranger.send(testing_support::binding_request());
    const auto answer = stranger.receive(kPatience);
    ASSERT_TRUE(answer) << exchange.what;
    const std::size_t out = silent ? answer->size() - 32 : answer->size();
    std::printf("%-34s %5zu %5zu %6.2f\n", exchange.what, exchange.question.size(), out,
                exchange.question.empty()
                    ? 0.0
                    : static_cast<double>(out) / static_cast<double>(exchange.question.size()));
    EXPECT_LE(out, exchange.most) << exchange.what;
    EXPECT_FALSE(stranger.receive(milliseconds{0})) << exchange.what << ": a second answer";
  }
  EXPECT_EQ(server.stop(SIGTERM).exit_code, 0);
}

// With behaviour discovery (RFC 5780): more in each answer, and still within the same limits.
TEST(Flood, What_strangers_draw_from_behaviour_discovery_is_small) {
  const ScratchFolder folder;
  const std::string ports[] = {std::to_string(free_port()), std::to_string(free_port())};
  const auto file = folder.write(
      "bedside.toml",
      "data_dir = \"data\"\n[https]\nlisten = []\n[http]\nlisten = \"127.0.0.1:" +
          std::to_string(free_port()) + "\"\n[operator]\nlisten = \"127.0.0.1:" +
          std::to_string(free_port()) + "\"\n[signaling]\naccess = \"open\"\n[turn]\n" +
          "behavior_discovery = true\nlisten = [\"127.0.0.1:" + ports[0] + "\", \"127.0.0.1:" +
          ports[1] + "\", \"127.0.0.2:" + ports[0] + "\", \"127.0.0.2:" + ports[1] + "\"]\n",
      0600);
  BedsideProcess process({"serve", "--config", file.string()});
  ASSERT_TRUE(process.wait_for_output("Bedside is running")) << process.wait().errors;
  const auto port = static_cast<std::uint16_t>(std::stoi(ports[0]));
  const auto padded = [](std::size_t size) {
    Datagram padding(size);
    Datagram buffer(2048);
    stun::MessageWriter writer(buffer, Class::request, Method::binding, {});
    writer.add_bytes(Attribute::padding, padding);
    buffer.resize(writer.finish().size());
    return buffer;
  };
  const auto change = [](auto& writer) { writer.add_u32(Attribute::change_request, 6); };
  const std::vector<Exchange> draws{
      {"Binding, discovery on", testing_support::binding_request(), 68},
      {"Binding with PADDING of 100", padded(100), 124},
      {"Binding with PADDING of 1500", padded(1500), 1524},
      {"Allocate with CHANGE-REQUEST", unsigned_message(Class::request, Method::allocate, change),
       128},
  };
  std::uint32_t number = 0;
  for (const Exchange& exchange : draws) {
    const Stranger stranger(port, 250 * ++number);
    stranger.send(exchange.question);
    const auto answer = stranger.receive(kPatience);
    ASSERT_TRUE(answer) << exchange.what;
    std::printf(
        "%-34s %5zu %5zu %6.2f\n", exchange.what, exchange.question.size(), answer->size(),
        static_cast<double>(answer->size()) / static_cast<double>(exchange.question.size()));
    EXPECT_LE(answer->size(), exchange.most) << exchange.what;
  }
  // One source may not have more answers by asking for them elsewhere.
  const Stranger greedy(port, 250 * 100);
  std::size_t answers = 0;
  for (int i = 0; i < 2'000; ++i) {
    greedy.send(testing_support::binding_request());
    if (i % 50 == 0) {
      while (greedy.receive(milliseconds{1})) ++answers;
    }
  }
  while (greedy.receive(milliseconds{100})) ++answers;
  std::printf("2000 requests of one source: %zu answers\n", answers);
  EXPECT_GT(answers, 0U);
  EXPECT_LT(answers, 1'500U) << "a burst of 1000, then 50 a second";
  process.signal(SIGTERM);
  EXPECT_EQ(process.wait().exit_code, 0);
}

}  // namespace
}  // namespace bedside::server
