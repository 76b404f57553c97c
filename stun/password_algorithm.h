// PASSWORD-ALGORITHMS and PASSWORD-ALGORITHM (RFC 8489 §14.11, §14.12): which hash makes the key
// out of a password, offered by the server, chosen by the client, and protected against somebody on
// the way who strikes the better one from the offer.
#pragma once

#include <array>
#include <cstdint>
#include <optional>

#include "stun/bytes.h"
#include "stun/message.h"

namespace bedside::stun {

// As registered with IANA (§18.5). Neither has parameters.
enum class PasswordAlgorithm : std::uint16_t { md5 = 0x0001, sha256 = 0x0002 };

// Our offer, preferred first: the value of PASSWORD-ALGORITHMS in every reply with a nonce. MD5 is
// listed for clients that hold only an MD5 key, and whose replies gain SHA-256 integrity all the
// same.
inline constexpr std::array<std::uint8_t, 8> kOfferedAlgorithms{
    0x00, 0x02, 0x00, 0x00,  // SHA-256, no parameters
    0x00, 0x01, 0x00, 0x00,  // MD5, no parameters
};

// How a request wants to be checked and answered.
struct AlgorithmChoice {
  PasswordAlgorithm algorithm = PasswordAlgorithm::md5;
  // The client speaks RFC 8489: replies carry MESSAGE-INTEGRITY-SHA256. Otherwise it named no
  // algorithm and gets plain MESSAGE-INTEGRITY, the only one an old client knows (§9.2.4).
  bool negotiated = false;
};

// The choice of a request that answers a nonce with the "password algorithms" bit. Without either
// attribute it is MD5. Nothing: only one of the two is there, the offer came back changed, or the
// choice was not offered; that is answered with 400 (§9.2.4).
[[nodiscard]] std::optional<AlgorithmChoice> algorithm_choice(const MessageView& request) noexcept;

}  // namespace bedside::stun
