#include "turn/nonce.h"

#include <openssl/evp.h>

#include <algorithm>
#include <optional>

#include "turn/limits.h"

namespace bedside::turn {
namespace {

constexpr std::size_t kTimeSize = 3;  // seconds, modulo 2^24: 194 days, far above a lifetime
constexpr std::uint32_t kTimeMask = 0xFFFFFF;
constexpr std::size_t kMacSize = 9;  // 72 bits: nobody guesses one online, and the 401 stays small
constexpr std::size_t kBinarySize = kTimeSize + kMacSize;
constexpr std::size_t kBase64Size = kBinarySize / 3 * 4;  // a multiple of 3 needs no padding
static_assert(Nonce::kSize == stun::kNonceCookieSize + kBase64Size);

std::uint32_t seconds_of(const Now& now) noexcept {
  return static_cast<std::uint32_t>(
      std::chrono::duration_cast<std::chrono::seconds>(now.mono).count());
}

std::uint32_t period_of(std::uint32_t issued) noexcept {
  return issued / static_cast<std::uint32_t>(limits::kNonceLifetime.count());
}

// The low bits of the claimed issue time. Lenient about the text: what counts is that the whole
// nonce, made again from this time, comes out the same.
std::optional<std::uint32_t> claimed_time(std::string_view nonce) noexcept {
  if (nonce.size() != Nonce::kSize) return std::nullopt;
  std::array<std::uint8_t, 4> text{};
  const auto encoded = stun::as_bytes(nonce.substr(stun::kNonceCookieSize, text.size()));
  std::copy(encoded.begin(), encoded.end(), text.begin());
  std::array<std::uint8_t, 4> binary{};  // the first stays zero
  if (EVP_DecodeBlock(&binary[1], text.data(), static_cast<int>(text.size())) !=
      static_cast<int>(kTimeSize)) {
    return std::nullopt;
  }
  return stun::load_u32(binary, 0);
}

}  // namespace

Nonces::Nonces(const NonceKey& master, stun::SecurityFeatures features) noexcept
    : master_(master), features_(features) {}

Nonce Nonces::issue(ClientTransport transport, const stun::Endpoint& client,
                    const Now& now) noexcept {
  return make(seconds_of(now), transport, client);
}

NonceVerdict Nonces::check(std::string_view nonce, ClientTransport transport,
                           const stun::Endpoint& client, const Now& now) noexcept {
  const auto claimed = claimed_time(nonce);
  if (!claimed) return NonceVerdict::stale;
  const std::uint32_t current = seconds_of(now);
  const std::uint32_t age = (current - *claimed) & kTimeMask;
  if (age >= limits::kNonceLifetime.count() || age > current) return NonceVerdict::stale;
  // The HMAC covers the whole time: what is 2^24 seconds older does not look young again.
  const Nonce ours = make(current - age, transport, client);
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
  std::array<std::uint8_t, 4> time{};
  stun::store_u32(time, 0, issued);
  stun::Sha256Digest mac{};
  if (!stun::hmac_sha256(key_of(period_of(issued)), {time, who, client.address.bytes()}, mac)) {
    return {};  // all zeros: claimed_time() finds no base64 in it, so it is never valid
  }
  std::array<std::uint8_t, kBinarySize> binary{};
  std::copy_n(time.end() - kTimeSize, kTimeSize, binary.begin());
  std::copy_n(mac.begin(), kMacSize, binary.begin() + kTimeSize);

  std::array<std::uint8_t, kBase64Size + 1> encoded{};  // EVP_EncodeBlock adds a zero
  EVP_EncodeBlock(encoded.data(), binary.data(), static_cast<int>(binary.size()));
  Nonce nonce;
  const auto bits = stun::encode(features_);
  auto out = std::copy(stun::kNonceCookie.begin(), stun::kNonceCookie.end(), nonce.text_.begin());
  out = std::copy(bits.begin(), bits.end(), out);
  std::copy_n(encoded.begin(), kBase64Size, out);
  return nonce;
}

}  // namespace bedside::turn
