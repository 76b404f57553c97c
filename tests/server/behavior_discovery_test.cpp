// Behaviour discovery (RFC 5780) as a client sees it on real sockets: where answers come from and
// where they arrive, over IPv4, IPv6, TCP, TLS and DTLS.
#include <gtest/gtest.h>
#include <sched.h>

#include <array>
#include <cstdlib>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "tests/server/shard_rig.h"

namespace bedside::server::testing {
namespace {

using stun::Attribute;
using stun::Method;

constexpr std::uint32_t kChangeAddress = 4;
constexpr std::uint32_t kChangePort = 2;

Fill change(std::uint32_t flags) {
  return [flags](stun::MessageWriter& writer) { writer.add_u32(Attribute::change_request, flags); };
}
Fill response_port(std::uint16_t port) {
  return [port](stun::MessageWriter& writer) {
    writer.add_u32(Attribute::response_port, std::uint32_t{port} << 16);
  };
}
Fill padding(std::size_t size) {
  return [size](stun::MessageWriter& writer) {
    writer.add_bytes(Attribute::padding, Packet(size, 0x20));
  };
}

// The endpoint in an attribute laid out like MAPPED-ADDRESS.
stun::Endpoint plain(const Reply& reply, Attribute type) {
  const stun::Bytes value = reply.view().find(type).value().value;
  const std::uint16_t port = stun::load_u16(value, 2);
  if (value[1] == 1) return {stun::IpAddress::v4(value[4], value[5], value[6], value[7]), port};
  std::array<std::uint8_t, 16> bytes{};
  std::copy_n(value.begin() + 4, bytes.size(), bytes.begin());
  return {stun::IpAddress::v6(bytes), port};
}

Packet binding(const Fill& fill = {}) {
  return Signer("", kRealm, "").request(Method::binding, {}, fill, false);
}

// Two addresses with the same two free ports.
std::vector<stun::Endpoint> four_endpoints(std::string_view first, std::string_view second) {
  for (int attempt = 0; attempt < 100; ++attempt) {
    std::array<std::uint16_t, 2> ports{};
    for (std::uint16_t& port : ports) {
      port = net::UdpSocket::bind({address(first), 0}).value().local().port;
    }
    std::vector<stun::Endpoint> four;
    for (const std::string_view host : {first, second}) {
      for (const std::uint16_t port : ports) four.push_back({address(host), port});
    }
    const bool free = std::all_of(four.begin(), four.end(), [](const stun::Endpoint& wanted) {
      return net::UdpSocket::bind(wanted).has_value();
    });
    if (free && ports[0] != ports[1]) return four;
  }
  throw std::runtime_error("no two ports are free on both addresses");
}

RigOptions discovering(std::string_view first, std::string_view second) {
  RigOptions options;
  options.listen = four_endpoints(first, second);
  options.behavior_discovery = true;
  return options;
}

// A UDP client of one of the four endpoints.
void expect_discovery_over_udp(std::string_view first, std::string_view second) {
  ShardRig rig(discovering(first, second));
  const std::vector<stun::Endpoint> four = rig.endpoints();  // A1:P1, A1:P2, A2:P1, A2:P2
  UdpEnd client(rig, stun::Endpoint{address(first), 0}.to_string());
  UdpEnd elsewhere(rig, stun::Endpoint{address(first), 0}.to_string());
  for (std::size_t asked = 0; asked < four.size(); ++asked) {
    const stun::Endpoint& other = four[asked ^ 3U];
    for (const std::uint32_t flags : {0U, kChangePort, kChangeAddress, 6U}) {
      const std::size_t wanted = asked ^ ((flags & kChangeAddress) != 0 ? 2U : 0U) ^
                                 ((flags & kChangePort) != 0 ? 1U : 0U);
      client.send(four[asked], binding(change(flags)));
      const auto answer = client.receive();
      ASSERT_TRUE(answer) << flags;
      EXPECT_EQ(answer->second, four[wanted]) << "RFC 5780 §6.1, table 1: " << flags;
      const Reply reply(answer->first);
      ASSERT_TRUE(reply.ok()) << reply.code();
      EXPECT_EQ(reply.view().xor_address(Attribute::xor_mapped_address), client.local());
      EXPECT_EQ(plain(reply, Attribute::mapped_address), client.local());
      EXPECT_EQ(plain(reply, Attribute::response_origin), four[wanted]);
      EXPECT_EQ(plain(reply, Attribute::other_address), other);
    }
  }
  // §4.6: asked on one port, answered on another, here from the other address as well.
  client.send(four[0], binding([&](stun::MessageWriter& writer) {
                response_port(elsewhere.local().port)(writer);
                change(kChangeAddress)(writer);
              }));
  const auto answer = elsewhere.receive();
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->second, four[2]);
  EXPECT_EQ(Reply(answer->first).view().xor_address(Attribute::xor_mapped_address), client.local());
  EXPECT_TRUE(client.silent()) << "answered once, and there";
  // §7.6: long enough to be fragmented, both ways.
  const Packet padded = binding(padding(1500));
  client.send(four[1], padded);
  const Reply as_long(client.receive().value().first);
  EXPECT_EQ(as_long.bytes().size(), padded.size());
  EXPECT_TRUE(as_long.has(Attribute::padding));
  client.send(four[1], binding([&](stun::MessageWriter& writer) {
                padding(100)(writer);
                response_port(elsewhere.local().port)(writer);
              }));
  EXPECT_EQ(Reply(client.receive().value().first).code(), 400) << "and to where it came from";
}

TEST(BehaviorDiscoverySockets, Over_ipv4) { expect_discovery_over_udp("127.0.0.1", "127.0.0.2"); }

// Loopback has one IPv6 address. In a network namespace of its own, which goes with its thread, it
// has two more; that takes root.
TEST(BehaviorDiscoverySockets, Over_ipv6) {
  std::string missing;
  std::thread([&missing] {
    if (::unshare(CLONE_NEWNET) != 0) {
      missing = "cannot make a network namespace (not root)";
    } else if (std::system("ip link set lo up && ip addr add fd00::1/128 dev lo && "
                           "ip addr add fd00::2/128 dev lo") != 0) {
      missing = "`ip` cannot add addresses to lo";
    } else {
      expect_discovery_over_udp("fd00::1", "fd00::2");
    }
  }).join();
  if (!missing.empty()) GTEST_SKIP() << missing << ": RFC 5780 over IPv6 was NOT checked";
}

class BehaviorDiscoveryOver : public ::testing::TestWithParam<turn::ClientTransport> {};
INSTANTIATE_TEST_SUITE_P(Streams, BehaviorDiscoveryOver,
                         ::testing::Values(turn::ClientTransport::tcp, turn::ClientTransport::tls,
                                           turn::ClientTransport::dtls),
                         [](const auto& tested) {
                           if (tested.param == turn::ClientTransport::dtls) return "Dtls";
                           return tested.param == turn::ClientTransport::tls ? "Tls" : "Tcp";
                         });

// §3.1: mapping is found out over connections too. Nothing else is: an answer cannot leave them.
TEST_P(BehaviorDiscoveryOver, A_connection_is_told_of_the_other_address_and_changes_nothing) {
  ShardRig rig(discovering("127.0.0.1", "127.0.0.2"));
  std::unique_ptr<TurnEnd> client;
  if (GetParam() == turn::ClientTransport::dtls) {
    client = std::make_unique<DtlsTurnEnd>(rig);
  } else {
    rig.open_door({}, nullptr, rig.server().port);
    client = std::make_unique<DoorTurnEnd>(rig, GetParam());
  }
  const auto ask = [&](const Fill& fill) {
    client->send(binding(fill));
    return Reply(client->receive().value());
  };
  for (const Fill& fill : {Fill{}, change(0)}) {
    const Reply told = ask(fill);
    ASSERT_TRUE(told.ok()) << told.code();
    EXPECT_EQ(plain(told, Attribute::response_origin), rig.endpoints()[0]);
    EXPECT_EQ(plain(told, Attribute::other_address), rig.endpoints()[3]);
    EXPECT_EQ(told.view().xor_address(Attribute::xor_mapped_address),
              plain(told, Attribute::mapped_address));
  }
  for (const Fill& fill : {change(kChangeAddress), change(kChangePort), change(6),
                           response_port(40'000), padding(100)}) {
    EXPECT_EQ(ask(fill).code(), 400);
  }
  EXPECT_TRUE(ask({}).ok()) << "the connection goes on";
}

}  // namespace
}  // namespace bedside::server::testing
