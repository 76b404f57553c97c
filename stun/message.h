// A STUN message as a borrowed view of one datagram or one framed piece of a stream (RFC 8489 §5,
// §14).
//
// Parsing validates the whole message once and touches no heap. Every ParseError means "this is not
// a STUN message for us": it is dropped without any reply (§6.3, checklist B.1). Threads: plain
// values.
#pragma once

#include <array>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <optional>
#include <string_view>
#include <tl/expected.hpp>

#include "stun/attributes.h"
#include "stun/bytes.h"
#include "stun/endpoint.h"

namespace bedside::stun {

inline constexpr std::uint32_t kMagicCookie = 0x2112A442;
inline constexpr std::size_t kHeaderSize = 20;
inline constexpr std::size_t kAttributeHeaderSize = 4;
inline constexpr std::size_t kMaxMessageSize = kHeaderSize + 0xFFFC;

enum class Class : std::uint8_t { request = 0, indication = 1, success = 2, error = 3 };

// A method is a 12-bit number; a value without a name here is legal on the wire and unknown to us.
enum class Method : std::uint16_t {
  binding = 0x001,
  allocate = 0x003,
  refresh = 0x004,
  send = 0x006,
  data = 0x007,
  create_permission = 0x008,
  channel_bind = 0x009,
  connect = 0x00A,
  connection_bind = 0x00B,
  connection_attempt = 0x00C,
};

using TransactionId = std::array<std::uint8_t, 12>;

enum class ParseError : std::uint8_t {
  too_short,          // shorter than the header
  not_stun,           // first two bits not zero
  wrong_cookie,       // RFC 3489 clients included: they are not served
  wrong_length,       // not a multiple of 4, or not the size of the datagram
  attribute_overrun,  // an attribute reaches beyond the end of the message
  wrong_fingerprint,  // FINGERPRINT present and not the CRC of the message (§14.7)
  fingerprint_not_last,
};

struct AttributeView {
  Attribute type{};
  Bytes value;             // without header and padding; borrows the message
  std::size_t offset = 0;  // of the attribute's header from the start of the message
};

// Distinct comprehension-required types the message uses and we do not know, for the 420 reply.
// Bounded so that a hostile request cannot choose the size of our answer; the first 32 are listed.
struct UnknownAttributes {
  static constexpr std::size_t kMax = 32;
  std::array<std::uint16_t, kMax> types{};
  std::size_t size = 0;
  [[nodiscard]] std::span<const std::uint16_t> view() const noexcept {
    return {types.data(), size};
  }
};

struct ErrorCode {
  std::uint16_t code = 0;   // 300 to 699
  std::string_view reason;  // borrows the message
};

class MessageView {
 public:
  // `message` must outlive the view and must be exactly one message.
  [[nodiscard]] static tl::expected<MessageView, ParseError> parse(Bytes message) noexcept;

  [[nodiscard]] Class message_class() const noexcept { return class_; }
  [[nodiscard]] Method method() const noexcept { return method_; }
  [[nodiscard]] bool is(Class wanted_class, Method wanted_method) const noexcept {
    return class_ == wanted_class && method_ == wanted_method;
  }
  [[nodiscard]] const TransactionId& transaction() const noexcept { return transaction_; }
  [[nodiscard]] Bytes bytes() const noexcept { return bytes_; }

  // The attributes that count, in wire order: those after MESSAGE-INTEGRITY are not seen, except
  // MESSAGE-INTEGRITY-SHA256 and FINGERPRINT; after a lone MESSAGE-INTEGRITY-SHA256 only
  // FINGERPRINT is seen (§9, checklist B.5). Duplicates are seen; find() takes the first (§14,
  // checklist B.4).
  class Iterator {
   public:
    using iterator_category = std::forward_iterator_tag;
    using value_type = AttributeView;
    using difference_type = std::ptrdiff_t;
    using pointer = const AttributeView*;
    using reference = const AttributeView&;

    Iterator() noexcept = default;
    reference operator*() const noexcept { return current_; }
    pointer operator->() const noexcept { return &current_; }
    Iterator& operator++() noexcept;
    Iterator operator++(int) noexcept {
      Iterator before = *this;
      ++*this;
      return before;
    }
    friend bool operator==(const Iterator& a, const Iterator& b) noexcept { return a.at_ == b.at_; }

   private:
    friend class MessageView;
    Iterator(Bytes message, std::size_t at) noexcept;
    void settle() noexcept;  // load the attribute at at_, or move on to the next that counts

    Bytes message_;
    std::size_t at_ = 0;
    AttributeView current_;
    bool seen_sha1_ = false;
    bool seen_sha256_ = false;
  };
  [[nodiscard]] Iterator begin() const noexcept { return {bytes_, kHeaderSize}; }
  [[nodiscard]] Iterator end() const noexcept { return {bytes_, bytes_.size()}; }

  // The first instance of an attribute.
  [[nodiscard]] std::optional<AttributeView> find(Attribute type) const noexcept;
  [[nodiscard]] bool has(Attribute type) const noexcept { return find(type).has_value(); }

  // Typed readers of the first instance: nothing when absent or when the value has the wrong size.
  // Use has() where the two must be told apart.
  [[nodiscard]] std::optional<std::uint8_t> u8(Attribute type) const noexcept;    // 1 or 4 bytes
  [[nodiscard]] std::optional<std::uint16_t> u16(Attribute type) const noexcept;  // first 2 of 4
  [[nodiscard]] std::optional<std::uint32_t> u32(Attribute type) const noexcept;
  [[nodiscard]] std::optional<std::string_view> text(Attribute type) const noexcept;
  [[nodiscard]] std::optional<Endpoint> xor_address(Attribute type) const noexcept;
  [[nodiscard]] std::optional<ErrorCode> error_code() const noexcept;

  // Decodes one instance of an XOR-…-ADDRESS; for the repeated XOR-PEER-ADDRESS of
  // CreatePermission.
  [[nodiscard]] std::optional<Endpoint> decode_xor_address(
      const AttributeView& view) const noexcept;

  [[nodiscard]] bool has_unknown_required() const noexcept { return has_unknown_required_; }
  [[nodiscard]] UnknownAttributes unknown_required() const noexcept;

 private:
  MessageView() noexcept = default;

  Bytes bytes_;
  TransactionId transaction_{};
  Method method_{};
  Class class_{};
  bool has_unknown_required_ = false;
};

}  // namespace bedside::stun
