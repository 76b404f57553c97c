// The relay's checklist, which peers may be talked to: section A of it, and our own addresses.
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <functional>
#include <string>
#include <vector>

#include "tests/turn/checklist_world.h"

namespace bedside::turn::testing {
namespace {

using namespace std::chrono_literals;
using stun::Attribute;
using stun::IpAddress;

// XOR-PEER-ADDRESS of any IPv6 address, also of the mapped ones MessageWriter would make IPv4.
Packet raw_request(Client& client, stun::Method method, const IpAddress& peer, std::uint16_t port) {
  const stun::TransactionId id{4, 3, 2, 1};
  const stun::Bytes address = peer.bytes();
  std::array<std::uint8_t, 20> value{};
  value[1] = static_cast<std::uint8_t>(peer.family());
  stun::store_u16(value, 2, static_cast<std::uint16_t>(port ^ 0x2112));
  std::copy(address.begin(), address.end(), value.begin() + 4);
  stun::store_u32(value, 4, stun::load_u32(value, 4) ^ stun::kMagicCookie);
  for (std::size_t i = 0; i < id.size() && !peer.is_v4(); ++i) value[8 + i] ^= id[i];
  const auto fill = [&](stun::MessageWriter& writer) {
    writer.add_bytes(Attribute::xor_peer_address, stun::Bytes(value).first(4 + address.size()));
    if (method == stun::Method::channel_bind) {
      writer.add_u32(Attribute::channel_number, 0x40010000);
    }
    if (method == stun::Method::send) writer.add_text(Attribute::data, "x");
  };
  if (method != stun::Method::send) return client.signer.request(method, id, fill);
  Packet buffer(256);
  stun::MessageWriter writer(buffer, stun::Class::indication, method, id);
  fill(writer);
  buffer.resize(writer.finish().size());
  return buffer;
}

// --- Every registry entry in every form by every method ------------------------------------------

struct Entry {
  const char* prefix;
  bool forever;  // cannot be re-allowed by configuration
};
const std::vector<Entry> kEntries4{
    {"0.0.0.0/8", true},         {"10.0.0.0/8", false},    {"100.64.0.0/10", false},
    {"127.0.0.0/8", true},       {"169.254.0.0/16", true}, {"172.16.0.0/12", false},
    {"192.0.0.0/24", false},     {"192.0.2.0/24", false},  {"192.88.99.0/24", false},
    {"192.168.0.0/16", false},   {"198.18.0.0/15", false}, {"198.51.100.0/24", false},
    {"203.0.113.0/24", false},   {"224.0.0.0/4", true},    {"240.0.0.0/4", false},
    {"255.255.255.255/32", true}};
const std::vector<Entry> kEntries6{
    {"::/128", true},         {"::1/128", true},    {"100::/64", false},  {"2001::/23", false},
    {"2001:db8::/32", false}, {"3fff::/20", false}, {"5f00::/16", false}, {"fc00::/7", false},
    {"fe80::/10", true},      {"fec0::/10", false}, {"ff00::/8", true},   {"64:ff9b:1::/48", true}};

struct Form {
  const char* name;
  const char* base;
  std::size_t at;  // where the four octets stand
  std::uint8_t mask;
};
const std::vector<Form> kForms{{"IPv4-mapped", "::ffff:0:0", 12, 0},
                               {"IPv4-compatible", "::", 12, 0},
                               {"NAT64", "64:ff9b::", 12, 0},
                               {"local NAT64", "64:ff9b:1::", 12, 0},
                               {"6to4", "2002::1", 2, 0},
                               {"Teredo server", "2001:0:0:0:0:0:f7f7:f7f7", 4, 0},
                               {"Teredo client", "2001:0:808:808::", 12, 0xFF},
                               {"ISATAP", "2600:1:2:3:0:5efe::", 12, 0},
                               {"ISATAP, global", "2600:1:2:3:200:5efe::", 12, 0}};

IpAddress embed(const Form& form, const IpAddress& v4) {
  std::array<std::uint8_t, 16> octets{};
  const IpAddress base = address(form.base);
  std::copy(base.bytes().begin(), base.bytes().end(), octets.begin());
  for (std::size_t i = 0; i < 4; ++i) {
    octets[form.at + i] = static_cast<std::uint8_t>(v4.bytes()[i] ^ form.mask);
  }
  return IpAddress::v6(octets);
}

IpAddress end_of(const Entry& entry, bool last) {
  const Prefix prefix = Prefix::parse(entry.prefix).value();
  std::vector<std::uint8_t> octets(prefix.base.bytes().begin(), prefix.base.bytes().end());
  for (std::size_t bit = prefix.length; last && bit < octets.size() * 8; ++bit) {
    octets[bit / 8] = static_cast<std::uint8_t>(octets[bit / 8] | (0x80U >> (bit % 8)));
  }
  return IpAddress::from_bytes(octets).value();
}

struct Target {
  std::string name;
  IpAddress peer;
};

// Both ends of each entry, the IPv4 ones as they are and hidden in every form.
std::vector<Target> every_target() {
  std::vector<Target> targets;
  for (const bool last : {false, true}) {
    for (const Entry& entry : kEntries6) targets.push_back({entry.prefix, end_of(entry, last)});
    for (const Entry& entry : kEntries4) {
      const IpAddress v4 = end_of(entry, last);
      targets.push_back({entry.prefix, v4});
      for (const Form& form : kForms) {
        targets.push_back({std::string(entry.prefix) + " as " + form.name, embed(form, v4)});
      }
    }
  }
  return targets;
}

// A dual allocation whose client never runs into the rate of new peers.
WorldOptions unhurried() {
  return with_quotas([](Quotas& q) {
    q.new_peers_per_second = q.new_peers_burst = 1'000'000;
    q.permissions_per_allocation = q.channels_per_allocation = 10'000;
  });
}

PeerPolicy open_policy() {
  PeerPolicyConfig config;
  for (const auto* entries : {&kEntries4, &kEntries6}) {
    for (const Entry& entry : *entries) {
      if (!entry.forever) config.allowed.push_back(Prefix::parse(entry.prefix).value());
    }
  }
  config.allowed.push_back(Prefix::parse("::/3").value());
  config.allowed.push_back(Prefix::parse("4000::/2").value());
  return PeerPolicy::make(config).value();
}

TEST(ChecklistA, Line3_EveryRegistryEntryInEveryFormIsRefusedByEveryRequest) {
  AliceWorld world(unhurried(), dual());
  for (const Target& target : every_target()) {
    for (const auto method : {stun::Method::create_permission, stun::Method::channel_bind}) {
      const auto reply = world.alice.send(raw_request(world.alice, method, target.peer, 9000));
      EXPECT_EQ(reply.value().code(), 403) << target.name;
    }
    world.from_client(world.alice.tuple,
                      raw_request(world.alice, stun::Method::send, target.peer, 9000));
    EXPECT_EQ(world.last_drop(), DropReason::peer_refused) << target.name;
  }
  EXPECT_EQ(world.relay.counters().packets_to_peer, 0U);
}

// What a generous configuration let in is gone the moment a strict one is loaded: Send, ChannelData
// and the peer's own datagrams stop, and refreshing the channel is refused.
TEST(ChecklistA, Line5_EveryRegistryEntryInEveryFormEndsWithAReload) {
  std::size_t let_in = 0;
  for (const Target& target : every_target()) {
    AliceWorld world(unhurried(), dual());
    world.relay.set_peer_policy(open_policy());
    const Packet bind = raw_request(world.alice, stun::Method::channel_bind, target.peer, 9000);
    const int before = world.alice.send(bind).value().code();
    ASSERT_TRUE(before == 0 || before == 403) << target.name;
    if (before != 0) continue;  // never to be allowed, whatever is configured
    ++let_in;
    ASSERT_TRUE(world.alice.send_channel(0x4001, "x")) << target.name;
    world.relay.set_peer_policy(PeerPolicy::make({}).value());
    EXPECT_FALSE(world.alice.send_channel(0x4001, "x")) << target.name;
    EXPECT_EQ(world.alice.send(bind).value().code(), 403) << target.name << ", refresh";
    world.from_client(world.alice.tuple,
                      raw_request(world.alice, stun::Method::send, target.peer, 9000));
    EXPECT_EQ(world.last_drop(), DropReason::peer_refused) << target.name;
    const stun::Endpoint from{target.peer.unmapped(), 9000};
    const stun::Endpoint& at = from.address.is_v4() ? world.relayed : world.relayed6;
    EXPECT_FALSE(world.from_peer(at, from.to_string(), "x")) << target.name;
  }
  EXPECT_GT(let_in, 50U) << "the generous configuration must have let something in";
}

TEST(ChecklistA, Line3_SomeRangesCannotBeReallowed) {
  for (const auto* entries : {&kEntries4, &kEntries6}) {
    for (const Entry& entry : *entries) {
      PeerPolicyConfig config;
      config.allowed = {Prefix::parse(entry.prefix).value()};
      EXPECT_EQ(PeerPolicy::make(config).has_value(), !entry.forever) << entry.prefix;
    }
  }
}

TEST(ChecklistA, Line2_AddressesAreCanonicalBeforeTheyAreMatched) {
  for (const Form& form : kForms) {
    const auto found = canonicalise(embed(form, address("10.1.2.3")));
    const auto view = found.view();
    const bool whole_range_closed = std::string_view(form.name) == "local NAT64";
    EXPECT_EQ(std::find(view.begin(), view.end(), address("10.1.2.3")) != view.end(),
              !whole_range_closed)
        << form.name;
  }
  AliceWorld world;
  const Packet mapped =
      raw_request(world.alice, stun::Method::create_permission, address("::ffff:8.8.8.8"), 9000);
  EXPECT_TRUE(world.alice.send(mapped).value().ok()) << "a mapped peer is an IPv4 peer";
  EXPECT_TRUE(world.alice.send_data(kPeer, "x"));
}

// --- Our own addresses ---------------------------------------------------------------------------

TEST(ChecklistA, Line4_OwnAddressesAreDeniedExceptLiveRelayPorts) {
  AliceWorld world;
  Client bob(world, "192.0.2.8:4000", "bob", "bob-password");
  const stun::Endpoint bob_at = bob.allocate().relayed().value();
  const std::string at = bob_at.to_string();
  stun::Endpoint dead = bob_at;
  dead.port = bob_at.port == 50000 ? 50001 : 50000;
  if (dead == world.relayed) ++dead.port;
  EXPECT_EQ(world.alice.bind(0x4001, dead.to_string()).code(), 403);
  ASSERT_TRUE(world.alice.bind(0x4000, at).ok());
  const auto sent = world.alice.send_channel(0x4000, "x");
  ASSERT_TRUE(sent);
  EXPECT_EQ(sent->inside, world.ports.locate(bob_at)) << "handed over, not sent";
  EXPECT_FALSE(world.alice.send_data(dead.to_string(), "x"));
  EXPECT_EQ(world.last_drop(), DropReason::peer_refused);
  bob.refresh(0);
  EXPECT_FALSE(world.alice.send_channel(0x4000, "x"));
  EXPECT_EQ(world.last_drop(), DropReason::peer_refused);
  EXPECT_EQ(world.alice.bind(0x4000, at).code(), 403) << "also on refresh";
}

TEST(ChecklistA, Line5_MixedListsFailAsAWhole) {
  AliceWorld world;
  EXPECT_EQ(world.alice.permit({kPeer, kForbidden, kOtherPeer}).code(), 403);
  EXPECT_FALSE(world.alice.send_data(kPeer, "x"));
  EXPECT_FALSE(world.alice.send_data(kOtherPeer, "x"));
}

TEST(ChecklistA, Line6_LowAndKnownServicePortsAreRefused) {
  AliceWorld world;
  world.alice.permit({kPeer});
  for (const int port : {0, 22, 53, 123, 443, 1023, 1900, 3389, 5060, 5353, 11211}) {
    const std::string peer = "8.8.8.8:" + std::to_string(port);
    EXPECT_EQ(world.alice.bind(0x4000, peer).code(), 403) << port;
    EXPECT_FALSE(world.alice.send_data(peer, "x")) << port;
  }
  EXPECT_TRUE(world.alice.send_data("8.8.8.8:1024", "x"));
}

TEST(ChecklistB, Line63_RelayToRelayWithTheSameChecksOnBothSides) {
  AliceWorld world;
  Client bob(world, "192.0.2.8:4000", "bob", "bob-password", ClientTransport::tls);
  const stun::Endpoint bob_at = bob.allocate().relayed().value();
  const Packet hello = send_indication(bob_at, "hello");
  EXPECT_FALSE(world.alice.heard_inside(hello)) << "alice has no permission for bob";
  ASSERT_TRUE(world.alice.permit({bob_at.to_string()}).ok());
  EXPECT_FALSE(world.alice.heard_inside(hello)) << "bob has none for alice";
  EXPECT_EQ(world.last_drop(), DropReason::no_permission);
  ASSERT_TRUE(bob.bind(0x4000, world.relayed.to_string()).ok());
  const auto heard = world.alice.heard_inside(hello);
  ASSERT_TRUE(heard);
  EXPECT_EQ(heard->channel, 0x4000) << "from alice's relayed address";
  EXPECT_EQ(heard->payload, "hello");
  const auto back = bob.heard_inside(channel_data(0x4000, "hello yourself"));
  ASSERT_TRUE(back);
  EXPECT_EQ(back->peer, bob_at);
  EXPECT_EQ(back->payload, "hello yourself");
  world.advance(300s);
  EXPECT_FALSE(world.alice.heard_inside(hello));
}

TEST(ChecklistB, Line64_OurListeningPortIsRefusedWhateverTheListsSay) {
  WorldOptions options;
  options.peers.allowed = {Prefix::parse("198.41.0.0/16").value()};
  options.peers.allow_loopback = true;
  AliceWorld world(options);
  for (const std::string_view own : {"198.41.0.4:3478", "127.0.0.1:3478"}) {
    world.alice.permit({own});
    EXPECT_EQ(world.alice.bind(0x4000, own).code(), 403) << own;
    EXPECT_FALSE(world.alice.send_data(own, "x")) << own;
  }
}

}  // namespace
}  // namespace bedside::turn::testing
