// Mobility with TURN (RFC 8016).
#include "turn/mobility.h"

#include <gtest/gtest.h>

#include "tests/turn/relay_world.h"

namespace bedside::turn::testing {
namespace {

using stun::Attribute;
using stun::Method;

Fill mobile(std::string_view ticket = {}) {
  return [ticket = std::string(ticket)](stun::MessageWriter& writer) {
    writer.add_text(Attribute::mobility_ticket, ticket);
  };
}

struct Mobile : ::testing::Test {
  static WorldOptions options() {
    WorldOptions wanted;
    wanted.mobility = true;
    return wanted;
  }
  // Allocates and returns the ticket.
  std::string begin(Client& client) {
    const Reply reply = client.allocate(mobile());
    EXPECT_TRUE(reply.ok());
    relayed = reply.relayed().value();
    return reply.text(Attribute::mobility_ticket);
  }

  World world{options()};
  Client here{world, "198.41.0.1:1000"};
  Client there{world, "198.41.0.2:2000"};
  stun::Endpoint relayed;
};

TEST_F(Mobile, An_allocation_follows_its_client) {
  const std::string ticket = begin(here);
  ASSERT_EQ(ticket.size(), MobilityTicket::kSize);
  ASSERT_TRUE(here.ask(Method::create_permission, peers({endpoint("9.9.9.9:4000")})).ok());

  const Reply moved = there.ask(Method::refresh, mobile(ticket));
  ASSERT_TRUE(moved.ok()) << moved.code();
  EXPECT_EQ(moved.lifetime(), 600U);
  EXPECT_NE(moved.text(Attribute::mobility_ticket), ticket) << "a ticket for the next time";
  EXPECT_TRUE(world.from_peer(relayed, "9.9.9.9:4000", "hello")) << "permissions came along";
  EXPECT_EQ(world.last_owner, there.tuple);
  EXPECT_TRUE(there.ask(Method::refresh).ok());
  EXPECT_EQ(here.ask(Method::refresh).code(), 437) << "nobody is at the old place";
  EXPECT_EQ(world.relay.counters().allocations, 1U);
  EXPECT_EQ(world.relay.counters().moved, 1U);
}

TEST_F(Mobile, A_lost_answer_costs_nothing) {
  const std::string first = begin(here);
  const Packet refresh = [&] {
    there.ask(Method::refresh);  // fetches a nonce
    return there.request(Method::refresh, mobile(first));
  }();
  const auto answer = there.send(refresh);
  const auto again = there.send(refresh);
  ASSERT_TRUE(answer && again);
  EXPECT_EQ(answer->bytes(), again->bytes());
  // The client never heard either and moves on with the ticket it has.
  Client beyond(world, "198.41.0.3:3000");
  const Reply third = beyond.ask(Method::refresh, mobile(first));
  ASSERT_TRUE(third.ok());
  // Once a newer ticket was used, the first one is dead.
  Client last(world, "198.41.0.4:4000");
  ASSERT_TRUE(last.ask(Method::refresh, mobile(third.text(Attribute::mobility_ticket))).ok());
  EXPECT_EQ(here.ask(Method::refresh, mobile(first)).code(), 400);
}

TEST_F(Mobile, A_ticket_alone_is_not_enough) {
  const std::string ticket = begin(here);
  Client thief(world, "198.41.0.9:9000", "bob", "bob-password");
  EXPECT_EQ(thief.ask(Method::refresh, mobile(ticket)).code(), 441);
  Client guesser(world, "198.41.0.9:9001", "alice", "not her password");
  EXPECT_EQ(guesser.ask(Method::refresh, mobile(ticket)).code(), 401);
  EXPECT_TRUE(here.ask(Method::refresh).ok());
}

TEST_F(Mobile, Nonsense_is_400) {
  const std::string ticket = begin(here);
  std::string forged = ticket;
  forged.back() = forged.back() == '0' ? '1' : '0';
  for (const std::string& wrong : {std::string(), std::string("x"), forged, std::string(32, 'f'),
                                   std::string(32, 'z'), ticket + "0000", ticket.substr(0, 31)}) {
    EXPECT_EQ(there.ask(Method::refresh, mobile(wrong)).code(), 400) << wrong;
  }
  EXPECT_EQ(here.ask(Method::refresh, mobile(forged)).code(), 400);
  EXPECT_EQ(there.allocate(mobile("x")).code(), 400) << "an Allocate brings none";
  EXPECT_TRUE(here.ask(Method::refresh, mobile(ticket)).ok());
}

TEST_F(Mobile, An_allocation_that_did_not_ask_stays) {
  ASSERT_TRUE(here.allocate().ok());
  EXPECT_EQ(there.ask(Method::refresh, mobile("00000000" + std::string(24, '0'))).code(), 400);
  EXPECT_FALSE(here.ask(Method::refresh, mobile("x")).has(Attribute::mobility_ticket));
}

TEST_F(Mobile, Outlives_its_connection_until_it_expires) {
  Client stream(world, "198.41.0.5:5000", "alice", "alice-password", ClientTransport::tcp);
  const std::string ticket = begin(stream);
  ASSERT_TRUE(stream.ask(Method::create_permission, peers({endpoint("9.9.9.9:4000")})).ok());
  world.relay.on_client_closed(stream.tuple, world.now);
  EXPECT_EQ(world.relay.counters().allocations, 1U);
  // Whoever connects from the same address and port next has nothing to do with it.
  EXPECT_EQ(stream.ask(Method::refresh).code(), 437);
  ASSERT_TRUE(stream.allocate().ok());
  world.relay.on_client_closed(stream.tuple, world.now);
  EXPECT_EQ(world.relay.counters().allocations, 1U);

  ASSERT_TRUE(there.ask(Method::refresh, mobile(ticket)).ok());
  EXPECT_TRUE(world.from_peer(relayed, "9.9.9.9:4000", "hello"));

  const std::string lost = begin(stream);
  world.relay.on_client_closed(stream.tuple, world.now);
  world.advance(std::chrono::seconds(601));
  world.relay.expire(world.now);
  EXPECT_EQ(world.relay.counters().allocations, 0U) << "both have expired by now";
  EXPECT_EQ(here.ask(Method::refresh, mobile(lost)).code(), 400);
}

TEST_F(Mobile, Can_be_deleted_and_revoked_wherever_it_is) {
  const std::string ticket = begin(here);
  EXPECT_EQ(there
                .ask(Method::refresh,
                     [&](stun::MessageWriter& writer) {
                       mobile(ticket)(writer);
                       lifetime(0)(writer);
                     })
                .lifetime(),
            0U);
  EXPECT_EQ(world.relay.counters().allocations, 0U);

  Client stream(world, "198.41.0.5:5000", "alice", "alice-password", ClientTransport::tcp);
  begin(stream);
  world.relay.on_client_closed(stream.tuple, world.now);
  EXPECT_EQ(world.relay.revoke_user("alice", world.now), 1U);
  EXPECT_EQ(world.ports.open_count(), 0U);
}

TEST(Mobility, Is_off_unless_asked_for) {
  World world;
  Client client(world, "198.41.0.1:1000");
  const Reply reply = client.allocate(mobile());
  EXPECT_TRUE(reply.ok());
  EXPECT_FALSE(reply.has(Attribute::mobility_ticket));
  Client there(world, "198.41.0.2:2000");
  EXPECT_EQ(there.ask(Method::refresh, mobile(std::string(32, '0'))).code(), 437);
}

}  // namespace
}  // namespace bedside::turn::testing
