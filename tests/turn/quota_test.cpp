// Every quota bites, says so, and harms nothing that exists (checklist A.10, B.38, B.68).
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/turn/relay_world.h"

namespace bedside::turn::testing {
namespace {

using namespace std::chrono_literals;

std::string peer_number(int i) { return "8.8." + std::to_string(i) + ".8:9000"; }

WorldOptions with(const std::function<void(Quotas&)>& change) {
  WorldOptions options;
  change(options.quotas);
  return options;
}

QuotaKind only_kind(World& world) {
  const auto reached = world.take_events<QuotaReached>();
  EXPECT_EQ(reached.size(), 1U);
  return reached.at(0).kind;
}

TEST(Quota, B38_allocations_of_a_user_are_486_and_another_user_is_free) {
  World world(with([](Quotas& q) { q.allocations_per_user = 2; }));
  Client one(world, "192.0.2.7:4000");
  Client two(world, "192.0.2.7:4001");
  Client three(world, "192.0.2.7:4002");
  ASSERT_TRUE(one.allocate().ok() && two.allocate().ok());
  EXPECT_EQ(three.allocate().code(), 486);
  EXPECT_EQ(only_kind(world), QuotaKind::user_allocations);
  Client bob(world, "192.0.2.8:4000", "bob", "bob-password");
  EXPECT_TRUE(bob.allocate().ok());
  one.refresh(0);
  EXPECT_TRUE(three.allocate().ok());
}

TEST(Quota, B38_allocations_of_the_server_are_508) {
  World world(with([](Quotas& q) { q.allocations_per_shard = 1; }));
  Client alice(world, "192.0.2.7:4000");
  Client bob(world, "192.0.2.8:4000", "bob", "bob-password");
  ASSERT_TRUE(alice.allocate().ok());
  EXPECT_EQ(bob.allocate().code(), 508);
  EXPECT_EQ(only_kind(world), QuotaKind::server_allocations);
  EXPECT_TRUE(alice.refresh().ok());
}

TEST(Quota, B38_no_more_descriptors_is_508) {
  World world;
  world.ports.exhausted = true;
  Client alice(world, "192.0.2.7:4000");
  EXPECT_EQ(alice.allocate().code(), 508);
  EXPECT_EQ(only_kind(world), QuotaKind::ports);
}

TEST(Quota, B43_permissions_are_508_all_or_none_and_room_comes_back) {
  World world(with([](Quotas& q) { q.permissions_per_allocation = 3; }));
  Client alice(world, "192.0.2.7:4000");
  alice.allocate();
  ASSERT_TRUE(alice.permit({peer_number(1), peer_number(2)}).ok());
  EXPECT_EQ(alice.permit({peer_number(3), peer_number(4)}).code(), 508);
  EXPECT_EQ(only_kind(world), QuotaKind::permissions);
  EXPECT_FALSE(alice.send_data(peer_number(3), "x"));
  EXPECT_TRUE(alice.permit({peer_number(3), peer_number(3), peer_number(1)}).ok());
  world.advance(300s);
  EXPECT_TRUE(alice.permit({peer_number(5), peer_number(6), peer_number(7)}).ok());
}

TEST(Quota, Too_many_peers_in_one_request_are_508) {
  World world;
  Client alice(world, "192.0.2.7:4000");
  alice.allocate();
  std::vector<stun::Endpoint> many;
  for (std::size_t i = 0; i <= limits::kMaxPeersPerRequest; ++i) {
    many.push_back(endpoint(peer_number(static_cast<int>(i))));
  }
  EXPECT_EQ(alice.ask(stun::Method::create_permission, peers(many)).code(), 508);
  many.pop_back();
  EXPECT_TRUE(alice.ask(stun::Method::create_permission, peers(many)).ok());
}

TEST(Quota, Channels_are_508_and_the_bound_ones_go_on) {
  World world(with([](Quotas& q) { q.channels_per_allocation = 2; }));
  Client alice(world, "192.0.2.7:4000");
  alice.allocate();
  ASSERT_TRUE(alice.bind(0x4000, peer_number(1)).ok());
  ASSERT_TRUE(alice.bind(0x4001, peer_number(2)).ok());
  EXPECT_EQ(alice.bind(0x4002, peer_number(3)).code(), 508);
  EXPECT_EQ(only_kind(world), QuotaKind::channels);
  EXPECT_TRUE(alice.bind(0x4001, peer_number(2)).ok());
  EXPECT_FALSE(alice.send_data(peer_number(3), "x")) << "a refused bind permits nothing";
}

TEST(Quota, New_peers_come_at_a_bounded_rate) {
  World world(with([](Quotas& q) {
    q.new_peers_per_second = 2;
    q.new_peers_burst = 4;
  }));
  Client alice(world, "192.0.2.7:4000");
  alice.allocate();
  for (int i = 0; i < 4; ++i) ASSERT_TRUE(alice.permit({peer_number(i)}).ok());
  EXPECT_EQ(alice.permit({peer_number(5)}).code(), 508);
  EXPECT_TRUE(alice.permit({peer_number(1)}).ok()) << "known peers are not new";
  world.advance(500ms);
  EXPECT_TRUE(alice.permit({peer_number(5)}).ok());
  EXPECT_EQ(alice.permit({peer_number(6)}).code(), 508);
}

TEST(Quota, B68_packets_beyond_the_rate_are_dropped_and_the_allocation_lives) {
  World world(with([](Quotas& q) { q.packets_per_second = 100; }));
  Client alice(world, "192.0.2.7:4000");
  const auto relayed = alice.allocate().relayed().value();
  alice.permit({kPeer});
  int passed = 0;
  for (int i = 0; i < 150; ++i) passed += alice.send_data(kPeer, "x") ? 1 : 0;
  EXPECT_EQ(passed, 100);
  EXPECT_EQ(world.last_drop(), DropReason::over_bandwidth);
  EXPECT_FALSE(world.from_peer(relayed, kPeer, "x")) << "both directions count together";
  EXPECT_TRUE(alice.refresh().ok());
  world.advance(1s);
  EXPECT_TRUE(alice.send_data(kPeer, "x"));
}

TEST(Quota, B68_bits_beyond_the_rate_are_dropped) {
  World world(with([](Quotas& q) { q.bits_per_second = 80'000; }));  // ten kilobytes
  Client alice(world, "192.0.2.7:4000");
  alice.allocate();
  alice.permit({kPeer});
  const std::string kilobyte(1000, 'x');
  int passed = 0;
  for (int i = 0; i < 20; ++i) passed += alice.send_data(kPeer, kilobyte) ? 1 : 0;
  EXPECT_EQ(passed, 10);
  world.advance(200ms);
  EXPECT_TRUE(alice.send_data(kPeer, kilobyte));
  EXPECT_TRUE(alice.send_data(kPeer, kilobyte));
  EXPECT_FALSE(alice.send_data(kPeer, kilobyte));
}

TEST(Quota, The_shards_total_is_shared_by_its_allocations) {
  World world(with([](Quotas& q) { q.shard_bits_per_second = 80'000; }));
  Client alice(world, "192.0.2.7:4000");
  Client bob(world, "192.0.2.8:4000", "bob", "bob-password");
  alice.allocate();
  bob.allocate();
  alice.permit({kPeer});
  bob.permit({kPeer});
  const std::string kilobyte(1000, 'x');
  for (int i = 0; i < 10; ++i) ASSERT_TRUE(alice.send_data(kPeer, kilobyte));
  EXPECT_FALSE(bob.send_data(kPeer, kilobyte));
}

TEST(Quota, Zero_bandwidth_means_no_limit) {
  World world(with([](Quotas& q) {
    q.packets_per_second = 0;
    q.bits_per_second = 0;
    q.shard_bits_per_second = 0;
  }));
  Client alice(world, "192.0.2.7:4000");
  alice.allocate();
  alice.permit({kPeer});
  for (int i = 0; i < 50'000; ++i) ASSERT_TRUE(alice.send_data(kPeer, "x"));
}

}  // namespace
}  // namespace bedside::turn::testing
