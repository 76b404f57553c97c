// Allocate and Refresh (RFC 8656 §6 to §8). Tests that begin with B carry the number of their line
// in the relay's checklist.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

#include "tests/turn/relay_world.h"

namespace bedside::turn::testing {
namespace {

using namespace std::chrono_literals;
using stun::Attribute;
using stun::MessageWriter;

TEST(Allocate, B37_success_carries_relayed_and_mapped_address_and_lifetime) {
  World world;
  Client alice(world, "192.0.2.7:4000");
  const Reply reply = alice.allocate();
  ASSERT_TRUE(reply.ok()) << reply.code();
  EXPECT_EQ(reply.relayed()->address, address("198.41.0.4"));
  EXPECT_EQ(reply.view().xor_address(Attribute::xor_mapped_address), alice.tuple.client);
  EXPECT_EQ(reply.lifetime(), 600U);
  EXPECT_FALSE(reply.has(Attribute::reservation_token));
  EXPECT_TRUE(stun::verify_integrity(reply.view(), alice.signer.key.bytes()));
  EXPECT_EQ(world.ports.open_count(), 1U);
}

TEST(Allocate, B30_an_existing_allocation_is_a_mismatch) {
  World world;
  Client alice(world, "192.0.2.7:4000");
  ASSERT_TRUE(alice.allocate().ok());
  EXPECT_EQ(alice.allocate().code(), 437);
  EXPECT_EQ(world.ports.open_count(), 1U);
}

TEST(Allocate, B30_the_transport_is_required_and_must_be_udp) {
  World world;
  Client alice(world, "192.0.2.7:4000");
  EXPECT_EQ(alice.ask(stun::Method::allocate).code(), 400);
  const Reply tcp = alice.ask(stun::Method::allocate, [](MessageWriter& writer) {
    writer.add_u32(Attribute::requested_transport, 6U << 24);
  });
  EXPECT_EQ(tcp.code(), 442);
  EXPECT_EQ(world.ports.open_count(), 0U);
}

TEST(Allocate, B31_a_retransmission_within_forty_seconds_gets_the_identical_answer) {
  World world;
  Client alice(world, "192.0.2.7:4000");
  alice.allocate();
  alice.refresh(0);
  const Packet request = alice.request(stun::Method::allocate, [](MessageWriter& writer) {
    writer.add_u32(Attribute::requested_transport, 17U << 24);
    writer.add_u32(Attribute::lifetime, 1200);
  });
  const Reply first = alice.send(request).value();
  ASSERT_TRUE(first.ok());
  alice.refresh(3000);  // must not change what the retransmission hears
  world.advance(39s);
  EXPECT_EQ(alice.send(request).value().bytes(), first.bytes());
  EXPECT_EQ(world.ports.open_count(), 1U);
  world.advance(2s);
  EXPECT_EQ(alice.send(request).value().code(), 437);
}

TEST(Allocate, B35_lifetime_is_clamped_between_ten_minutes_and_an_hour) {
  const std::vector<std::pair<std::uint32_t, std::uint32_t>> wanted_and_granted{
      {10, 600},       {600, 600},         {601, 601}, {3600, 3600},
      {100'000, 3600}, {UINT32_MAX, 3600}, {0, 600}};
  for (const auto& [wanted, granted] : wanted_and_granted) {
    World world;
    Client alice(world, "192.0.2.7:4000");
    EXPECT_EQ(alice.allocate(lifetime(wanted)).lifetime(), granted) << wanted;
  }
}

TEST(Allocate, B36_ports_are_random_and_inside_the_range) {
  World world;
  std::set<std::uint16_t> ports;
  int successors = 0;
  std::uint16_t previous = 0;
  for (int i = 0; i < 40; ++i) {
    Client client(world, "192.0.2.7:" + std::to_string(4000 + i));
    const auto relayed = client.allocate().relayed();
    ASSERT_TRUE(relayed);
    EXPECT_GE(relayed->port, 50000);
    EXPECT_LE(relayed->port, 50999);
    ports.insert(relayed->port);
    successors += relayed->port == previous + 1 ? 1 : 0;
    previous = relayed->port;
  }
  EXPECT_EQ(ports.size(), 40U);
  EXPECT_LE(successors, 2);
}

TEST(Allocate, A_full_range_is_used_to_the_last_port_and_then_answers_508) {
  WorldOptions options;
  options.first_port = 50000;
  options.last_port = 50019;
  World world(options);
  for (int i = 0; i < 20; ++i) {
    Client client(world, "192.0.2.7:" + std::to_string(4000 + i));
    ASSERT_TRUE(client.allocate().ok()) << i;
  }
  Client late(world, "192.0.2.7:5000");
  EXPECT_EQ(late.allocate().code(), 508);
  EXPECT_EQ(world.take_events<QuotaReached>().at(0).kind, QuotaKind::ports);
  EXPECT_EQ(world.ledger.in_use(), 20U);  // the failed one was given back
}

TEST(Allocate, B36_even_port_is_even_and_reserves_its_neighbour_for_the_token) {
  World world;
  Client rtp(world, "192.0.2.7:4000");
  const Reply first = rtp.allocate(even_port(true));
  ASSERT_TRUE(first.ok()) << first.code();
  const std::uint16_t even = first.relayed()->port;
  EXPECT_EQ(even % 2, 0);
  const auto token = first.view().find(Attribute::reservation_token);
  ASSERT_TRUE(token);
  ASSERT_EQ(token->value.size(), 8U);
  const auto claim = [&](MessageWriter& writer) {
    writer.add_bytes(Attribute::reservation_token, token->value);
  };
  Client rtcp(world, "192.0.2.7:4001");
  const Reply second = rtcp.allocate(claim);
  ASSERT_TRUE(second.ok()) << second.code();
  EXPECT_EQ(second.relayed()->port, even + 1);

  Client again(world, "192.0.2.7:4002");
  EXPECT_EQ(again.allocate(claim).code(), 508) << "a token is good for one use";
}

TEST(Allocate, B36_a_pair_that_cannot_be_had_leaves_nothing_reserved) {
  WorldOptions options;
  options.first_port = 50000;
  options.last_port = 50001;
  World world(options);
  Client first(world, "192.0.2.7:4000");
  ASSERT_EQ(first.allocate(even_port(false)).relayed()->port, 50000);
  Client pair(world, "192.0.2.7:4001");
  EXPECT_EQ(pair.allocate(even_port(true)).code(), 508);
  Client second(world, "192.0.2.7:4002");
  EXPECT_EQ(second.allocate().relayed()->port, 50001);
}

TEST(Allocate, B32_an_expired_or_unknown_token_is_508) {
  World world;
  Client rtp(world, "192.0.2.7:4000");
  const Reply first = rtp.allocate(even_port(true));
  const auto token = first.view().find(Attribute::reservation_token).value();
  world.advance(30s);
  Client rtcp(world, "192.0.2.7:4001");
  EXPECT_EQ(rtcp.allocate([&](MessageWriter& w) {
                  w.add_bytes(Attribute::reservation_token, token.value);
                })
                .code(),
            508);
}

TEST(Allocate, B32_a_token_excludes_even_port_and_families) {
  World world;
  const std::array<std::uint8_t, 8> token{1, 2, 3, 4, 5, 6, 7, 8};
  const std::vector<Fill> extras{even_port(false), family(Attribute::requested_address_family, 1),
                                 family(Attribute::additional_address_family, 2)};
  for (const auto& extra : extras) {
    Client client(world, "192.0.2.7:4000");
    EXPECT_EQ(client
                  .allocate([&](MessageWriter& writer) {
                    writer.add_bytes(Attribute::reservation_token, token);
                    extra(writer);
                  })
                  .code(),
              400);
  }
}

TEST(Allocate, B33_family_rules) {
  World world;
  const auto code = [&](const Fill& fill) {
    Client client(world, "192.0.2.7:4000");
    return client.allocate(fill).code();
  };
  EXPECT_EQ(code([](MessageWriter& writer) {
              family(Attribute::requested_address_family, 1)(writer);
              family(Attribute::additional_address_family, 2)(writer);
            }),
            400);
  EXPECT_EQ(code(family(Attribute::additional_address_family, 1)), 400);
  EXPECT_EQ(code([](MessageWriter& writer) {
              even_port(true)(writer);
              family(Attribute::additional_address_family, 2)(writer);
            }),
            400);
  EXPECT_EQ(code(family(Attribute::requested_address_family, 3)), 440);
}

TEST(Allocate, B33_without_a_family_ipv4_is_meant_even_for_ipv6_clients) {
  World world;
  Client client(world, "[2001:db8::7]:4000");
  EXPECT_TRUE(client.allocate().relayed()->address.is_v4());
  Client other(world, "192.0.2.7:4000");
  const auto relayed = other.allocate(family(Attribute::requested_address_family, 2)).relayed();
  ASSERT_TRUE(relayed);
  EXPECT_EQ(relayed->address, address("2606:4700::4"));
}

TEST(Allocate, B33_a_family_the_server_lacks_is_440) {
  World world;
  world.ports.external[1].reset();
  Client client(world, "192.0.2.7:4000");
  EXPECT_EQ(client.allocate(family(Attribute::requested_address_family, 2)).code(), 440);
  EXPECT_EQ(world.ledger.in_use(), 0U);
}

TEST(Allocate, B34_a_dual_request_gets_both_families_or_says_why_not) {
  World world;
  Client both(world, "192.0.2.7:4000");
  const auto dual = family(Attribute::additional_address_family, 2);
  EXPECT_EQ(both.allocate(dual).all_relayed().size(), 2U);

  world.ports.external[1].reset();
  Client one(world, "192.0.2.7:4001");
  const Reply reply = one.allocate(dual);
  ASSERT_TRUE(reply.ok());
  EXPECT_EQ(reply.all_relayed().size(), 1U);
  EXPECT_EQ(reply.view().u32(Attribute::address_error_code), 0x02000428U);  // IPv6, 440
}

TEST(Allocate, Opening_and_closing_are_told_with_who_and_how_much) {
  World world;
  Client alice(world, "192.0.2.7:4000");
  const auto relayed = alice.allocate().relayed();
  alice.permit({"8.8.8.8:9"});
  alice.send_data("8.8.8.8:9000", "12345");
  world.from_peer(*relayed, "8.8.8.8:7", "123");
  const auto opened = world.take_events<AllocationOpened>();
  ASSERT_EQ(opened.size(), 1U);
  EXPECT_EQ(opened[0].party.subject, "alice");
  EXPECT_EQ(opened[0].relayed[0], relayed);
  EXPECT_EQ(opened[0].serial.value >> 48, 3U);  // the shard's number

  world.advance(30s);
  alice.refresh(0);
  const auto closed = world.take_events<AllocationClosed>();
  ASSERT_EQ(closed.size(), 1U);
  EXPECT_EQ(closed[0].serial, opened[0].serial);
  EXPECT_EQ(closed[0].reason, CloseReason::client);
  EXPECT_EQ(closed[0].duration, 30s);
  EXPECT_EQ(closed[0].to_peer.bytes, 5U);
  EXPECT_EQ(closed[0].to_client.bytes, 3U);
}

TEST(Refresh, B39_lifetime_zero_deletes_at_once_and_frees_the_five_tuple) {
  World world;
  Client alice(world, "192.0.2.7:4000");
  ASSERT_TRUE(alice.allocate().ok());
  const Reply reply = alice.refresh(0);
  ASSERT_TRUE(reply.ok());
  EXPECT_EQ(reply.lifetime(), 0U);
  EXPECT_EQ(world.ports.open_count(), 0U);
  EXPECT_EQ(alice.refresh(0).code(), 437);
  EXPECT_TRUE(alice.allocate().ok());
}

TEST(Refresh, Prolongs_from_now_on) {
  World world;
  Client alice(world, "192.0.2.7:4000");
  alice.allocate();
  world.advance(599s);
  EXPECT_EQ(alice.refresh(700).lifetime(), 700U);
  world.advance(699s);
  EXPECT_TRUE(alice.refresh().ok());
  world.advance(600s);
  EXPECT_EQ(alice.refresh().code(), 437);
}

TEST(Refresh, B40_a_family_the_allocation_lacks_is_443) {
  World world;
  Client alice(world, "192.0.2.7:4000");
  alice.allocate();
  EXPECT_EQ(alice.ask(stun::Method::refresh, family(Attribute::requested_address_family, 2)).code(),
            443);
}

TEST(Refresh, B40_on_a_dual_allocation_one_half_can_go_alone) {
  World world;
  Client alice(world, "192.0.2.7:4000");
  alice.allocate(family(Attribute::additional_address_family, 2));
  alice.permit({"8.8.8.8:1", "[2620:fe::fe]:1"});
  const Reply reply = alice.ask(stun::Method::refresh, [](MessageWriter& writer) {
    writer.add_u32(Attribute::lifetime, 0);
    family(Attribute::requested_address_family, 1)(writer);
  });
  ASSERT_TRUE(reply.ok());
  EXPECT_EQ(world.ports.open_count(), 1U);
  EXPECT_FALSE(alice.send_data("8.8.8.8:9000", "x"));
  EXPECT_TRUE(alice.send_data("[2620:fe::fe]:9000", "x"));
  EXPECT_TRUE(alice.refresh(0).ok());
  EXPECT_EQ(world.ports.open_count(), 0U);
  EXPECT_EQ(world.take_events<AllocationClosed>().size(), 1U);
}

TEST(Refresh, B41_requests_without_allocation_are_a_mismatch_and_the_rest_is_silence) {
  World world;
  Client alice(world, "192.0.2.7:4000");
  EXPECT_EQ(alice.refresh().code(), 437);
  EXPECT_EQ(alice.permit({"8.8.8.8:1"}).code(), 437);
  EXPECT_EQ(alice.bind(0x4000, "8.8.8.8:9000").code(), 437);
  EXPECT_FALSE(alice.send(send_indication(endpoint("8.8.8.8:9000"), "x")));
  EXPECT_EQ(world.last_drop(), DropReason::no_allocation);
  EXPECT_FALSE(alice.send(channel_data(0x4000, "x")));
  EXPECT_EQ(world.last_drop(), DropReason::no_allocation);
}

TEST(Expiry, B42_releases_the_port_which_then_rests) {
  WorldOptions options;
  options.first_port = options.last_port = 50000;
  World world(options);
  Client alice(world, "192.0.2.7:4000");
  const auto relayed = alice.allocate().relayed();
  alice.permit({"8.8.8.8:1"});
  EXPECT_EQ(world.relay.next_deadline(), world.now.mono + 600s);
  world.advance(600s);
  EXPECT_FALSE(world.from_peer(*relayed, "8.8.8.8:9000", "late"));
  EXPECT_EQ(world.ports.open_count(), 0U);
  EXPECT_EQ(world.take_events<AllocationClosed>().at(0).reason, CloseReason::expired);
  EXPECT_EQ(world.relay.next_deadline(), std::nullopt);

  Client bob(world, "192.0.2.8:4000", "bob", "bob-password");
  EXPECT_EQ(bob.allocate().code(), 508);
  world.advance(limits::kRelayPortRest);
  EXPECT_EQ(bob.allocate().relayed(), relayed);
}

TEST(Expiry, Happens_on_use_even_when_expire_is_never_called) {
  World world;
  Client alice(world, "192.0.2.7:4000");
  alice.allocate();
  alice.permit({"8.8.8.8:1"});
  world.advance(600s);
  EXPECT_FALSE(alice.send_data("8.8.8.8:9000", "x"));
  EXPECT_EQ(world.last_drop(), DropReason::no_allocation);
}

TEST(Closing, B58_the_end_of_the_connection_deletes_the_allocation) {
  World world;
  Client alice(world, "192.0.2.7:4000", "alice", "alice-password", ClientTransport::tcp);
  Client same_address_udp(world, "192.0.2.7:4000");
  ASSERT_TRUE(alice.allocate().ok());
  ASSERT_TRUE(same_address_udp.allocate().ok());  // the transport is part of the 5-tuple
  world.relay.on_client_closed(alice.tuple, world.now);
  EXPECT_EQ(world.ports.open_count(), 1U);
  EXPECT_EQ(world.take_events<AllocationClosed>().at(0).reason, CloseReason::connection_closed);
  EXPECT_TRUE(same_address_udp.refresh().ok());
}

TEST(Draining, Refuses_new_allocations_and_keeps_the_old) {
  World world;
  Client alice(world, "192.0.2.7:4000");
  ASSERT_TRUE(alice.allocate().ok());
  world.relay.set_accepting(false);
  Client bob(world, "192.0.2.8:4000", "bob", "bob-password");
  EXPECT_EQ(bob.allocate().code(), 508);
  EXPECT_TRUE(alice.refresh().ok());
  world.relay.set_accepting(true);
  EXPECT_TRUE(bob.allocate().ok());
  EXPECT_EQ(world.relay.close_all(world.now), 2U);
  EXPECT_EQ(world.ports.open_count(), 0U);
}

}  // namespace
}  // namespace bedside::turn::testing
