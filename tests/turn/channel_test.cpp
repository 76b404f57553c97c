// Channels (RFC 8656 §12).
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/turn/relay_world.h"
#include "turn/channel_data.h"

namespace bedside::turn::testing {
namespace {

using namespace std::chrono_literals;
using stun::Attribute;
using stun::MessageWriter;

struct Setting : World {
  explicit Setting(const WorldOptions& options = {},
                   ClientTransport transport = ClientTransport::udp)
      : World(options), alice(*this, "192.0.2.7:4000", "alice", "alice-password", transport) {
    relayed = alice.allocate().relayed().value();
  }
  Client alice;
  stun::Endpoint relayed;
};

TEST(Channel, Carries_data_both_ways_in_four_bytes) {
  Setting world;
  ASSERT_TRUE(world.alice.bind(0x4000, kPeer).ok());
  const auto sent = world.alice.send_channel(0x4000, "hello");
  ASSERT_TRUE(sent);
  EXPECT_EQ(sent->to, endpoint(kPeer));
  EXPECT_EQ(sent->from, world.relayed);
  EXPECT_EQ(sent->payload, "hello");
  const Packet back = world.from_peer(world.relayed, kPeer, "hi").value();
  EXPECT_EQ(back.size(), 6U);
  EXPECT_EQ(read(back).channel, 0x4000);
  EXPECT_EQ(read(back).payload, "hi");
}

TEST(Channel, B50_numbers_outside_4000_to_4FFF_are_400) {
  Setting world;
  const std::vector<std::uint16_t> outside{0x0000, 0x3FFF, 0x5000, 0x7FFF, 0x8000, 0xFFFF};
  for (const std::uint16_t number : outside) {
    EXPECT_EQ(world.alice.bind(number, kPeer).code(), 400) << number;
  }
  EXPECT_TRUE(world.alice.bind(0x4FFF, kPeer).ok());
}

TEST(Channel, Numbers_of_rfc_5766_only_with_the_switch) {
  WorldOptions options;
  options.accept_rfc5766_channels = true;
  Setting world(options);
  ASSERT_TRUE(world.alice.bind(0x7FFF, kPeer).ok());
  EXPECT_TRUE(world.alice.send_channel(0x7FFF, "x"));
  EXPECT_EQ(world.alice.bind(0x8000, "9.9.9.9:9000").code(), 400);
}

TEST(Channel, B51_one_number_one_peer) {
  Setting world;
  ASSERT_TRUE(world.alice.bind(0x4000, kPeer).ok());
  EXPECT_EQ(world.alice.bind(0x4000, "9.9.9.9:9000").code(), 400);
  EXPECT_EQ(world.alice.bind(0x4000, "8.8.8.8:9001").code(), 400) << "the port counts";
  EXPECT_EQ(world.alice.bind(0x4001, kPeer).code(), 400);
  EXPECT_TRUE(world.alice.bind(0x4001, "8.8.8.8:9001").ok());
}

TEST(Channel, B51_binding_again_refreshes_channel_and_permission) {
  Setting world;
  world.alice.refresh(3600);
  world.alice.bind(0x4000, kPeer);
  for (int i = 0; i < 10; ++i) {
    world.advance(299s);
    ASSERT_TRUE(world.alice.send_channel(0x4000, "x")) << i;
    ASSERT_TRUE(world.alice.bind(0x4000, kPeer).ok());
  }
}

TEST(Channel, B52_forbidden_missing_and_mismatched_peers) {
  Setting world;
  EXPECT_EQ(world.alice.bind(0x4000, "10.0.0.1:9000").code(), 403);
  EXPECT_EQ(world.alice.bind(0x4000, "8.8.8.8:22").code(), 403);
  EXPECT_EQ(world.alice.bind(0x4000, "8.8.8.8:0").code(), 403);
  EXPECT_EQ(world.alice.bind(0x4000, "[2620:fe::fe]:9000").code(), 443);
  EXPECT_EQ(world.alice
                .ask(stun::Method::channel_bind,
                     [](MessageWriter& w) { w.add_u32(Attribute::channel_number, 0x40000000); })
                .code(),
            400);
  EXPECT_EQ(world.alice.ask(stun::Method::channel_bind, peers({endpoint(kPeer)})).code(), 400);
  EXPECT_FALSE(world.from_peer(world.relayed, kPeer, "x")) << "a refused bind permits nothing";
}

TEST(Channel, B53_a_bound_peer_is_heard_by_channel_only_and_others_are_not) {
  Setting world;
  world.alice.bind(0x4000, kPeer);
  EXPECT_EQ(read(world.from_peer(world.relayed, kPeer, "x").value()).channel, 0x4000);
  EXPECT_EQ(read(world.from_peer(world.relayed, "8.8.8.8:9001", "x").value()).channel,
            std::nullopt);
}

TEST(Channel, B54_short_packets_are_dropped_and_padding_is_ignored) {
  Setting world;
  world.alice.bind(0x4000, kPeer);
  const auto send = [&](const Packet& p) {
    return world.alice.sent(world.from_client(world.alice.tuple, p));
  };
  EXPECT_FALSE(send({0x40, 0x00, 0x00, 0x05, 1, 2, 3, 4}));
  EXPECT_EQ(world.last_drop(), DropReason::malformed);
  EXPECT_FALSE(send({0x40, 0x00, 0x00}));
  EXPECT_EQ(send({0x40, 0x00, 0x00, 0x02, 'h', 'i', 0xEE, 0xEE})->payload, "hi");
  EXPECT_EQ(send({0x40, 0x00, 0x00, 0x00})->payload, "");
  EXPECT_EQ(read(world.from_peer(world.relayed, kPeer, "").value()).payload, "");
}

TEST(Channel, B54_on_streams_padded_to_four_with_zeros_and_not_counted) {
  Setting world({}, ClientTransport::tcp);
  world.alice.bind(0x4000, kPeer);
  for (const std::string_view payload : {"", "1", "12", "123", "1234", "12345"}) {
    const Packet packet = world.from_peer(world.relayed, kPeer, payload).value();
    EXPECT_EQ(packet.size(), stun::padded(4 + payload.size()));
    EXPECT_EQ(read(packet).payload, payload);
    for (std::size_t i = 4 + payload.size(); i < packet.size(); ++i) EXPECT_EQ(packet[i], 0);
  }
}

TEST(Channel, B55_unbound_channels_are_silence_and_data_stops_with_the_permission) {
  Setting world;
  EXPECT_FALSE(world.alice.send_channel(0x4000, "x"));
  EXPECT_EQ(world.last_drop(), DropReason::no_channel);
  world.alice.bind(0x4000, kPeer);
  world.advance(300s);  // the channel lives on, its permission does not
  EXPECT_FALSE(world.alice.send_channel(0x4000, "x"));
  EXPECT_EQ(world.last_drop(), DropReason::no_permission);
  EXPECT_FALSE(world.from_peer(world.relayed, kPeer, "x"));
  world.alice.permit({kPeer});
  EXPECT_TRUE(world.alice.send_channel(0x4000, "x"));
  EXPECT_EQ(read(world.from_peer(world.relayed, kPeer, "x").value()).channel, 0x4000);
}

TEST(Channel, B56_a_number_is_free_again_from_the_instant_its_binding_ends) {
  Setting world;
  world.alice.refresh(3600);
  world.alice.bind(0x4000, kPeer);
  world.advance(599s);
  world.alice.permit({kPeer});
  EXPECT_TRUE(world.alice.send_channel(0x4000, "x"));
  EXPECT_EQ(world.alice.bind(0x4000, "9.9.9.9:9000").code(), 400);
  world.advance(1s);
  EXPECT_FALSE(world.alice.send_channel(0x4000, "x"));
  EXPECT_TRUE(world.alice.bind(0x4000, "9.9.9.9:9000").ok());
}

TEST(Channel, Of_one_allocation_means_nothing_to_another) {
  Setting world;
  world.alice.bind(0x4000, kPeer);
  Client bob(world, "192.0.2.8:4000", "bob", "bob-password");
  const auto bob_at = bob.allocate().relayed().value();
  EXPECT_FALSE(bob.send_channel(0x4000, "x"));
  EXPECT_FALSE(world.from_peer(bob_at, kPeer, "x"));
}

}  // namespace
}  // namespace bedside::turn::testing
