// The peer policy against an oracle that knows nothing of its code: registries as text, addresses
// as strings of bits, prefixes as string prefixes. Slow and plain on purpose.
#include <gtest/gtest.h>

#include <array>
#include <cstdlib>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "tests/support/sanitized.h"
#include "tests/support/seeded_random.h"
#include "turn/peer_policy.h"

namespace bedside::turn {
namespace {

using stun::IpAddress;
using testing_support::SeededRandom;

const std::vector<const char*> kClosed4{
    "0.0.0.0/8",        "10.0.0.0/8",        "100.64.0.0/10",  "127.0.0.0/8",    "169.254.0.0/16",
    "172.16.0.0/12",    "192.0.0.0/24",      "192.0.2.0/24",   "192.88.99.0/24", "192.168.0.0/16",
    "198.18.0.0/15",    "198.51.100.0/24",   "203.0.113.0/24", "224.0.0.0/4",    "240.0.0.0/4",
    "168.63.129.16/32", "255.255.255.255/32"};
const std::vector<const char*> kClosed6{
    "::/128",    "::1/128",  "100::/64",  "2001::/23", "2001:db8::/32", "3fff::/20",
    "5f00::/16", "fc00::/7", "fe80::/10", "fec0::/10", "ff00::/8",      "64:ff9b:1::/48"};

std::string bits_of(const IpAddress& address) {
  std::string bits;
  for (const std::uint8_t byte : address.bytes()) {
    for (int bit = 7; bit >= 0; --bit) bits += ((byte >> bit) & 1) != 0 ? '1' : '0';
  }
  return bits;
}

std::string prefix_bits(const std::string& text) {
  const std::size_t slash = text.find('/');
  return bits_of(*IpAddress::parse(text.substr(0, slash)))
      .substr(0, std::stoul(text.substr(slash + 1)));
}

class Oracle {
 public:
  Oracle() {
    for (const char* text : kClosed4) closed4_.push_back(prefix_bits(text));
    for (const char* text : kClosed6) closed6_.push_back(prefix_bits(text));
  }

  bool denies(const IpAddress& address) const {
    const std::string bits = bits_of(address);
    return address.is_v4() ? denies4(bits) : denies6(bits);
  }

 private:
  static bool any(const std::vector<std::string>& prefixes, const std::string& bits) {
    for (const std::string& prefix : prefixes) {
      if (bits.starts_with(prefix)) return true;
    }
    return false;
  }
  bool denies4(const std::string& bits) const { return any(closed4_, bits); }

  bool denies6(const std::string& bits) const {
    const std::string last32 = bits.substr(96);
    if (bits.starts_with(std::string(80, '0') + std::string(16, '1'))) return denies4(last32);
    if (any(closed6_, bits)) return true;
    const bool is_nat64 = bits.starts_with(nat64_);
    if (!is_nat64 && !bits.starts_with("001")) return true;  // not global unicast
    if (is_nat64 && denies4(last32)) return true;
    if (bits.starts_with("0010000000000010") && denies4(bits.substr(16, 32))) return true;  // 6to4
    const std::string interface_start = bits.substr(64, 32);
    if ((interface_start == isatap_ || interface_start == isatap_global_) && denies4(last32)) {
      return true;
    }
    return false;  // Teredo lies in 2001::/23 and is closed already
  }

  std::vector<std::string> closed4_;
  std::vector<std::string> closed6_;
  const std::string nat64_ = prefix_bits("64:ff9b::/96");
  const std::string isatap_ = bits_of(IpAddress::v4(0x00, 0x00, 0x5e, 0xfe));
  const std::string isatap_global_ = bits_of(IpAddress::v4(0x02, 0x00, 0x5e, 0xfe));
};

using Octets16 = std::array<std::uint8_t, 16>;

Octets16 octets_of(const char* text) {
  Octets16 octets{};
  const IpAddress address = *IpAddress::parse(text);
  std::copy(address.bytes().begin(), address.bytes().end(), octets.begin());
  return octets;
}

struct Form {
  const char* name;
  const char* base;
  std::size_t at;     // where the four octets stand
  std::uint8_t mask;  // Teredo inverts the client's
};
const std::vector<Form> kForms{
    {"IPv4-mapped", "::ffff:0:0", 12, 0},
    {"IPv4-compatible", "::", 12, 0},
    {"NAT64", "64:ff9b::", 12, 0},
    {"local NAT64, /48", "64:ff9b:1::", 6, 0},
    {"local NAT64, /96", "64:ff9b:1:fffe::", 12, 0},
    {"6to4", "2002::1", 2, 0},
    {"Teredo server", "2001:0:0:0:0:0:f7f7:f7f7", 4, 0},
    {"Teredo client", "2001:0:808:808::", 12, 0xFF},
    {"ISATAP", "2600:1:2:3:0:5efe::", 12, 0},
    {"ISATAP, global", "2600:1:2:3:200:5efe::", 12, 0},
    {"ISATAP in 6to4", "2002:808:808:1:0:5efe::", 12, 0},
};

IpAddress embed(const Form& form, const IpAddress& v4) {
  Octets16 octets = octets_of(form.base);
  for (std::size_t i = 0; i < 4; ++i) {
    octets[form.at + i] = static_cast<std::uint8_t>(v4.bytes()[i] ^ form.mask);
  }
  return IpAddress::v6(octets);
}

// An address inside the prefix with the rest of its bits chosen by `rest`.
IpAddress inside(const char* text, const std::function<std::uint8_t()>& rest) {
  const Prefix prefix = *Prefix::parse(text);
  std::vector<std::uint8_t> octets(prefix.base.bytes().begin(), prefix.base.bytes().end());
  for (std::size_t bit = prefix.length; bit < octets.size() * 8; ++bit) {
    const auto mask = static_cast<std::uint8_t>(0x80U >> (bit % 8));
    if ((rest() & mask) != 0) octets[bit / 8] = static_cast<std::uint8_t>(octets[bit / 8] | mask);
  }
  return *IpAddress::from_bytes(octets);
}

IpAddress any_address(SeededRandom& random) {
  const auto byte = [&random] { return random.byte(); };
  const auto any4 = [&] {
    return random.one_in(2) ? inside(kClosed4[random.below(kClosed4.size())], byte)
                            : inside("0.0.0.0/0", byte);
  };
  switch (random.below(6)) {
    case 0:
      return any4();
    case 1:
      return embed(kForms[random.below(kForms.size())], any4());
    case 2:
      return inside(kClosed6[random.below(kClosed6.size())], byte);
    case 3:
      return inside("2000::/3", byte);
    case 4:
      return inside("::/0", byte);
    default: {
      // One bit off a registry prefix: the edges are where mistakes live.
      const IpAddress near = inside(kClosed6[random.below(kClosed6.size())], byte);
      Octets16 octets{};
      std::copy(near.bytes().begin(), near.bytes().end(), octets.begin());
      const std::size_t bit = random.below(64);
      octets[bit / 8] = static_cast<std::uint8_t>(octets[bit / 8] ^ (0x80U >> (bit % 8)));
      return IpAddress::v6(octets);
    }
  }
}

// Ten million, what `BEDSIDE_PEER_POLICY_ADDRESSES` says, or a few where sanitizers make each of
// them ten times as dear: ./run test judges all of them in the Release build.
int addresses_to_judge() {
  if (const char* wanted = std::getenv("BEDSIDE_PEER_POLICY_ADDRESSES")) return std::stoi(wanted);
  return testing_support::kSanitized ? 200'000 : 10'000'000;
}

TEST(PeerPolicyOracle, agrees_on_ten_million_random_addresses) {
  SeededRandom random(0xACE5);
  const Oracle oracle;
  const PeerPolicy policy = PeerPolicy::make({}).value();
  std::array<int, 2> counts{};
  const int wanted = addresses_to_judge();
  for (int i = 0; i < wanted; ++i) {
    const IpAddress address = any_address(random);
    const bool denied = policy.judge(address).is_denied();
    ASSERT_EQ(denied, oracle.denies(address)) << address.to_string();
    ++counts[denied ? 1 : 0];
  }
  EXPECT_GT(counts[0], wanted / 12) << "the addresses are too one-sided to prove anything";
  EXPECT_GT(counts[1], wanted / 12) << "the addresses are too one-sided to prove anything";
}

TEST(PeerPolicyOracle, every_closed_ipv4_range_is_closed_in_every_form) {
  SeededRandom random(0xF0B1);
  const PeerPolicy policy = PeerPolicy::make({}).value();
  for (const char* range : kClosed4) {
    std::vector<IpAddress> samples{inside(range, [] { return std::uint8_t{0}; }),
                                   inside(range, [] { return std::uint8_t{0xFF}; })};
    for (int i = 0; i < 100; ++i) samples.push_back(inside(range, [&] { return random.byte(); }));
    for (const IpAddress& v4 : samples) {
      ASSERT_TRUE(policy.judge(v4).is_denied()) << v4.to_string();
      for (const Form& form : kForms) {
        const IpAddress address = embed(form, v4);
        ASSERT_TRUE(policy.judge(address).is_denied())
            << v4.to_string() << " as " << form.name << " " << address.to_string();
      }
    }
  }
}

TEST(PeerPolicyOracle, every_closed_ipv6_range_is_closed_at_both_ends_and_open_beyond) {
  const Oracle oracle;
  const PeerPolicy policy = PeerPolicy::make({}).value();
  const auto step = [](const IpAddress& address, int direction) {
    std::vector<std::uint8_t> octets(address.bytes().begin(), address.bytes().end());
    for (std::size_t i = octets.size(); i-- > 0;) {
      octets[i] = static_cast<std::uint8_t>(octets[i] + direction);
      const bool carried = direction > 0 ? octets[i] == 0 : octets[i] == 0xFF;
      if (!carried) break;
    }
    return *IpAddress::from_bytes(octets);
  };
  for (const auto& ranges : {kClosed4, kClosed6}) {
    for (const char* range : ranges) {
      const IpAddress first = inside(range, [] { return std::uint8_t{0}; });
      const IpAddress last = inside(range, [] { return std::uint8_t{0xFF}; });
      EXPECT_TRUE(policy.judge(first).is_denied()) << range;
      EXPECT_TRUE(policy.judge(last).is_denied()) << range;
      for (const IpAddress& beyond : {step(first, -1), step(last, 1)}) {
        EXPECT_EQ(policy.judge(beyond).is_denied(), oracle.denies(beyond)) << beyond.to_string();
      }
    }
  }
}

TEST(PeerPolicyOracle, no_form_hides_an_own_address) {
  PeerPolicyConfig config;
  config.own_addresses = {IpAddress::v4(9, 9, 9, 9)};
  const PeerPolicy policy = PeerPolicy::make(config).value();
  for (const Form& form : kForms) {
    EXPECT_FALSE(policy.judge(embed(form, IpAddress::v4(9, 9, 9, 9))).is_allowed()) << form.name;
  }
}

}  // namespace
}  // namespace bedside::turn
