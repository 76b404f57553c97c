// Permissions, Send and Data (RFC 8656 §9 to §11).
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "tests/turn/relay_world.h"

namespace bedside::turn::testing {
namespace {

using namespace std::chrono_literals;
using stun::Attribute;
using stun::MessageWriter;

constexpr std::string_view kPrivate = "10.1.2.3:9000";

// A client with an allocation.
struct Setting : World {
  explicit Setting(const WorldOptions& options = {})
      : World(options), alice(*this, "192.0.2.7:4000") {
    relayed = alice.allocate().relayed().value();
  }
  Client alice;
  stun::Endpoint relayed;
};

Packet send_with(const Fill& fill) {
  Packet buffer(256);
  MessageWriter writer(buffer, stun::Class::indication, stun::Method::send, {});
  fill(writer);
  buffer.resize(writer.finish().size());
  return buffer;
}

TEST(Permission, Lets_data_pass_in_both_directions) {
  Setting world;
  ASSERT_TRUE(world.alice.permit({kPeer}).ok());
  const auto sent = world.alice.send_data(kPeer, "hello");
  ASSERT_TRUE(sent);
  EXPECT_EQ(sent->from, world.relayed);
  EXPECT_EQ(sent->to, endpoint(kPeer));
  EXPECT_EQ(sent->payload, "hello");
  const Received received = read(world.from_peer(world.relayed, kPeer, "hi").value());
  EXPECT_EQ(received.peer, endpoint(kPeer));
  EXPECT_EQ(received.payload, "hi");
}

TEST(Permission, B43_the_port_does_not_matter_and_several_are_allowed) {
  Setting world;
  ASSERT_TRUE(world.alice.permit({"8.8.8.8:0", "9.9.9.9:1"}).ok());
  EXPECT_TRUE(world.alice.send_data("8.8.8.8:9000", "x"));
  EXPECT_TRUE(world.alice.send_data("9.9.9.9:9001", "x"));
}

TEST(Permission, B43_no_peer_is_400) {
  Setting world;
  EXPECT_EQ(world.alice.permit({}).code(), 400);
  EXPECT_EQ(world.alice
                .ask(stun::Method::create_permission,
                     [](MessageWriter& w) { w.add_u32(Attribute::xor_peer_address, 1); })
                .code(),
            400);
}

TEST(Permission, B43_one_forbidden_peer_forbids_the_whole_list) {
  Setting world;
  EXPECT_EQ(world.alice.permit({kPeer, kPrivate, "9.9.9.9:1"}).code(), 403);
  EXPECT_FALSE(world.alice.send_data(kPeer, "x"));
  EXPECT_EQ(world.last_drop(), DropReason::no_permission);
  const auto denied = world.take_events<PeerDenied>();
  ASSERT_EQ(denied.size(), 1U);
  EXPECT_EQ(denied[0].range, DeniedRange::private_use);
  EXPECT_EQ(denied[0].party.subject, "alice");
}

TEST(Permission, B43_a_family_the_allocation_lacks_is_443) {
  Setting world;
  EXPECT_EQ(world.alice.permit({"[2620:fe::fe]:1"}).code(), 443);
  EXPECT_EQ(world.alice.permit({kPeer, "[2620:fe::fe]:1"}).code(), 443);
  EXPECT_FALSE(world.alice.send_data(kPeer, "x"));
}

// XOR-PEER-ADDRESS of ::ffff:a.b.c.d spelt out, because MessageWriter never writes the mapped form.
Fill mapped_peer(const stun::TransactionId& id, std::string_view ipv4) {
  return [=](MessageWriter& writer) {
    std::array<std::uint8_t, 20> value{0, 2, 0, 0};
    value[14] = value[15] = 0xff;
    const stun::IpAddress embedded = address(ipv4);
    std::copy(embedded.bytes().begin(), embedded.bytes().end(), value.begin() + 16);
    stun::store_u32(value, 4, stun::load_u32(value, 4) ^ stun::kMagicCookie);
    for (std::size_t i = 0; i < id.size(); ++i) value[8 + i] ^= id[i];
    writer.add_bytes(Attribute::xor_peer_address, value);
  };
}

TEST(Permission, A2_a_mapped_address_is_the_ipv4_address_it_contains) {
  Setting world;
  const stun::TransactionId id{1, 2, 3};
  const auto code = [&](std::string_view ipv4) {
    return world.alice
        .send(
            world.alice.signer.request(stun::Method::create_permission, id, mapped_peer(id, ipv4)))
        .value()
        .code();
  };
  EXPECT_EQ(code("10.0.0.1"), 403);
  EXPECT_EQ(code("8.8.8.8"), 0);
  EXPECT_TRUE(world.alice.send_data(kPeer, "x"));
}

TEST(Permission, B44_lasts_exactly_300_seconds_whatever_flows) {
  Setting world;
  world.alice.permit({kPeer});
  for (int i = 0; i < 299; ++i) {
    world.advance(1s);
    ASSERT_TRUE(world.alice.send_data(kPeer, "x"));
    ASSERT_TRUE(world.from_peer(world.relayed, kPeer, "x"));
  }
  world.advance(1s);
  EXPECT_FALSE(world.alice.send_data(kPeer, "x"));
  EXPECT_FALSE(world.from_peer(world.relayed, kPeer, "x"));
  EXPECT_EQ(world.last_drop(), DropReason::no_permission);
}

TEST(Permission, B44_is_refreshed_by_create_permission) {
  Setting world;
  world.alice.permit({kPeer});
  world.advance(299s);
  world.alice.permit({kPeer});
  world.advance(299s);
  EXPECT_TRUE(world.alice.send_data(kPeer, "x"));
}

TEST(Permission, A5_a_changed_policy_applies_to_what_exists) {
  Setting world;
  world.alice.permit({kPeer, "9.9.9.9:1"});
  world.alice.bind(0x4000, kPeer);
  PeerPolicyConfig stricter;
  stricter.denied = {Prefix::parse("8.8.8.0/24").value()};
  world.relay.set_peer_policy(PeerPolicy::make(stricter).value());
  EXPECT_FALSE(world.alice.send_channel(0x4000, "x"));
  EXPECT_FALSE(world.from_peer(world.relayed, kPeer, "x"));
  EXPECT_TRUE(world.alice.send_data("9.9.9.9:9000", "x"));
}

TEST(Send, B45_needs_data_and_a_peer) {
  Setting world;
  world.alice.permit({kPeer});
  const std::vector<Fill> incomplete{
      [](MessageWriter& w) { w.add_xor_address(Attribute::xor_peer_address, endpoint(kPeer)); },
      [](MessageWriter& w) { w.add_text(Attribute::data, "x"); }};
  for (const Fill& fill : incomplete) {
    EXPECT_FALSE(world.alice.send(send_with(fill)));
    EXPECT_EQ(world.last_drop(), DropReason::incomplete_send);
  }
}

TEST(Send, B45_empty_data_is_an_empty_datagram) {
  Setting world;
  world.alice.permit({kPeer});
  const auto sent = world.alice.send_data(kPeer, "");
  ASSERT_TRUE(sent);
  EXPECT_EQ(sent->payload, "");
}

TEST(Send, B45_never_creates_a_permission) {
  Setting world;
  EXPECT_FALSE(world.alice.send_data(kPeer, "x"));
  EXPECT_EQ(world.last_drop(), DropReason::no_permission);
  EXPECT_FALSE(world.from_peer(world.relayed, kPeer, "x"));
}

TEST(Send, B2_with_unknown_required_attributes_is_dropped) {
  Setting world;
  world.alice.permit({kPeer});
  EXPECT_FALSE(world.alice.sent(
      world.from_client(world.alice.tuple, send_with([](MessageWriter& writer) {
                          writer.add_xor_address(Attribute::xor_peer_address, endpoint(kPeer));
                          writer.add_text(Attribute::data, "x");
                          writer.add_u32(static_cast<Attribute>(0x7A00), 1);
                        }))));
}

TEST(Send, A5_A6_the_policy_is_asked_for_the_port_of_each_packet) {
  Setting world;
  world.alice.permit({kPeer});
  EXPECT_FALSE(world.alice.send_data("8.8.8.8:53", "x"));
  EXPECT_EQ(world.last_drop(), DropReason::peer_refused);
}

TEST(Data, B47_any_port_of_a_permitted_peer_may_send) {
  Setting world;
  world.alice.permit({kPeer});
  const auto received = world.from_peer(world.relayed, "8.8.8.8:1", "x");
  ASSERT_TRUE(received);
  EXPECT_EQ(read(*received).peer, endpoint("8.8.8.8:1"));
  EXPECT_FALSE(world.from_peer(world.relayed, "8.8.4.4:9000", "x"));
}

TEST(Data, B49_carries_the_true_source_and_no_integrity) {
  Setting world;
  world.alice.permit({kPeer});
  const Packet packet = world.from_peer(world.relayed, "8.8.8.8:77", "x").value();
  const auto message = stun::MessageView::parse(packet).value();
  EXPECT_TRUE(message.is(stun::Class::indication, stun::Method::data));
  EXPECT_FALSE(message.has(Attribute::message_integrity));
  EXPECT_EQ(message.xor_address(Attribute::xor_peer_address), endpoint("8.8.8.8:77"));
}

TEST(Data, B9_padding_is_zero_whatever_lay_in_the_buffer) {
  Setting world;
  world.alice.permit({kPeer});
  for (const std::string_view payload : {"", "1", "12", "123", "1234", "12345"}) {
    const Packet packet = world.from_peer(world.relayed, kPeer, payload).value();
    ASSERT_EQ(packet.size() % 4, 0U);
    EXPECT_EQ(read(packet).payload, payload);
    for (std::size_t i = 36 + payload.size(); i < packet.size(); ++i) EXPECT_EQ(packet[i], 0);
  }
}

TEST(Data, Transaction_ids_do_not_repeat) {
  Setting world;
  world.alice.permit({kPeer});
  std::set<stun::TransactionId> seen;
  for (int i = 0; i < 1000; ++i) {
    const Packet packet = world.from_peer(world.relayed, kPeer, "x").value();
    seen.insert(stun::MessageView::parse(packet).value().transaction());
  }
  EXPECT_EQ(seen.size(), 1000U);
}

TEST(Data, Works_for_ipv6_peers) {
  World world;
  Client alice(world, "192.0.2.7:4000");
  const auto relayed =
      alice.allocate(family(Attribute::requested_address_family, 2)).relayed().value();
  ASSERT_TRUE(alice.permit({"[2620:fe::fe]:1"}).ok());
  const auto received = world.from_peer(relayed, "[2620:fe::fe]:9000", "six").value();
  EXPECT_EQ(read(received).peer, endpoint("[2620:fe::fe]:9000"));
  EXPECT_EQ(read(received).payload, "six");
  EXPECT_EQ(alice.permit({"8.8.8.8:1"}).code(), 443);
}

TEST(OwnAddresses, A4_are_reachable_only_while_a_relay_port_lives_there) {
  Setting world;
  Client bob(world, "192.0.2.8:4000", "bob", "bob-password");
  const std::string bob_at = bob.allocate().relayed()->to_string();
  ASSERT_TRUE(world.alice.permit({bob_at}).ok());
  EXPECT_TRUE(world.alice.send_data(bob_at, "x"));
  ASSERT_TRUE(world.alice.bind(0x4000, bob_at).ok());
  EXPECT_TRUE(world.alice.send_channel(0x4000, "x"));

  bob.refresh(0);
  EXPECT_FALSE(world.alice.send_data(bob_at, "x"));
  EXPECT_FALSE(world.alice.send_channel(0x4000, "x"));
  EXPECT_EQ(world.last_drop(), DropReason::peer_refused);
  EXPECT_EQ(world.alice.bind(0x4000, bob_at).code(), 403) << "also on refresh";
}

TEST(OwnAddresses, B64_our_listening_port_is_always_refused) {
  Setting world;
  world.alice.permit({"198.41.0.4:3478"});
  EXPECT_FALSE(world.alice.send_data("198.41.0.4:3478", "x"));
  EXPECT_EQ(world.alice.bind(0x4000, "198.41.0.4:3478").code(), 403);
}

}  // namespace
}  // namespace bedside::turn::testing
