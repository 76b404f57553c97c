// What a relay shard does on the way to a peer: relay to relay inside the process, ICMP errors, and
// the header fields of what leaves. Lines of the relay's checklist that need sockets.
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <netinet/ip.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstring>

#include "tests/server/shard_rig.h"

namespace bedside::server::testing {
namespace {

using namespace std::chrono_literals;
using stun::Attribute;
using stun::Method;

const stun::IpAddress kExternal = stun::IpAddress::v4(203, 0, 113, 5);

// Mapped to an address no route leads to: what arrives has not crossed the kernel.
RigOptions behind_nat() {
  RigOptions options;
  options.external = {kExternal};
  options.allow_loopback_peers = false;
  return options;
}

std::uint64_t handed_over(ShardRig& rig, std::size_t shard = 0) {
  return rig.shard(shard).stats().read().packets_inside;
}

void expect_both_ways(TurnEnd& alice, TurnEnd& bob) {
  const stun::Endpoint alice_at = alice.allocate();
  const stun::Endpoint bob_at = bob.allocate();
  EXPECT_EQ(alice_at.address, kExternal);
  ASSERT_TRUE(alice.ask(Method::channel_bind, channel(0x4000, bob_at)).ok());
  ASSERT_TRUE(bob.ask(Method::create_permission, peers({alice_at})).ok());
  for (const std::string_view payload : {"1", "22", "333", "4444", ""}) {  // every padding
    alice.send(channel_data(0x4000, payload));
    const Received at_bob = read(bob.receive().value());
    EXPECT_EQ(at_bob.peer, alice_at) << "the relayed address, as peers see it";
    EXPECT_EQ(at_bob.payload, payload);
    bob.send(send_indication(alice_at, payload));
    const Received at_alice = read(alice.receive().value());
    EXPECT_EQ(at_alice.channel, 0x4000);
    EXPECT_EQ(at_alice.payload, payload);
  }
}

TEST(ChecklistB, Line63_RelayToRelayBetweenUdpClientsStaysInTheProcess) {
  ShardRig rig(behind_nat());
  UdpTurnEnd alice(rig);
  UdpTurnEnd bob(rig);
  expect_both_ways(alice, bob);
  EXPECT_EQ(handed_over(rig), 10U);
}

TEST(ChecklistB, Line63_RelayToRelayBetweenStreamClientsStaysInTheProcess) {
  ShardRig rig(behind_nat());
  TcpTurnEnd alice(rig);
  TcpTurnEnd bob(rig);
  expect_both_ways(alice, bob);
  EXPECT_EQ(handed_over(rig), 10U);
}

TEST(ChecklistB, Line63_RelayToRelayBetweenAStreamAndUdpStaysInTheProcess) {
  ShardRig rig(behind_nat());
  TcpTurnEnd alice(rig);
  UdpTurnEnd bob(rig);
  expect_both_ways(alice, bob);
}

TEST(RelayInside, A_client_reaches_itself) {
  ShardRig rig(behind_nat());
  UdpTurnEnd alice(rig);
  const stun::Endpoint at = alice.allocate();
  ASSERT_TRUE(alice.ask(Method::create_permission, peers({at})).ok());
  alice.send(send_indication(at, "echo"));
  EXPECT_EQ(read(alice.receive().value()).payload, "echo");
}

TEST(RelayInside, Both_sides_need_a_permission) {
  ShardRig rig(behind_nat());
  UdpTurnEnd alice(rig);
  UdpTurnEnd bob(rig);
  const stun::Endpoint alice_at = alice.allocate();
  const stun::Endpoint bob_at = bob.allocate();
  alice.send(send_indication(bob_at, "nobody permitted anything"));
  EXPECT_TRUE(alice.udp.silent());
  EXPECT_EQ(handed_over(rig), 0U);
  ASSERT_TRUE(alice.ask(Method::create_permission, peers({bob_at})).ok());
  alice.send(send_indication(bob_at, "bob did not permit alice"));
  EXPECT_TRUE(alice.udp.silent());
  EXPECT_TRUE(bob.udp.silent());
  EXPECT_EQ(handed_over(rig), 1U);
  ASSERT_TRUE(bob.ask(Method::create_permission, peers({alice_at})).ok());
  alice.send(send_indication(bob_at, "both did"));
  EXPECT_EQ(read(bob.receive().value()).payload, "both did");
}

TEST(RelayInside, A_burst_keeps_its_order) {
  ShardRig rig(behind_nat());
  UdpTurnEnd alice(rig);
  UdpTurnEnd bob(rig);
  const stun::Endpoint alice_at = alice.allocate();
  ASSERT_TRUE(alice.ask(Method::channel_bind, channel(0x4000, bob.allocate())).ok());
  ASSERT_TRUE(bob.ask(Method::channel_bind, channel(0x4001, alice_at)).ok());
  for (int i = 0; i < 500; ++i) alice.send(channel_data(0x4000, std::to_string(i)));
  for (int i = 0; i < 500; ++i) {
    ASSERT_EQ(read(bob.receive().value()).payload, std::to_string(i));
  }
}

TEST(RelayInside, Other_shards_are_reached_through_their_queues) {
  RigOptions options = behind_nat();
  ShardRig rig(options);
  for (int i = 0; i < 2; ++i) rig.add_shard();
  rig.shard(1).start();
  rig.shard(2).start();  // shard 0 runs on this thread, in the clients' waits
  std::vector<std::unique_ptr<UdpTurnEnd>> clients;
  std::vector<stun::Endpoint> at;
  for (int i = 0; i < 12; ++i) {
    clients.push_back(std::make_unique<UdpTurnEnd>(rig));
    at.push_back(clients.back()->allocate());
  }
  std::uint64_t crossed = 0;
  for (std::size_t i = 0; i < clients.size(); ++i) {
    const std::size_t next = (i + 1) % clients.size();
    ASSERT_TRUE(clients[i]->ask(Method::channel_bind, channel(0x4000, at[next])).ok());
    ASSERT_TRUE(clients[next]->ask(Method::create_permission, peers({at[i]})).ok());
    for (int k = 0; k < 20; ++k) {
      clients[i]->send(channel_data(0x4000, std::to_string(k)));
      const Received got = read(clients[next]->receive().value());
      EXPECT_EQ(got.payload, std::to_string(k));
      EXPECT_EQ(got.peer, at[i]);
    }
    const auto here = rig.live_relays().locate(at[i]);
    const auto there = rig.live_relays().locate(at[next]);
    crossed += here && there && here->shard != there->shard ? 1 : 0;
  }
  EXPECT_GT(crossed, 0U) << "the kernel spreads clients over the shards";
  for (std::size_t i = 0; i < 3; ++i) rig.shard(i).stop();
  EXPECT_EQ(handed_over(rig, 0) + handed_over(rig, 1) + handed_over(rig, 2), 240U);
}

TEST(ChecklistB, Line64_OurListeningPortIsRefusedAlsoBehindTheMapping) {
  ShardRig rig(behind_nat());
  UdpTurnEnd alice(rig);
  alice.allocate();
  const stun::Endpoint outside{kExternal, rig.server().port};
  EXPECT_EQ(alice.ask(Method::channel_bind, channel(0x4000, outside)).code(), 403);
  EXPECT_EQ(alice.ask(Method::channel_bind, channel(0x4000, rig.server())).code(), 403);
}

// A port nobody listens on: the kernel answers with "port unreachable".
stun::Endpoint closed_port(std::string_view bind) {
  return net::UdpSocket::bind(endpoint(bind)).value().local();
}

void expect_unreachable(ShardRig& rig, std::string_view loopback, std::uint8_t family_number,
                        std::uint16_t type_and_code) {
  const std::string any_port = std::string(loopback) + ":0";
  UdpTurnEnd alice(rig, any_port);
  UdpEnd listener(rig, any_port);
  alice.allocate(family(Attribute::requested_address_family, family_number));
  const stun::Endpoint nobody = closed_port(any_port);
  ASSERT_TRUE(alice.ask(Method::channel_bind, channel(0x4000, nobody)).ok());
  alice.send(channel_data(0x4000, "hello?"));
  const Packet packet = alice.receive().value();
  const auto message = stun::MessageView::parse(packet).value();
  EXPECT_TRUE(message.is(stun::Class::indication, Method::data)) << "also with a channel";
  EXPECT_EQ(message.xor_address(Attribute::xor_peer_address), nobody);
  EXPECT_FALSE(message.has(Attribute::data));
  EXPECT_FALSE(message.has(Attribute::message_integrity));
  const auto icmp = message.find(Attribute::icmp).value().value;
  ASSERT_EQ(icmp.size(), 8U);
  EXPECT_EQ(stun::load_u32(icmp, 0), type_and_code);
  EXPECT_EQ(stun::load_u32(icmp, 4), 0U);

  // An error about one peer costs no other peer's datagram.
  ASSERT_TRUE(alice.ask(Method::channel_bind, channel(0x4001, listener.local())).ok());
  alice.send(channel_data(0x4000, "again"));
  alice.send(channel_data(0x4001, "hello!"));
  EXPECT_EQ(stun::as_text(listener.receive().value().first), "hello!");
}

TEST(ChecklistB, Line48_AnUnreachablePeerIsADataIndicationWithIcmpAndWithoutData) {
  ShardRig rig;
  expect_unreachable(rig, "127.0.0.1", 1, (3U << 9U) | 3U);
  EXPECT_GE(rig.shard().stats().read().icmp_to_client, 1U);
}

TEST(ChecklistB, Line48_AnUnreachableIpv6PeerToo) {
  RigOptions options;
  options.listen = {endpoint("[::1]:0")};
  ShardRig rig(options);
  expect_unreachable(rig, "[::1]", 2, (1U << 9U) | 4U);
}

struct HeaderFields {
  bool dont_fragment;
  int type_of_service;
  int time_to_live;
};

// The IPv4 header of the next datagram for `port`, as a raw socket sees it.
HeaderFields header_of_next(ShardRig& rig, int raw, std::uint16_t port) {
  HeaderFields fields{};
  std::array<std::uint8_t, 2048> packet{};
  const bool seen = rig.run_until([&] {
    const auto size = ::recv(raw, packet.data(), packet.size(), MSG_DONTWAIT);
    if (size < 28) return false;
    const std::size_t header = (packet[0] & 0x0FU) * std::size_t{4};
    if (stun::load_u16(packet, header + 2) != port) return false;
    fields = {(packet[6] & 0x40U) != 0, packet[1], packet[8]};
    return true;
  });
  EXPECT_TRUE(seen);
  return fields;
}

TEST(ChecklistB, Line66_HeaderFieldsAreTheDefaultsAndDontFragmentOnlyWhenAsked) {
  const net::Fd raw(::socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_UDP));
  if (!raw) GTEST_SKIP() << "reading IP headers needs CAP_NET_RAW";
  ShardRig rig;
  UdpTurnEnd alice(rig);
  UdpEnd peer(rig);
  const stun::Endpoint to = peer.local();
  alice.allocate();
  ASSERT_TRUE(alice.ask(Method::create_permission, peers({to})).ok());
  // What the client's own packets carry is not copied: expedited forwarding, ECN-capable, TTL 9.
  const int service = 0xB9;
  const int time_to_live = 9;
  ::setsockopt(alice.udp.fd(), IPPROTO_IP, IP_TOS, &service, sizeof service);
  ::setsockopt(alice.udp.fd(), IPPROTO_IP, IP_TTL, &time_to_live, sizeof time_to_live);

  alice.send(send_indication(to, "may be fragmented"));
  const HeaderFields plain = header_of_next(rig, raw.get(), to.port);
  EXPECT_FALSE(plain.dont_fragment);
  EXPECT_EQ(plain.type_of_service, 0);
  EXPECT_GE(plain.time_to_live, 32);

  alice.send(send_indication(to, "must not", true));
  EXPECT_TRUE(header_of_next(rig, raw.get(), to.port).dont_fragment);
  alice.send(send_indication(to, "may again"));
  EXPECT_FALSE(header_of_next(rig, raw.get(), to.port).dont_fragment);
}

}  // namespace
}  // namespace bedside::server::testing
