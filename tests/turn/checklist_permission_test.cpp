// The relay's checklist, permissions, Send and Data (RFC 8656 §9 to §11).
#include <gtest/gtest.h>

#include "tests/turn/checklist_world.h"

namespace bedside::turn::testing {
namespace {

using namespace std::chrono_literals;
using stun::Attribute;
using stun::MessageWriter;

void to_peer(MessageWriter& writer) {
  writer.add_xor_address(Attribute::xor_peer_address, endpoint(kPeer));
}

TEST(ChecklistB, Line43_CreatePermissionIsAllOrNothing) {
  AliceWorld world(with_quotas([](Quotas& q) { q.permissions_per_allocation = 2; }));
  EXPECT_EQ(world.alice.permit({}).code(), 400);
  EXPECT_EQ(world.alice.permit({kPeer, kForbidden}).code(), 403);
  EXPECT_FALSE(world.alice.send_data(kPeer, "x")) << "none installed";
  EXPECT_EQ(world.alice.permit({kPeer, kPeer6}).code(), 443);
  EXPECT_FALSE(world.alice.send_data(kPeer, "x")) << "none installed";
  EXPECT_EQ(world.alice.permit({kPeer, kOtherPeer, "1.1.1.1:1"}).code(), 508);
  EXPECT_FALSE(world.alice.send_data(kPeer, "x")) << "none installed";
  ASSERT_TRUE(world.alice.permit({"8.8.8.8:0", "9.9.9.9:65535"}).ok()) << "any port, several";
  EXPECT_TRUE(world.alice.send_data(kPeer, "x"));
  EXPECT_TRUE(world.alice.send_data(kOtherPeer, "x"));
}

TEST(ChecklistB, Line44_APermissionLastsExactly300SecondsHoweverMade) {
  for (const bool by_channel : {false, true}) {
    AliceWorld world;
    ASSERT_TRUE(by_channel ? world.alice.bind(0x4000, kPeer).ok()
                           : world.alice.permit({kPeer}).ok());
    Client bob(world, "192.0.2.8:4000", "bob", "bob-password");
    const auto bob_at = bob.allocate().relayed().value();
    EXPECT_FALSE(world.from_peer(bob_at, kPeer, "x")) << "it is of one allocation";
    world.advance(300s - 1ns);
    EXPECT_TRUE(world.alice.send_data(kPeer, "data refreshes nothing"));
    EXPECT_TRUE(world.from_peer(world.relayed, kPeer, "in neither direction"));
    world.advance(1ns);
    EXPECT_FALSE(world.alice.send_data(kPeer, "x"));
    EXPECT_FALSE(world.from_peer(world.relayed, kPeer, "x"));
    EXPECT_EQ(world.last_drop(), DropReason::no_permission);
  }
}

TEST(ChecklistB, Line45_SendNeedsPeerDataAndPermission) {
  AliceWorld world;
  EXPECT_FALSE(world.alice.send_data(kPeer, "x")) << "no permission";
  EXPECT_FALSE(world.from_peer(world.relayed, kPeer, "x")) << "Send created none";
  world.alice.permit({kPeer});
  EXPECT_FALSE(world.alice.sent(world.from_client(world.alice.tuple, send_with(to_peer))));
  EXPECT_EQ(world.last_drop(), DropReason::incomplete_send);
  EXPECT_FALSE(world.alice.sent(world.from_client(
      world.alice.tuple, send_with([](MessageWriter& w) { w.add_text(Attribute::data, "x"); }))));
  EXPECT_EQ(world.last_drop(), DropReason::incomplete_send);
  EXPECT_EQ(world.alice.send_data(kPeer, "")->payload, "") << "an empty datagram";
}

TEST(ChecklistB, Line46_DontFragmentIsHonouredInSendAndAbsentElsewhere) {
  AliceWorld world;
  world.alice.bind(0x4000, kPeer);
  const auto asked = world.alice.sent(
      world.from_client(world.alice.tuple, send_indication(endpoint(kPeer), "x", true)));
  ASSERT_TRUE(asked);
  EXPECT_TRUE(asked->dont_fragment);
  EXPECT_FALSE(world.alice.send_data(kPeer, "x")->dont_fragment);
  EXPECT_FALSE(world.alice.send_channel(0x4000, "x")->dont_fragment);
}

TEST(ChecklistB, Line47_PeersWithoutPermissionAreDroppedAndTheirPortIsFree) {
  AliceWorld world;
  world.alice.permit({kPeer});
  EXPECT_FALSE(world.from_peer(world.relayed, kOtherPeer, "x"));
  EXPECT_EQ(world.last_drop(), DropReason::no_permission);
  for (const std::string_view from : {"8.8.8.8:1", "8.8.8.8:53", "8.8.8.8:65535"}) {
    EXPECT_TRUE(world.from_peer(world.relayed, from, "x")) << from;
  }
}

struct IcmpCase {
  std::string_view peer;
  IcmpError error;
  std::uint32_t type_and_code;  // 7 and 9 bits
  std::uint32_t data;
};

TEST(ChecklistB, Line48_IcmpErrorsBecomeDataIndicationsWithoutData) {
  AliceWorld world({}, dual());
  world.alice.permit({kPeer, kPeer6});
  world.alice.bind(0x4000, kPeer);
  const std::vector<IcmpCase> cases{
      {kPeer, {3, 3, 0}, 0x0603, 0},  {kPeer, {3, 4, 1400}, 0x0604, 1400},
      {kPeer, {3, 1, 77}, 0x0601, 0}, {kPeer, {11, 0, 5}, 0x1600, 0},
      {kPeer6, {1, 4, 9}, 0x0204, 0}, {kPeer6, {2, 0, 1280}, 0x0400, 1280},
      {kPeer6, {3, 0, 0}, 0x0600, 0},
  };
  for (const IcmpCase& c : cases) {
    const bool v4 = c.peer == kPeer;
    const auto packet = world.icmp(v4 ? world.relayed : world.relayed6, c.peer, c.error);
    ASSERT_TRUE(packet);
    const auto message = stun::MessageView::parse(*packet).value();
    EXPECT_TRUE(message.is(stun::Class::indication, stun::Method::data)) << "also with a channel";
    EXPECT_EQ(message.xor_address(Attribute::xor_peer_address), endpoint(c.peer));
    EXPECT_FALSE(message.has(Attribute::data));
    EXPECT_FALSE(message.has(Attribute::message_integrity));
    const auto icmp = message.find(Attribute::icmp).value().value;
    ASSERT_EQ(icmp.size(), 8U);
    EXPECT_EQ(stun::load_u32(icmp, 0), c.type_and_code);
    EXPECT_EQ(stun::load_u32(icmp, 4), c.data);
  }
}

TEST(ChecklistB, Line48_ThePermissionIsThatOfTheEmbeddedDestination) {
  AliceWorld world;
  world.alice.permit({kPeer});
  EXPECT_TRUE(world.icmp(world.relayed, "8.8.8.8:1", {3, 3, 0}));
  EXPECT_FALSE(world.icmp(world.relayed, kOtherPeer, {3, 3, 0}));
  EXPECT_EQ(world.last_drop(), DropReason::no_permission);
  world.advance(300s);
  EXPECT_FALSE(world.icmp(world.relayed, kPeer, {3, 3, 0}));
}

TEST(ChecklistB, Line48_OtherIcmpTypesAndFloodsOfThemAreWithheld) {
  AliceWorld world;
  world.alice.permit({kPeer});
  for (const int type : {0, 4, 5, 8, 12, 255}) {
    const IcmpError other{static_cast<std::uint8_t>(type), 0, 0};
    EXPECT_FALSE(world.icmp(world.relayed, kPeer, other)) << type;
  }
  int passed = 0;
  for (int i = 0; i < 1000; ++i) passed += world.icmp(world.relayed, kPeer, {3, 3, 0}) ? 1 : 0;
  EXPECT_EQ(passed, static_cast<int>(limits::kIcmpRate.burst));
  EXPECT_EQ(world.last_drop(), DropReason::icmp_withheld);
  EXPECT_TRUE(world.from_peer(world.relayed, kPeer, "x")) << "data goes on";
  world.advance(1s);
  EXPECT_TRUE(world.icmp(world.relayed, kPeer, {3, 3, 0}));
}

TEST(ChecklistB, Line49_DataCarriesTheRealSourceAndNoIntegrity) {
  AliceWorld world;
  world.alice.permit({kPeer});
  const Packet packet = world.from_peer(world.relayed, "8.8.8.8:77", "x").value();
  const auto message = stun::MessageView::parse(packet).value();
  EXPECT_TRUE(message.is(stun::Class::indication, stun::Method::data));
  EXPECT_EQ(message.xor_address(Attribute::xor_peer_address), endpoint("8.8.8.8:77"));
  EXPECT_FALSE(message.has(Attribute::message_integrity));
  EXPECT_FALSE(message.has(Attribute::message_integrity_sha256));
}

}  // namespace
}  // namespace bedside::turn::testing
