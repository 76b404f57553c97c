// The relay's checklist, Allocate (RFC 8656 §7): one test a line at least, named after it.
#include <gtest/gtest.h>

#include <array>
#include <set>
#include <vector>

#include "tests/turn/checklist_world.h"

namespace bedside::turn::testing {
namespace {

using namespace std::chrono_literals;
using stun::Attribute;
using stun::MessageWriter;

Fill all_of(std::vector<Fill> fills) {
  return [fills = std::move(fills)](MessageWriter& writer) {
    for (const Fill& fill : fills) fill(writer);
  };
}
Fill requested_family(std::uint8_t number) {
  return family(Attribute::requested_address_family, number);
}
Fill token(const ReservationToken& value) {
  return [value](MessageWriter& w) { w.add_bytes(Attribute::reservation_token, value); };
}
void dont_fragment(MessageWriter& writer) { writer.add_flag(Attribute::dont_fragment); }

int code_of(World& world, const Fill& fill) {
  Client client(world, "192.0.2.7:" + std::to_string(4000 + world.random.below(60'000)));
  return client.allocate(fill).code();
}

ReservationToken token_of(const Reply& reply) {
  const auto value = reply.view().find(Attribute::reservation_token).value().value;
  ReservationToken result{};
  std::copy(value.begin(), value.end(), result.begin());
  return result;
}

// Each request breaks two neighbouring rules of the order: the earlier one answers.
TEST(ChecklistB, Line30_ChecksComeInTheOrderOfTheRfc) {
  World world;
  Client alice(world, "192.0.2.7:4000");
  const auto bare = [&](const Fill& fill) {
    return alice.ask(stun::Method::allocate, fill).code();
  };
  Signer stranger("nobody", World::kRealm, "x");
  stranger.nonce =
      alice.send(alice.unsigned_request(stun::Method::allocate))->text(Attribute::nonce);
  ASSERT_TRUE(alice.allocate().ok());
  EXPECT_EQ(alice.send(stranger.request(stun::Method::allocate, {1}, {}))->code(), 401)
      << "authentication before the existing 5-tuple";
  EXPECT_EQ(bare({}), 437) << "the existing 5-tuple before the missing transport";
  alice.refresh(0);
  EXPECT_EQ(bare(requested_family(9)), 400) << "the missing transport before the family";
  EXPECT_EQ(bare([](MessageWriter& writer) {
              writer.add_u32(Attribute::requested_transport, 6U << 24);
              requested_family(9)(writer);
            }),
            442)
      << "the unsupported transport before the family";
  EXPECT_EQ(code_of(world, all_of({token({1}), even_port(false)})), 400)
      << "what excludes each other before the unknown token";
  world.relay.set_accepting(false);
  EXPECT_EQ(code_of(world, requested_family(9)), 440) << "the family before capacity";
}

TEST(ChecklistB, Line30_DontFragmentIsSupported) {
  World world;
  EXPECT_EQ(code_of(world, dont_fragment), 0);
}

TEST(ChecklistB, Line30_AlternateServerWhileDrainingByTheClientsFamilyAndSigned) {
  WorldOptions options;
  options.alternate_server = {endpoint("203.0.113.9:3478"), endpoint("[2001:db8::9]:3479")};
  World world(options);
  Client before(world, "192.0.2.6:4000");
  ASSERT_TRUE(before.allocate().ok());
  world.relay.set_accepting(false);

  Client four(world, "192.0.2.7:4000");
  const Reply to4 = four.allocate();
  EXPECT_EQ(to4.code(), 300);
  EXPECT_TRUE(stun::verify_integrity(to4.view(), four.signer.key.bytes()));
  const std::vector<std::uint8_t> expected4{0, 1, 0x0D, 0x96, 203, 0, 113, 9};
  const auto server4 = to4.view().find(Attribute::alternate_server).value().value;
  EXPECT_EQ(std::vector<std::uint8_t>(server4.begin(), server4.end()), expected4);

  Client six(world, "[2600::7]:4000");
  const Reply to6 = six.allocate();
  EXPECT_EQ(to6.code(), 300);
  const auto server6 = to6.view().find(Attribute::alternate_server).value().value;
  ASSERT_EQ(server6.size(), 20U);
  EXPECT_EQ(stun::load_u16(server6, 2), 3479);
  EXPECT_EQ(server6[1], 2);

  EXPECT_EQ(world.relay.counters().redirects, 2U);
  EXPECT_TRUE(before.refresh().ok()) << "what exists goes on";
  world.relay.set_accepting(true);
  EXPECT_TRUE(four.allocate().ok());
}

TEST(ChecklistB, Line30_WithoutAnAlternateOfTheFamilyDrainingIs508) {
  WorldOptions options;
  options.alternate_server[0] = endpoint("203.0.113.9:3478");
  World world(options);
  world.relay.set_accepting(false);
  Client six(world, "[2600::7]:4000");
  const Reply reply = six.allocate();
  EXPECT_EQ(reply.code(), 508);
  EXPECT_FALSE(reply.has(Attribute::alternate_server));
}

TEST(ChecklistB, Line31_ARetransmissionWithin40SecondsGetsTheIdenticalSuccess) {
  World world;
  Client alice(world, "192.0.2.7:4000");
  alice.signer.nonce =
      alice.send(alice.unsigned_request(stun::Method::allocate))->text(Attribute::nonce);
  const Packet request = alice.request(stun::Method::allocate, all_of({udp_transport(), dual()}));
  const Reply first = alice.send(request).value();
  ASSERT_TRUE(first.ok());
  for (const auto wait : {0s, 20s, 19s}) {
    world.advance(wait);
    EXPECT_EQ(alice.send(request).value().bytes(), first.bytes());
  }
  EXPECT_EQ(world.ports.open_count(), 2U);
  world.advance(2s);
  EXPECT_EQ(alice.send(request).value().code(), 437);
}

TEST(ChecklistB, Line32_TokenRules) {
  World world;
  const Fill some = token({1, 2, 3, 4, 5, 6, 7, 8});
  EXPECT_EQ(code_of(world, all_of({some, even_port(false)})), 400);
  EXPECT_EQ(code_of(world, all_of({some, even_port(true)})), 400);
  EXPECT_EQ(code_of(world, all_of({some, requested_family(1)})), 400);
  EXPECT_EQ(code_of(world, all_of({some, dual()})), 400);
  EXPECT_EQ(code_of(world, some), 508) << "unknown";

  Client rtp(world, "192.0.2.7:4000");
  const Reply pair = rtp.allocate(even_port(true));
  const ReservationToken held = token_of(pair);
  world.advance(29s);
  Client rtcp(world, "192.0.2.7:4001");
  EXPECT_EQ(rtcp.allocate(token(held)).relayed()->port, pair.relayed()->port + 1);
  EXPECT_EQ(code_of(world, token(held)), 508) << "single use";

  Client other(world, "192.0.2.7:4002");
  const ReservationToken expired = token_of(other.allocate(even_port(true)));
  world.advance(30s);
  EXPECT_EQ(code_of(world, token(expired)), 508);
}

TEST(ChecklistB, Line33_FamilyRules) {
  World world;
  EXPECT_EQ(code_of(world, all_of({requested_family(1), dual()})), 400);
  EXPECT_EQ(code_of(world, family(Attribute::additional_address_family, 1)), 400);
  EXPECT_EQ(code_of(world, all_of({even_port(true), dual()})), 400);
  EXPECT_EQ(code_of(world, all_of({even_port(false), dual()})), 0) << "R=0 is no reservation";
  EXPECT_EQ(code_of(world, requested_family(3)), 440);
  world.ports.external[1].reset();
  EXPECT_EQ(code_of(world, requested_family(2)), 440);
  Client six(world, "[2600::7]:4000");
  EXPECT_TRUE(six.allocate().relayed()->address.is_v4()) << "neither attribute: IPv4";
}

TEST(ChecklistB, Line34_ADualRequestSucceedsWithWhatThereIs) {
  World world;
  Client both(world, "192.0.2.7:4000");
  const Reply complete = both.allocate(dual());
  EXPECT_EQ(complete.all_relayed().size(), 2U);
  EXPECT_FALSE(complete.has(Attribute::address_error_code));

  for (const std::size_t missing : {0U, 1U}) {
    World half;
    half.ports.external[missing].reset();
    Client client(half, "192.0.2.7:4000");
    const Reply reply = client.allocate(dual());
    ASSERT_TRUE(reply.ok());
    ASSERT_EQ(reply.all_relayed().size(), 1U);
    EXPECT_EQ(reply.all_relayed()[0].address.is_v4(), missing == 1);
    EXPECT_EQ(reply.view().u32(Attribute::address_error_code),
              missing == 0 ? 0x01000428U : 0x02000428U);
  }
  World neither;
  neither.ports.external = {};
  EXPECT_EQ(code_of(neither, dual()), 440);
}

TEST(ChecklistB, Line35_LifetimeIsBetweenTenMinutesAndTheMaximum) {
  const std::vector<std::array<std::uint32_t, 2>> wanted_granted{
      {0, 600}, {10, 600}, {600, 600}, {601, 601}, {3600, 3600}, {100'000, 3600}};
  for (const auto& [wanted, granted] : wanted_granted) {
    World world;
    Client client(world, "192.0.2.7:4000");
    EXPECT_EQ(client.allocate(lifetime(wanted)).lifetime(), granted) << wanted;
  }
}

TEST(ChecklistB, Line36_PortsAreDynamicRandomAndEvenWhenAsked) {
  const RelaySettings defaults;
  EXPECT_EQ(defaults.first_port, 49152);
  EXPECT_EQ(defaults.last_port, 65535);
  std::set<std::uint16_t> first_ports;
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    WorldOptions options;
    options.seed = seed;
    World world(options);
    Client client(world, "192.0.2.7:4000");
    const std::uint16_t port = client.allocate().relayed()->port;
    EXPECT_TRUE(port >= options.first_port && port <= options.last_port);
    first_ports.insert(port);
    Client even(world, "192.0.2.7:4001");
    const Reply reply = even.allocate(even_port(true));
    EXPECT_EQ(reply.relayed()->port % 2, 0);
    Client next(world, "192.0.2.7:4002");
    EXPECT_EQ(next.allocate(token(token_of(reply))).relayed()->port, reply.relayed()->port + 1);
  }
  EXPECT_GE(first_ports.size(), 19U);
}

TEST(ChecklistB, Line37_SuccessSaysWhereAndForHowLong) {
  World world;
  world.ports.external = {address("203.0.113.5"), address("2001:db8::5")};
  Client alice(world, "192.0.2.7:4000");
  const Reply reply = alice.allocate(dual());
  ASSERT_EQ(reply.all_relayed().size(), 2U);
  EXPECT_EQ(reply.all_relayed()[0].address, address("203.0.113.5"))
      << "each family its own mapping";
  EXPECT_EQ(reply.all_relayed()[1].address, address("2001:db8::5"));
  EXPECT_EQ(reply.lifetime(), 600U);
  EXPECT_EQ(reply.view().xor_address(Attribute::xor_mapped_address), alice.tuple.client);
  EXPECT_FALSE(reply.has(Attribute::reservation_token));
  Client pair(world, "192.0.2.7:4001");
  EXPECT_TRUE(pair.allocate(even_port(true)).has(Attribute::reservation_token));
}

TEST(ChecklistB, Line38_486ForQuotasOfOursAnd508WhenNothingIsLeft) {
  World user(with_quotas([](Quotas& q) { q.allocations_per_user = 0; }));
  EXPECT_EQ(code_of(user, {}), 486);
  World source(with_quotas([](Quotas& q) { q.allocations_per_source = 0; }));
  EXPECT_EQ(code_of(source, {}), 486);
  World total(with_quotas([](Quotas& q) { q.allocations_total = 0; }));
  EXPECT_EQ(code_of(total, {}), 508);
  World shard(with_quotas([](Quotas& q) { q.allocations_per_shard = 0; }));
  EXPECT_EQ(code_of(shard, {}), 508);
  World descriptors;
  descriptors.ports.exhausted = true;
  EXPECT_EQ(code_of(descriptors, {}), 508);
  WorldOptions one_port;
  one_port.first_port = one_port.last_port = 50000;
  World ports(one_port);
  EXPECT_EQ(code_of(ports, {}), 0);
  EXPECT_EQ(code_of(ports, {}), 508);
}

}  // namespace
}  // namespace bedside::turn::testing
