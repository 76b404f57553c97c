#include "server/audit_privacy.h"

#include <gtest/gtest.h>

#include <array>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "store/checkpoint.h"

namespace bedside::server {
namespace {

using TestKey = std::array<std::uint8_t, 32>;

TestKey key_of(std::uint8_t byte) {
  TestKey key;
  key.fill(byte);
  return key;
}

stun::IpAddress ip(std::string_view text) { return stun::IpAddress::parse(text).value(); }

TEST(AuditPrivacy, PseudonymIsAKeyedHashOf128Bits) {
  const AuditPrivacy privacy(key_of(1), key_of(2), key_of(3));
  // printf 'room\0visit-1' | openssl dgst -sha256 -mac HMAC -macopt hexkey:0101…01 | cut -c1-32
  EXPECT_EQ(privacy.pseudonym("room", "visit-1"), "57f1a156555b274f7e3995f357de16ca");
  EXPECT_NE(privacy.pseudonym("room", "visit-1"), privacy.pseudonym("room", "visit-2"));
  EXPECT_NE(privacy.pseudonym("room", "1"), privacy.pseudonym("appointment", "1"));
  EXPECT_NE(privacy.pseudonym("ab", "c"), privacy.pseudonym("a", "bc"));
  EXPECT_NE(privacy.pseudonym("room", "visit-1"),
            AuditPrivacy(key_of(3), key_of(2), key_of(3)).pseudonym("room", "visit-1"));
}

TEST(AuditPrivacy, SealedFieldOpensWithItsKeyOnly) {
  const AuditPrivacy privacy(key_of(1), key_of(2), key_of(3));
  const SealedField sealed = privacy.seal("ip", "203.0.113.7");
  EXPECT_EQ(sealed.commitment.size(), 64U);
  EXPECT_EQ(privacy.reveal(sealed.ciphertext), "203.0.113.7");
  EXPECT_FALSE(AuditPrivacy(key_of(1), key_of(9), key_of(3)).reveal(sealed.ciphertext));
  EXPECT_EQ(std::string(sealed.ciphertext.begin(), sealed.ciphertext.end()).find("203."),
            std::string::npos);
}

// AES-256-GCM, key 0202…, nonce 000102…, bound "bedside audit field v1", of sixteen 09 and the
// address, as Python's cryptography computes it: what schema 4 and older kept.
TEST(AuditPrivacy, ValuesFromBeforeThereWereMonthsOpen) {
  AuditPrivacy privacy(key_of(1), key_of(2), key_of(3));
  ASSERT_TRUE(privacy.data_keys().adopt("2026-11", privacy.data_keys().make("2026-11")));
  std::array<std::uint8_t, 53> old{};
  ASSERT_TRUE(
      store::from_hex("000102030405060708090a0b4001ebf3d840854d2281491f97b76cf2"
                      "6207f2e22334a6f74da75a40cfc88b174f32e78707d15b2fb0",
                      old));
  const auto opened = privacy.open(old);
  ASSERT_TRUE(opened);
  EXPECT_EQ(opened->value, "192.0.2.7");
  EXPECT_EQ(opened->salt, (std::vector<std::uint8_t>(16, 9)));
}

TEST(AuditPrivacy, SealedFieldWithAnyBitChangedOrCutDoesNotOpen) {
  const AuditPrivacy privacy(key_of(1), key_of(2), key_of(3));
  const auto sealed = privacy.seal("ip", "::1").ciphertext;
  for (std::size_t i = 0; i < sealed.size(); ++i) {
    auto changed = sealed;
    changed[i] ^= 0x10;
    EXPECT_FALSE(privacy.reveal(changed)) << i;
    EXPECT_FALSE(privacy.reveal(std::span(sealed).first(i))) << i;
  }
}

TEST(AuditPrivacy, EqualValuesSealDifferently) {
  const AuditPrivacy privacy(key_of(1), key_of(2), key_of(3));
  std::set<std::string> commitments;
  std::set<std::vector<std::uint8_t>> nonces;
  for (int i = 0; i < 100; ++i) {
    const SealedField sealed = privacy.seal("ip", "10.0.0.1");
    commitments.insert(sealed.commitment);
    nonces.insert({sealed.ciphertext.begin(), sealed.ciphertext.begin() + 12});
  }
  EXPECT_EQ(commitments.size(), 100U);
  EXPECT_EQ(nonces.size(), 100U);
}

TEST(AuditPrivacy, AddressesAreCutToTheirNetwork) {
  EXPECT_EQ(network_of(ip("203.0.113.77")), "203.0.113.0/24");
  EXPECT_EQ(network_of(ip("2001:db8:1:2:3:4:5:6")), "2001:db8:1::/48");
  EXPECT_EQ(network_of(ip("::ffff:203.0.113.77")), "203.0.113.0/24");
  EXPECT_EQ(full_address_of(ip("::ffff:203.0.113.77")), "203.0.113.77/32");
  EXPECT_EQ(full_address_of(ip("2001:db8::1")), "2001:db8::1/128");
}

TEST(AuditPrivacy, AddressesHaveAClass) {
  const std::pair<const char*, const char*> cases[] = {{"127.0.0.1", "loopback"},
                                                       {"127.255.0.9", "loopback"},
                                                       {"::1", "loopback"},
                                                       {"::ffff:127.0.0.1", "loopback"},
                                                       {"10.1.2.3", "private"},
                                                       {"172.16.0.1", "private"},
                                                       {"172.31.255.1", "private"},
                                                       {"172.32.0.1", "public"},
                                                       {"192.168.1.1", "private"},
                                                       {"169.254.1.1", "private"},
                                                       {"100.64.0.1", "private"},
                                                       {"100.128.0.1", "public"},
                                                       {"8.8.8.8", "public"},
                                                       {"fd00::1", "private"},
                                                       {"fe80::1", "private"},
                                                       {"2001:db8::1", "public"},
                                                       {"::2", "public"}};
  for (const auto& [address, expected] : cases)
    EXPECT_EQ(class_of(ip(address)), expected) << address;
}

}  // namespace
}  // namespace bedside::server
