#include "server/password.h"

#include <gtest/gtest.h>

namespace bedside::server {
namespace {

constexpr ScryptCost kCheap{10, 8, 1};
constexpr PasswordSalt kSalt{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16};

TEST(Password, a_hashed_password_is_recognised_and_another_is_not) {
  const auto line = hash_password("correct horse battery", kSalt, kCheap);
  ASSERT_TRUE(line);
  EXPECT_EQ(verify_password("correct horse battery", *line), PasswordMatch::yes);
  EXPECT_EQ(verify_password("correct horse batterz", *line), PasswordMatch::no);
  EXPECT_EQ(verify_password("", *line), PasswordMatch::no);
}

TEST(Password, the_line_carries_its_parameters_and_salt) {
  const auto line = hash_password("correct horse battery", kSalt, kCheap);
  ASSERT_TRUE(line);
  EXPECT_TRUE(line->starts_with("$scrypt$ln=10,r=8,p=1$AQIDBAUGBwgJCgsMDQ4PEA$")) << *line;
}

// RFC 7914 §12, third vector, in our form: interoperates with every other scrypt.
TEST(Password, the_vector_of_the_rfc_is_recognised) {
  // Salt "SodiumChloride"; the first 32 bytes of the 64 the RFC lists (PBKDF2's blocks are
  // independent).
  const std::string line =
      "$scrypt$ln=14,r=8,p=1$U29kaXVtQ2hsb3JpZGU$cCO9yzr9c0hGHAbNgf046/2o+7qQT44+qbVD9lRdofI";
  EXPECT_EQ(verify_password("pleaseletmein", line), PasswordMatch::yes);
  EXPECT_EQ(verify_password("pleaseletmeim", line), PasswordMatch::no);
}

TEST(Password, the_default_cost_fits_into_the_library_s_memory_limit) {
  const auto line = hash_password("correct horse battery", kSalt);
  ASSERT_TRUE(line);
  EXPECT_TRUE(line->starts_with("$scrypt$ln=17,r=8,p=1$"));
}

TEST(Password, damaged_or_absurd_lines_are_unreadable) {
  const std::string good = *hash_password("correct horse battery", kSalt, kCheap);
  const std::string salt_and_hash = good.substr(good.find("$AQ"));
  for (const std::string& line :
       {std::string(), std::string("$scrypt$"), std::string("plain text"), good + "A",
        good.substr(0, good.size() - 1), "$scrypt$ln=30,r=8,p=1" + salt_and_hash,
        "$scrypt$ln=0,r=8,p=1" + salt_and_hash, "$scrypt$ln=10,r=9999,p=1" + salt_and_hash,
        "$scrypt$ln=99999999999999999999,r=8,p=1" + salt_and_hash,
        "$scrypt$ln=10,r=8,p=1$!!!!$" + good.substr(good.rfind('$') + 1)}) {
    EXPECT_EQ(verify_password("correct horse battery", line), PasswordMatch::unreadable) << line;
  }
}

TEST(Password, nobody_has_the_password_of_the_decoy_and_it_costs_the_same) {
  const std::string decoy = decoy_password_line(kCheap);
  EXPECT_TRUE(decoy.starts_with("$scrypt$ln=10,r=8,p=1$"));
  EXPECT_EQ(verify_password("", decoy), PasswordMatch::no);
  EXPECT_EQ(verify_password("correct horse battery", decoy), PasswordMatch::no);
}

TEST(Password, a_cost_that_could_not_be_verified_again_is_refused) {
  EXPECT_EQ(hash_password("correct horse battery", kSalt, {21, 8, 1}).error(), PasswordError::cost);
  EXPECT_EQ(hash_password("correct horse battery", kSalt, {10, 8, 0}).error(), PasswordError::cost);
}

TEST(PasswordRules, length_counts_in_characters) {
  EXPECT_EQ(check_password_rules("elevenchars", "anna"), PasswordRule::too_short);
  EXPECT_EQ(check_password_rules("twelve chars", "anna"), PasswordRule::fine);
  EXPECT_EQ(check_password_rules("Füße äöüß éè", "anna"), PasswordRule::fine);
  EXPECT_EQ(check_password_rules("äöüäöü", "anna"), PasswordRule::too_short);  // 12 bytes
  EXPECT_EQ(check_password_rules(std::string(257, 'a'), "anna"), PasswordRule::too_long);
}

TEST(PasswordRules, what_is_no_text_or_too_plain_is_refused) {
  EXPECT_EQ(check_password_rules("abcdefghijkl\xff", "anna"), PasswordRule::not_text);
  EXPECT_EQ(check_password_rules("abcdefghijkl\n", "anna"), PasswordRule::not_text);
  EXPECT_EQ(check_password_rules("aaaaaaaaaaaaaa", "anna"), PasswordRule::too_plain);
  EXPECT_EQ(check_password_rules("Anna.Example1", "anna.example1"), PasswordRule::too_plain);
}

}  // namespace
}  // namespace bedside::server
