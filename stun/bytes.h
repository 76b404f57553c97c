// Views of wire bytes and big-endian access to them. Nothing here owns memory.
#pragma once

#include <cassert>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

namespace bedside::stun {

using Bytes = std::span<const std::uint8_t>;
using MutableBytes = std::span<std::uint8_t>;

// The caller has checked that the field lies inside `bytes`; the assertion finds our own mistakes.
[[nodiscard]] constexpr std::uint16_t load_u16(Bytes bytes, std::size_t at) noexcept {
  assert(at + 2 <= bytes.size());
  return static_cast<std::uint16_t>((bytes[at] << 8) | bytes[at + 1]);
}

[[nodiscard]] constexpr std::uint32_t load_u32(Bytes bytes, std::size_t at) noexcept {
  return (std::uint32_t{load_u16(bytes, at)} << 16) | load_u16(bytes, at + 2);
}

constexpr void store_u16(MutableBytes bytes, std::size_t at, std::uint16_t value) noexcept {
  assert(at + 2 <= bytes.size());
  bytes[at] = static_cast<std::uint8_t>(value >> 8);
  bytes[at + 1] = static_cast<std::uint8_t>(value);
}

constexpr void store_u32(MutableBytes bytes, std::size_t at, std::uint32_t value) noexcept {
  store_u16(bytes, at, static_cast<std::uint16_t>(value >> 16));
  store_u16(bytes, at + 2, static_cast<std::uint16_t>(value));
}

// The size of `length` bytes once padded to the 4-byte boundary of RFC 8489 §14.
[[nodiscard]] constexpr std::size_t padded(std::size_t length) noexcept {
  return (length + 3) & ~std::size_t{3};
}

// Text attributes (USERNAME, REALM, NONCE) are bytes on the wire and text elsewhere. Both views
// borrow. These two are the only casts between char and byte outside server/net.
[[nodiscard]] inline std::string_view as_text(Bytes bytes) noexcept {
  return {static_cast<const char*>(static_cast<const void*>(bytes.data())), bytes.size()};
}

[[nodiscard]] inline Bytes as_bytes(std::string_view text) noexcept {
  return {static_cast<const std::uint8_t*>(static_cast<const void*>(text.data())), text.size()};
}

}  // namespace bedside::stun
