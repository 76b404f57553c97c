// The relay's checklist, Refresh and the end of allocations (RFC 8656 §3.1, §5, §8).
#include <gtest/gtest.h>

#include "tests/turn/checklist_world.h"

namespace bedside::turn::testing {
namespace {

using namespace std::chrono_literals;
using stun::Attribute;

Fill half(std::uint32_t seconds, std::uint8_t number) {
  return [=](stun::MessageWriter& writer) {
    writer.add_u32(Attribute::lifetime, seconds);
    family(Attribute::requested_address_family, number)(writer);
  };
}

TEST(ChecklistB, Line39_LifetimeZeroDeletesAtOnceAndFreesTheFiveTuple) {
  AliceWorld world;
  const Reply gone = world.alice.refresh(0);
  EXPECT_TRUE(gone.ok());
  EXPECT_EQ(gone.lifetime(), 0U);
  EXPECT_EQ(world.ports.open_count(), 0U);
  EXPECT_EQ(world.alice.refresh(0).code(), 437);
  EXPECT_TRUE(world.alice.allocate().ok());
}

TEST(ChecklistB, Line40_AFamilyTheAllocationLacksIs443) {
  AliceWorld world;
  EXPECT_EQ(world.alice.ask(stun::Method::refresh, half(600, 2)).code(), 443);
  EXPECT_EQ(world.alice.ask(stun::Method::refresh, half(0, 2)).code(), 443);
  EXPECT_TRUE(world.alice.refresh().ok()) << "nothing was deleted";
}

TEST(ChecklistB, Line40_OnADualAllocationOnlyThatHalfIsRefreshedOrDeleted) {
  AliceWorld world({}, dual());
  ASSERT_TRUE(world.alice.permit({kPeer, kPeer6}).ok());
  ASSERT_TRUE(world.alice.ask(stun::Method::refresh, half(3600, 2)).ok());
  world.advance(299s);
  EXPECT_TRUE(world.alice.send_data(kPeer, "x"));
  world.advance(301s);  // the IPv4 half was not refreshed
  ASSERT_TRUE(world.alice.permit({kPeer6}).ok());
  EXPECT_EQ(world.alice.permit({kPeer}).code(), 443);
  EXPECT_FALSE(world.alice.send_data(kPeer, "x"));
  EXPECT_TRUE(world.alice.send_data(kPeer6, "x"));
  EXPECT_EQ(world.ports.open_count(), 1U);
  ASSERT_TRUE(world.alice.ask(stun::Method::refresh, half(0, 2)).ok());
  EXPECT_EQ(world.ports.open_count(), 0U);
  EXPECT_EQ(world.alice.refresh().code(), 437);
}

TEST(ChecklistB, Line41_RequestsWithoutAllocationAre437AndTheRestIsSilence) {
  World world;
  Client alice(world, "192.0.2.7:4000");
  EXPECT_EQ(alice.refresh().code(), 437);
  EXPECT_EQ(alice.permit({kPeer}).code(), 437);
  EXPECT_EQ(alice.bind(0x4000, kPeer).code(), 437);
  for (const Packet& packet : {send_indication(endpoint(kPeer), "x"), channel_data(0x4000, "x")}) {
    EXPECT_FALSE(alice.send(packet));
    EXPECT_EQ(world.last_drop(), DropReason::no_allocation);
  }
}

TEST(ChecklistB, Line42_TheEndReleasesEverythingAndThePortRests) {
  for (const bool deleted : {true, false}) {
    WorldOptions options;
    options.first_port = options.last_port = 50000;
    AliceWorld world(options);
    ASSERT_TRUE(world.alice.bind(0x4000, kPeer).ok());
    if (deleted) {
      world.alice.refresh(0);
    } else {
      world.advance(600s);
      world.relay.expire(world.now);
    }
    EXPECT_FALSE(world.from_peer(world.relayed, kPeer, "late"));
    EXPECT_FALSE(world.alice.send_channel(0x4000, "x"));
    Client bob(world, "192.0.2.8:4000", "bob", "bob-password");
    EXPECT_EQ(bob.allocate().code(), 508) << "the port rests";
    world.advance(limits::kRelayPortRest);
    EXPECT_EQ(bob.allocate().relayed(), world.relayed);
    EXPECT_FALSE(world.from_peer(world.relayed, kPeer, "very late")) << "no permission survived";
    ASSERT_TRUE(world.alice.refresh().code() == 437);
  }
}

TEST(ChecklistB, Line58_TheFiveTupleIncludesTheTransportAndAClosedConnectionEndsIt) {
  AliceWorld world({}, {}, ClientTransport::tcp);
  Client udp(world, "192.0.2.7:4000");
  ASSERT_TRUE(udp.allocate().ok()) << "the same addresses over another transport";
  world.relay.on_client_closed(world.alice.tuple, world.now);
  EXPECT_EQ(world.ports.open_count(), 1U);
  EXPECT_TRUE(udp.refresh().ok());
}

}  // namespace
}  // namespace bedside::turn::testing
