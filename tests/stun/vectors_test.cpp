// What the RFCs print, byte for byte, read and written.
#include <gtest/gtest.h>

#include <array>
#include <vector>

#include "stun/integrity.h"
#include "stun/message.h"
#include "stun/message_writer.h"
#include "tests/vectors/hex.h"
#include "tests/vectors/stun_messages.h"

namespace bedside::stun {
namespace {

using vectors::from_hex;

Endpoint endpoint(std::string_view text) { return Endpoint::parse(text).value(); }

TEST(Rfc5769, sample_request_is_read_and_its_integrity_holds) {
  const auto wire = from_hex(vectors::kSampleRequest);
  const auto message = MessageView::parse(wire);
  ASSERT_TRUE(message);
  EXPECT_TRUE(message->is(Class::request, Method::binding));
  EXPECT_EQ(message->text(Attribute::software), "STUN test client");
  EXPECT_EQ(message->text(Attribute::username), "evtj:h6vY");
  EXPECT_TRUE(message->has(Attribute::fingerprint));
  EXPECT_TRUE(verify_integrity(*message, as_bytes(vectors::kShortTermPassword)));
  EXPECT_FALSE(verify_integrity(*message, as_bytes("VOkJxbRl1RmTxUk/WvJxBu")));
  // PRIORITY belongs to ICE agents; a server does not know it.
  ASSERT_EQ(message->unknown_required().size, 1U);
  EXPECT_EQ(message->unknown_required().types[0], 0x0024);
}

struct Response {
  std::string_view hex;
  std::string_view mapped;
};
class Rfc5769Response : public testing::TestWithParam<Response> {};

TEST_P(Rfc5769Response, is_read_and_its_integrity_holds) {
  const auto wire = from_hex(GetParam().hex);
  const auto message = MessageView::parse(wire);
  ASSERT_TRUE(message);
  EXPECT_TRUE(message->is(Class::success, Method::binding));
  EXPECT_EQ(message->text(Attribute::software), "test vector");
  EXPECT_EQ(message->xor_address(Attribute::xor_mapped_address), endpoint(GetParam().mapped));
  EXPECT_TRUE(verify_integrity(*message, as_bytes(vectors::kShortTermPassword)));
}

TEST_P(Rfc5769Response, is_written_the_same_except_for_the_padding_which_is_zero) {
  const auto wire = from_hex(GetParam().hex);
  const auto original = MessageView::parse(wire);
  ASSERT_TRUE(original);
  std::array<std::uint8_t, 128> buffer{};
  MessageWriter writer(buffer, Class::success, Method::binding, original->transaction());
  writer.add_text(Attribute::software, "test vector")
      .add_xor_address(Attribute::xor_mapped_address, endpoint(GetParam().mapped));
  const auto before_integrity = writer.finish();
  // The RFC pads with a blank, which is covered by the HMAC: up to there all other bytes agree.
  auto expected = wire;
  expected[35] = 0;
  for (std::size_t i = 0; i < before_integrity.size(); ++i) {
    if (i == 3) continue;  // the length is not final yet
    EXPECT_EQ(before_integrity[i], expected[i]) << "byte " << i;
  }
  const auto written =
      writer.add_integrity(as_bytes(vectors::kShortTermPassword)).add_fingerprint().finish();
  ASSERT_EQ(written.size(), wire.size());
  EXPECT_EQ(written[3], wire[3]);
  const auto again = MessageView::parse(written);
  ASSERT_TRUE(again);
  EXPECT_TRUE(verify_integrity(*again, as_bytes(vectors::kShortTermPassword)));
}

INSTANTIATE_TEST_SUITE_P(Families, Rfc5769Response,
                         testing::Values(Response{vectors::kSampleIpv4Response, "192.0.2.1:32853"},
                                         Response{vectors::kSampleIpv6Response,
                                                  "[2001:db8:1234:5678:11:2233:4455:6677]:32853"}));

TEST(Rfc5769, long_term_request_is_written_byte_for_byte) {
  const auto wire = from_hex(vectors::kSampleLongTermRequest);
  const auto original = MessageView::parse(wire);
  ASSERT_TRUE(original);
  EXPECT_EQ(original->text(Attribute::username), vectors::kMatrixName);
  EXPECT_EQ(original->text(Attribute::realm), vectors::kMatrixRealm);
  const auto key =
      LongTermKey::md5(vectors::kMatrixName, vectors::kMatrixRealm, vectors::kMatrixPassword);
  EXPECT_TRUE(verify_integrity(*original, key.bytes()));

  std::array<std::uint8_t, 128> buffer{};
  const auto written =
      MessageWriter(buffer, Class::request, Method::binding, original->transaction())
          .add_text(Attribute::username, vectors::kMatrixName)
          .add_text(Attribute::nonce, "f//499k954d6OL34oL9FSTvy64sA")
          .add_text(Attribute::realm, vectors::kMatrixRealm)
          .add_integrity(key.bytes())
          .finish();
  EXPECT_EQ(std::vector<std::uint8_t>(written.begin(), written.end()), wire);
}

TEST(Rfc8489AppendixB, sha256_request_is_written_byte_for_byte) {
  const auto wire = from_hex(vectors::kSampleSha256Request);
  const auto original = MessageView::parse(wire);
  ASSERT_TRUE(original);
  const auto hash = userhash(vectors::kMatrixName, vectors::kMatrixRealm);
  const auto key =
      LongTermKey::sha256(vectors::kMatrixName, vectors::kMatrixRealm, vectors::kMatrixPassword);
  EXPECT_TRUE(verify_integrity_sha256(*original, key.bytes()));
  EXPECT_FALSE(verify_integrity(*original, key.bytes())) << "there is no MESSAGE-INTEGRITY";

  std::array<std::uint8_t, 192> buffer{};
  const auto written =
      MessageWriter(buffer, Class::request, Method::binding, original->transaction())
          .add_bytes(Attribute::userhash, hash)
          .add_text(Attribute::nonce, "obMatJos2AAACf//499k954d6OL34oL9FSTvy64sA")
          .add_text(Attribute::realm, vectors::kMatrixRealm)
          .add_u32(Attribute::password_algorithm, 0x00020000)
          .add_integrity_sha256(key.bytes())
          .finish();
  EXPECT_EQ(std::vector<std::uint8_t>(written.begin(), written.end()), wire);
}

}  // namespace
}  // namespace bedside::stun
