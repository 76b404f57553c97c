// TCP allocations (RFC 6062) as the Relay decides them, in fake time.
#include <gtest/gtest.h>

#include <optional>
#include <string>
#include <vector>

#include "tests/turn/relay_world.h"

namespace bedside::turn::testing {
namespace {

using namespace std::chrono_literals;
using stun::Attribute;
using stun::Method;

constexpr std::string_view kPeer = "8.8.8.8:5000";

Fill tcp_transport() { return family(Attribute::requested_transport, 6); }
Fill connection_id(ConnectionId id) {
  return [id](stun::MessageWriter& writer) { writer.add_u32(Attribute::connection_id, id.value); };
}
Fill both(Fill first, Fill second) {
  return [first = std::move(first), second = std::move(second)](stun::MessageWriter& writer) {
    first(writer);
    second(writer);
  };
}

WorldOptions tcp_world() {
  WorldOptions options;
  options.tcp_relay = true;
  return options;
}

// A client with a TCP allocation and what its data connections do.
class TcpAllocation : public ::testing::Test {
 protected:
  explicit TcpAllocation(const WorldOptions& options = tcp_world()) : world(options) {
    const Reply reply = alice.ask(Method::allocate, tcp_transport());
    EXPECT_TRUE(reply.ok()) << reply.code();
    relayed = reply.relayed().value();
    port = world.ports.find(relayed)->id;
  }

  static std::optional<Reply> reply_in(const PortVerdict& verdict) {
    const auto* out = std::get_if<ToOwner>(&verdict);
    if (out == nullptr) return std::nullopt;
    return Reply(Packet(out->bytes.begin(), out->bytes.end()));
  }
  // A Connect that is let through.
  std::optional<ToConnect> connect(std::string_view peer = kPeer) {
    const auto verdict =
        world.from_client(alice.tuple, alice.request(Method::connect, peers({endpoint(peer)})));
    const auto* out = std::get_if<ToConnect>(&verdict);
    return out == nullptr ? std::nullopt : std::optional(*out);
  }
  int connect_code(std::string_view peer) {
    return alice.ask(Method::connect, peers({endpoint(peer)})).code();
  }
  std::optional<Reply> connected(ConnectionId id) {
    return reply_in(world.relay.on_connected(id, world.now));
  }
  ConnectionId open(std::string_view peer = kPeer) {
    const ConnectionId id = connect(peer).value().id;
    EXPECT_TRUE(connected(id).value().ok());
    return id;
  }
  std::optional<ConnectionId> accept(std::string_view peer) {
    const auto verdict = world.relay.on_accepted(port, endpoint(peer), world.now);
    if (const Drop* drop = std::get_if<Drop>(&verdict)) {
      dropped = drop->reason;
      return std::nullopt;
    }
    const Attempted& out = std::get<Attempted>(verdict);
    const Reply message(Packet(out.bytes.begin(), out.bytes.end()));
    EXPECT_TRUE(message.view().is(stun::Class::indication, Method::connection_attempt));
    EXPECT_EQ(message.view().xor_address(Attribute::xor_peer_address), endpoint(peer));
    EXPECT_EQ(message.view().u32(Attribute::connection_id), out.id.value);
    return out.id;
  }
  // 0 when the connection was joined.
  int bind(Client& from, ConnectionId id) {
    const auto packet = from.request(Method::connection_bind, connection_id(id));
    const auto verdict = world.from_client(from.tuple, packet);
    if (const auto* joined = std::get_if<ToJoin>(&verdict)) {
      EXPECT_EQ(joined->id, id);
      EXPECT_TRUE(Reply(Packet(joined->bytes.begin(), joined->bytes.end())).ok());
      return 0;
    }
    const auto* answer = std::get_if<ToClient>(&verdict);
    return answer == nullptr ? -1
                             : Reply(Packet(answer->bytes.begin(), answer->bytes.end())).code();
  }
  int bind(ConnectionId id) { return bind(data, id); }
  bool closed(ConnectionId id) const {
    const auto& all = world.data_connections.closed;
    return std::find(all.begin(), all.end(), id) != all.end();
  }

  World world;
  Client alice{world, "192.0.2.7:4000", "alice", "alice-password", ClientTransport::tcp};
  Client data = knowing_a_nonce("192.0.2.7:4001", "alice", ClientTransport::tcp);
  stun::Endpoint relayed;
  RelayPortId port;
  DropReason dropped = DropReason::count_;

  Client knowing_a_nonce(std::string_view address, const std::string& user,
                         ClientTransport transport) {
    Client client(world, address, user, user + "-password", transport);
    client.refresh();
    return client;
  }
};

// --- Allocate, RFC 6062 §5.1 ---

TEST(TcpAllocate, Is_442_while_it_is_switched_off_and_the_methods_are_unknown) {
  World world;
  Client client(world, "192.0.2.7:4000", "alice", "alice-password", ClientTransport::tcp);
  EXPECT_EQ(client.ask(Method::allocate, tcp_transport()).code(), 442);
  ASSERT_TRUE(client.allocate().ok());
  for (const Method method : {Method::connect, Method::connection_bind}) {
    EXPECT_FALSE(client.send(client.request(method, peers({endpoint(kPeer)}))));
  }
}

TEST(TcpAllocate, Is_400_for_clients_on_UDP_and_DTLS) {
  for (const auto transport : {ClientTransport::udp, ClientTransport::dtls}) {
    World world(tcp_world());
    Client client(world, "192.0.2.7:4000", "alice", "alice-password", transport);
    EXPECT_EQ(client.ask(Method::allocate, tcp_transport()).code(), 400);
  }
}

TEST(TcpAllocate, Is_400_with_what_is_about_datagrams) {
  World world(tcp_world());
  Client client(world, "192.0.2.7:4000", "alice", "alice-password", ClientTransport::tls);
  const Fill token = [](stun::MessageWriter& writer) {
    writer.add_bytes(Attribute::reservation_token, std::array<std::uint8_t, 8>{});
  };
  const Fill dont_fragment = [](stun::MessageWriter& writer) {
    writer.add_flag(Attribute::dont_fragment);
  };
  for (const Fill& more : {even_port(false), even_port(true), token, dont_fragment}) {
    EXPECT_EQ(client.ask(Method::allocate, both(tcp_transport(), more)).code(), 400);
  }
  EXPECT_EQ(client.ask(Method::allocate, family(Attribute::requested_transport, 132)).code(), 442);
  EXPECT_TRUE(client.ask(Method::allocate, tcp_transport()).ok());
}

TEST(TcpAllocate, May_have_both_families_and_is_told_about_with_its_transport) {
  World world(tcp_world());
  Client client(world, "192.0.2.7:4000", "alice", "alice-password", ClientTransport::tcp);
  const Reply reply = client.ask(
      Method::allocate, both(tcp_transport(), family(Attribute::additional_address_family, 2)));
  ASSERT_EQ(reply.all_relayed().size(), 2U);
  for (const stun::Endpoint& at : reply.all_relayed()) {
    EXPECT_TRUE(world.ports.listens(at));
    EXPECT_FALSE(world.ports.contains(at)) << "no peer for datagrams";
  }
  EXPECT_EQ(world.take_events<AllocationOpened>().at(0).relayed_transport, PeerTransport::tcp);
  client.refresh(0);
  EXPECT_EQ(world.take_events<AllocationClosed>().at(0).relayed_transport, PeerTransport::tcp);
}

TEST(TcpAllocate, Does_not_become_mobile) {
  WorldOptions options = tcp_world();
  options.mobility = true;
  World world(options);
  Client client(world, "192.0.2.7:4000", "alice", "alice-password", ClientTransport::tcp);
  const Fill mobile = [](stun::MessageWriter& writer) {
    writer.add_flag(Attribute::mobility_ticket);
  };
  const Reply reply = client.ask(Method::allocate, both(tcp_transport(), mobile));
  ASSERT_TRUE(reply.ok());
  EXPECT_FALSE(reply.has(Attribute::mobility_ticket));
}

// --- Connect, §5.2 ---

TEST_F(TcpAllocation, Connect_leaves_from_the_relayed_address_and_is_answered_when_it_stands) {
  const auto wanted = connect();
  ASSERT_TRUE(wanted);
  EXPECT_EQ(wanted->from, port);
  EXPECT_EQ(wanted->to, endpoint(kPeer));
  const auto answer = connected(wanted->id);
  ASSERT_TRUE(answer);
  EXPECT_TRUE(answer->view().is(stun::Class::success, Method::connect));
  EXPECT_EQ(answer->view().u32(Attribute::connection_id), wanted->id.value);
  EXPECT_TRUE(stun::verify_any_integrity(answer->view(), alice.signer.key.bytes()));
  EXPECT_FALSE(connected(wanted->id)) << "once";
}

TEST_F(TcpAllocation, Connect_is_refused_with_the_codes_of_the_RFC) {
  EXPECT_EQ(data.ask(Method::connect, peers({endpoint(kPeer)})).code(), 437);
  EXPECT_EQ(alice.ask(Method::connect).code(), 400) << "no XOR-PEER-ADDRESS";
  EXPECT_EQ(connect_code("[2606:4700::1]:5000"), 443);
  EXPECT_EQ(connect_code("10.0.0.1:5000"), 403);
  EXPECT_EQ(connect_code("8.8.8.8:25"), 403) << "a service, no media";
  EXPECT_EQ(connect_code("198.41.0.4:3478"), 403) << "ourselves";
  EXPECT_EQ(connect_code(relayed.to_string()), 403) << "its own relayed address";
  EXPECT_EQ(world.take_events<PeerDenied>().size(), 4U);

  const ConnectionId id = connect().value().id;
  EXPECT_EQ(connect_code(kPeer), 446) << "being opened";
  connected(id);
  EXPECT_EQ(connect_code(kPeer), 446) << "not bound yet";
  ASSERT_EQ(bind(id), 0);
  EXPECT_EQ(connect_code(kPeer), 446) << "in use";
  EXPECT_TRUE(connect("8.8.8.8:5001")) << "another port is another peer";
  world.relay.on_data_connection_closed(id, world.now);
  EXPECT_TRUE(connect()) << "ended";
}

TEST_F(TcpAllocation,
       Connect_over_a_UDP_allocation_and_channels_over_TCP_are_400_and_Send_is_dropped) {
  Client udp(world, "192.0.2.9:4000", "bob", "bob-password", ClientTransport::tcp);
  ASSERT_TRUE(udp.allocate().ok());
  EXPECT_EQ(udp.ask(Method::connect, peers({endpoint(kPeer)})).code(), 400);
  ASSERT_TRUE(alice.permit({kPeer}).ok());
  EXPECT_EQ(alice.bind(0x4000, kPeer).code(), 400);
  EXPECT_FALSE(alice.send_data(kPeer, "hello"));
  EXPECT_FALSE(world.from_peer(relayed, kPeer, "a datagram"));
}

TEST_F(TcpAllocation, A_peer_that_does_not_answer_is_447_after_30_seconds) {
  const ConnectionId id = connect().value().id;
  EXPECT_LE(world.relay.next_deadline().value(), world.now.mono + 30s);
  world.advance(30s - 1ns);
  world.relay.expire(world.now);
  EXPECT_TRUE(world.data_connections.answers.empty());
  world.advance(1ns);
  world.relay.expire(world.now);
  ASSERT_EQ(world.data_connections.answers.size(), 1U);
  EXPECT_EQ(Reply(world.data_connections.answers[0]).code(), 447);
  EXPECT_TRUE(closed(id));
  EXPECT_FALSE(connected(id)) << "too late";
  EXPECT_EQ(world.relay.counters().peer_connections, 0U);
}

TEST_F(TcpAllocation, A_peer_that_refuses_is_447_and_a_connection_the_system_has_446) {
  for (const auto& [failure, code] :
       {std::pair{ConnectFailure::failed, 447}, std::pair{ConnectFailure::exists, 446}}) {
    const ConnectionId id = connect().value().id;
    const auto answer = reply_in(world.relay.on_connect_failed(id, failure, world.now));
    ASSERT_TRUE(answer);
    EXPECT_EQ(answer->code(), code);
  }
}

// --- Peers that connect, §5.3 ---

TEST_F(TcpAllocation, A_peer_with_a_permission_becomes_a_ConnectionAttempt) {
  EXPECT_FALSE(accept(kPeer));
  EXPECT_EQ(dropped, DropReason::no_permission);
  ASSERT_TRUE(alice.permit({kPeer}).ok());
  EXPECT_TRUE(accept(kPeer));
  EXPECT_TRUE(accept("8.8.8.8:22")) << "from whatever port";
  EXPECT_FALSE(accept("8.8.4.4:5000"));
  world.advance(300s);
  EXPECT_FALSE(accept("8.8.8.8:5002")) << "the permission has ended";
}

// --- ConnectionBind, §5.4 ---

TEST_F(TcpAllocation, ConnectionBind_comes_once_on_a_connection_of_its_own_by_the_same_user) {
  const ConnectionId pending = connect("8.8.8.8:5009").value().id;
  EXPECT_EQ(bind(pending), 400) << "not established";
  const ConnectionId id = open();
  Client bob = knowing_a_nonce("192.0.2.8:4000", "bob", ClientTransport::tcp);
  EXPECT_EQ(bind(bob, id), 441);
  EXPECT_EQ(bind(alice, id), 400) << "the control connection";
  Client udp = knowing_a_nonce("192.0.2.7:4002", "alice", ClientTransport::udp);
  EXPECT_EQ(bind(udp, id), 400);
  EXPECT_EQ(data.ask(Method::connection_bind).code(), 400) << "no CONNECTION-ID";
  EXPECT_EQ(bind({id.value ^ (1U << 20)}), 400) << "an id of earlier";
  EXPECT_EQ(bind(id), 0);
  Client again = knowing_a_nonce("192.0.2.7:4003", "alice", ClientTransport::tcp);
  EXPECT_EQ(bind(again, id), 400) << "once";
}

TEST_F(TcpAllocation, ConnectionBind_may_use_the_nonce_of_the_control_connection_from_its_address) {
  Client here(world, "192.0.2.7:4005", "alice", "alice-password", ClientTransport::tcp);
  Client elsewhere(world, "192.0.2.8:4005", "alice", "alice-password", ClientTransport::tcp);
  here.signer.nonce = elsewhere.signer.nonce = alice.signer.nonce;
  const ConnectionId id = open();
  EXPECT_EQ(bind(elsewhere, id), 438);
  EXPECT_EQ(here.send(here.request(Method::refresh)).value().code(), 438) << "for nothing else";
  EXPECT_EQ(bind(here, id), 0);
}

TEST(TcpShards, A_ConnectionBind_for_another_shard_is_sent_there_unread) {
  WorldOptions options;
  options.tcp_relay = true;
  options.shards = 5;  // this one is number 3
  World world(options);
  const auto verdict_on = [&](ClientTransport transport, std::uint32_t id) {
    Client client(world, "192.0.2.7:4001", "alice", "alice-password", transport);
    return world.from_client(client.tuple,
                             client.unsigned_request(Method::connection_bind, connection_id({id})));
  };
  for (const std::uint32_t shard : {0U, 1U, 2U, 4U}) {
    const auto verdict = verdict_on(ClientTransport::tcp, shard << kConnectionShardShift | 77U);
    const auto* out = std::get_if<ToShard>(&verdict);
    ASSERT_NE(out, nullptr) << shard;
    EXPECT_EQ(out->shard, shard);
  }
  // Its own, one that does not exist, and what is no stream are answered here.
  for (const std::uint32_t shard : {3U, 5U, 63U}) {
    const auto verdict = verdict_on(ClientTransport::tls, shard << kConnectionShardShift);
    EXPECT_TRUE(std::holds_alternative<ToClient>(verdict)) << shard;
  }
  EXPECT_TRUE(std::holds_alternative<ToClient>(verdict_on(ClientTransport::udp, 0)));
  // Who has an allocation here has no other business than with it.
  Client busy(world, kAlice, "alice", "alice-password", ClientTransport::tcp);
  ASSERT_TRUE(busy.ask(Method::allocate, family(Attribute::requested_transport, 6)).ok());
  EXPECT_EQ(busy.ask(Method::connection_bind, connection_id({0})).code(), 400);
}

TEST_F(TcpAllocation, A_connection_nobody_binds_ends_after_30_seconds) {
  ASSERT_TRUE(alice.permit({kPeer}).ok());
  const ConnectionId ours = open("8.8.8.8:5001");
  const ConnectionId theirs = accept(kPeer).value();
  const ConnectionId kept = open("8.8.8.8:5002");
  ASSERT_EQ(bind(kept), 0);
  world.advance(30s - 1ns);
  world.relay.expire(world.now);
  EXPECT_TRUE(world.data_connections.closed.empty());
  world.advance(1ns);
  EXPECT_EQ(bind(ours), 400) << "decided at use";
  EXPECT_TRUE(closed(ours) && closed(theirs));
  EXPECT_FALSE(closed(kept));
  EXPECT_EQ(world.relay.counters().peer_connections, 1U);
}

// --- The end, §5.5 ---

TEST_F(TcpAllocation, Every_end_of_the_allocation_ends_its_connections) {
  const std::vector<std::function<void()>> ends{
      [&] { alice.refresh(0); },
      [&] { world.advance(600s), world.relay.expire(world.now); },
      [&] { world.relay.on_client_closed(alice.tuple, world.now); },
      [&] { world.relay.revoke_user("alice", world.now); },
      [&] { world.relay.close_all(world.now); },
  };
  for (std::size_t i = 0; i < ends.size(); ++i) {
    if (i > 0) {
      // With a nonce of the hour.
      const Reply reply = alice.ask(Method::allocate, tcp_transport());
      ASSERT_TRUE(reply.ok()) << reply.code();
      port = world.ports.find(reply.relayed().value())->id;
    }
    data.refresh();
    const ConnectionId bound = open();
    ASSERT_EQ(bind(bound), 0);
    const ConnectionId connecting = connect("8.8.8.8:5001").value().id;
    ends[i]();
    EXPECT_TRUE(closed(bound)) << i;
    EXPECT_TRUE(closed(connecting)) << i;
    EXPECT_FALSE(world.relay.on_data(bound, DataDirection::to_peer, 1, world.now)) << i;
    EXPECT_EQ(world.relay.counters().peer_connections, 0U) << i;
  }
}

TEST_F(TcpAllocation, A_changed_policy_ends_what_it_refuses_and_nothing_else) {
  const ConnectionId refused = open("8.8.4.4:5000");
  const ConnectionId kept = open();
  ASSERT_TRUE(connect("8.8.4.4:5001"));
  PeerPolicyConfig config;
  config.denied = {{address("8.8.4.4"), 32}};
  world.relay.set_peer_policy(PeerPolicy::make(config).value());
  EXPECT_TRUE(closed(refused));
  EXPECT_FALSE(closed(kept));
  ASSERT_EQ(world.data_connections.answers.size(), 1U);
  EXPECT_EQ(Reply(world.data_connections.answers[0]).code(), 403);
}

// --- Quotas ---

class FewConnections : public TcpAllocation {
 protected:
  static WorldOptions few() {
    WorldOptions options = tcp_world();
    options.quotas.peer_connections_per_allocation = 2;
    options.quotas.new_peers_burst = 4;
    options.quotas.new_peers_per_second = 1;
    options.quotas.bits_per_second = 8'000'000;
    return options;
  }
  FewConnections() : TcpAllocation(few()) {}
};

TEST_F(FewConnections, Beyond_the_quota_a_Connect_is_508_and_a_peer_is_turned_away) {
  ASSERT_TRUE(alice.permit({kPeer}).ok());
  open("8.8.8.8:5001");
  ASSERT_TRUE(connect("8.8.8.8:5002"));
  EXPECT_EQ(connect_code("8.8.8.8:5003"), 508);
  EXPECT_FALSE(accept(kPeer));
  EXPECT_EQ(dropped, DropReason::connection_refused);
  EXPECT_EQ(world.take_events<QuotaReached>().at(0).kind, QuotaKind::peer_connections);

  Client bob(world, "192.0.2.8:4000", "bob", "bob-password", ClientTransport::tcp);
  ASSERT_TRUE(bob.ask(Method::allocate, tcp_transport()).ok());
  const auto verdict =
      world.from_client(bob.tuple, bob.request(Method::connect, peers({endpoint(kPeer)})));
  EXPECT_TRUE(std::holds_alternative<ToConnect>(verdict)) << "the neighbour does not feel it";
}

TEST_F(FewConnections, Each_Connect_counts_as_a_new_peer) {
  for (int i = 0; i < 4; ++i) {
    const ConnectionId id = connect("8.8.8.8:" + std::to_string(5000 + i)).value().id;
    world.relay.on_connect_failed(id, ConnectFailure::failed, world.now);
  }
  EXPECT_EQ(connect_code("8.8.8.8:5004"), 508) << "a port scan";
  world.advance(1s);
  EXPECT_TRUE(connect("8.8.8.8:5004"));
}

TEST_F(FewConnections, What_exceeds_the_bandwidth_waits) {
  const ConnectionId id = open();
  ASSERT_EQ(bind(id), 0);
  const auto pass = [&](DataDirection direction, std::size_t bytes) {
    return world.relay.on_data(id, direction, bytes, world.now).value();
  };
  EXPECT_EQ(pass(DataDirection::to_peer, 400'000), 0ns);
  EXPECT_EQ(pass(DataDirection::to_client, 600'000), 0ns) << "a million bytes at once";
  EXPECT_NEAR(static_cast<double>(pass(DataDirection::to_peer, 250'000).count()), 0.25e9, 1e7);
  world.advance(1250ms);
  EXPECT_EQ(pass(DataDirection::to_client, 900'000), 0ns);
  alice.refresh(0);
  const auto closed_event = world.take_events<AllocationClosed>().at(0);
  EXPECT_EQ(closed_event.to_peer.bytes, 650'000U);
  EXPECT_EQ(closed_event.to_client.bytes, 1'500'000U);
}

}  // namespace
}  // namespace bedside::turn::testing
