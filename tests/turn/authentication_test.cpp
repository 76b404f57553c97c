// Who a relay believes (RFC 8489 §9.2, RFC 8656 §5).
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/turn/relay_world.h"

namespace bedside::turn::testing {
namespace {

using namespace std::chrono_literals;
using stun::Attribute;
using stun::MessageWriter;

// A participant of a visit with a credential of this server.
Client participant(World& world, std::string_view address, std::string_view id,
                   std::chrono::seconds ttl = 600s) {
  const auto issued = world.credentials.issue_for_participant("room", id, world.now, ttl).value();
  return Client(world, address, issued.username, issued.password);
}

TEST(Authentication, B13_a_request_without_integrity_gets_realm_and_nonce) {
  World world;
  Client alice(world, "192.0.2.7:4000");
  const Packet request = alice.unsigned_request(stun::Method::allocate, udp_transport());
  const Reply reply = alice.send(request).value();
  EXPECT_EQ(reply.code(), 401);
  EXPECT_EQ(reply.text(Attribute::realm), World::kRealm);
  EXPECT_FALSE(reply.text(Attribute::nonce).empty());
  EXPECT_FALSE(reply.has(Attribute::username));
  EXPECT_FALSE(reply.has(Attribute::message_integrity));
  EXPECT_EQ(world.relay.counters().auth_failures, 0U) << "how every conversation starts";
}

TEST(Authentication, B14_integrity_without_its_companions_is_a_bad_request) {
  World world;
  Client alice(world, "192.0.2.7:4000");
  const Reply reply =
      alice
          .send(alice.unsigned_request(stun::Method::allocate,
                                       [&](MessageWriter& writer) {
                                         writer.add_text(Attribute::username, "alice");
                                         writer.add_integrity(alice.signer.key.bytes());
                                       }))
          .value();
  EXPECT_EQ(reply.code(), 400);
  EXPECT_FALSE(reply.has(Attribute::nonce));
  EXPECT_FALSE(reply.has(Attribute::realm));
}

TEST(Authentication, B15_unknown_user_and_wrong_password_get_401_with_a_fresh_nonce) {
  World world;
  Client stranger(world, "192.0.2.7:4000", "mallory", "x");
  Client forgetful(world, "192.0.2.8:4000", "alice", "wrong");
  for (Client* client : {&stranger, &forgetful}) {
    const Reply reply = client->allocate();
    EXPECT_EQ(reply.code(), 401);
    EXPECT_FALSE(reply.text(Attribute::nonce).empty());
    EXPECT_EQ(reply.text(Attribute::realm), World::kRealm);
  }
  const auto failures = world.take_events<AuthFailed>();
  ASSERT_EQ(failures.size(), 2U);
  EXPECT_EQ(failures[0].failure, AuthFailure::unknown_user);
  EXPECT_EQ(failures[1].failure, AuthFailure::wrong_key);
  EXPECT_EQ(world.ports.open_count(), 0U);
}

TEST(Authentication, B16_B19_an_old_nonce_is_stale_and_a_call_survives_the_renewal) {
  World world;
  Client alice(world, "192.0.2.7:4000");
  alice.allocate([](MessageWriter& writer) { writer.add_u32(Attribute::lifetime, 3600); });
  const std::string old_nonce = alice.signer.nonce;
  world.advance(3599s);
  ASSERT_TRUE(alice.refresh(3600).ok());
  world.advance(3500s);
  const Reply stale = alice.send(alice.request(stun::Method::refresh)).value();
  EXPECT_EQ(stale.code(), 438);
  EXPECT_FALSE(stale.has(Attribute::message_integrity));
  EXPECT_NE(stale.text(Attribute::nonce), old_nonce);
  EXPECT_TRUE(alice.refresh().ok());  // the client takes the new nonce and goes on
}

TEST(Authentication, B17_B18_nonces_belong_to_one_source) {
  World world;
  Client alice(world, "192.0.2.7:4000");
  Client other_port(world, "192.0.2.7:4001");
  ASSERT_TRUE(alice.allocate().ok());
  other_port.signer.nonce = alice.signer.nonce;
  EXPECT_EQ(
      other_port.send(other_port.request(stun::Method::allocate, udp_transport())).value().code(),
      438);
}

TEST(Authentication, B26_another_user_cannot_touch_an_allocation) {
  World world;
  Client alice(world, "192.0.2.7:4000");
  ASSERT_TRUE(alice.allocate().ok());
  Client bob(world, "192.0.2.7:4000", "bob", "bob-password");
  const Reply reply = bob.refresh(0);
  EXPECT_EQ(reply.code(), 441);
  EXPECT_TRUE(stun::verify_integrity(reply.view(), bob.signer.key.bytes()));
  EXPECT_EQ(bob.permit({"8.8.8.8:1"}).code(), 441);
  EXPECT_EQ(bob.allocate().code(), 437) << "for Allocate the 5-tuple counts";
  EXPECT_EQ(world.ports.open_count(), 1U);
}

TEST(Authentication, B27_errors_to_a_proven_user_carry_integrity) {
  World world;
  Client alice(world, "192.0.2.7:4000");
  const Reply reply = alice.refresh();
  ASSERT_EQ(reply.code(), 437);
  EXPECT_TRUE(stun::verify_integrity(reply.view(), alice.signer.key.bytes()));
}

TEST(Authentication, B28_a_wrong_realm_is_401) {
  World world;
  Client alice(world, "192.0.2.7:4000");
  ASSERT_TRUE(alice.allocate().ok());
  alice.signer.realm = "elsewhere";
  EXPECT_EQ(alice.refresh().code(), 401);
}

TEST(Authentication, B3_420_lists_every_unknown_required_attribute) {
  World world;
  Client alice(world, "192.0.2.7:4000");
  const Reply reply = alice.allocate([](MessageWriter& writer) {
    writer.add_u32(static_cast<Attribute>(0x7A00), 1);
    writer.add_u32(static_cast<Attribute>(0xFE00), 1);  // optional: ignored
    writer.add_u32(static_cast<Attribute>(0x7A01), 1);
  });
  EXPECT_EQ(reply.code(), 420);
  const auto listed = reply.view().find(Attribute::unknown_attributes).value().value;
  ASSERT_EQ(listed.size(), 4U);
  EXPECT_EQ(stun::load_u16(listed, 0), 0x7A00);
  EXPECT_EQ(stun::load_u16(listed, 2), 0x7A01);
}

TEST(Authentication, B2_unknown_methods_and_stray_classes_are_silence) {
  World world;
  Client alice(world, "192.0.2.7:4000");
  EXPECT_FALSE(alice.send(alice.unsigned_request(static_cast<stun::Method>(0x00C))));
  EXPECT_EQ(world.last_drop(), DropReason::unexpected_class);
  for (const stun::Class stray : {stun::Class::success, stun::Class::error}) {
    Packet buffer(64);
    MessageWriter writer(buffer, stray, stun::Method::allocate, {});
    buffer.resize(writer.finish().size());
    EXPECT_FALSE(alice.send(buffer));
  }
}

TEST(Authentication, B8_the_answer_has_a_fingerprint_if_the_request_had_one) {
  World world;
  Client alice(world, "192.0.2.7:4000");
  EXPECT_FALSE(alice.allocate().has(Attribute::fingerprint));
  alice.signer.fingerprint = true;
  EXPECT_TRUE(alice.refresh().has(Attribute::fingerprint));
  EXPECT_TRUE(alice.allocate().has(Attribute::fingerprint));  // an error
  Client bob(world, "192.0.2.8:4000", "bob", "bob-password");
  bob.signer.fingerprint = true;
  EXPECT_TRUE(bob.send(bob.unsigned_request(stun::Method::allocate))->has(Attribute::fingerprint));
}

TEST(Authentication, B57_what_is_neither_stun_nor_channel_data_is_silence) {
  World world;
  Client alice(world, "192.0.2.7:4000");
  for (const Packet& packet : {Packet{}, Packet{0x16, 3, 1}, Packet{0x50, 0, 0, 0}, Packet{0}}) {
    EXPECT_FALSE(alice.send(packet));
  }
}

TEST(Authentication, Binding_needs_no_credentials) {
  World world;
  Client alice(world, "192.0.2.7:4000");
  const Reply reply = alice.send(alice.unsigned_request(stun::Method::binding)).value();
  EXPECT_TRUE(reply.ok());
  EXPECT_EQ(reply.bytes().size(), 32U);
  EXPECT_EQ(reply.view().xor_address(Attribute::xor_mapped_address), alice.tuple.client);
}

TEST(Participants, May_allocate_while_they_are_live) {
  World world;
  Client p1 = participant(world, "192.0.2.7:4000", "p1");
  ASSERT_TRUE(p1.allocate().ok());
  EXPECT_EQ(world.take_events<AllocationOpened>().at(0).party.participant, "p1");
  Client gone = participant(world, "192.0.2.8:4000", "p9");
  EXPECT_EQ(gone.allocate().code(), 401);
}

TEST(Participants, Keep_their_call_when_the_credential_runs_out_but_not_when_they_left) {
  World world;
  Client p1 = participant(world, "192.0.2.7:4000", "p1", 60s);
  ASSERT_TRUE(p1.allocate().ok());
  world.advance(120s);
  EXPECT_TRUE(p1.refresh().ok());
  Client late(world, "192.0.2.9:4000", p1.signer.username, "unused");
  late.signer.key = p1.signer.key;
  EXPECT_EQ(late.allocate().code(), 401) << "an expired credential starts nothing new";
  world.participants.live.erase("p1");
  EXPECT_EQ(p1.refresh().code(), 401);
}

TEST(Participants, A11_revoking_ends_all_of_their_allocations_and_nobody_elses) {
  World world;
  Client one = participant(world, "192.0.2.7:4000", "p1");
  Client two = participant(world, "192.0.2.7:4001", "p1");
  Client other = participant(world, "192.0.2.8:4000", "p2");
  ASSERT_TRUE(one.allocate().ok() && two.allocate().ok() && other.allocate().ok());
  EXPECT_EQ(world.relay.revoke_participant("p1", world.now), 2U);
  EXPECT_EQ(world.ports.open_count(), 1U);
  EXPECT_TRUE(other.refresh().ok());
  for (const auto& closed : world.take_events<AllocationClosed>()) {
    EXPECT_EQ(closed.reason, CloseReason::revoked);
    EXPECT_EQ(closed.party.participant, "p1");
  }
  EXPECT_EQ(world.relay.revoke_participant("", world.now), 0U);
}

TEST(Users, Revoking_one_ends_their_allocations) {
  World world;
  Client alice(world, "192.0.2.7:4000");
  Client p1 = participant(world, "192.0.2.8:4000", "p1");
  ASSERT_TRUE(alice.allocate().ok() && p1.allocate().ok());
  EXPECT_EQ(world.relay.revoke_user("alice", world.now), 1U);
  EXPECT_EQ(world.ports.open_count(), 1U);
}

TEST(Strangers, A8_leave_nothing_behind) {
  World world;
  for (int i = 0; i < 2000; ++i) {
    Client stranger(world, "192.0.2.7:" + std::to_string(1024 + i));
    stranger.send(stranger.unsigned_request(stun::Method::allocate, udp_transport()));
  }
  EXPECT_EQ(world.relay.counters().allocations, 0U);
  EXPECT_TRUE(world.relay.events().empty());
}

TEST(Strangers, A9_B65_are_answered_at_a_bounded_rate_while_calls_go_on) {
  World world;
  Client alice(world, "192.0.2.7:4000");
  alice.allocate();
  alice.permit({"8.8.8.8:1"});
  std::size_t answered = 0;
  std::size_t largest = 0;
  for (int i = 0; i < 5000; ++i) {
    Client stranger(world, "192.0.2.7:" + std::to_string(5000 + i));
    const Packet request = stranger.unsigned_request(stun::Method::allocate, udp_transport());
    const auto reply = stranger.send(request);
    answered += reply ? 1 : 0;
    if (reply) largest = std::max(largest, reply->bytes().size());
  }
  EXPECT_LE(answered, limits::kNarrowSourceRate.burst);
  EXPECT_EQ(world.last_drop(), DropReason::rate_limited);
  EXPECT_LE(largest, 100U);
  EXPECT_TRUE(alice.refresh().ok()) << "proven users are not limited with their neighbours";
  EXPECT_TRUE(alice.send_data("8.8.8.8:9000", "x"));
}

TEST(Strangers, Guessing_passwords_cannot_flood_the_event_queue) {
  World world;
  for (int i = 0; i < 600; ++i) {
    Client guesser(world, "192.0." + std::to_string(i % 200) + ".7:" + std::to_string(2000 + i),
                   "alice", "wrong");
    guesser.allocate();
  }
  EXPECT_EQ(world.relay.events().size(), limits::kMaxPendingAbuseEvents);
  EXPECT_EQ(world.relay.counters().events_lost, 600 - limits::kMaxPendingAbuseEvents);
  Client alice(world, "192.0.2.250:4000");
  alice.allocate();
  EXPECT_EQ(world.take_events<AllocationOpened>().size(), 1U) << "lifecycle events always fit";
}

}  // namespace
}  // namespace bedside::turn::testing
