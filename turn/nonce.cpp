#include "turn/nonce.h"

#include <openssl/evp.h>

#include <algorithm>
#include <optional>

#include "turn/limits.h"

namespace bedside::turn {
namespace {

// RFC 8489 §9.2: the nonce cookie and 24 security feature bits. None are set: no password
// algorithms besides MD5 and no username anonymity are offered yet.
constexpr std::string_view kPrefix = "obMatJos2AAAA";
constexpr std::size_t kTimeSize = 4;
constexpr std::size_t kMacSize = 12;  // 96 bits: guessing one is hopeless, and 401 stays small
constexpr std::size_t kBinarySize = kTimeSize + kMacSize;
constexpr std::size_t kBase64Size = 24;  // with "==", which is left out of the nonce
static_assert(Nonce::kSize == kPrefix.size() + kBase64Size - 2);

std::uint32_t seconds_of(const Now& now) noexcept {
  return static_cast<std::uint32_t>(
      std::chrono::duration_cast<std::chrono::seconds>(now.mono).count());
}

std::uint32_t period_of(std::uint32_t issued) noexcept {
  return issued / static_cast<std::uint32_t>(limits::kNonceLifetime.count());
}

// The claimed issue time. Lenient about the text: what counts is that the whole nonce, made again
// from this time, comes out the same.
std::optional<std::uint32_t> claimed_time(std::string_view nonce) noexcept {
  if (nonce.size() != Nonce::kSize) return std::nullopt;
  std::array<std::uint8_t, 8> text{};
  const auto encoded = stun::as_bytes(nonce.substr(kPrefix.size(), text.size()));
  std::copy(encoded.begin(), encoded.end(), text.begin());
  std::array<std::uint8_t, 6> binary{};
  if (EVP_DecodeBlock(binary.data(), text.data(), static_cast<int>(text.size())) != 6) {
    return std::nullopt;
  }
  return stun::load_u32(binary, 0);
}

}  // namespace

Nonces::Nonces(const NonceKey& master) noexcept : master_(master) {}

Nonce Nonces::issue(ClientTransport transport, const stun::Endpoint& client,
                    const Now& now) noexcept {
  return make(seconds_of(now), transport, client);
}

NonceVerdict Nonces::check(std::string_view nonce, ClientTransport transport,
                           const stun::Endpoint& client, const Now& now) noexcept {
  const auto issued = claimed_time(nonce);
  const std::uint32_t current = seconds_of(now);
  if (!issued || *issued > current || current - *issued >= limits::kNonceLifetime.count()) {
    return NonceVerdict::stale;
  }
  const Nonce ours = make(*issued, transport, client);
  return stun::equal_in_constant_time(stun::as_bytes(nonce), stun::as_bytes(ours.text()))
             ? NonceVerdict::valid
             : NonceVerdict::stale;
}

const stun::Sha256Digest& Nonces::key_of(std::uint32_t period) noexcept {
  PeriodKey& slot = keys_[period % keys_.size()];
  if (!slot.filled || slot.period != period) {
    std::array<std::uint8_t, 4> number{};
    stun::store_u32(number, 0, period);
    slot.filled = stun::hmac_sha256(master_, {number}, slot.key);
    slot.period = period;
  }
  return slot.key;
}

Nonce Nonces::make(std::uint32_t issued, ClientTransport transport,
                   const stun::Endpoint& client) noexcept {
  std::array<std::uint8_t, 4> who{static_cast<std::uint8_t>(transport),
                                  static_cast<std::uint8_t>(client.address.family())};
  stun::store_u16(who, 2, client.port);
  std::array<std::uint8_t, kBinarySize> binary{};
  stun::store_u32(binary, 0, issued);
  stun::Sha256Digest mac{};
  const stun::Bytes time = stun::Bytes(binary).first(kTimeSize);
  if (!stun::hmac_sha256(key_of(period_of(issued)), {time, who, client.address.bytes()}, mac)) {
    return {};  // all zeros: claimed_time() finds no base64 in it, so it is never valid
  }
  std::copy_n(mac.begin(), kMacSize, binary.begin() + kTimeSize);

  std::array<std::uint8_t, kBase64Size + 1> encoded{};  // EVP_EncodeBlock adds a zero
  EVP_EncodeBlock(encoded.data(), binary.data(), static_cast<int>(binary.size()));
  Nonce nonce;
  const auto rest = std::copy(kPrefix.begin(), kPrefix.end(), nonce.text_.begin());
  std::copy_n(encoded.begin(), kBase64Size - 2, rest);
  return nonce;
}

}  // namespace bedside::turn
