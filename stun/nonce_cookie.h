// The nonce cookie (RFC 8489 §9.2): a server that begins its nonces with it tells clients, out of
// reach of whoever edits messages on the way, which security features it offers.
//
// A nonce with a cookie begins "obMatJos2" and four characters of base64: 24 feature bits. The text
// of §9.2 numbers them from the most significant one; the RFC's own sample (appendix B.1) and
// Errata 6290 number them from the least significant one, and so do we.
#pragma once

#include <array>
#include <cstddef>
#include <optional>
#include <string_view>

namespace bedside::stun {

inline constexpr std::string_view kNonceCookie = "obMatJos2";
inline constexpr std::size_t kFeatureCharacters = 4;
inline constexpr std::size_t kNonceCookieSize = kNonceCookie.size() + kFeatureCharacters;

struct SecurityFeatures {
  bool password_algorithms = false;  // bit 0: PASSWORD-ALGORITHMS is in every message with a nonce
  bool username_anonymity = false;   // bit 1: USERHASH is understood for every user

  friend bool operator==(const SecurityFeatures&, const SecurityFeatures&) = default;
};

// What stands between "obMatJos2" and the rest of the nonce: "AAAA", "AAAB", "AAAC" or "AAAD".
[[nodiscard]] std::array<char, kFeatureCharacters> encode(SecurityFeatures features) noexcept;

// Nothing when the nonce has no cookie, as those of RFC 5389 servers: no features then. Bits that
// have no name yet are ignored.
[[nodiscard]] std::optional<SecurityFeatures> features_of(std::string_view nonce) noexcept;

}  // namespace bedside::stun
