// The relay's checklist, A.10: the rows of the quota table that belong to no single account or that
// no key changes. Each bites, and the neighbour does not feel it.
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "tests/turn/checklist_world.h"

namespace bedside::turn::testing {
namespace {

using namespace std::chrono_literals;
using stun::Attribute;
using stun::Method;

std::string numbered_peer(std::size_t i) {
  return "8.8." + std::to_string(i / 200) + "." + std::to_string(i % 200) + ":5000";
}

// Bob is the neighbour: another user at another address, who is in the middle of a call.
struct BusyNeighbour : Client {
  BusyNeighbour(World& place, ClientTransport transport = ClientTransport::udp, bool tcp = false)
      : Client(place, "192.0.2.8:4000", "bob", "bob-password", transport) {
    const Reply made =
        tcp ? ask(Method::allocate, family(Attribute::requested_transport, 6)) : allocate();
    EXPECT_TRUE(made.ok()) << made.code();
    relayed = made.relayed().value();
    EXPECT_TRUE(permit({kOtherPeer}).ok());
  }
  stun::Endpoint relayed;
};

TEST(ChecklistA, Line10_PeersInOneCreatePermission) {
  AliceWorld world;
  BusyNeighbour bob(world);
  std::vector<stun::Endpoint> many;
  for (std::size_t i = 0; i <= limits::kMaxPeersPerRequest; ++i) {
    many.push_back(endpoint("8.8." + std::to_string(i) + ".8:9000"));
  }
  EXPECT_EQ(world.alice.ask(Method::create_permission, peers(many)).code(), 508);
  EXPECT_FALSE(world.alice.send_data("8.8.1.8:9000", "x")) << "none of them";
  EXPECT_TRUE(bob.send_data(kOtherPeer, "x"));
  many.pop_back();
  EXPECT_TRUE(world.alice.ask(Method::create_permission, peers(many)).ok());
}

TEST(ChecklistA, Line10_IcmpErrorsToAnAllocation) {
  AliceWorld world;
  BusyNeighbour bob(world);
  world.alice.permit({kOtherPeer});
  const IcmpError unreachable{3, 3, 0};
  const auto heard = [&](const stun::Endpoint& relayed, int times) {
    int count = 0;
    for (int i = 0; i < times; ++i) count += world.icmp(relayed, kOtherPeer, unreachable) ? 1 : 0;
    return count;
  };
  EXPECT_EQ(heard(world.relayed, 1000), static_cast<int>(limits::kIcmpRate.burst));
  EXPECT_EQ(heard(bob.relayed, 1), 1);
  world.advance(1s);
  EXPECT_EQ(heard(world.relayed, 1000), static_cast<int>(limits::kIcmpRate.per_second));
}

TEST(ChecklistA, Line10_ReservedPortsOfTheServer) {
  WorldOptions options =
      with_quotas([](Quotas& q) { q.allocations_per_user = q.new_allocations_per_user = 1000; });
  options.last_port = 59999;
  AliceWorld world(options);
  world.ports.reservations = Reservations(limits::kMaxReservations);
  BusyNeighbour bob(world);
  for (std::size_t i = 0; i < limits::kMaxReservations; ++i) {
    Client greedy(world, "192.0.2.9:" + std::to_string(4000 + i));
    ASSERT_TRUE(greedy.allocate(even_port(true)).ok()) << i;
  }
  Client one_more(world, "192.0.2.9:3999");
  EXPECT_EQ(one_more.allocate(even_port(true)).code(), 508);
  EXPECT_TRUE(bob.send_data(kOtherPeer, "x"));
  Client without_a_pair(world, "192.0.2.8:4001", "bob", "bob-password");
  EXPECT_TRUE(without_a_pair.allocate().ok()) << "what browsers ask for";
  world.advance(limits::kReservationLifetime);
  EXPECT_TRUE(one_more.allocate(even_port(true)).ok()) << "tokens nobody used have expired";
}

// --- TCP allocations (RFC 6062) ---

struct TcpWorld : World {
  explicit TcpWorld(std::size_t per_allocation) : World(options(per_allocation)) {
    EXPECT_TRUE(alice.ask(Method::allocate, family(Attribute::requested_transport, 6)).ok());
  }
  static WorldOptions options(std::size_t per_allocation) {
    WorldOptions options = with_quotas([&](Quotas& q) {
      q.peer_connections_per_allocation = per_allocation;
      q.new_peers_burst = q.new_peers_per_second = 1'000'000;
    });
    options.tcp_relay = true;
    return options;
  }
  // 0 when it is let through.
  int connect(Client& client, const std::string& peer) {
    const auto verdict =
        from_client(client.tuple, client.request(Method::connect, peers({endpoint(peer)})));
    if (const auto* out = std::get_if<ToConnect>(&verdict)) {
      last = out->id;
      return 0;
    }
    const auto bytes = std::get<ToClient>(verdict).bytes;
    return Reply(Packet(bytes.begin(), bytes.end())).code();
  }
  Client alice{*this, "192.0.2.7:4000", "alice", "alice-password", ClientTransport::tcp};
  ConnectionId last;
};

TEST(ChecklistA, Line10_ConnectionsOfATcpAllocation) {
  TcpWorld world(2);
  BusyNeighbour bob(world, ClientTransport::tcp, true);
  EXPECT_EQ(world.connect(world.alice, numbered_peer(0)), 0);
  EXPECT_EQ(world.connect(world.alice, numbered_peer(1)), 0);
  EXPECT_EQ(world.connect(world.alice, numbered_peer(2)), 508);
  EXPECT_EQ(world.connect(bob, numbered_peer(2)), 0);
  world.relay.on_connect_failed(world.last, ConnectFailure::failed, world.now);
  EXPECT_EQ(world.connect(bob, numbered_peer(3)), 0) << "room comes back";
}

TEST(ChecklistA, Line10_ConnectionsOfAShard) {
  TcpWorld world(limits::kMaxPeerConnections + 1);
  BusyNeighbour bob(world, ClientTransport::tcp, true);
  ASSERT_EQ(world.connect(bob, numbered_peer(0)), 0);
  const ConnectionId of_bob = world.last;
  for (std::size_t i = 1; i < limits::kMaxPeerConnections; ++i) {
    ASSERT_EQ(world.connect(world.alice, numbered_peer(i)), 0) << i;
  }
  const std::string next = numbered_peer(limits::kMaxPeerConnections);
  EXPECT_EQ(world.connect(world.alice, next), 508);
  // What the neighbour has goes on.
  const auto connected = world.relay.on_connected(of_bob, world.now);
  EXPECT_TRUE(std::holds_alternative<ToOwner>(connected));
  EXPECT_TRUE(bob.refresh().ok());
  EXPECT_TRUE(world.alice.refresh(0).ok());
  EXPECT_EQ(world.connect(bob, next), 0) << "room comes back";
}

}  // namespace
}  // namespace bedside::turn::testing
