// Keys and message integrity of the long-term credential mechanism (RFC 8489 §9.2, §14.5, §14.6).
// The only file of stun/ that uses libcrypto is integrity.cpp.
//
// Failure of the crypto library (out of memory, MD5 switched off): verification answers "no",
// signing answers false, and deriving a key ends the process, because a key of zeros would be known
// to everybody.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <string_view>

#include "stun/bytes.h"
#include "stun/message.h"
#include "stun/password_algorithm.h"

namespace bedside::stun {

using Sha1Digest = std::array<std::uint8_t, 20>;
using Sha256Digest = std::array<std::uint8_t, 32>;

// The derived key of a user: what a server keeps instead of the password (checklist B.67).
class LongTermKey {
 public:
  // §9.2.2: MD5(username ":" realm ":" password).
  [[nodiscard]] static LongTermKey md5(std::string_view username, std::string_view realm,
                                       std::string_view password) noexcept;
  // §18.5.1.2: the same with SHA-256, for PASSWORD-ALGORITHM 2.
  [[nodiscard]] static LongTermKey sha256(std::string_view username, std::string_view realm,
                                          std::string_view password) noexcept;

  [[nodiscard]] Bytes bytes() const noexcept { return Bytes(octets_).first(size_); }  // 16 or 32

 private:
  LongTermKey() noexcept = default;
  std::array<std::uint8_t, 32> octets_{};
  std::uint8_t size_ = 0;
};

// The keys of one user under every algorithm we offer: a client may choose another one with each
// request, and the password is not kept to make the key then.
class LongTermKeys {
 public:
  LongTermKeys(std::string_view username, std::string_view realm,
               std::string_view password) noexcept;
  [[nodiscard]] const LongTermKey& of(PasswordAlgorithm algorithm) const noexcept {
    return algorithm == PasswordAlgorithm::sha256 ? sha256_ : md5_;
  }

 private:
  LongTermKey md5_;
  LongTermKey sha256_;
};

// HMAC over the concatenation of the parts. False: the crypto library failed, `out` is not a
// digest.
[[nodiscard]] bool hmac_sha1(Bytes key, std::initializer_list<Bytes> parts,
                             Sha1Digest& out) noexcept;
[[nodiscard]] bool hmac_sha256(Bytes key, std::initializer_list<Bytes> parts,
                               Sha256Digest& out) noexcept;

// Equal length and content, in a time that does not depend on the content.
[[nodiscard]] bool equal_in_constant_time(Bytes a, Bytes b) noexcept;

// Does the MESSAGE-INTEGRITY of the message match the key? False also when it is absent or not 20
// bytes. Covers the message up to that attribute, with the header's length as if it ended there.
[[nodiscard]] bool verify_integrity(const MessageView& message, Bytes key) noexcept;
// The same for MESSAGE-INTEGRITY-SHA256: 16 to 32 bytes in steps of 4, other sizes are refused.
[[nodiscard]] bool verify_integrity_sha256(const MessageView& message, Bytes key) noexcept;
// Of the two attributes at least one is there, and each that is there matches the key: nobody on
// the way may pick the one that is checked.
[[nodiscard]] bool verify_any_integrity(const MessageView& message, Bytes key) noexcept;

// USERHASH (§14.4): SHA-256(username ":" realm).
[[nodiscard]] Sha256Digest userhash(std::string_view username, std::string_view realm) noexcept;

}  // namespace bedside::stun
