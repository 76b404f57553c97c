// Digests against published answers, and every way an integrity attribute can be wrong.
#include "stun/integrity.h"

#include <gtest/gtest.h>

#include <vector>

#include "stun/message_writer.h"
#include "tests/vectors/hex.h"

namespace bedside::stun {
namespace {

using vectors::from_hex;

const LongTermKey kKey = LongTermKey::md5("user", "realm", "pass");

std::vector<std::uint8_t> as_vector(Bytes bytes) { return {bytes.begin(), bytes.end()}; }

TEST(Hmac, gives_the_answers_of_rfc_2202_and_rfc_4231) {
  const auto key = from_hex("0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b");
  Sha1Digest sha1{};
  ASSERT_TRUE(hmac_sha1(key, {as_bytes("Hi "), as_bytes("There")}, sha1));
  EXPECT_EQ(as_vector(sha1), from_hex("b617318655057264e28bc0b6fb378c8ef146be00"));
  Sha256Digest sha256{};
  ASSERT_TRUE(hmac_sha256(key, {as_bytes("Hi There")}, sha256));
  EXPECT_EQ(as_vector(sha256),
            from_hex("b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"));
  // The next key must not be mixed up with the one before: contexts are reused.
  ASSERT_TRUE(hmac_sha1(as_bytes("Jefe"), {as_bytes("what do ya want for nothing?")}, sha1));
  EXPECT_EQ(as_vector(sha1), from_hex("effcdf6ae5eb2fa2d27416d5f184df9c259a7c79"));
}

TEST(Hmac, refuses_an_empty_key) {
  Sha1Digest sha1{};
  Sha256Digest sha256{};
  EXPECT_FALSE(hmac_sha1({}, {as_bytes("x")}, sha1));
  EXPECT_FALSE(hmac_sha256({}, {as_bytes("x")}, sha256));
}

TEST(LongTermKey, is_the_digest_of_name_realm_and_password) {
  // The example of RFC 8489 §9.2.2.
  EXPECT_EQ(as_vector(kKey.bytes()), from_hex("8493fbc53ba582fb4c044c456bdc40eb"));
  EXPECT_EQ(LongTermKey::sha256("user", "realm", "pass").bytes().size(), 32U);
}

TEST(LongTermKeys, are_the_keys_of_both_algorithms) {
  const LongTermKeys keys("user", "realm", "pass");
  EXPECT_EQ(as_vector(keys.of(PasswordAlgorithm::md5).bytes()), as_vector(kKey.bytes()));
  // printf 'user:realm:pass' | sha256sum
  EXPECT_EQ(as_vector(keys.of(PasswordAlgorithm::sha256).bytes()),
            from_hex("07e934117abd40836e7c6329b54731b2b2d2a5f9a71f544922d75e0730d8251b"));
}

TEST(ConstantTimeCompare, compares_length_and_content) {
  EXPECT_TRUE(equal_in_constant_time(as_bytes("abc"), as_bytes("abc")));
  EXPECT_FALSE(equal_in_constant_time(as_bytes("abc"), as_bytes("abd")));
  EXPECT_FALSE(equal_in_constant_time(as_bytes("abc"), as_bytes("ab")));
  EXPECT_TRUE(equal_in_constant_time({}, {}));
}

class Signed : public testing::Test {
 protected:
  MessageWriter writer() {
    return MessageWriter(buffer_, Class::request, Method::refresh, TransactionId{9});
  }
  static bool holds(Bytes wire) {
    const auto message = MessageView::parse(wire);
    return message && verify_integrity(*message, kKey.bytes());
  }
  static bool holds_sha256(Bytes wire) {
    const auto message = MessageView::parse(wire);
    return message && verify_integrity_sha256(*message, kKey.bytes());
  }
  std::array<std::uint8_t, 256> buffer_{};
};

TEST_F(Signed, message_verifies_with_its_key_only) {
  const Bytes wire =
      writer().add_u32(Attribute::lifetime, 600).add_integrity(kKey.bytes()).finish();
  const auto message = MessageView::parse(wire);
  ASSERT_TRUE(message);
  EXPECT_TRUE(verify_integrity(*message, kKey.bytes()));
  EXPECT_FALSE(verify_integrity(*message, LongTermKey::md5("user", "realm", "Pass").bytes()));
  EXPECT_FALSE(verify_integrity(*message, {}));
  EXPECT_FALSE(verify_integrity_sha256(*message, kKey.bytes())) << "absent";
}

TEST_F(Signed, message_without_integrity_never_verifies) {
  EXPECT_FALSE(holds(writer().add_u32(Attribute::lifetime, 600).finish()));
}

TEST_F(Signed, message_verifies_with_a_fingerprint_or_ignored_attributes_behind) {
  EXPECT_TRUE(holds(writer().add_integrity(kKey.bytes()).add_fingerprint().finish()));
  EXPECT_TRUE(holds(
      writer().add_integrity(kKey.bytes()).add_text(Attribute::software, "added later").finish()));
}

TEST_F(Signed, second_integrity_attribute_cannot_repair_a_wrong_first) {
  const auto wrong = from_hex("0102030405060708090a0b0c0d0e0f1011121314");
  EXPECT_FALSE(holds(writer()
                         .add_bytes(Attribute::message_integrity, wrong)
                         .add_integrity(kKey.bytes())
                         .finish()));
}

TEST_F(Signed, integrity_of_another_size_never_verifies) {
  std::vector<std::uint8_t> value(40);
  for (std::size_t size = 0; size <= value.size(); ++size) {
    if (size == 20) continue;
    EXPECT_FALSE(
        holds(writer().add_bytes(Attribute::message_integrity, Bytes(value).first(size)).finish()))
        << size;
  }
}

TEST_F(Signed, sha256_may_be_cut_to_16_bytes_in_steps_of_4_and_no_further) {
  for (std::size_t size = 0; size <= 40; ++size) {
    // The HMAC covers the message up to the attribute, with the length as if it ended behind it.
    std::vector<std::uint8_t> digest_input = as_vector(writer().finish());
    store_u16(digest_input, 2, static_cast<std::uint16_t>(kAttributeHeaderSize + size));
    Sha256Digest digest{};
    ASSERT_TRUE(hmac_sha256(kKey.bytes(), {digest_input}, digest));
    std::vector<std::uint8_t> value = as_vector(digest);
    value.resize(size);
    const bool allowed = size >= 16 && size <= 32 && size % 4 == 0;
    EXPECT_EQ(holds_sha256(writer().add_bytes(Attribute::message_integrity_sha256, value).finish()),
              allowed)
        << size;
  }
}

TEST_F(Signed, both_kinds_stand_together_in_their_order) {
  const Bytes wire = writer()
                         .add_u32(Attribute::lifetime, 1)
                         .add_integrity(kKey.bytes())
                         .add_integrity_sha256(kKey.bytes())
                         .add_fingerprint()
                         .finish();
  EXPECT_TRUE(holds(wire));
  EXPECT_TRUE(holds_sha256(wire));
}

TEST_F(Signed, any_integrity_is_enough_but_each_that_is_there_must_hold) {
  const auto any = [](Bytes wire) {
    const auto message = MessageView::parse(wire);
    return message && verify_any_integrity(*message, kKey.bytes());
  };
  const std::vector<std::uint8_t> wrong(32, 7);
  EXPECT_FALSE(any(writer().finish()));
  EXPECT_TRUE(any(writer().add_integrity(kKey.bytes()).finish()));
  EXPECT_TRUE(any(writer().add_integrity_sha256(kKey.bytes()).finish()));
  EXPECT_TRUE(
      any(writer().add_integrity(kKey.bytes()).add_integrity_sha256(kKey.bytes()).finish()));
  EXPECT_FALSE(any(writer()
                       .add_integrity(kKey.bytes())
                       .add_bytes(Attribute::message_integrity_sha256, wrong)
                       .finish()));
  EXPECT_FALSE(any(writer()
                       .add_bytes(Attribute::message_integrity, Bytes(wrong).first(20))
                       .add_integrity_sha256(kKey.bytes())
                       .finish()));
}

TEST(Userhash, is_the_one_of_rfc_8489_appendix_b) {
  EXPECT_EQ(as_vector(userhash("\u30DE\u30C8\u30EA\u30C3\u30AF\u30B9", "example.org")),
            from_hex("4a3cf38fef6992bda952c6780417da0f24819415569e60b205c46e41407f1704"));
}

}  // namespace
}  // namespace bedside::stun
