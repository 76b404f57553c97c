// The peer policy by example: what is open, what is closed, and what configuration can change.
#include "turn/peer_policy.h"

#include <gtest/gtest.h>

#include <ostream>
#include <string>
#include <utility>
#include <vector>

namespace bedside::turn {

// Found by GoogleTest, so that a failure names the range.
inline void PrintTo(const PeerJudgement& judgement, std::ostream* out) {
  *out << "outcome " << static_cast<int>(judgement.outcome) << ", " << to_text(judgement.range);
}

namespace {

using Outcome = PeerJudgement::Outcome;

stun::IpAddress ip(std::string_view text) { return *stun::IpAddress::parse(text); }
stun::Endpoint endpoint(std::string_view text) { return *stun::Endpoint::parse(text); }
Prefix prefix(std::string_view text) { return *Prefix::parse(text); }
PeerPolicy make(PeerPolicyConfig config = {}) {
  return PeerPolicy::make(std::move(config)).value();
}

PeerJudgement denied(DeniedRange range) { return {Outcome::denied, range}; }

TEST(Prefix, is_read_strictly) {
  EXPECT_EQ(prefix("10.0.0.0/8"), (Prefix{stun::IpAddress::v4(10, 0, 0, 0), 8}));
  EXPECT_EQ(prefix("192.0.2.1").length, 32);
  EXPECT_EQ(prefix("::1").length, 128);
  EXPECT_EQ(prefix("::/0").length, 0);
  for (const char* bad :
       {"", "10.0.0.0/33", "10.0.0.0/-1", "10.0.0.0/", "10.0.0.0/8x", "10.0.0.1/8", "fd00::/129",
        "fd00::1/8", "/8", "ten/8", "10.0.0.0/ 8", "10/8"}) {
    EXPECT_FALSE(Prefix::parse(bad)) << bad;
  }
}

TEST(Prefix, contains_by_bits_and_family) {
  EXPECT_TRUE(prefix("172.16.0.0/12").contains(ip("172.31.255.255")));
  EXPECT_FALSE(prefix("172.16.0.0/12").contains(ip("172.32.0.0")));
  EXPECT_TRUE(prefix("0.0.0.0/0").contains(ip("8.8.8.8")));
  EXPECT_FALSE(prefix("0.0.0.0/0").contains(ip("::")));
  EXPECT_TRUE(prefix("fe80::/10").contains(ip("febf::1")));
  EXPECT_FALSE(prefix("fe80::/10").contains(ip("fec0::1")));
}

TEST(PeerPolicy, lets_the_internet_through) {
  const PeerPolicy policy = make();
  for (const char* open :
       {"8.8.8.8", "1.1.1.1", "93.184.216.34", "172.15.255.255", "172.32.0.0", "100.128.0.0",
        "223.255.255.255", "2600::1", "2a00:1450::1", "64:ff9b::808:808", "2002:808:808::1"}) {
    EXPECT_TRUE(policy.judge(ip(open)).is_allowed()) << open;
  }
}

TEST(PeerPolicy, names_the_range_it_refuses) {
  const PeerPolicy policy = make();
  const std::vector<std::pair<const char*, DeniedRange>> closed{
      {"0.0.0.0", DeniedRange::unspecified},
      {"0.1.2.3", DeniedRange::unspecified},
      {"127.0.0.1", DeniedRange::loopback},
      {"127.255.255.254", DeniedRange::loopback},
      {"169.254.169.254", DeniedRange::link_local},
      {"10.0.0.1", DeniedRange::private_use},
      {"172.16.0.1", DeniedRange::private_use},
      {"192.168.1.1", DeniedRange::private_use},
      {"100.64.0.1", DeniedRange::shared_address},
      {"192.0.2.1", DeniedRange::documentation},
      {"198.18.0.1", DeniedRange::benchmarking},
      {"224.0.0.1", DeniedRange::multicast},
      {"240.0.0.1", DeniedRange::reserved},
      {"255.255.255.255", DeniedRange::broadcast},
      {"168.63.129.16", DeniedRange::special_protocol},
      {"::", DeniedRange::unspecified},
      {"::1", DeniedRange::loopback},
      {"fe80::1", DeniedRange::link_local},
      {"ff02::1", DeniedRange::multicast},
      {"fd00::1", DeniedRange::private_use},
      {"fec0::1", DeniedRange::private_use},
      {"2001:db8::1", DeniedRange::documentation},
      {"3fff::1", DeniedRange::documentation},
      {"2001::1", DeniedRange::special_protocol},
      {"100::1", DeniedRange::special_protocol},
      {"5f00::1", DeniedRange::special_protocol},
      {"64:ff9b:1::1", DeniedRange::special_protocol},
      {"4000::1", DeniedRange::not_global},
      {"::808:808", DeniedRange::not_global},
      {"::ffff:127.0.0.1", DeniedRange::loopback},
      {"64:ff9b::a00:1", DeniedRange::private_use},
      {"2002:7f00:1::", DeniedRange::loopback},
      {"2600::5efe:169.254.169.254", DeniedRange::link_local},
      {"2600::200:5efe:10.0.0.1", DeniedRange::private_use},
  };
  for (const auto& [text, range] : closed) {
    EXPECT_EQ(policy.judge(ip(text)), denied(range)) << text;
  }
}

TEST(PeerPolicy, finds_every_ipv4_address_hidden_in_ipv6) {
  const auto hidden = [](std::string_view text) {
    std::vector<std::string> found;
    const CanonicalPeer canonical = canonicalise(ip(text));
    for (const stun::IpAddress& address : canonical.view()) found.push_back(address.to_string());
    return found;
  };
  using Found = std::vector<std::string>;
  EXPECT_EQ(hidden("::ffff:1.2.3.4"), (Found{"1.2.3.4"}));
  EXPECT_EQ(hidden("64:ff9b::1.2.3.4"), (Found{"64:ff9b::102:304", "1.2.3.4"}));
  EXPECT_EQ(hidden("2002:102:304::9"), (Found{"2002:102:304::9", "1.2.3.4"}));
  // The example of RFC 4380 §4: server 65.54.227.120, client 192.0.2.45.
  EXPECT_EQ(hidden("2001:0:4136:e378:8000:63bf:3fff:fdd2"),
            (Found{"2001:0:4136:e378:8000:63bf:3fff:fdd2", "65.54.227.120", "192.0.2.45"}));
  EXPECT_EQ(hidden("2600::5efe:1.2.3.4"), (Found{"2600::5efe:102:304", "1.2.3.4"}));
  EXPECT_EQ(hidden("2002:102:304::200:5efe:5.6.7.8"),
            (Found{"2002:102:304:0:200:5efe:506:708", "1.2.3.4", "5.6.7.8"}));
  EXPECT_EQ(hidden("::1"), (Found{"::1"}));
  EXPECT_EQ(hidden("8.8.8.8"), (Found{"8.8.8.8"}));
}

TEST(PeerPolicy, opens_configured_exceptions_in_every_form) {
  PeerPolicyConfig config;
  config.allowed = {prefix("10.1.0.0/16"), prefix("fd12::/16")};
  const PeerPolicy policy = make(config);
  EXPECT_TRUE(policy.judge(ip("10.1.2.3")).is_allowed());
  EXPECT_TRUE(policy.judge(ip("::ffff:10.1.2.3")).is_allowed());
  EXPECT_TRUE(policy.judge(ip("64:ff9b::10.1.2.3")).is_allowed());
  EXPECT_TRUE(policy.judge(ip("fd12::1")).is_allowed());
  EXPECT_EQ(policy.judge(ip("10.2.0.1")), denied(DeniedRange::private_use));
  EXPECT_EQ(policy.judge(ip("fd13::1")), denied(DeniedRange::private_use));
}

TEST(PeerPolicy, never_opens_what_is_dangerous_everywhere) {
  for (const char* forbidden :
       {"127.0.0.0/8", "127.0.0.1", "169.254.169.254", "0.0.0.0/8", "224.0.0.0/4",
        "255.255.255.255", "::1", "::", "fe80::/10", "ff02::/16", "64:ff9b:1::/48"}) {
    PeerPolicyConfig config;
    config.allowed = {prefix(forbidden)};
    const auto policy = PeerPolicy::make(config);
    ASSERT_FALSE(policy) << forbidden;
    EXPECT_EQ(policy.error(), PeerPolicyError::allows_forbidden_range);
    EXPECT_FALSE(to_text(policy.error()).empty());
  }
  PeerPolicyConfig everything;
  everything.allowed = {prefix("0.0.0.0/0"), prefix("::/0")};
  const PeerPolicy policy = make(everything);
  EXPECT_TRUE(policy.judge(ip("10.0.0.1")).is_allowed());
  for (const char* closed : {"127.0.0.1", "169.254.169.254", "0.0.0.0", "224.0.0.1", "::1",
                             "fe80::1", "ff02::1", "::ffff:127.0.0.1", "64:ff9b::7f00:1"}) {
    EXPECT_TRUE(policy.judge(ip(closed)).is_denied()) << closed;
  }
}

TEST(PeerPolicy, lets_denied_win_over_allowed) {
  PeerPolicyConfig config;
  config.allowed = {prefix("10.0.0.0/8")};
  config.denied = {prefix("10.9.0.0/16"), prefix("8.8.8.0/24"), prefix("2600::/16")};
  const PeerPolicy policy = make(config);
  EXPECT_TRUE(policy.judge(ip("10.8.0.1")).is_allowed());
  for (const char* closed :
       {"10.9.0.1", "8.8.8.8", "::ffff:8.8.8.8", "2002:808:808::", "2600::1"}) {
    EXPECT_EQ(policy.judge(ip(closed)), denied(DeniedRange::configured)) << closed;
  }
}

TEST(PeerPolicy, keeps_own_addresses_for_relay_to_relay) {
  PeerPolicyConfig config;
  config.own_addresses = {ip("127.0.0.1"), ip("::1"),     ip("::ffff:198.51.100.1"),
                          ip("9.9.9.9"),   ip("0.0.0.0"), ip("::")};
  config.own_ports = {3478, 50'000};
  const PeerPolicy policy = make(config);
  for (const char* own : {"127.0.0.1", "::1", "198.51.100.1", "::ffff:9.9.9.9", "64:ff9b::909:909",
                          "2002:909:909::1"}) {
    EXPECT_EQ(policy.judge(ip(own)).outcome, Outcome::own_relay_only) << own;
  }
  EXPECT_EQ(policy.judge(endpoint("9.9.9.9:49152")).outcome, Outcome::own_relay_only);
  EXPECT_EQ(policy.judge(endpoint("9.9.9.9:50000")), denied(DeniedRange::own_service));
  EXPECT_EQ(policy.judge(endpoint("[::1]:3478")), denied(DeniedRange::own_service));
  EXPECT_TRUE(policy.judge(endpoint("8.8.8.8:50000")).is_allowed()) << "only here";
  EXPECT_EQ(policy.judge(ip("127.0.0.2")), denied(DeniedRange::loopback));
  EXPECT_EQ(policy.judge(ip("0.0.0.0")), denied(DeniedRange::unspecified))
      << "a wildcard we listen on is nobody's address";
  EXPECT_EQ(policy.judge(ip("::")), denied(DeniedRange::unspecified));
}

TEST(PeerPolicy, opens_loopback_in_test_mode_except_for_own_services) {
  PeerPolicyConfig config;
  config.allow_loopback = true;
  config.own_addresses = {ip("127.0.0.1"), ip("::1")};
  config.own_ports = {3478};
  const PeerPolicy policy = make(config);
  for (const char* open :
       {"127.0.0.1:40000", "127.9.9.9:40000", "[::1]:40000", "[::ffff:127.0.0.1]:40000"}) {
    EXPECT_TRUE(policy.judge(endpoint(open)).is_allowed()) << open;
  }
  EXPECT_EQ(policy.judge(endpoint("127.0.0.1:3478")), denied(DeniedRange::own_service));
  EXPECT_EQ(policy.judge(endpoint("127.0.0.77:3478")), denied(DeniedRange::own_service))
      << "a wildcard listener answers on all of 127/8";
  EXPECT_EQ(policy.judge(endpoint("[::1]:3478")), denied(DeniedRange::own_service));
  EXPECT_TRUE(policy.judge(ip("169.254.0.1")).is_denied());
}

TEST(PeerPolicy, refuses_low_and_known_service_ports) {
  const PeerPolicy policy = make();
  for (const std::uint16_t port : {std::uint16_t{0}, std::uint16_t{53}, std::uint16_t{1023}}) {
    EXPECT_EQ(policy.judge(stun::Endpoint{ip("8.8.8.8"), port}), denied(DeniedRange::low_port));
  }
  for (const std::uint16_t port :
       {std::uint16_t{1900}, std::uint16_t{5353}, std::uint16_t{11211}}) {
    EXPECT_EQ(policy.judge(stun::Endpoint{ip("8.8.8.8"), port}),
              denied(DeniedRange::known_service));
  }
  EXPECT_TRUE(policy.judge(endpoint("8.8.8.8:1024")).is_allowed());
  EXPECT_TRUE(policy.judge(ip("8.8.8.8")).is_allowed()) << "a permission has no port";
  PeerPolicyConfig open;
  open.restrict_ports = false;
  EXPECT_TRUE(make(open).judge(endpoint("8.8.8.8:53")).is_allowed());
}

TEST(PeerPolicy, bounds_its_lists) {
  PeerPolicyConfig config;
  config.denied.assign(limits::kMaxPeerPrefixes + 1, prefix("8.8.8.8"));
  EXPECT_EQ(PeerPolicy::make(config).error(), PeerPolicyError::too_many_prefixes);
  config.denied.pop_back();
  EXPECT_TRUE(PeerPolicy::make(config));
  config.own_addresses.assign(limits::kMaxOwnAddresses + 1, ip("8.8.8.8"));
  EXPECT_EQ(PeerPolicy::make(config).error(), PeerPolicyError::too_many_own_addresses);
}

}  // namespace
}  // namespace bedside::turn
