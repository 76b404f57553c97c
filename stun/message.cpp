#include "stun/message.h"

#include <algorithm>

#include "stun/fingerprint.h"

namespace bedside::stun {
namespace {

// Which comprehension-required numbers we know, as a table: this is asked for every attribute of
// every Send indication.
constexpr std::size_t kRequiredTableSize = 0x40;
constexpr std::array<bool, kRequiredTableSize> kKnownRequired = [] {
  std::array<bool, kRequiredTableSize> known{};
  for (const AttributeRow& row : kAttributes) {
    if (is_comprehension_required(row.number)) known[static_cast<std::size_t>(row.number)] = true;
  }
  return known;
}();

bool is_unknown_required(Attribute type) noexcept {
  if (!is_comprehension_required(type)) return false;
  const auto number = static_cast<std::size_t>(type);
  return number >= kRequiredTableSize || !kKnownRequired[number];
}

// The type field interleaves two class bits with the method (§5, figure 3).
Class class_of(std::uint16_t type) noexcept {
  return static_cast<Class>(((type >> 7) & 2) | ((type >> 4) & 1));
}

Method method_of(std::uint16_t type) noexcept {
  return static_cast<Method>((type & 0x000F) | ((type & 0x00E0) >> 1) | ((type & 0x3E00) >> 2));
}

// Walks all attributes, those that will not count included: a message is well-formed or it is not.
std::optional<ParseError> check_attributes(Bytes message) noexcept {
  std::size_t at = kHeaderSize;
  while (at < message.size()) {
    // The size is a multiple of 4 and so is `at`: a header always fits.
    const auto type = static_cast<Attribute>(load_u16(message, at));
    const std::size_t length = load_u16(message, at + 2);
    if (padded(length) > message.size() - at - kAttributeHeaderSize) {
      return ParseError::attribute_overrun;
    }
    const std::size_t next = at + kAttributeHeaderSize + padded(length);
    if (type == Attribute::fingerprint) {
      if (next != message.size()) return ParseError::fingerprint_not_last;
      if (length != 4 ||
          load_u32(message, at + kAttributeHeaderSize) != fingerprint_of(message.first(at))) {
        return ParseError::wrong_fingerprint;
      }
    }
    at = next;
  }
  return std::nullopt;
}

}  // namespace

tl::expected<MessageView, ParseError> MessageView::parse(Bytes message) noexcept {
  if (message.size() < kHeaderSize) return tl::make_unexpected(ParseError::too_short);
  const std::uint16_t type = load_u16(message, 0);
  if ((type & 0xC000) != 0) return tl::make_unexpected(ParseError::not_stun);
  if (load_u32(message, 4) != kMagicCookie) return tl::make_unexpected(ParseError::wrong_cookie);
  const std::size_t length = load_u16(message, 2);
  if (length % 4 != 0 || length != message.size() - kHeaderSize) {
    return tl::make_unexpected(ParseError::wrong_length);
  }
  if (const auto error = check_attributes(message)) return tl::make_unexpected(*error);

  MessageView view;
  view.bytes_ = message;
  view.class_ = class_of(type);
  view.method_ = method_of(type);
  std::copy_n(message.begin() + 8, view.transaction_.size(), view.transaction_.begin());
  view.has_unknown_required_ = std::any_of(
      view.begin(), view.end(),
      [](const AttributeView& attribute) { return is_unknown_required(attribute.type); });
  return view;
}

MessageView::Iterator::Iterator(Bytes message, std::size_t at) noexcept
    : message_(message), at_(at) {
  settle();
}

MessageView::Iterator& MessageView::Iterator::operator++() noexcept {
  at_ += kAttributeHeaderSize + padded(current_.value.size());
  settle();
  return *this;
}

void MessageView::Iterator::settle() noexcept {
  while (at_ < message_.size()) {
    const auto type = static_cast<Attribute>(load_u16(message_, at_));
    const std::size_t length = load_u16(message_, at_ + 2);
    const bool counts = type == Attribute::fingerprint || (!seen_sha1_ && !seen_sha256_) ||
                        (type == Attribute::message_integrity_sha256 && !seen_sha256_);
    if (counts) {
      seen_sha1_ = seen_sha1_ || type == Attribute::message_integrity;
      seen_sha256_ = seen_sha256_ || type == Attribute::message_integrity_sha256;
      current_ = {type, message_.subspan(at_ + kAttributeHeaderSize, length), at_};
      return;
    }
    at_ += kAttributeHeaderSize + padded(length);
  }
}

std::optional<AttributeView> MessageView::find(Attribute type) const noexcept {
  const auto found = std::find_if(
      begin(), end(), [type](const AttributeView& attribute) { return attribute.type == type; });
  if (found == end()) return std::nullopt;
  return *found;
}

std::optional<std::uint8_t> MessageView::u8(Attribute type) const noexcept {
  const auto found = find(type);
  if (!found || (found->value.size() != 1 && found->value.size() != 4)) return std::nullopt;
  return found->value[0];
}

std::optional<std::uint16_t> MessageView::u16(Attribute type) const noexcept {
  const auto found = find(type);
  if (!found || found->value.size() != 4) return std::nullopt;
  return load_u16(found->value, 0);
}

std::optional<std::uint32_t> MessageView::u32(Attribute type) const noexcept {
  const auto found = find(type);
  if (!found || found->value.size() != 4) return std::nullopt;
  return load_u32(found->value, 0);
}

std::optional<std::string_view> MessageView::text(Attribute type) const noexcept {
  const auto found = find(type);
  if (!found) return std::nullopt;
  return as_text(found->value);
}

std::optional<Endpoint> MessageView::xor_address(Attribute type) const noexcept {
  const auto found = find(type);
  if (!found) return std::nullopt;
  return decode_xor_address(*found);
}

std::optional<Endpoint> MessageView::decode_xor_address(const AttributeView& view) const noexcept {
  const Bytes value = view.value;
  if (value.size() < 4) return std::nullopt;
  const std::size_t address_size = value.size() - 4;
  const bool is_v4 = value[1] == static_cast<std::uint8_t>(Family::ipv4) && address_size == 4;
  const bool is_v6 = value[1] == static_cast<std::uint8_t>(Family::ipv6) && address_size == 16;
  if (!is_v4 && !is_v6) return std::nullopt;
  // Cookie and transaction id stand side by side in the header, as one 16-byte mask (§14.2).
  const Bytes mask = bytes_.subspan(4, address_size);
  std::array<std::uint8_t, 16> octets{};
  for (std::size_t i = 0; i < address_size; ++i) {
    octets[i] = static_cast<std::uint8_t>(value[4 + i] ^ mask[i]);
  }
  const auto port = static_cast<std::uint16_t>(load_u16(value, 2) ^ load_u16(mask, 0));
  return Endpoint{*IpAddress::from_bytes(Bytes(octets).first(address_size)), port};
}

std::optional<ErrorCode> MessageView::error_code() const noexcept {
  const auto found = find(Attribute::error_code);
  if (!found || found->value.size() < 4) return std::nullopt;
  const unsigned hundreds = found->value[2] & 7U;
  const unsigned number = found->value[3];
  if (hundreds < 3 || hundreds > 6 || number > 99) return std::nullopt;
  return ErrorCode{static_cast<std::uint16_t>(hundreds * 100 + number),
                   as_text(found->value.subspan(4))};
}

UnknownAttributes MessageView::unknown_required() const noexcept {
  UnknownAttributes unknown;
  for (const AttributeView& attribute : *this) {
    if (!is_unknown_required(attribute.type)) continue;
    const auto number = static_cast<std::uint16_t>(attribute.type);
    const auto listed = unknown.view();
    if (std::find(listed.begin(), listed.end(), number) != listed.end()) continue;
    if (unknown.size == UnknownAttributes::kMax) break;
    unknown.types[unknown.size++] = number;
  }
  return unknown;
}

}  // namespace bedside::stun
