// FINGERPRINT (RFC 8489 §14.7): CRC-32 of the message, XORed so that it differs from other CRCs.
#pragma once

#include <cstdint>

#include "stun/bytes.h"

namespace bedside::stun {

// ISO 3309 / ITU-T V.42 CRC-32, the one of zlib.
[[nodiscard]] std::uint32_t crc32(Bytes bytes) noexcept;

// The attribute's value for a message whose bytes before the attribute are `before`. The header's
// length field must already count the FINGERPRINT attribute.
[[nodiscard]] inline std::uint32_t fingerprint_of(Bytes before) noexcept {
  return crc32(before) ^ 0x5354554EU;
}

}  // namespace bedside::stun
