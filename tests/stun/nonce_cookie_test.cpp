#include "stun/nonce_cookie.h"

#include <gtest/gtest.h>

#include <string>

namespace bedside::stun {
namespace {

TEST(NonceCookie, reads_back_what_it_writes) {
  for (const SecurityFeatures features :
       {SecurityFeatures{false, false}, {true, false}, {false, true}, {true, true}}) {
    const auto bits = encode(features);
    const std::string nonce =
        std::string(kNonceCookie) + std::string(bits.begin(), bits.end()) + "anything";
    EXPECT_EQ(features_of(nonce), features);
  }
}

TEST(NonceCookie, is_absent_from_other_nonces) {
  for (const char* nonce : {"", "obMatJos2", "obMatJos2AAA", "obMatJos3AAAD", "f//499k954d6OL34oL9",
                            "ObMatJos2AAAD", "obMatJos2AAA=", "obMatJos2 AAA", "obMatJos2AA-D"}) {
    EXPECT_EQ(features_of(nonce), std::nullopt) << nonce;
  }
  EXPECT_TRUE(features_of("obMatJos2AAAA")) << "a nonce may be nothing but the cookie";
}

TEST(NonceCookie, ignores_bits_without_a_name) {
  EXPECT_EQ(features_of("obMatJos2///+"), (SecurityFeatures{.username_anonymity = true}));
  EXPECT_EQ(features_of("obMatJos2gAAA"), SecurityFeatures{}) << "bit 23 is not bit 0";
}

}  // namespace
}  // namespace bedside::stun
