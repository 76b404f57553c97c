// The lines B.20 to B.25 of the TURN checklist: what RFC 8489 adds to the long-term credential
// mechanism. Asked of a Relay, as its clients do.
#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "stun/nonce_cookie.h"
#include "tests/turn/rfc8489_client.h"
#include "tests/vectors/hex.h"
#include "tests/vectors/stun_messages.h"

namespace bedside::turn::testing {
namespace {

using namespace std::chrono_literals;
using stun::Attribute;
using stun::MessageWriter;
using stun::Method;
using stun::PasswordAlgorithm;

WorldOptions without_shared_secret() {
  WorldOptions options;
  options.shared_secret = false;
  return options;
}

Manner with(PasswordAlgorithm algorithm) {
  Manner manner;
  manner.algorithm = algorithm;
  return manner;
}

TEST(ChecklistB, Line20_FeatureBitsAreCountedFromTheLeastSignificant) {
  using stun::SecurityFeatures;
  const auto text = [](SecurityFeatures features) {
    const auto characters = stun::encode(features);
    return std::string(characters.begin(), characters.end());
  };
  EXPECT_EQ(text({false, false}), "AAAA");
  EXPECT_EQ(text({.password_algorithms = true}), "AAAB");
  EXPECT_EQ(text({.username_anonymity = true}), "AAAC");
  EXPECT_EQ(text({true, true}), "AAAD");
  // The sample of appendix B.1 hides the name.
  const auto wire = vectors::from_hex(vectors::kSampleSha256Request);
  const auto sample = stun::MessageView::parse(wire).value();
  EXPECT_EQ(stun::features_of(sample.text(Attribute::nonce).value()),
            (SecurityFeatures{.username_anonymity = true}));
  World world;
  Rfc8489Client alice(world, kAlice);
  alice.challenge();
  EXPECT_TRUE(alice.nonce.starts_with("obMatJos2AAAB")) << alice.nonce;
  World all_listed(without_shared_secret());
  Rfc8489Client bob(all_listed, kAlice);
  bob.challenge();
  EXPECT_TRUE(bob.nonce.starts_with("obMatJos2AAAD")) << bob.nonce;
}

TEST(ChecklistB, Line20_ANonceWithOtherBitsThanOursIsStale) {
  World world;
  Rfc8489Client alice(world, kAlice);
  alice.challenge();
  const std::string genuine = alice.nonce;
  for (const char bits : {'A', 'C', 'D'}) {
    alice.nonce = genuine;
    alice.nonce[stun::kNonceCookieSize - 1] = bits;
    EXPECT_EQ(alice.allocate(Manner::old()).code(), 438) << bits;
    EXPECT_EQ(alice.allocate().code(), 438) << bits;
  }
}

TEST(ChecklistB, Line21_WithoutEitherAlgorithmAttributeARequestIsMd5) {
  World world;
  Rfc8489Client alice(world, kAlice);
  alice.challenge();
  Manner old = Manner::old();
  EXPECT_TRUE(alice.allocate(old).ok());
  old.sha1 = false;
  old.sha256 = true;
  EXPECT_TRUE(alice.ask(Method::refresh, old).ok()) << "whichever integrity it carries";
  old.algorithm = PasswordAlgorithm::sha256;
  EXPECT_EQ(alice.ask(Method::refresh, old).code(), 401) << "a SHA-256 key must be announced";
}

TEST(ChecklistB, Line21_TheOfferMustComeBackUnchangedWithAChoiceFromIt) {
  World world;
  Rfc8489Client alice(world, kAlice);
  alice.challenge();
  EXPECT_EQ(alice.offer, (Packet{0, 2, 0, 0, 0, 1, 0, 0})) << "SHA-256 is preferred";
  const auto code = [&](const Manner& manner) {
    const Reply reply = alice.allocate(manner);
    if (reply.code() == 400) {
      EXPECT_EQ(reply.bytes().size(), stun::kHeaderSize + 8) << "bare";
    }
    return reply.code();
  };
  Manner lone_choice;
  lone_choice.repeat_offer = false;
  EXPECT_EQ(code(lone_choice), 400);
  Manner lone_offer;
  lone_offer.name_choice = false;
  EXPECT_EQ(code(lone_offer), 400);
  for (const Packet& offer :
       {Packet{0, 1, 0, 0}, Packet{0, 2, 0, 0}, Packet{0, 1, 0, 0, 0, 2, 0, 0}, Packet{},
        Packet{0, 2, 0, 0, 0, 1, 0}, Packet{0, 2, 0, 0, 0, 1, 0, 0, 0, 3, 0, 0}}) {
    Manner changed;
    changed.offer = offer;
    EXPECT_EQ(code(changed), 400) << offer.size();
  }
  for (const Packet& choice : {Packet{0, 3, 0, 0}, Packet{0, 0, 0, 0}, Packet{2, 0, 0, 0}, Packet{},
                               Packet{0, 2}, Packet{0, 2, 0, 4, 1, 2, 3, 4}, Packet{0, 2, 0, 4}}) {
    Manner other;
    other.choice = choice;
    EXPECT_EQ(code(other), 400) << choice.size();
  }
  EXPECT_EQ(world.ports.open_count(), 0U);
  EXPECT_EQ(code({}), 0);
}

TEST(ChecklistB, Line21_WhoStrikesSha256FromTheOfferOnTheWayGainsNothing) {
  World world;
  Rfc8489Client victim(world, kAlice);
  victim.challenge();
  const Packet genuine = victim.offer;
  // Struck from the list: the victim repeats the list it saw.
  victim.offer = {0, 1, 0, 0};
  EXPECT_EQ(victim.allocate(with(PasswordAlgorithm::md5)).code(), 400);
  // The list removed as well as the bit: the victim behaves like an old client.
  victim.nonce[stun::kNonceCookieSize - 1] = 'A';
  EXPECT_EQ(victim.allocate(Manner::old()).code(), 438);
  EXPECT_EQ(world.ports.open_count(), 0U);
}

TEST(ChecklistB, Line22_TheReplyIsSignedAsTheRequestNamedItsAlgorithm) {
  for (const auto algorithm : {PasswordAlgorithm::md5, PasswordAlgorithm::sha256}) {
    World world;
    Rfc8489Client alice(world, kAlice);
    alice.challenge();
    const Manner manner = with(algorithm);
    const Reply success = alice.allocate(manner);
    ASSERT_TRUE(success.ok());
    const Reply failure = alice.allocate(manner);
    ASSERT_EQ(failure.code(), 437);
    for (const Reply& reply : {success, failure}) {
      EXPECT_TRUE(alice.signed_with_sha256(reply, algorithm));
      EXPECT_FALSE(reply.has(Attribute::message_integrity));
      EXPECT_EQ(reply.view().find(Attribute::message_integrity_sha256)->value.size(), 32U);
    }
  }
}

TEST(ChecklistB, Line22_OldClientsGetPlainMessageIntegrity) {
  World world;
  Rfc8489Client alice(world, kAlice);
  alice.challenge();
  Manner old = Manner::old();
  const Reply success = alice.allocate(old);
  old.sha1 = false;
  old.sha256 = true;
  for (const Reply& reply : {success, alice.allocate(old)}) {
    EXPECT_TRUE(alice.signed_with_sha1(reply, PasswordAlgorithm::md5)) << reply.code();
    EXPECT_FALSE(reply.has(Attribute::message_integrity_sha256));
  }
}

TEST(ChecklistB, Line22_ARequestWithBothIntegritiesNeedsBothToHold) {
  World world;
  Rfc8489Client alice(world, kAlice);
  alice.challenge();
  Manner both;
  both.sha1 = true;
  Packet packet = alice.request(Method::allocate, both, udp_transport());
  packet.back() ^= 1;  // of MESSAGE-INTEGRITY-SHA256
  EXPECT_EQ(alice.wire.send(packet)->code(), 401);
  packet.back() ^= 1;
  packet[packet.size() - 36 - 1] ^= 1;  // of MESSAGE-INTEGRITY
  EXPECT_EQ(alice.wire.send(packet)->code(), 401);
  EXPECT_TRUE(alice.allocate(both).ok());
}

TEST(ChecklistB, Line23_EveryNonceComesWithPasswordAlgorithms) {
  World world;
  Rfc8489Client alice(world, kAlice);
  std::vector<Reply> replies{alice.challenge()};
  Rfc8489Client wrong(world, kAlice, "alice", "wrong");
  wrong.nonce = alice.nonce;
  wrong.offer = alice.offer;
  replies.push_back(wrong.allocate());
  replies.push_back(wrong.allocate(Manner::old()));
  alice.realm = "elsewhere";
  replies.push_back(alice.allocate());
  alice.nonce = "stale";
  replies.push_back(alice.allocate());
  replies.push_back(alice.allocate(Manner::old()));
  for (const Reply& reply : replies) {
    const auto features = stun::features_of(reply.text(Attribute::nonce));
    ASSERT_TRUE(features) << reply.code();
    EXPECT_TRUE(features->password_algorithms);
    const auto offered = reply.view().find(Attribute::password_algorithms);
    ASSERT_TRUE(offered) << reply.code();
    EXPECT_TRUE(std::equal(offered->value.begin(), offered->value.end(),
                           stun::kOfferedAlgorithms.begin(), stun::kOfferedAlgorithms.end()));
  }
}

// A participant of a visit whose name the server remembers, as IceServers does when it issues one.
Rfc8489Client rfc8489_participant(World& world, std::string_view address, std::string_view id) {
  const auto issued = world.credentials.issue_for_participant("room", id, world.now, 600s).value();
  world.participants.names[stun::userhash(issued.username, World::kRealm)] = issued.username;
  return Rfc8489Client(world, address, issued.username, issued.password);
}

TEST(ChecklistB, Line24_AHiddenNameIsFoundForUsersAndLiveParticipants) {
  World world(without_shared_secret());
  Rfc8489Client alice(world, kAlice);
  Rfc8489Client p1 = rfc8489_participant(world, "192.0.2.8:4000", "p1");
  Rfc8489Client gone = rfc8489_participant(world, "192.0.2.9:4000", "p9");
  Manner hidden;
  hidden.hide_name = true;
  for (Rfc8489Client* client : {&alice, &p1, &gone}) client->challenge();
  const Reply reply = alice.allocate(hidden);
  EXPECT_TRUE(reply.ok());
  EXPECT_FALSE(reply.has(Attribute::username)) << "hidden from who listens to replies, too";
  EXPECT_TRUE(p1.allocate(hidden).ok());
  EXPECT_EQ(gone.allocate(hidden).code(), 401);
  const auto opened = world.take_events<AllocationOpened>();
  ASSERT_EQ(opened.size(), 2U);
  EXPECT_EQ(opened[0].party.subject, "alice");
  EXPECT_EQ(opened[1].party.participant, "p1");
  EXPECT_TRUE(p1.ask(Method::refresh, hidden).ok());
  EXPECT_TRUE(p1.ask(Method::refresh).ok()) << "the same user, named in plain";
  world.participants.live.erase("p1");
  EXPECT_EQ(p1.ask(Method::refresh, hidden).code(), 401);
}

TEST(ChecklistB, Line24_WithASharedSecretNobodyIsToldToHideTheName) {
  World world;
  const auto issued = world.credentials.issue_shared("desk", world.now, 60s).value();
  Rfc8489Client desk(world, kAlice, issued.username, issued.password);
  desk.challenge();
  EXPECT_FALSE(stun::features_of(desk.nonce)->username_anonymity);
  Manner hidden;
  hidden.hide_name = true;
  EXPECT_EQ(desk.allocate(hidden).code(), 401) << "names made by others cannot be listed";
  ASSERT_TRUE(desk.allocate().ok());
  EXPECT_TRUE(desk.ask(Method::refresh, hidden).ok()) << "but here it can only be the owner";
  Rfc8489Client alice(world, "192.0.2.8:4000");
  alice.challenge();
  EXPECT_TRUE(alice.allocate(hidden).ok()) << "who can be found is found all the same";
}

TEST(ChecklistB, Line24_AUserhashOfAnotherSizeIsNobodys) {
  World world;
  Rfc8489Client alice(world, kAlice);
  alice.challenge();
  for (const std::size_t size : {0U, 4U, 31U, 33U}) {
    const Packet hash(size);
    const Packet packet = alice.wire.unsigned_request(Method::allocate, [&](MessageWriter& w) {
      w.add_bytes(Attribute::userhash, hash);
      w.add_text(Attribute::realm, alice.realm);
      w.add_text(Attribute::nonce, alice.nonce);
      w.add_integrity(alice.keys.of(PasswordAlgorithm::md5).bytes());
    });
    EXPECT_EQ(alice.wire.send(packet)->code(), 401) << size;
  }
  Manner both;
  both.both_names = true;
  EXPECT_TRUE(alice.allocate(both).ok()) << "USERNAME counts";
}

TEST(ChecklistB, Line25_KeysAreTheHashesOfNameRealmAndPassword) {
  CredentialsConfig config;
  config.realm = vectors::kMatrixRealm;
  config.users = {{std::string(vectors::kMatrixName), std::string(vectors::kMatrixPassword)}};
  const Credentials credentials = Credentials::make(config).value();
  // Appendix B.1 of RFC 8489, the way a server reads it: hash to name, name to key, key to HMAC.
  const auto wire = vectors::from_hex(vectors::kSampleSha256Request);
  const auto sample = stun::MessageView::parse(wire).value();
  const FakeParticipants nobody;
  const auto hash = sample.find(Attribute::userhash).value().value;
  ASSERT_EQ(credentials.name_of(hash, nobody), vectors::kMatrixName);
  const auto account = credentials.find(vectors::kMatrixName, Now{}, nobody, [&](const auto& keys) {
    return stun::verify_any_integrity(sample, keys.of(PasswordAlgorithm::sha256).bytes());
  });
  ASSERT_TRUE(account);
  EXPECT_EQ(account->name, vectors::kMatrixName);
  // RFC 5769 §2.4, the same user with MD5.
  const auto old_wire = vectors::from_hex(vectors::kSampleLongTermRequest);
  const auto old = stun::MessageView::parse(old_wire).value();
  EXPECT_TRUE(stun::verify_any_integrity(old, account->keys.of(PasswordAlgorithm::md5).bytes()));
  // A realm with quotes would be stripped by some clients and not by others.
  config.realm = "\"example.org\"";
  EXPECT_EQ(Credentials::make(config).error(), CredentialsError::bad_realm);
}

}  // namespace
}  // namespace bedside::turn::testing
