// Which algorithm a request asks for, and every way to ask for none.
#include "stun/password_algorithm.h"

#include <gtest/gtest.h>

#include <array>
#include <optional>
#include <vector>

#include "stun/message_writer.h"

namespace bedside::stun {
namespace {

using Value = std::vector<std::uint8_t>;

const Value kOffer(kOfferedAlgorithms.begin(), kOfferedAlgorithms.end());

std::optional<AlgorithmChoice> choice(const std::optional<Value>& offer,
                                      const std::optional<Value>& algorithm) {
  std::array<std::uint8_t, 256> buffer{};
  MessageWriter writer(buffer, Class::request, Method::allocate, TransactionId{1});
  if (offer) writer.add_bytes(Attribute::password_algorithms, *offer);
  if (algorithm) writer.add_bytes(Attribute::password_algorithm, *algorithm);
  return algorithm_choice(MessageView::parse(writer.finish()).value());
}

TEST(AlgorithmChoice, is_md5_where_nothing_is_said) {
  const auto old = choice(std::nullopt, std::nullopt);
  ASSERT_TRUE(old);
  EXPECT_EQ(old->algorithm, PasswordAlgorithm::md5);
  EXPECT_FALSE(old->negotiated);
}

TEST(AlgorithmChoice, is_one_of_the_two_offered) {
  const auto sha256 = choice(kOffer, Value{0, 2, 0, 0});
  ASSERT_TRUE(sha256);
  EXPECT_EQ(sha256->algorithm, PasswordAlgorithm::sha256);
  EXPECT_TRUE(sha256->negotiated);
  const auto md5 = choice(kOffer, Value{0, 1, 0, 0});
  ASSERT_TRUE(md5);
  EXPECT_EQ(md5->algorithm, PasswordAlgorithm::md5);
  EXPECT_TRUE(md5->negotiated);
}

TEST(AlgorithmChoice, needs_both_attributes) {
  EXPECT_FALSE(choice(kOffer, std::nullopt));
  EXPECT_FALSE(choice(std::nullopt, Value{0, 2, 0, 0}));
}

TEST(AlgorithmChoice, needs_the_offer_back_byte_for_byte) {
  for (std::size_t i = 0; i < kOffer.size(); ++i) {
    Value changed = kOffer;
    changed[i] ^= 1;
    EXPECT_FALSE(choice(changed, Value{0, 2, 0, 0})) << i;
    EXPECT_FALSE(choice(Value(kOffer.begin(), kOffer.begin() + static_cast<std::ptrdiff_t>(i)),
                        Value{0, 2, 0, 0}))
        << i;
  }
}

TEST(AlgorithmChoice, has_no_parameters_and_no_other_number) {
  for (const Value& other : {Value{}, Value{0}, Value{0, 2}, Value{0, 2, 0}, Value{0, 2, 0, 1},
                             Value{0, 2, 0, 0, 0, 0, 0, 0}, Value{0, 0, 0, 0}, Value{0, 3, 0, 0},
                             Value{1, 2, 0, 0}, Value{0, 2, 1, 0}}) {
    EXPECT_FALSE(choice(kOffer, other)) << other.size();
  }
}

TEST(AlgorithmChoice, is_that_of_the_first_attribute_of_its_kind) {
  std::array<std::uint8_t, 256> buffer{};
  MessageWriter writer(buffer, Class::request, Method::allocate, TransactionId{1});
  writer.add_bytes(Attribute::password_algorithms, kOffer);
  writer.add_u32(Attribute::password_algorithm, 0x00020000);
  writer.add_u32(Attribute::password_algorithm, 0x00010000);
  const auto message = MessageView::parse(writer.finish()).value();
  EXPECT_EQ(algorithm_choice(message)->algorithm, PasswordAlgorithm::sha256);
}

}  // namespace
}  // namespace bedside::stun
