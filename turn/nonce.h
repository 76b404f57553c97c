// Stateless nonces (RFC 8489 §9.2): issue time and HMAC-SHA256 over time and client address.
//
// Nothing is stored for strangers (checklist A.8). A nonce is bound to the client's transport, IP
// and port: no two of them ever get the same one, and one replayed from elsewhere is stale (B.17,
// B.18). The key of each hour is derived from a master key that is random per start, so it rotates
// by itself, and all shards that share the master key accept each other's nonces.
//
// A nonce begins with the nonce cookie (stun/nonce_cookie.h). It is compared as a whole, so a
// client that was shown other feature bits than ours comes back with a stale nonce, not with a
// weaker algorithm.
//
// Not thread-safe (it caches the current keys): one object per relay.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "stun/bytes.h"
#include "stun/endpoint.h"
#include "stun/integrity.h"
#include "stun/nonce_cookie.h"
#include "turn/five_tuple.h"
#include "turn/now.h"

namespace bedside::turn {

// 32 bytes from a cryptographic random generator, new at every start.
using NonceKey = std::array<std::uint8_t, 32>;

enum class NonceVerdict : std::uint8_t {
  valid,
  stale,  // expired, not ours, not this client's, or not a nonce at all: all are answered 438
          // (B.16)
};

// The text of a nonce, by value. 29 characters: the cookie and its feature bits, then 16 characters
// of base64: 3 bytes time and 9 bytes HMAC. Short, because it is most of a 401.
class Nonce {
 public:
  static constexpr std::size_t kSize = stun::kNonceCookieSize + 16;
  [[nodiscard]] std::string_view text() const noexcept { return {text_.data(), text_.size()}; }

 private:
  friend class Nonces;
  std::array<char, kSize> text_{};
};

class Nonces {
 public:
  explicit Nonces(const NonceKey& master, stun::SecurityFeatures features = {}) noexcept;

  // Nonces that promised other features are stale from now on.
  void set_features(stun::SecurityFeatures features) noexcept { features_ = features; }

  [[nodiscard]] Nonce issue(ClientTransport transport, const stun::Endpoint& client,
                            const Now& now) noexcept;
  [[nodiscard]] NonceVerdict check(std::string_view nonce, ClientTransport transport,
                                   const stun::Endpoint& client, const Now& now) noexcept;

 private:
  struct PeriodKey {
    std::uint32_t period = 0;
    bool filled = false;
    stun::Sha256Digest key{};
  };
  [[nodiscard]] const stun::Sha256Digest& key_of(std::uint32_t period) noexcept;
  [[nodiscard]] Nonce make(std::uint32_t issued, ClientTransport transport,
                           const stun::Endpoint& client) noexcept;

  NonceKey master_;
  stun::SecurityFeatures features_;
  std::array<PeriodKey, 2> keys_{};  // this period and the one before, by the lowest bit
};

}  // namespace bedside::turn
