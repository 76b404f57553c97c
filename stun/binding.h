// The Binding method of a STUN server (RFC 8489 §6.3, §12): tells a client the address it is seen
// at.
#pragma once

#include <cstddef>

#include "stun/bytes.h"
#include "stun/endpoint.h"
#include "stun/message.h"

namespace bedside::stun {

// The largest answer: 420 with every slot of UnknownAttributes used, and FINGERPRINT.
inline constexpr std::size_t kMaxBindingReply =
    kHeaderSize + 8 + 4 + 2 * UnknownAttributes::kMax + 8;

// Answers a Binding request from `source` into `out`. The answer is 32 bytes (IPv4) or 44 (IPv6):
// no SOFTWARE, no MAPPED-ADDRESS, because every byte more is a gift to whoever reflects it
// (checklist A.9); FINGERPRINT (8 bytes) is added when the request carried one (B.8). Unknown
// comprehension-required attributes are answered with 420 (B.3).
// Empty: not a Binding request, or `out` is smaller than the answer. Authentication is not asked
// for.
[[nodiscard]] Bytes answer_binding(const MessageView& request, const Endpoint& source,
                                   MutableBytes out) noexcept;

}  // namespace bedside::stun
