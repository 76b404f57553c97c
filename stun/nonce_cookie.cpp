#include "stun/nonce_cookie.h"

#include <cstdint>

namespace bedside::stun {
namespace {

constexpr std::string_view kAlphabet =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
constexpr std::uint32_t kPasswordAlgorithms = 1U << 0;
constexpr std::uint32_t kUsernameAnonymity = 1U << 1;

}  // namespace

std::array<char, kFeatureCharacters> encode(SecurityFeatures features) noexcept {
  const std::uint32_t bits = (features.password_algorithms ? kPasswordAlgorithms : 0) |
                             (features.username_anonymity ? kUsernameAnonymity : 0);
  return {kAlphabet[(bits >> 18) & 63], kAlphabet[(bits >> 12) & 63], kAlphabet[(bits >> 6) & 63],
          kAlphabet[bits & 63]};
}

std::optional<SecurityFeatures> features_of(std::string_view nonce) noexcept {
  if (nonce.size() < kNonceCookieSize || !nonce.starts_with(kNonceCookie)) return std::nullopt;
  std::uint32_t bits = 0;
  for (const char c : nonce.substr(kNonceCookie.size(), kFeatureCharacters)) {
    const std::size_t digit = kAlphabet.find(c);
    if (digit == std::string_view::npos) return std::nullopt;
    bits = (bits << 6) | static_cast<std::uint32_t>(digit);
  }
  return SecurityFeatures{(bits & kPasswordAlgorithms) != 0, (bits & kUsernameAnonymity) != 0};
}

}  // namespace bedside::stun
