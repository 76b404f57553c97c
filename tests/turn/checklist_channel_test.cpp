// The relay's checklist, channels (RFC 8656 §12).
#include <gtest/gtest.h>

#include <vector>

#include "tests/turn/checklist_world.h"
#include "turn/channel_data.h"

namespace bedside::turn::testing {
namespace {

using namespace std::chrono_literals;
using stun::Attribute;
using stun::MessageWriter;

std::optional<Sent> send_raw(AliceWorld& world, const Packet& packet) {
  return world.alice.sent(world.from_client(world.alice.tuple, packet));
}

TEST(ChecklistB, Line50_NumbersAre4000To4FFF) {
  AliceWorld world;
  for (const int number : {0x0000, 0x3FFF, 0x5000, 0x7FFF, 0x8000, 0xFFFF}) {
    const auto outside = static_cast<std::uint16_t>(number);
    EXPECT_EQ(world.alice.bind(outside, kPeer).code(), 400) << outside;
  }
  EXPECT_TRUE(world.alice.bind(0x4000, kPeer).ok());
  EXPECT_TRUE(world.alice.bind(0x4FFF, kOtherPeer).ok());
}

TEST(ChecklistB, Line51_OneNumberOnePeerAndBindingAgainRefreshesBoth) {
  AliceWorld world({}, lifetime(3600));
  ASSERT_TRUE(world.alice.bind(0x4000, kPeer).ok());
  EXPECT_EQ(world.alice.bind(0x4000, kOtherPeer).code(), 400);
  EXPECT_EQ(world.alice.bind(0x4001, kPeer).code(), 400);
  world.advance(299s);
  ASSERT_TRUE(world.alice.bind(0x4000, kPeer).ok());
  world.advance(300s - 1ns);
  EXPECT_TRUE(world.alice.send_channel(0x4000, "x")) << "the permission anew for 300 s";
  world.advance(1ns);
  EXPECT_FALSE(world.alice.send_channel(0x4000, "x"));
  world.alice.permit({kPeer});
  world.advance(300s - 1ns);
  EXPECT_TRUE(world.alice.send_channel(0x4000, "x")) << "the channel anew for 600 s";
  world.advance(1ns);
  world.alice.permit({kPeer});
  EXPECT_FALSE(world.alice.send_channel(0x4000, "x"));
  EXPECT_EQ(world.last_drop(), DropReason::no_channel);
}

TEST(ChecklistB, Line52_ForbiddenMissingAndMismatchedPeers) {
  AliceWorld world;
  EXPECT_EQ(world.alice.bind(0x4000, kForbidden).code(), 403);
  EXPECT_EQ(world.alice.bind(0x4000, kPeer6).code(), 443);
  const auto bind = [&](const Fill& fill) {
    return world.alice.ask(stun::Method::channel_bind, fill).code();
  };
  EXPECT_EQ(bind([](MessageWriter& w) { w.add_u32(Attribute::channel_number, 0x40000000); }), 400);
  EXPECT_EQ(bind(peers({endpoint(kPeer)})), 400);
  EXPECT_FALSE(world.from_peer(world.relayed, kPeer, "x")) << "a refused bind permits nothing";
}

TEST(ChecklistB, Line52_ThePolicyIsAskedOnRefreshToo) {
  AliceWorld world;
  ASSERT_TRUE(world.alice.bind(0x4000, kPeer).ok());
  PeerPolicyConfig stricter;
  stricter.denied = {Prefix::parse("8.8.8.0/24").value()};
  world.relay.set_peer_policy(PeerPolicy::make(stricter).value());
  EXPECT_EQ(world.alice.bind(0x4000, kPeer).code(), 403);
}

TEST(ChecklistB, Line53_ABoundPeerIsHeardByChannelOnly) {
  AliceWorld world;
  world.alice.bind(0x4000, kPeer);
  EXPECT_EQ(read(world.from_peer(world.relayed, kPeer, "x").value()).channel, 0x4000);
  EXPECT_EQ(read(world.from_peer(world.relayed, "8.8.8.8:9001", "x").value()).channel,
            std::nullopt);
}

TEST(ChecklistB, Line54_LengthsAndPadding) {
  AliceWorld udp;
  udp.alice.bind(0x4000, kPeer);
  EXPECT_FALSE(send_raw(udp, {0x40, 0x00, 0x00, 0x05, 1, 2, 3, 4}));
  EXPECT_FALSE(send_raw(udp, {0x40, 0x00, 0x00}));
  EXPECT_EQ(send_raw(udp, {0x40, 0x00, 0x00, 0x02, 'h', 'i', 0xEE, 0xEE})->payload, "hi");
  EXPECT_EQ(send_raw(udp, {0x40, 0x00, 0x00, 0x00})->payload, "");
  EXPECT_EQ(udp.from_peer(udp.relayed, kPeer, "abcde")->size(), 9U) << "not padded over UDP";

  AliceWorld tcp({}, {}, ClientTransport::tcp);
  tcp.alice.bind(0x4000, kPeer);
  for (const std::string_view payload : {"", "1", "12", "123", "1234", "12345"}) {
    const Packet packet = tcp.from_peer(tcp.relayed, kPeer, payload).value();
    EXPECT_EQ(packet.size(), stun::padded(4 + payload.size()));
    EXPECT_EQ(stun::load_u16(packet, 2), payload.size()) << "the padding is not counted";
    for (std::size_t i = 4 + payload.size(); i < packet.size(); ++i) EXPECT_EQ(packet[i], 0);
  }
}

TEST(ChecklistB, Line55_ChannelDataStopsWithThePermissionInBothDirections) {
  AliceWorld world;
  EXPECT_FALSE(world.alice.send_channel(0x4000, "x"));
  EXPECT_EQ(world.last_drop(), DropReason::no_channel);
  world.alice.bind(0x4000, kPeer);
  world.advance(300s);
  EXPECT_FALSE(world.alice.send_channel(0x4000, "x"));
  EXPECT_EQ(world.last_drop(), DropReason::no_permission);
  EXPECT_FALSE(world.from_peer(world.relayed, kPeer, "x"));
  world.alice.permit({kPeer});
  EXPECT_TRUE(world.alice.send_channel(0x4000, "x"));
  EXPECT_EQ(read(world.from_peer(world.relayed, kPeer, "x").value()).channel, 0x4000);
}

TEST(ChecklistB, Line56_RebindingAtTheInstantOfExpiryIsLegal) {
  AliceWorld world({}, lifetime(3600));
  world.alice.bind(0x4000, kPeer);
  world.advance(600s - 1ns);
  EXPECT_EQ(world.alice.bind(0x4000, kOtherPeer).code(), 400);
  world.advance(1ns);
  EXPECT_TRUE(world.alice.bind(0x4000, kOtherPeer).ok()) << "the number";
  EXPECT_TRUE(world.alice.bind(0x4001, kPeer).ok()) << "and the peer";
}

TEST(ChecklistB, Line57_TheFirstByteTellsStunFromChannelData) {
  AliceWorld world;
  for (int first = 0; first < 256; ++first) {
    const PacketKind expected = first <= 3                   ? PacketKind::stun
                                : first >= 64 && first <= 79 ? PacketKind::channel_data
                                                             : PacketKind::other;
    EXPECT_EQ(classify(static_cast<std::uint8_t>(first)), expected) << first;
    if (expected != PacketKind::other) continue;
    EXPECT_FALSE(world.alice.send({static_cast<std::uint8_t>(first), 0, 0, 0}));
    EXPECT_EQ(world.last_drop(), DropReason::not_stun_or_channel);
  }
}

}  // namespace
}  // namespace bedside::turn::testing
