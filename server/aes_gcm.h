#pragma once

// AES-256-GCM, the one place that asks OpenSSL for it. Any thread; no state.

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

namespace bedside::server {

using AesKey = std::span<const std::uint8_t, 32>;
using GcmNonce = std::array<std::uint8_t, 12>;  // NIST SP 800-38D §5.2.1.1: 96 bits as they are
inline constexpr std::size_t kGcmTag = 16;

// For who counts their nonces themselves; a nonce never repeats under a key. `bound` is
// authenticated with the text, not written. `sealed` is longer than `plain` by the tag, which is
// its end. False when OpenSSL fails, or a size does not fit.
bool gcm_seal(AesKey key, const GcmNonce& nonce, std::span<const std::uint8_t> bound,
              std::span<const std::uint8_t> plain, std::span<std::uint8_t> sealed);
// False when key, nonce or bound do not fit or a bit was changed: then nobody may look at `plain`.
bool gcm_open(AesKey key, const GcmNonce& nonce, std::span<const std::uint8_t> bound,
              std::span<const std::uint8_t> sealed, std::span<std::uint8_t> plain);

// For short values that are kept: nonce || ciphertext || tag. The nonce is random: one key must not
// see more than 2^32 values (NIST SP 800-38D §8.3). `purpose` is bound: what was encrypted for one
// purpose does not open for another. Empty when OpenSSL fails.
std::vector<std::uint8_t> aes_gcm_encrypt(AesKey key, std::span<const std::uint8_t> plain,
                                          std::string_view purpose);
// Nothing when key or purpose do not fit, or a bit was changed.
std::optional<std::vector<std::uint8_t>> aes_gcm_decrypt(AesKey key,
                                                         std::span<const std::uint8_t> sealed,
                                                         std::string_view purpose);

}  // namespace bedside::server
