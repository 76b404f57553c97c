// A relay shard on real loopback sockets.
#include "server/relay_shard.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/server/shard_rig.h"
#include "turn/channel_data.h"

namespace bedside::server::testing {
namespace {

using namespace std::chrono_literals;
using stun::Attribute;
using stun::Method;
using turn::AllocationClosed;
using turn::AllocationOpened;

std::string text_of(const Packet& packet) { return {packet.begin(), packet.end()}; }

Packet packet_of(std::string_view text) { return {text.begin(), text.end()}; }

TEST(RelayShard, Relays_both_ways_over_udp) {
  ShardRig rig;
  UdpTurnEnd alice(rig);
  UdpEnd peer(rig);
  const stun::Endpoint relayed = alice.allocate();
  ASSERT_TRUE(alice.ask(Method::create_permission, peers({peer.local()})).ok());

  alice.send(send_indication(peer.local(), "hello"));
  const auto heard = peer.receive().value();
  EXPECT_EQ(text_of(heard.first), "hello");
  EXPECT_EQ(heard.second, relayed);

  peer.send(relayed, packet_of("answer"));
  Received received = read(alice.receive().value());
  EXPECT_EQ(received.payload, "answer");
  EXPECT_EQ(received.peer, peer.local());

  ASSERT_TRUE(alice.ask(Method::channel_bind, channel(0x4001, peer.local())).ok());
  alice.send(channel_data(0x4001, "short"));
  EXPECT_EQ(text_of(peer.receive().value().first), "short");
  peer.send(relayed, packet_of("way"));
  received = read(alice.receive().value());
  EXPECT_EQ(received.channel, 0x4001);
  EXPECT_EQ(received.payload, "way");
}

TEST(RelayShard, A_burst_keeps_its_order) {
  ShardRig rig;
  UdpTurnEnd alice(rig);
  UdpEnd peer(rig);
  alice.allocate();
  alice.ask(Method::channel_bind, channel(0x4001, peer.local()));
  constexpr int kPackets = 500;  // several batches
  for (int i = 0; i < kPackets; ++i) alice.send(channel_data(0x4001, std::to_string(i)));
  for (int i = 0; i < kPackets; ++i) {
    ASSERT_EQ(text_of(peer.receive().value().first), std::to_string(i));
  }
}

TEST(RelayShard, B58_B63_relays_between_tcp_and_udp_clients_of_its_own) {
  RigOptions options;
  options.allow_loopback_peers = false;  // our own relay ports need no permission to be loopback
  ShardRig rig(options);
  TcpTurnEnd alice(rig);
  UdpTurnEnd bob(rig);
  const stun::Endpoint alice_at = alice.allocate();
  const stun::Endpoint bob_at = bob.allocate();
  ASSERT_TRUE(alice.ask(Method::channel_bind, channel(0x4000, bob_at)).ok());
  ASSERT_TRUE(bob.ask(Method::channel_bind, channel(0x4100, alice_at)).ok());

  for (const std::string_view payload : {"1", "22", "333", "4444", ""}) {  // every padding
    alice.send(channel_data(0x4000, payload));
    const Received at_bob = read(bob.receive().value());
    EXPECT_EQ(at_bob.channel, 0x4100);
    EXPECT_EQ(at_bob.payload, payload);
    bob.send(channel_data(0x4100, payload));
    const Received at_alice = read(alice.receive().value());
    EXPECT_EQ(at_alice.channel, 0x4000);
    EXPECT_EQ(at_alice.payload, payload);
  }
  alice.tcp->close();
  ASSERT_TRUE(rig.run_until([&] { return rig.shard().stats().read().allocations == 1; }));
  const auto closed = rig.events<AllocationClosed>();
  ASSERT_EQ(closed.size(), 1U);
  EXPECT_EQ(closed[0].reason, turn::CloseReason::connection_closed);
  EXPECT_EQ(closed[0].party.client.transport, turn::ClientTransport::tcp);
}

TEST(RelayShard, Our_own_address_is_refused_unless_a_relay_port_lives_there) {
  RigOptions options;
  options.allow_loopback_peers = false;
  ShardRig rig(options);
  UdpTurnEnd alice(rig);
  UdpEnd bystander(rig);
  alice.allocate();
  EXPECT_EQ(alice.ask(Method::channel_bind, channel(0x4000, bystander.local())).code(), 403);
  EXPECT_EQ(alice.ask(Method::channel_bind, channel(0x4000, rig.server())).code(), 403);
  alice.ask(Method::create_permission, peers({bystander.local()}));
  alice.send(send_indication(bystander.local(), "x"));
  EXPECT_TRUE(alice.udp.silent());
  EXPECT_EQ(rig.shard().stats().read().packets_to_peer, 0U);
}

TEST(RelayShard, Behind_a_1_to_1_nat_two_relay_ports_reach_each_other) {
  RigOptions options;
  options.external = {stun::IpAddress::parse("203.0.113.5").value()};
  ShardRig rig(options);
  UdpTurnEnd alice(rig);
  UdpTurnEnd bob(rig);
  const stun::Endpoint alice_at = alice.allocate();
  const stun::Endpoint bob_at = bob.allocate();
  EXPECT_EQ(alice_at.address, options.external[0]);
  ASSERT_TRUE(alice.ask(Method::channel_bind, channel(0x4000, bob_at)).ok());
  ASSERT_TRUE(bob.ask(Method::create_permission, peers({alice_at})).ok());
  alice.send(channel_data(0x4000, "through the mapping"));
  const Received received = read(bob.receive().value());
  EXPECT_EQ(received.payload, "through the mapping");
  EXPECT_EQ(received.peer, alice_at);
}

TEST(RelayShard, B62_answers_leave_from_the_address_that_was_asked) {
  RigOptions options;
  options.listen = {endpoint("0.0.0.0:0"), endpoint("[::]:0")};
  options.external = {};
  ShardRig rig(options);
  for (const std::string_view asked : {"127.0.0.1", "127.0.0.2", "127.8.9.10"}) {
    UdpTurnEnd client(rig, "127.0.0.1:0");
    client.server = {stun::IpAddress::parse(asked).value(), rig.endpoints()[0].port};
    const Reply reply = client.ask(Method::refresh);  // receive() checks the source
    EXPECT_EQ(reply.code(), 437);
  }
  UdpTurnEnd six(rig, "[::1]:0");
  six.server = {stun::IpAddress::parse("::1").value(), rig.endpoints()[1].port};
  EXPECT_EQ(six.ask(Method::refresh).code(), 437);
}

TEST(RelayShard, Serves_ipv6_clients_and_peers) {
  RigOptions options;
  options.listen = {endpoint("[::1]:0")};
  ShardRig rig(options);
  UdpTurnEnd alice(rig, "[::1]:0");
  UdpEnd peer(rig, "[::1]:0");
  const auto relayed = alice.allocate(family(Attribute::requested_address_family, 2));
  ASSERT_TRUE(alice.ask(Method::create_permission, peers({peer.local()})).ok());
  alice.send(send_indication(peer.local(), "six"));
  EXPECT_EQ(peer.receive().value().second, relayed);
  peer.send(relayed, packet_of("back"));
  EXPECT_EQ(read(alice.receive().value()).payload, "back");
}

TEST(RelayShard, Garbage_on_a_stream_closes_it_and_silence_answers_it_on_udp) {
  ShardRig rig;
  TcpTurnEnd client(rig);
  client.allocate();
  client.tcp->send("POST / HTTP/1.1\r\n\r\n");
  EXPECT_TRUE(rig.run_until([&] { return client.tcp->ended(); }));
  EXPECT_TRUE(rig.run_until([&] { return rig.shard().stats().read().allocations == 0; }));

  UdpEnd stranger(rig);
  for (const std::string_view noise : {"", "GET / HTTP/1.1", "\x40", "\x7f\x7f\x7f\x7f"}) {
    stranger.send(rig.server(), packet_of(noise));
  }
  EXPECT_TRUE(stranger.silent());
}

TEST(RelayShard, B59_a_slow_reader_loses_media_but_gets_its_answers) {
  ShardRig rig;
  TcpTurnEnd slow(rig, 4096);
  UdpEnd peer(rig);
  const stun::Endpoint relayed = slow.allocate();
  slow.ask(Method::channel_bind, channel(0x4000, peer.local()));
  slow.tcp->stop_reading();
  const Packet kilobyte(1000, 'x');
  constexpr int kPackets = 2000;  // more than every buffer on the way holds
  for (int i = 0; i < kPackets; ++i) {
    peer.send(relayed, kilobyte);
    if (i % 50 == 0) {  // in portions, so that UDP itself loses nothing
      const std::uint64_t sent = static_cast<std::uint64_t>(i) + 1;
      rig.run_until([&] { return rig.shard().stats().read().packets_to_client >= sent; });
    }
  }
  stun::TransactionId id{};
  id.fill(0x77);
  slow.send(slow.signer.request(Method::refresh, id, {}));
  slow.tcp->start_reading();
  std::size_t media = 0;
  bool answered = false;
  while (!answered) {
    const auto frame = slow.receive();
    ASSERT_TRUE(frame);
    if (turn::classify((*frame)[0]) == turn::PacketKind::stun) {
      answered = Reply(*frame).ok();
    } else {
      ++media;
    }
  }
  EXPECT_GT(media, 100U);
  EXPECT_LT(media, std::size_t{kPackets} - 100) << "the queue must be bounded";
}

TEST(RelayShard, Events_that_find_the_mailbox_full_wait_and_new_allocations_are_refused) {
  RigOptions options;
  options.event_queue = 1;
  ShardRig rig(options);
  UdpTurnEnd first(rig);
  UdpTurnEnd second(rig);
  UdpTurnEnd third(rig);
  first.allocate();   // its event takes the only place
  second.allocate();  // its event waits
  EXPECT_EQ(third.ask(Method::allocate, udp_transport()).code(), 508);
  EXPECT_TRUE(first.ask(Method::refresh).ok()) << "existing calls go on";
  EXPECT_EQ(rig.undelivered(), 1U);

  // The refusal itself is the third event.
  ASSERT_TRUE(rig.run_until([&] { return rig.events<turn::QuotaReached>().size() == 1; }));
  EXPECT_EQ(rig.events<AllocationOpened>().size(), 2U);
  EXPECT_TRUE(third.ask(Method::allocate, udp_transport()).ok());
}

TEST(RelayShard, Revoking_and_draining_work_from_outside) {
  ShardRig rig;
  rig.participants().add("p1");
  UdpTurnEnd visitor(rig);
  const turn::Now now{{},
                      std::chrono::duration_cast<std::chrono::seconds>(
                          std::chrono::system_clock::now().time_since_epoch())};
  const auto issued = rig.credentials().issue_for_participant("room", "p1", now, 600s).value();
  visitor.signer = Signer(issued.username, kRealm, issued.password);
  visitor.allocate();
  rig.participants().remove("p1");
  ASSERT_TRUE(rig.shard().revoke_participant("p1"));
  EXPECT_TRUE(rig.run_until([&] { return rig.shard().stats().read().allocations == 0; }));
  EXPECT_EQ(rig.events<AllocationClosed>().at(0).party.participant, "p1");

  ASSERT_TRUE(rig.shard().set_draining(true));
  UdpTurnEnd late(rig);
  EXPECT_EQ(late.ask(Method::allocate, udp_transport()).code(), 508);
}

TEST(RelayShard, A_draining_shard_names_the_alternate_server_until_it_accepts_again) {
  RigOptions options;
  options.alternate_server = endpoint("203.0.113.9:3478");
  ShardRig rig(options);
  UdpTurnEnd before(rig);
  UdpTurnEnd late(rig);
  before.allocate();
  ASSERT_TRUE(rig.shard().set_draining(true));
  const Reply reply = late.ask(Method::allocate, udp_transport());
  EXPECT_EQ(reply.code(), 300);
  EXPECT_TRUE(reply.has(Attribute::alternate_server));
  EXPECT_TRUE(stun::verify_integrity(reply.view(), late.signer.key.bytes()));
  EXPECT_TRUE(before.ask(Method::refresh).ok());
  EXPECT_EQ(rig.shard().stats().read().redirects, 1U);
  ASSERT_TRUE(rig.shard().set_draining(false));
  late.allocate();
}

TEST(RelayShard, A_stricter_policy_ends_a_call_at_once) {
  ShardRig rig;
  UdpTurnEnd alice(rig);
  UdpEnd peer(rig);
  const stun::Endpoint relayed = alice.allocate();
  ASSERT_TRUE(alice.ask(Method::channel_bind, channel(0x4000, peer.local())).ok());
  ASSERT_TRUE(rig.shard().set_peer_policy(turn::PeerPolicy::make({}).value()));  // no loopback
  EXPECT_EQ(alice.ask(Method::channel_bind, channel(0x4000, peer.local())).code(), 403);
  alice.send(channel_data(0x4000, "x"));
  peer.send(relayed, packet_of("y"));
  EXPECT_TRUE(alice.udp.silent());
  EXPECT_EQ(rig.shard().stats().read().packets_to_peer, 0U);
}

TEST(RelayShard, Stopping_ends_every_allocation_and_tells_it) {
  ShardRig rig;
  UdpTurnEnd alice(rig);
  TcpTurnEnd bob(rig);
  alice.allocate();
  const stun::Endpoint relayed = bob.allocate();
  rig.shard().stop();
  const auto closed = rig.events<AllocationClosed>();
  ASSERT_EQ(closed.size(), 2U);
  EXPECT_EQ(closed[0].reason, turn::CloseReason::shutdown);
  EXPECT_FALSE(rig.live_relays().contains(relayed));
}

TEST(RelayShard, Several_on_threads_share_endpoints_ports_and_quotas) {
  ShardRig rig;
  for (int i = 0; i < 2; ++i) rig.add_shard();
  rig.shard(1).start();
  rig.shard(2).start();  // shard 0 runs on this thread, in the clients' waits
  std::vector<std::unique_ptr<UdpTurnEnd>> clients;
  std::vector<stun::Endpoint> relayed;
  for (int i = 0; i < 24; ++i) {
    clients.push_back(std::make_unique<UdpTurnEnd>(rig));
    relayed.push_back(clients.back()->allocate());
  }
  // Each one talks to the next, whichever shards the two are on.
  for (std::size_t i = 0; i < clients.size(); ++i) {
    const std::size_t next = (i + 1) % clients.size();
    ASSERT_TRUE(clients[i]->ask(Method::channel_bind, channel(0x4000, relayed[next])).ok());
    ASSERT_TRUE(clients[next]->ask(Method::create_permission, peers({relayed[i]})).ok());
    clients[i]->send(channel_data(0x4000, std::to_string(i)));
    EXPECT_EQ(read(clients[next]->receive().value()).payload, std::to_string(i));
  }
  for (std::size_t i = 0; i < 3; ++i) rig.shard(i).stop();
  EXPECT_EQ(rig.events<AllocationOpened>().size(), clients.size());
  int busy = 0;
  for (std::size_t i = 0; i < 3; ++i) {
    busy += rig.shard(i).stats().read().allocations_opened > 0 ? 1 : 0;
  }
  EXPECT_GE(busy, 2) << "the kernel spreads clients over the shards";
  EXPECT_EQ(rig.events<AllocationClosed>().size(), clients.size());
}

TEST(RelayShard, An_occupied_port_is_a_sentence_with_a_remedy) {
  ShardRig rig;
  RigOptions same;
  same.listen = rig.endpoints();
  EXPECT_THROW(ShardRig{same}, std::runtime_error);
}

}  // namespace
}  // namespace bedside::server::testing
