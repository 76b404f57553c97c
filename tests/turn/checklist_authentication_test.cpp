// The lines B.13 to B.19 and B.26 to B.29 of the TURN checklist: who is asked to prove what,
// nonces, names and realms. Asked of a Relay, as its clients do.
#include <gtest/gtest.h>

#include <set>
#include <string>
#include <vector>

#include "tests/turn/rfc8489_client.h"

namespace bedside::turn::testing {
namespace {

using namespace std::chrono_literals;
using stun::Attribute;
using stun::MessageWriter;
using stun::Method;
using stun::PasswordAlgorithm;

void expect_challenge(const Reply& reply, int code) {
  EXPECT_EQ(reply.code(), code);
  EXPECT_EQ(reply.text(Attribute::realm), World::kRealm);
  EXPECT_FALSE(reply.text(Attribute::nonce).empty());
  EXPECT_TRUE(reply.has(Attribute::password_algorithms));
  for (const Attribute absent :
       {Attribute::username, Attribute::userhash, Attribute::message_integrity,
        Attribute::message_integrity_sha256}) {
    EXPECT_FALSE(reply.has(absent));
  }
}

// A refusal that nobody proved to deserve: the code and nothing else.
void expect_bare(const Reply& reply, int code) {
  EXPECT_EQ(reply.code(), code);
  EXPECT_EQ(reply.bytes().size(), stun::kHeaderSize + 8);
}

TEST(ChecklistB, Line13_WithoutIntegrityA401WithRealmAndNonce) {
  World world;
  Rfc8489Client alice(world, kAlice);
  for (const Method method :
       {Method::allocate, Method::refresh, Method::create_permission, Method::channel_bind}) {
    expect_challenge(alice.challenge(method), 401);
  }
}

TEST(ChecklistB, Line14_IntegrityWithoutItsCompanionsIsABare400) {
  World world;
  Rfc8489Client alice(world, kAlice);
  alice.challenge();
  const std::vector<Attribute> companions{Attribute::username, Attribute::realm, Attribute::nonce};
  for (const Attribute missing : companions) {
    for (const bool sha256 : {false, true}) {
      const Packet packet = alice.wire.unsigned_request(Method::allocate, [&](MessageWriter& w) {
        for (const Attribute present : companions) {
          if (present != missing) w.add_text(present, "x");
        }
        const stun::Bytes key = alice.keys.of(PasswordAlgorithm::md5).bytes();
        sha256 ? w.add_integrity_sha256(key) : w.add_integrity(key);
      });
      expect_bare(alice.wire.send(packet).value(), 400);
    }
  }
}

TEST(ChecklistB, Line15_UnknownUserAndWrongPasswordGet401WithAFreshNonce) {
  World world;
  Rfc8489Client mallory(world, "192.0.2.1:4000", "mallory", "x");
  Rfc8489Client forgetful(world, "192.0.2.2:4000", "alice", "wrong");
  for (Rfc8489Client* client : {&mallory, &forgetful}) {
    client->challenge();
    world.advance(10s);
    for (const bool hide_name : {false, true}) {
      for (Manner manner : {Manner{}, Manner::old()}) {
        manner.hide_name = hide_name;
        const Reply reply = client->allocate(manner);
        expect_challenge(reply, 401);
        EXPECT_NE(reply.text(Attribute::nonce), client->nonce) << "fresh";
      }
    }
  }
  EXPECT_EQ(world.ports.open_count(), 0U);
}

TEST(ChecklistB, Line16_AnUnknownOrExpiredNonceIs438WithEverythingToGoOn) {
  World world;
  Rfc8489Client alice(world, kAlice);
  alice.challenge();
  const std::string genuine = alice.nonce;
  for (const std::string& nonce :
       {std::string("x"), genuine + "A", genuine.substr(1), std::string(genuine.size(), 'A')}) {
    alice.nonce = nonce;
    expect_challenge(alice.allocate(), 438);
  }
  alice.nonce = genuine;
  world.advance(3600s);
  const Reply reply = alice.allocate();
  expect_challenge(reply, 438);
  alice.nonce = reply.text(Attribute::nonce);
  EXPECT_TRUE(alice.allocate().ok());
}

TEST(ChecklistB, Line16_TheNonceIsLookedAtBeforeTheKey) {
  World world;
  Rfc8489Client mallory(world, kAlice, "mallory", "x");
  mallory.challenge();
  mallory.nonce = "stale";
  EXPECT_EQ(mallory.allocate().code(), 438);
}

TEST(ChecklistB, Line17_TwoSourcesNeverGetTheSameNonce) {
  World world;
  std::set<std::string> nonces;
  std::size_t sources = 0;
  for (int host = 1; host <= 20; ++host) {
    for (int port = 4000; port < 4020; ++port) {
      const std::string at = "192.0.2." + std::to_string(host) + ":" + std::to_string(port);
      for (const auto transport : {ClientTransport::udp, ClientTransport::tcp}) {
        Rfc8489Client client(world, at, "alice", "x", transport);
        client.challenge();
        nonces.insert(client.nonce);
        ++sources;
      }
    }
  }
  EXPECT_EQ(nonces.size(), sources);
}

TEST(ChecklistB, Line18_NonceReplayedFromAnotherAddressIs438) {
  World world;
  Rfc8489Client alice(world, kAlice);
  alice.challenge();
  for (const char* elsewhere : {"192.0.2.7:4001", "192.0.2.8:4000", "[2001:db8::7]:4000"}) {
    Rfc8489Client thief(world, elsewhere);
    thief.offer = alice.offer;
    thief.nonce = alice.nonce;
    EXPECT_EQ(thief.allocate().code(), 438) << elsewhere;
  }
  EXPECT_TRUE(alice.allocate().ok());
}

TEST(ChecklistB, Line19_ANonceLivesAnHourAtMostAndItsRenewalIsTransparent) {
  EXPECT_LE(limits::kNonceLifetime, 3600s);
  World world;
  Rfc8489Client alice(world, kAlice);
  alice.challenge();
  ASSERT_TRUE(alice
                  .ask(Method::allocate, {},
                       [](MessageWriter& writer) {
                         udp_transport()(writer);
                         writer.add_u32(Attribute::lifetime, 3600);
                       })
                  .ok());
  world.advance(3599s);
  ASSERT_TRUE(alice.ask(Method::refresh, {}, lifetime(3600)).ok()) << "its last second";
  world.advance(1s);
  const Reply stale = alice.ask(Method::refresh);
  expect_challenge(stale, 438);
  alice.nonce = stale.text(Attribute::nonce);
  EXPECT_TRUE(alice.ask(Method::refresh).ok());
  EXPECT_EQ(world.ports.open_count(), 1U);
}

TEST(ChecklistB, Line26_AnotherUserOnTheSame5TupleGets441) {
  World world;
  Rfc8489Client alice(world, kAlice);
  alice.challenge();
  ASSERT_TRUE(alice.allocate().ok());
  Rfc8489Client bob(world, kAlice, "bob", "bob-password");
  bob.challenge();
  Manner hidden;
  hidden.hide_name = true;
  for (const Method method : {Method::refresh, Method::create_permission, Method::channel_bind}) {
    for (const Manner& manner : {Manner{}, hidden, Manner::old()}) {
      EXPECT_EQ(bob.ask(method, manner).code(), 441);
    }
  }
  EXPECT_EQ(bob.allocate().code(), 437) << "for Allocate the 5-tuple counts";
  EXPECT_TRUE(alice.ask(Method::refresh, hidden).ok());
  EXPECT_TRUE(alice.ask(Method::refresh, Manner::old()).ok()) << "the user counts, not the manner";
}

TEST(ChecklistB, Line27_ErrorsToAProvenUserCarryIntegrity) {
  World world;
  Rfc8489Client alice(world, kAlice);
  alice.challenge();
  struct Case {
    int code;
    Method method;
    Fill fill;
  };
  const Fill tcp = [](MessageWriter& w) { w.add_u32(Attribute::requested_transport, 6U << 24); };
  const Fill no_family = [](MessageWriter& w) {
    udp_transport()(w);
    family(Attribute::requested_address_family, 3)(w);
  };
  const Fill unknown = [](MessageWriter& w) { w.add_flag(static_cast<Attribute>(0x7A00)); };
  const std::vector<Case> before{{437, Method::refresh, {}},
                                 {400, Method::allocate, {}},
                                 {442, Method::allocate, tcp},
                                 {440, Method::allocate, no_family},
                                 {420, Method::allocate, unknown}};
  const std::vector<Case> after{{437, Method::allocate, udp_transport()},
                                {400, Method::create_permission, {}},
                                {403, Method::create_permission, peers({endpoint("10.0.0.1:1")})},
                                {443, Method::create_permission, peers({endpoint("[2600::1]:1")})},
                                {400, Method::channel_bind, {}}};
  const auto expect_all = [&](const std::vector<Case>& cases) {
    for (const Case& c : cases) {
      const Reply modern = alice.ask(c.method, {}, c.fill);
      EXPECT_EQ(modern.code(), c.code);
      EXPECT_TRUE(alice.signed_with_sha256(modern, PasswordAlgorithm::sha256)) << c.code;
      const Reply old = alice.ask(c.method, Manner::old(), c.fill);
      EXPECT_EQ(old.code(), c.code);
      EXPECT_TRUE(alice.signed_with_sha1(old, PasswordAlgorithm::md5)) << c.code;
    }
  };
  expect_all(before);
  ASSERT_TRUE(alice.allocate().ok());
  expect_all(after);
  Rfc8489Client bob(world, kAlice, "bob", "bob-password");
  bob.challenge();
  EXPECT_TRUE(bob.signed_with_sha256(bob.ask(Method::refresh), PasswordAlgorithm::sha256)) << 441;
}

TEST(ChecklistB, Line28_AWrongRealmIs401ForEveryMethod) {
  World world;
  Rfc8489Client alice(world, kAlice);
  alice.challenge();
  ASSERT_TRUE(alice.allocate().ok());
  for (const std::string& realm :
       {std::string("elsewhere"), std::string(), std::string(700, 'r')}) {
    alice.realm = realm;
    for (const Method method :
         {Method::allocate, Method::refresh, Method::create_permission, Method::channel_bind}) {
      expect_challenge(alice.ask(method), 401);
    }
  }
}

TEST(ChecklistB, Line29_ASharedNameIsExpiryAndIdAndIdsMayHaveColons) {
  World world;
  for (const char* subject : {"desk", "a:b:c", "42:7", ":"}) {
    const auto issued = world.credentials.issue_shared(subject, world.now, 86400s).value();
    Rfc8489Client desk(world, kAlice, issued.username, issued.password);
    desk.challenge();
    EXPECT_TRUE(desk.allocate().ok()) << subject;
    EXPECT_TRUE(desk.ask(Method::refresh, {}, lifetime(0)).ok());
  }
}

TEST(ChecklistB, Line29_AnExpiryThatIsNoSaneTimeIs401) {
  World world;
  const auto code = [&](const std::string& name) {
    Rfc8489Client desk(world, kAlice, name, rest_password(World::kSharedSecret, name));
    desk.challenge();
    const int answer = desk.allocate().code();
    if (answer == 0) desk.ask(Method::refresh, {}, lifetime(0));
    return answer;
  };
  const std::int64_t wall = world.now.wall.count();
  const std::int64_t latest =
      wall + (limits::kMaxSharedCredentialTtl + limits::kCredentialClockSkew).count();
  EXPECT_EQ(code(std::to_string(wall + 1) + ":desk"), 0);
  EXPECT_EQ(code(std::to_string(latest) + ":desk"), 0) << "a clock may be five minutes ahead";
  EXPECT_EQ(code(std::to_string(latest + 1) + ":desk"), 401) << "beyond the longest lifetime";
  EXPECT_EQ(code(std::to_string(wall) + ":desk"), 401) << "expired: no skew that way";
  for (const char* expiry :
       {"", "soon", "-1900000000", "+1900000000", " 1900000000", "1.9e9", "0x7fffffff",
        "9223372036854775807", "9223372036854775808", "99999999999999999999999999"}) {
    EXPECT_EQ(code(std::string(expiry) + ":desk"), 401) << expiry;
  }
  EXPECT_EQ(code(std::to_string(wall + 60) + ":"), 401) << "no id";
  EXPECT_EQ(code(std::to_string(wall + 60)), 401) << "no colon";
}

}  // namespace
}  // namespace bedside::turn::testing
