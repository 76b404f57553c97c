// The relay's checklist, quotas (A.10, B.68): each bites, and the neighbour does not feel it.
#include <gtest/gtest.h>

#include <string>

#include "tests/turn/checklist_world.h"

namespace bedside::turn::testing {
namespace {

using namespace std::chrono_literals;

std::string peer_number(int i) { return "8.8." + std::to_string(i) + ".8:9000"; }

// Alice runs into the quota; bob, another user at another address, is the neighbour.
struct Neighbours : AliceWorld {
  explicit Neighbours(const std::function<void(Quotas&)>& change)
      : AliceWorld(with_quotas(change)), bob(*this, "192.0.2.8:4000", "bob", "bob-password") {
    bob_at = bob.allocate().relayed().value();
  }
  QuotaKind only_kind() {
    const auto reached = take_events<QuotaReached>();
    EXPECT_EQ(reached.size(), 1U);
    return reached.at(0).kind;
  }
  Client bob;
  stun::Endpoint bob_at;
};

TEST(ChecklistA, Line10_AllocationsPerUser) {
  Neighbours world([](Quotas& q) { q.allocations_per_user = 2; });
  Client second(world, "192.0.2.9:4000");
  Client third(world, "192.0.2.10:4000");
  ASSERT_TRUE(second.allocate().ok());
  EXPECT_EQ(third.allocate().code(), 486);
  EXPECT_EQ(world.only_kind(), QuotaKind::user_allocations);
  Client neighbour(world, "192.0.2.10:4001", "bob", "bob-password");
  EXPECT_TRUE(neighbour.allocate().ok());
  second.refresh(0);
  EXPECT_TRUE(third.allocate().ok()) << "room comes back";
}

TEST(ChecklistA, Line10_AllocationsPerSourceWhoeverTheUser) {
  Neighbours world([](Quotas& q) { q.allocations_per_source = 2; });
  Client second(world, "192.0.2.7:4001", "bob", "bob-password");
  Client third(world, "192.0.2.7:4002", "bob", "bob-password");
  ASSERT_TRUE(second.allocate().ok());
  EXPECT_EQ(third.allocate().code(), 486);
  EXPECT_EQ(world.only_kind(), QuotaKind::source_allocations);
  Client neighbour(world, "192.0.2.8:4001", "bob", "bob-password");
  EXPECT_TRUE(neighbour.allocate().ok());
  world.relay.on_client_closed(second.tuple, world.now);
  EXPECT_TRUE(third.allocate().ok()) << "room comes back";
}

TEST(ChecklistA, Line10_AnIpv6SourceIsItsPrefixOf64Bits) {
  Neighbours world([](Quotas& q) { q.allocations_per_source = 1; });
  Client one(world, "[2600:1:2:3::1]:4000");
  Client same(world, "[2600:1:2:3:ffff::2]:4000");
  Client other(world, "[2600:1:2:4::1]:4000");
  ASSERT_TRUE(one.allocate().ok());
  EXPECT_EQ(same.allocate().code(), 486);
  EXPECT_TRUE(other.allocate().ok());
}

// Each is two records in the audit log.
TEST(ChecklistA, Line10_AllocationsThatAUserOpensInTenMinutes) {
  Neighbours world([](Quotas& q) { q.new_allocations_per_user = 3; });
  Client again(world, "192.0.2.9:4000");
  for (int i = 0; i < 2; ++i) {
    ASSERT_TRUE(again.allocate().ok());
    again.refresh(0);
  }
  EXPECT_EQ(again.allocate().code(), 486);
  EXPECT_EQ(world.only_kind(), QuotaKind::user_allocations);
  Client neighbour(world, "192.0.2.9:4001", "bob", "bob-password");
  EXPECT_TRUE(neighbour.allocate().ok());
  world.advance(limits::kNewAllocationsWindow);
  EXPECT_TRUE(again.allocate().ok());
}

TEST(ChecklistA, Line10_AllocationsThatASourceOpensInTenMinutes) {
  Neighbours world([](Quotas& q) { q.new_allocations_per_source = 2; });
  Client again(world, "192.0.2.7:4001", "bob", "bob-password");
  ASSERT_TRUE(again.allocate().ok());
  again.refresh(0);
  EXPECT_EQ(again.allocate().code(), 486);
  EXPECT_EQ(world.only_kind(), QuotaKind::source_allocations);
  Client neighbour(world, "192.0.2.8:4001", "bob", "bob-password");
  EXPECT_TRUE(neighbour.allocate().ok());
  world.advance(limits::kNewAllocationsWindow);
  EXPECT_TRUE(again.allocate().ok());
}

TEST(ChecklistA, Line10_AllocationsInTotal) {
  Neighbours world([](Quotas& q) { q.allocations_total = 2; });
  Client third(world, "192.0.2.9:4000");
  EXPECT_EQ(third.allocate().code(), 508);
  EXPECT_EQ(world.only_kind(), QuotaKind::server_allocations);
  EXPECT_TRUE(world.alice.refresh().ok());
  EXPECT_TRUE(world.bob.permit({kPeer}).ok());
  world.alice.refresh(0);
  EXPECT_TRUE(third.allocate().ok());
}

TEST(ChecklistA, Line10_AllocationsOfAShard) {
  Neighbours world([](Quotas& q) { q.allocations_per_shard = 2; });
  Client third(world, "192.0.2.9:4000");
  EXPECT_EQ(third.allocate().code(), 508);
  EXPECT_EQ(world.only_kind(), QuotaKind::server_allocations);
  EXPECT_TRUE(world.bob.refresh().ok());
}

TEST(ChecklistA, Line10_PermissionsOfAnAllocation) {
  Neighbours world([](Quotas& q) { q.permissions_per_allocation = 2; });
  ASSERT_TRUE(world.alice.permit({peer_number(1), peer_number(2)}).ok());
  EXPECT_EQ(world.alice.permit({peer_number(3)}).code(), 508);
  EXPECT_EQ(world.only_kind(), QuotaKind::permissions);
  EXPECT_TRUE(world.alice.permit({peer_number(1)}).ok()) << "refreshing is not more";
  EXPECT_TRUE(world.bob.permit({peer_number(3)}).ok());
  world.advance(300s);
  EXPECT_TRUE(world.alice.permit({peer_number(3)}).ok());
}

TEST(ChecklistA, Line10_ChannelsOfAnAllocation) {
  Neighbours world([](Quotas& q) { q.channels_per_allocation = 1; });
  ASSERT_TRUE(world.alice.bind(0x4000, peer_number(1)).ok());
  EXPECT_EQ(world.alice.bind(0x4001, peer_number(2)).code(), 508);
  EXPECT_EQ(world.only_kind(), QuotaKind::channels);
  EXPECT_TRUE(world.alice.bind(0x4000, peer_number(1)).ok()) << "refreshing is not more";
  EXPECT_TRUE(world.bob.bind(0x4001, peer_number(2)).ok());
}

TEST(ChecklistA, Line10_NewPeersPerSecond) {
  Neighbours world([](Quotas& q) {
    q.new_peers_per_second = 1;
    q.new_peers_burst = 2;
  });
  ASSERT_TRUE(world.alice.permit({peer_number(1), peer_number(2)}).ok());
  EXPECT_EQ(world.alice.permit({peer_number(3)}).code(), 508);
  EXPECT_EQ(world.alice.bind(0x4000, peer_number(3)).code(), 508);
  EXPECT_TRUE(world.alice.permit({peer_number(1)}).ok()) << "known peers are not new";
  EXPECT_TRUE(world.bob.permit({peer_number(3), peer_number(4)}).ok());
  world.advance(1s);
  EXPECT_TRUE(world.alice.permit({peer_number(3)}).ok());
}

TEST(ChecklistA, Line10_PacketsPerSecond) {
  Neighbours world([](Quotas& q) { q.packets_per_second = 50; });
  world.alice.permit({kPeer});
  world.bob.permit({kPeer});
  int passed = 0;
  for (int i = 0; i < 100; ++i) passed += world.alice.send_data(kPeer, "x") ? 1 : 0;
  EXPECT_EQ(passed, 50);
  EXPECT_FALSE(world.from_peer(world.relayed, kPeer, "x")) << "both directions together";
  EXPECT_TRUE(world.bob.send_data(kPeer, "x"));
  EXPECT_TRUE(world.from_peer(world.bob_at, kPeer, "x"));
}

TEST(ChecklistA, Line10_BitsPerSecond) {
  Neighbours world([](Quotas& q) { q.bits_per_second = 80'000; });  // ten kilobytes
  world.alice.permit({kPeer});
  world.bob.permit({kPeer});
  const std::string kilobyte(1000, 'x');
  int passed = 0;
  for (int i = 0; i < 20; ++i) passed += world.alice.send_data(kPeer, kilobyte) ? 1 : 0;
  EXPECT_EQ(passed, 10);
  EXPECT_TRUE(world.bob.send_data(kPeer, kilobyte));
}

TEST(ChecklistA, Line10_BitsPerSecondInsideTheProcessCountOnBothSides) {
  Neighbours world([](Quotas& q) { q.bits_per_second = 80'000; });
  world.alice.permit({world.bob_at.to_string()});
  world.bob.permit({world.relayed.to_string(), kPeer});
  const std::string kilobyte(1000, 'x');
  int heard = 0;
  for (int i = 0; i < 20; ++i) {
    heard += world.alice.heard_inside(send_indication(world.bob_at, kilobyte)) ? 1 : 0;
  }
  EXPECT_EQ(heard, 10);
  EXPECT_FALSE(world.bob.send_data(kPeer, kilobyte)) << "bob received them";
}

TEST(ChecklistA, Line10_TotalEgressOfAShard) {
  Neighbours world([](Quotas& q) { q.shard_bits_per_second = 80'000; });
  world.alice.permit({kPeer});
  world.bob.permit({kPeer});
  const std::string kilobyte(1000, 'x');
  int passed = 0;
  for (int i = 0; i < 10; ++i) {
    passed += world.alice.send_data(kPeer, kilobyte) ? 1 : 0;
    passed += world.bob.send_data(kPeer, kilobyte) ? 1 : 0;
  }
  EXPECT_EQ(passed, 10);
  EXPECT_TRUE(world.bob.refresh().ok()) << "requests are not data";
}

TEST(ChecklistA, Line10_QuotasCanBeChangedWhileCallsGoOn) {
  Neighbours world([](Quotas&) {});
  world.alice.permit({kPeer});
  Quotas tight;
  tight.allocations_per_user = tight.permissions_per_allocation = 1;
  tight.packets_per_second = 2;
  world.relay.set_quotas(tight);
  world.ledger.set_quotas(tight);
  Client second(world, "192.0.2.9:4000");
  EXPECT_EQ(second.allocate().code(), 486);
  EXPECT_EQ(world.alice.permit({kOtherPeer}).code(), 508);
  int passed = 0;
  for (int i = 0; i < 10; ++i) passed += world.alice.send_data(kPeer, "x") ? 1 : 0;
  EXPECT_EQ(passed, 2);
  EXPECT_TRUE(world.alice.refresh().ok());
}

TEST(ChecklistB, Line68_OverQuotaBandwidthDropsDataAndTheAllocationLives) {
  Neighbours world([](Quotas& q) { q.packets_per_second = 10; });
  world.alice.permit({kPeer});
  for (int i = 0; i < 1000; ++i) world.alice.send_data(kPeer, "x");
  EXPECT_EQ(world.last_drop(), DropReason::over_bandwidth);
  EXPECT_TRUE(world.alice.refresh().ok());
  EXPECT_TRUE(world.alice.permit({kPeer}).ok());
  world.advance(1s);
  EXPECT_TRUE(world.alice.send_data(kPeer, "x"));
  EXPECT_TRUE(world.take_events<AllocationClosed>().empty());
}

}  // namespace
}  // namespace bedside::turn::testing
