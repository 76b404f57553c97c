// Writes one STUN message into a buffer of the caller (RFC 8489 §5, §14). No heap.
//
// Overflow safe: whatever does not fit marks the message as failed, and finish() returns nothing of
// it. Padding is always zero. Order is the caller's; add_integrity and add_fingerprint come last.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "stun/attributes.h"
#include "stun/bytes.h"
#include "stun/endpoint.h"
#include "stun/message.h"

namespace bedside::stun {

class MessageWriter {
 public:
  // Writes the header. `out` must outlive the writer and the bytes that finish() returns.
  MessageWriter(MutableBytes out, Class message_class, Method method,
                const TransactionId& transaction) noexcept;

  MessageWriter& add_bytes(Attribute type, Bytes value) noexcept;
  MessageWriter& add_text(Attribute type, std::string_view value) noexcept;
  // The value already stands where it belongs, right behind this attribute's header (a payload that
  // was received with headroom before it): writes the header and the padding only.
  MessageWriter& add_present(Attribute type, std::size_t length) noexcept;
  MessageWriter& add_flag(Attribute type) noexcept;  // no value, e.g. DONT-FRAGMENT
  MessageWriter& add_u32(Attribute type, std::uint32_t value) noexcept;
  // XOR-MAPPED-ADDRESS, XOR-PEER-ADDRESS, XOR-RELAYED-ADDRESS (§14.2). An IPv4-mapped IPv6 address
  // is written as IPv4.
  MessageWriter& add_xor_address(Attribute type, const Endpoint& endpoint) noexcept;
  // ERROR-CODE (§14.8), `code` 300 to 699. Replies to strangers leave the reason empty: it would
  // only help whoever reflects them.
  MessageWriter& add_error(std::uint16_t code, std::string_view reason = {}) noexcept;
  MessageWriter& add_unknown_attributes(std::span<const std::uint16_t> types) noexcept;

  // MESSAGE-INTEGRITY over everything so far (§14.5); the key is that of §9.2.2.
  MessageWriter& add_integrity(Bytes key) noexcept;
  // MESSAGE-INTEGRITY-SHA256 (§14.6), never truncated: 32 bytes.
  MessageWriter& add_integrity_sha256(Bytes key) noexcept;
  MessageWriter& add_fingerprint() noexcept;  // §14.7

  // The complete message, or nothing after an overflow or a failure of the crypto library.
  [[nodiscard]] Bytes finish() const noexcept;
  [[nodiscard]] bool failed() const noexcept { return failed_; }

 private:
  // Makes room for a value of `length` bytes, writes header and zero padding; empty on overflow.
  MutableBytes reserve(Attribute type, std::size_t length) noexcept;

  MutableBytes out_;
  std::size_t size_ = 0;
  bool failed_ = false;
};

}  // namespace bedside::stun
