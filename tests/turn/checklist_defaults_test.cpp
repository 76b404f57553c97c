// Section A of the TURN checklist as far as it is about who gets in and what strangers get: A.1,
// A.8, A.9, A.11 and A.12. The other lines of that section have tests beside what they are about.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdio>
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

TEST(ChecklistA, Line1_ThereIsNoRelayWithoutCredentials) {
  CredentialsConfig config;
  config.realm = "clinic.example";
  EXPECT_EQ(Credentials::make(config).error(), CredentialsError::nothing_configured);
  config.users = {{"guest", ""}};
  EXPECT_EQ(Credentials::make(config).error(), CredentialsError::empty_password);
  config.users.clear();
  config.shared_secrets = {"short"};
  EXPECT_EQ(Credentials::make(config).error(), CredentialsError::short_secret);
  config.shared_secrets = {"0123456789abcdef"};
  EXPECT_TRUE(Credentials::make(config));
}

TEST(ChecklistA, Line8_StrangersLeaveNoState) {
  World world;
  for (int i = 0; i < 5000; ++i) {
    const std::string at = "192.0." + std::to_string(i % 250) + ".7:" + std::to_string(1024 + i);
    Client stranger(world, at);
    stranger.send(stranger.unsigned_request(Method::allocate, udp_transport()));
    stranger.signer.nonce = "obMatJos2AAAB0123456789abcdef";
    stranger.send(stranger.request(Method::allocate, udp_transport()));
    stranger.send(stranger.unsigned_request(Method::binding));
  }
  EXPECT_EQ(world.relay.counters().allocations, 0U);
  EXPECT_EQ(world.ports.open_count(), 0U);
  EXPECT_TRUE(world.relay.events().empty());
  EXPECT_FALSE(world.relay.next_deadline()) << "nothing waits for its end";
}

TEST(ChecklistA, Line8_NoncesAreStatelessAndMadeOfARandomKey) {
  NonceKey key{};
  key.fill(1);
  Nonces one(key);
  Nonces same(key);
  key.fill(2);
  Nonces restarted(key);
  const Now now{1h, 0s};
  const auto client = endpoint("192.0.2.7:4000");
  const Nonce nonce = one.issue(ClientTransport::udp, client, now);
  EXPECT_EQ(same.check(nonce.text(), ClientTransport::udp, client, now), NonceVerdict::valid);
  EXPECT_EQ(restarted.check(nonce.text(), ClientTransport::udp, client, now), NonceVerdict::stale);
}

// What a stranger can draw from us, in bytes out for bytes in.
struct Exchange {
  const char* name;
  Packet request;
  double most;  // the ratio that is promised
};

std::vector<Exchange> exchanges(Rfc8489Client& client) {
  Client& wire = client.wire;
  const Fill unknown = [](MessageWriter& w) { w.add_flag(static_cast<Attribute>(0x7A00)); };
  const Fill many = [](MessageWriter& w) {
    for (unsigned i = 0; i < 64; ++i) w.add_flag(static_cast<Attribute>(0x7A00 + i));
  };
  const Fill lone_integrity = [&](MessageWriter& w) {
    w.add_integrity(client.keys.of(stun::PasswordAlgorithm::md5).bytes());
  };
  client.nonce = "x";
  return {
      {"Binding", wire.unsigned_request(Method::binding), 2.2},
      {"Binding, unknown attribute", wire.unsigned_request(Method::binding, unknown), 1.5},
      {"Binding, 64 unknown attributes", wire.unsigned_request(Method::binding, many), 0.4},
      {"Refresh, a bare header", wire.unsigned_request(Method::refresh), 5.0},
      {"Allocate, unsigned", wire.unsigned_request(Method::allocate, udp_transport()), 3.6},
      {"Allocate, lone integrity", wire.unsigned_request(Method::allocate, lone_integrity), 0.7},
      {"Allocate, stale nonce", client.request(Method::allocate, Manner::old()), 1.2},
      {"Allocate, stale nonce, SHA-256", client.request(Method::allocate), 0.9},
  };
}

TEST(ChecklistA, Line9_AnAnswerToAStrangerIsSmall) {
  for (const char* at : {"192.0.2.7:4000", "[2600::7]:4000"}) {
    World world;
    Rfc8489Client client(world, at);
    client.challenge();
    std::printf("from %s\n%-34s %5s %5s %6s\n", at, "unauthenticated exchange", "in", "out",
                "ratio");
    for (const Exchange& exchange : exchanges(client)) {
      const Reply reply = client.wire.send(exchange.request).value();
      const std::size_t in = exchange.request.size();
      const std::size_t out = reply.bytes().size();
      const double ratio = static_cast<double>(out) / static_cast<double>(in);
      std::printf("%-34s %5zu %5zu %6.2f\n", exchange.name, in, out, ratio);
      EXPECT_LE(ratio, exchange.most) << exchange.name;
      EXPECT_LE(out, 100U) << exchange.name << " with a realm of 14 characters";
      EXPECT_FALSE(reply.has(Attribute::software));
      EXPECT_FALSE(reply.has(Attribute::mapped_address));
      if (const auto error = reply.view().error_code()) {
        EXPECT_EQ(error->reason, "");
      }
    }
  }
}

TEST(ChecklistA, Line9_ABindingReplyIs32Bytes44ForIpv6) {
  World world;
  Client ipv4(world, "192.0.2.7:4000");
  Client ipv6(world, "[2600::7]:4000");
  EXPECT_EQ(ipv4.send(ipv4.unsigned_request(Method::binding))->bytes().size(), 32U);
  EXPECT_EQ(ipv6.send(ipv6.unsigned_request(Method::binding))->bytes().size(), 44U);
}

TEST(ChecklistA, Line9_RepliesToStrangersAreLimitedPerPrefix) {
  const auto answered = [](World& world, const std::vector<std::string>& sources) {
    std::size_t count = 0;
    for (const std::string& at : sources) {
      Client stranger(world, at);
      count += stranger.send(stranger.unsigned_request(Method::allocate)).has_value() ? 1U : 0U;
    }
    return count;
  };
  std::vector<std::string> one_host;
  std::vector<std::string> one_network;
  std::vector<std::string> one_lan;
  std::vector<std::string> one_site;
  for (int i = 0; i < 6000; ++i) {
    const std::string n = std::to_string(i);
    one_host.push_back("192.0.2.7:" + std::to_string(2000 + i));
    one_network.push_back("192.0.2." + std::to_string(i % 250) + ":" + std::to_string(2000 + i));
    one_lan.push_back("[2600:1:2:300::" + n + "]:4000");
    one_site.push_back("[2600:1:2:3" + std::to_string(10 + i % 90) + "::" + n + "]:4000");
  }
  World a;
  World b;
  World c;
  World d;
  EXPECT_EQ(answered(a, one_host), limits::kNarrowSourceRate.burst) << "an IPv4 address";
  EXPECT_EQ(answered(b, one_network), limits::kWideSourceRate.burst) << "an IPv4 /24";
  EXPECT_EQ(answered(c, one_lan), limits::kNarrowSourceRate.burst) << "an IPv6 /64";
  EXPECT_EQ(answered(d, one_site), limits::kWideSourceRate.burst) << "an IPv6 /56";
  EXPECT_EQ(answered(a, {"198.18.0.1:1"}), 1U) << "the others do not feel it";
  a.advance(1s);
  EXPECT_EQ(answered(a, one_host), limits::kNarrowSourceRate.per_second);
}

TEST(ChecklistA, Line11_AParticipantsCredentialIsShortAndEndsWithTheParticipant) {
  World world;
  const auto& credentials = world.credentials;
  const auto longest = limits::kMaxParticipantCredentialTtl;
  EXPECT_FALSE(credentials.issue_for_participant("room", "p1", world.now, longest + 1s));
  const auto issued = credentials.issue_for_participant("room", "p1", world.now, 600s).value();
  Rfc8489Client p1(world, "192.0.2.7:4000", issued.username, issued.password);
  Rfc8489Client second(world, "192.0.2.7:4001", issued.username, issued.password);
  p1.challenge();
  second.challenge();
  ASSERT_TRUE(p1.allocate().ok());
  // Removed from the room: the credential is dead before it expires, and so is what it made.
  world.participants.live.erase("p1");
  EXPECT_EQ(second.allocate().code(), 401);
  EXPECT_EQ(world.relay.revoke_participant("p1", world.now), 1U);
  EXPECT_EQ(world.ports.open_count(), 0U);
  const auto unknown = credentials.issue_for_participant("room", "p9", world.now, 600s).value();
  Rfc8489Client p9(world, "192.0.2.9:4000", unknown.username, unknown.password);
  p9.challenge();
  EXPECT_EQ(p9.allocate().code(), 401) << "signed with our secret but never admitted";
}

TEST(ChecklistA, Line12_PortsAndTokensCannotBeGuessed) {
  World world;
  std::set<int> steps;
  std::set<std::string> tokens;
  int last = 0;
  for (int i = 0; i < 40; ++i) {
    Client alice(world, "192.0.2.7:" + std::to_string(4000 + i));
    const Reply reply = alice.allocate(i < 4 ? even_port(true) : Fill{});
    ASSERT_TRUE(reply.ok());
    const int port = reply.relayed()->port;
    steps.insert(port - last);
    last = port;
    if (i < 4) tokens.insert(reply.text(Attribute::reservation_token));
  }
  EXPECT_GT(steps.size(), 30U) << "the next port does not follow from the last";
  EXPECT_EQ(tokens.size(), 4U);
}

TEST(ChecklistA, Line12_LengthsThatLieAreRefusedBeforeAnyByteIsRead) {
  World world;
  Client alice(world, "192.0.2.7:4000");
  Packet packet = alice.unsigned_request(Method::allocate, udp_transport());
  for (int length = 5; length <= 0xFFFF; length += 97) {  // of an attribute with four bytes
    stun::store_u16(packet, 22, static_cast<std::uint16_t>(length));
    EXPECT_FALSE(alice.send(packet)) << length;
  }
}

}  // namespace
}  // namespace bedside::turn::testing
