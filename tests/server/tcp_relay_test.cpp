// TCP allocations (RFC 6062) on real loopback sockets.
#include <gtest/gtest.h>
#include <sys/socket.h>

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "server/net/socket_address.h"
#include "server/net/tcp_listener.h"
#include "tests/server/shard_rig.h"

namespace bedside::server::testing {
namespace {

using namespace std::chrono_literals;
using stun::Attribute;
using stun::Method;
using turn::ClientTransport;

constexpr std::uint8_t kTcp = 6;

RigOptions tcp_options() {
  RigOptions options;
  options.tcp_relay = true;
  return options;
}

// A rig with a front door, and what clients and peers do with it.
struct TcpRig : ShardRig {
  explicit TcpRig(const RigOptions& options = tcp_options()) : ShardRig(options) { open_door(); }
  std::uint64_t peer_connections() { return shard().stats().read().peer_connections; }
};

stun::Endpoint allocate_tcp(TurnEnd& client) {
  const Reply reply = client.ask(Method::allocate, family(Attribute::requested_transport, kTcp));
  EXPECT_TRUE(reply.ok()) << reply.code();
  return reply.relayed().value();
}

Fill connection_id(std::uint32_t id) {
  return [id](stun::MessageWriter& writer) { writer.add_u32(Attribute::connection_id, id); };
}

std::uint32_t id_in(const Reply& reply) {
  EXPECT_TRUE(reply.view().u32(Attribute::connection_id));
  return reply.view().u32(Attribute::connection_id).value_or(0);
}

// A client data connection, bound.
std::unique_ptr<DoorTurnEnd> bind(TcpRig& rig, std::uint32_t id,
                                  ClientTransport transport = ClientTransport::tcp,
                                  int receive_buffer = 0) {
  auto data = std::make_unique<DoorTurnEnd>(rig, transport, receive_buffer);
  const Reply bound = data->ask(Method::connection_bind, connection_id(id));
  EXPECT_TRUE(bound.ok()) << bound.code();
  return data;
}

// A host that accepts connections.
class Host {
 public:
  explicit Host(TcpRig& rig)
      : rig_(rig), listener_(net::TcpListener::open(endpoint("127.0.0.1:0")).value()) {
    listener_->start(rig.shard().loop(), [this](net::AcceptedSocket accepted) {
      from = accepted.peer;
      tcp = std::make_unique<tests::LoopbackClient>(std::move(accepted.fd));
    });
  }
  const stun::Endpoint& at() const { return listener_->local(); }
  std::string receive(std::size_t size) {
    rig_.run_until([&] { return tcp && tcp->pump().received().size() >= size; });
    return tcp->take_received();
  }

  std::unique_ptr<tests::LoopbackClient> tcp;  // the last one accepted
  stun::Endpoint from;

 private:
  TcpRig& rig_;
  std::unique_ptr<net::TcpListener> listener_;
};

// A client with a connection to a host, bound.
struct Call {
  explicit Call(TcpRig& in, ClientTransport transport = ClientTransport::tcp, int buffer = 0)
      : rig(in), control(in, transport), host(in) {
    relayed = allocate_tcp(control);
    const Reply connected = control.ask(Method::connect, peers({host.at()}));
    EXPECT_TRUE(connected.ok()) << connected.code();
    data = bind(rig, id_in(connected), transport, buffer);
    rig.run_until([this] { return host.tcp != nullptr; });
  }
  bool both_ended() {
    return rig.run_until([this] { return host.tcp->ended() && data->tcp->ended(); });
  }

  TcpRig& rig;
  DoorTurnEnd control;
  Host host;
  stun::Endpoint relayed;
  std::unique_ptr<DoorTurnEnd> data;
};

// The peer's side of an incoming connection, and the client's.
struct Attempt {
  std::uint32_t id = 0;
  stun::Endpoint peer;
};
Attempt next_attempt(TurnEnd& control) {
  const Reply message(control.receive().value());
  EXPECT_TRUE(message.view().is(stun::Class::indication, Method::connection_attempt));
  return {id_in(message), message.view().xor_address(Attribute::xor_peer_address).value()};
}

std::string pattern(std::size_t size) {
  std::string text(size, '\0');
  for (std::size_t i = 0; i < size; ++i) text[i] = static_cast<char>((i * 131) ^ (i >> 8));
  return text;
}

class TcpRelayOver : public ::testing::TestWithParam<ClientTransport> {};
INSTANTIATE_TEST_SUITE_P(Streams, TcpRelayOver,
                         ::testing::Values(ClientTransport::tcp, ClientTransport::tls),
                         [](const auto& tested) {
                           return tested.param == ClientTransport::tls ? "Tls" : "Tcp";
                         });

TEST_P(TcpRelayOver, A_client_connects_to_a_peer_and_both_send) {
  TcpRig rig;
  Call call(rig, GetParam());
  EXPECT_EQ(call.host.from, call.relayed) << "RFC 6062 §5.2: from the relayed address";
  call.data->tcp->send("GET / HTTP/1.1");
  EXPECT_EQ(call.host.receive(14), "GET / HTTP/1.1");
  call.host.tcp->send("200 OK");
  EXPECT_EQ(call.data->receive_raw(6), "200 OK");

  const auto counters = rig.shard().stats().read();
  EXPECT_EQ(counters.bytes_to_peer, 14U);
  EXPECT_EQ(counters.bytes_to_client, 6U);
  EXPECT_EQ(counters.peer_connections, 1U);
}

TEST_P(TcpRelayOver, A_peer_connects_and_what_it_sent_before_the_binding_arrives) {
  TcpRig rig;
  DoorTurnEnd control(rig, GetParam());
  const stun::Endpoint relayed = allocate_tcp(control);
  ASSERT_TRUE(control.ask(Method::create_permission, peers({endpoint("127.0.0.1:0")})).ok());
  tests::LoopbackClient peer(relayed);
  peer.send("early");
  const Attempt attempt = next_attempt(control);
  EXPECT_EQ(attempt.peer.address, address("127.0.0.1"));
  const auto data = bind(rig, attempt.id, GetParam());
  EXPECT_EQ(data->receive_raw(5), "early");
  data->tcp->send("answer");
  EXPECT_TRUE(rig.run_until([&] { return peer.has("answer"); }));
}

TEST_P(TcpRelayOver, Data_behind_the_ConnectionBind_is_the_peers) {
  TcpRig rig;
  DoorTurnEnd control(rig, GetParam());
  Host host(rig);
  allocate_tcp(control);
  const Reply connected = control.ask(Method::connect, peers({host.at()}));
  DoorTurnEnd data(rig, GetParam());
  const Reply challenge = data.ask(Method::connection_bind, connection_id(0));
  EXPECT_EQ(challenge.code(), 400) << "no such connection";
  Packet both = data.signer.request(Method::connection_bind, {}, connection_id(id_in(connected)));
  const std::string more = "not STUN at all";
  both.insert(both.end(), more.begin(), more.end());
  data.tcp->send(stun::as_text(both));
  EXPECT_TRUE(Reply(data.receive().value()).ok());
  EXPECT_EQ(host.receive(more.size()), more);
}

TEST(TcpRelay, A_peer_without_permission_is_turned_away_in_silence) {
  TcpRig rig;
  DoorTurnEnd control(rig, ClientTransport::tcp);
  const stun::Endpoint relayed = allocate_tcp(control);
  tests::LoopbackClient peer(relayed);
  EXPECT_TRUE(rig.run_until([&] { return peer.ended(); }));
  EXPECT_TRUE(control.tcp->pump().received().empty());
  EXPECT_EQ(rig.peer_connections(), 0U);
}

TEST(TcpRelay, Two_clients_reach_each_other_through_their_relayed_addresses) {
  RigOptions options = tcp_options();
  options.external = {address("198.41.0.4")};  // behind a NAT that does not hairpin
  TcpRig rig(options);
  DoorTurnEnd alice(rig, ClientTransport::tcp);
  DoorTurnEnd bob(rig, ClientTransport::tcp);
  const stun::Endpoint alice_at = allocate_tcp(alice);
  const stun::Endpoint bob_at = allocate_tcp(bob);
  ASSERT_EQ(alice_at.address, address("198.41.0.4"));
  ASSERT_TRUE(bob.ask(Method::create_permission, peers({alice_at})).ok());
  const Reply connected = alice.ask(Method::connect, peers({bob_at}));
  ASSERT_TRUE(connected.ok()) << connected.code();
  const Attempt attempt = next_attempt(bob);
  EXPECT_EQ(attempt.peer, alice_at);
  const auto alices = bind(rig, id_in(connected));
  const auto bobs = bind(rig, attempt.id);
  alices->tcp->send("hello");
  EXPECT_EQ(bobs->receive_raw(5), "hello");
  bobs->tcp->send("goodbye");
  EXPECT_EQ(alices->receive_raw(7), "goodbye");
}

TEST(TcpRelay, Our_own_addresses_are_no_peers_but_for_live_tcp_relays) {
  RigOptions options = tcp_options();
  options.external = {address("198.41.0.4")};
  TcpRig rig(options);
  DoorTurnEnd tcp(rig, ClientTransport::tcp);
  DoorTurnEnd udp(rig, ClientTransport::tcp);
  const stun::Endpoint own = allocate_tcp(tcp);
  const auto refused = [&](const stun::Endpoint& peer) {
    return tcp.ask(Method::connect, peers({peer})).code();
  };
  EXPECT_EQ(refused(own), 403) << "a port that connects to itself";
  EXPECT_EQ(refused(udp.allocate()), 403) << "a UDP relay";
  EXPECT_EQ(refused(endpoint("198.41.0.4:5000")), 403);
  EXPECT_EQ(refused(endpoint("198.41.0.4:80")), 403);
  EXPECT_EQ(refused(endpoint("10.0.0.1:5000")), 403);
  EXPECT_EQ(refused(endpoint("[2606:4700::1]:5000")), 443);
  EXPECT_EQ(rig.peer_connections(), 0U);
}

TEST(TcpRelay, A_peer_that_refuses_is_447) {
  TcpRig rig;
  DoorTurnEnd control(rig, ClientTransport::tcp);
  allocate_tcp(control);
  stun::Endpoint nobody;
  {
    Host host(rig);
    nobody = host.at();
  }
  EXPECT_EQ(control.ask(Method::connect, peers({nobody})).code(), 447);
  EXPECT_EQ(rig.peer_connections(), 0U);
}

TEST(TcpRelay, A_connection_that_exists_is_446_also_when_only_the_kernel_knows_it) {
  TcpRig rig;
  Call call(rig);
  EXPECT_EQ(call.control.ask(Method::connect, peers({call.host.at()})).code(), 446);

  Host other(rig);
  const net::Fd squatter = net::open_bound(call.relayed, SOCK_STREAM, true, false).value();
  net::SocketAddress address{};
  const socklen_t size = net::to_socket_address(other.at(), address);
  ::connect(squatter.get(), &address.any, size);
  ASSERT_TRUE(rig.run_until([&] { return other.tcp != nullptr; }));
  EXPECT_EQ(call.control.ask(Method::connect, peers({other.at()})).code(), 446);
  EXPECT_EQ(rig.peer_connections(), 1U);
}

TEST(TcpRelay, An_end_follows_what_was_sent_and_ends_both) {
  TcpRig rig;
  Call call(rig);
  const std::string text = pattern(300'000);
  call.host.tcp->send(text);
  rig.run_until([&] { return call.data->tcp->pump().received().size() == text.size(); });
  call.host.tcp->send("last");
  call.host.tcp->send_fin();
  ASSERT_TRUE(rig.run_until([&] { return call.data->tcp->ended(); }));
  EXPECT_EQ(call.data->tcp->take_received(), text + "last");
  call.data->tcp->close();
  EXPECT_TRUE(rig.run_until([&] { return rig.peer_connections() == 0; }));
}

// Sends as much of the text as the connection takes.
class Sender {
 public:
  Sender(tests::LoopbackClient& tcp, const std::string& text) : tcp_(tcp), text_(text) {}
  void send_more() {
    while (sent_ < text_.size()) {
      const auto got = ::send(tcp_.fd(), text_.data() + sent_, text_.size() - sent_,
                              MSG_DONTWAIT | MSG_NOSIGNAL);
      if (got <= 0) return;
      sent_ += static_cast<std::size_t>(got);
    }
  }
  // Until nothing has moved for a number of wake-ups.
  void send_until_held(TcpRig& rig) {
    std::size_t before = 1;
    for (int quiet = 0; quiet < 20;) {
      send_more();
      quiet = sent_ == before ? quiet + 1 : 0;
      before = sent_;
      rig.shard().loop().run_once(5ms);
    }
  }
  std::size_t sent() const { return sent_; }

 private:
  tests::LoopbackClient& tcp_;
  const std::string& text_;
  std::size_t sent_ = 0;
};

// More than the kernel holds for the sender, for us and for the reader together.
constexpr std::size_t kMuch = std::size_t{16} << 20;

void expect_all(TcpRig& rig, Sender& sender, tests::LoopbackClient& reader,
                const std::string& text) {
  reader.start_reading();
  std::string received;
  EXPECT_TRUE(rig.run_until([&] {
    sender.send_more();
    received += reader.pump().take_received();
    return received.size() >= text.size();
  }));
  EXPECT_TRUE(received == text);
}

// Quotas that are not what this is about.
RigOptions wide() {
  RigOptions options = tcp_options();
  options.quotas.bits_per_second = 0;
  return options;
}

TEST_P(TcpRelayOver, A_slow_reader_holds_the_sender_and_loses_nothing) {
  constexpr int kSmall = 8 * 1024;
  const std::string text = pattern(kMuch);
  TcpRig rig(wide());
  Call call(rig, GetParam(), kSmall);
  call.data->tcp->stop_reading();
  Sender sender(*call.host.tcp, text);
  sender.send_until_held(rig);
  EXPECT_LT(sender.sent(), kMuch);
  expect_all(rig, sender, *call.data->tcp, text);
}

TEST(TcpRelay, A_slow_peer_holds_the_client) {
  const std::string text = pattern(kMuch);
  TcpRig rig(wide());
  Call call(rig);
  call.host.tcp->stop_reading();
  Sender sender(*call.data->tcp, text);
  sender.send_until_held(rig);
  EXPECT_LT(sender.sent(), kMuch);
  expect_all(rig, sender, *call.host.tcp, text);
}

TEST(TcpRelay, The_end_of_the_control_connection_ends_its_data_connections) {
  TcpRig rig;
  Call call(rig);
  call.control.tcp->close();
  EXPECT_TRUE(call.both_ended());
  EXPECT_EQ(rig.peer_connections(), 0U);
  const auto closed = rig.events<turn::AllocationClosed>();
  ASSERT_EQ(closed.size(), 1U);
  EXPECT_EQ(closed[0].relayed_transport, turn::PeerTransport::tcp);
}

TEST(TcpRelay, A_Refresh_to_zero_a_revocation_and_a_stop_end_them_too) {
  {
    TcpRig rig;
    Call call(rig);
    ASSERT_TRUE(call.control.ask(Method::refresh, lifetime(0)).ok());
    EXPECT_TRUE(call.both_ended());
  }
  {
    TcpRig rig;
    Call call(rig);
    ASSERT_TRUE(rig.shard().revoke_user("alice"));
    EXPECT_TRUE(call.both_ended());
  }
  {
    TcpRig rig;
    Call call(rig);
    rig.shard().stop();
    EXPECT_TRUE(call.both_ended());
  }
}

TEST(TcpRelay, A_changed_peer_policy_ends_what_it_refuses) {
  TcpRig rig;
  Call call(rig);
  turn::PeerPolicyConfig closed;  // loopback is no peer any more
  ASSERT_TRUE(rig.shard().set_peer_policy(turn::PeerPolicy::make(closed).value()));
  EXPECT_TRUE(call.both_ended());
  EXPECT_EQ(rig.peer_connections(), 0U);
  EXPECT_EQ(call.control.ask(Method::connect, peers({call.host.at()})).code(), 403);
}

TEST(TcpRelay, Bandwidth_is_held_back_not_lost) {
  TcpRig rig;
  Call call(rig);
  turn::Quotas narrow;
  narrow.bits_per_second = 1'000'000;  // 125,000 bytes at once, and a second for as many more
  ASSERT_TRUE(rig.shard().set_quotas(narrow));
  const std::string text = pattern(200'000);
  const auto start = net::steady_now();
  call.host.tcp->send(text);
  EXPECT_TRUE(call.data->receive_raw(text.size()) == text);
  const auto took = net::steady_now() - start;
  EXPECT_GT(took, 300ms);
}

// The kernel spreads connections over the relay threads, wherever their allocations are.
TEST(TcpRelay, A_ConnectionBind_on_another_thread_gets_to_its_connection) {
  TcpRig rig;
  rig.add_shard();
  DoorTurnEnd control(rig, ClientTransport::tcp);
  Host host(rig);
  allocate_tcp(control);
  const Reply connected = control.ask(Method::connect, peers({host.at()}));
  ASSERT_TRUE(connected.ok()) << connected.code();
  TcpTurnEnd data(rig, 0, 1);
  TcpTurnEnd wanderer(rig, 0, 1);
  rig.shard(1).start();

  const Reply bound = data.ask(Method::connection_bind, connection_id(id_in(connected)));
  ASSERT_TRUE(bound.ok()) << bound.code();
  ASSERT_TRUE(rig.run_until([&] { return host.tcp != nullptr; }));
  data.tcp->send("to the peer");
  EXPECT_EQ(host.receive(11), "to the peer");
  host.tcp->send("to the client");
  EXPECT_TRUE(rig.run_until([&] { return data.tcp->has("to the client"); }));
  EXPECT_EQ(rig.peer_connections(), 1U);

  // Once only: a connection that has come from there does not go back.
  EXPECT_EQ(wanderer.ask(Method::connection_bind, connection_id(7)).code(), 400);
  const std::uint32_t of_shard_1 = 1U << turn::kConnectionShardShift;
  wanderer.send(wanderer.signer.request(Method::connection_bind, {}, connection_id(of_shard_1)));
  EXPECT_TRUE(rig.run_until([&] { return wanderer.tcp->ended(); }));
  EXPECT_FALSE(data.tcp->ended());
}

TEST(TcpRelay, Is_off_by_default) {
  RigOptions options;
  ShardRig rig(options);
  rig.open_door();
  DoorTurnEnd client(rig, ClientTransport::tcp);
  EXPECT_EQ(client.ask(Method::allocate, family(Attribute::requested_transport, kTcp)).code(), 442);
}

}  // namespace
}  // namespace bedside::server::testing
