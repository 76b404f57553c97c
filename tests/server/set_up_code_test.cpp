#include "server/set_up_code.h"

#include <gtest/gtest.h>

namespace bedside::server {
namespace {

SetUpEntropy counting(std::uint8_t start) {
  SetUpEntropy entropy{};
  for (std::uint8_t& byte : entropy) byte = start++;
  return entropy;
}

TEST(SetUpCode, has_a_hundred_bits_in_groups_without_look_alikes) {
  EXPECT_EQ(make_set_up_code(counting(0)), "0123-4567-89AB-CDEF-GHJK");
  EXPECT_EQ(make_set_up_code(counting(12)), "CDEF-GHJK-MNPQ-RSTV-WXYZ");
  const std::string code = make_set_up_code(counting(200));
  EXPECT_EQ(code.find_first_of("ILOU"), std::string::npos);
  EXPECT_GE(5 * (code.size() - 4), 80U);
}

TEST(SetUpCode, matches_as_people_type_it) {
  const SetUpCode code("0123-4567-89AB-CDEF-GHJK");
  EXPECT_TRUE(code.matches("0123-4567-89AB-CDEF-GHJK"));
  EXPECT_TRUE(code.matches("0123456789abcdefghjk"));
  EXPECT_TRUE(code.matches(" ol23 4567 89ab cdef ghjk "));
}

TEST(SetUpCode, anything_else_does_not_match) {
  const SetUpCode code("0123-4567-89AB-CDEF-GHJK");
  EXPECT_FALSE(code.matches(""));
  EXPECT_FALSE(code.matches("0123-4567-89AB-CDEF-GHJ"));
  EXPECT_FALSE(code.matches("0123-4567-89AB-CDEF-GHJKK"));
  EXPECT_FALSE(code.matches("0123-4567-89AB-CDEF-GHJM"));
  EXPECT_FALSE(code.matches(std::string(100'000, '0')));
}

}  // namespace
}  // namespace bedside::server
