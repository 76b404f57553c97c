#include "stun/message_writer.h"

#include <algorithm>
#include <array>

#include "stun/fingerprint.h"
#include "stun/integrity.h"

namespace bedside::stun {
namespace {

std::uint16_t type_field(Class message_class, Method method) noexcept {
  const auto c = static_cast<unsigned>(message_class);
  const auto m = static_cast<unsigned>(method);
  return static_cast<std::uint16_t>((m & 0x00F) | ((m & 0x070) << 1) | ((m & 0xF80) << 2) |
                                    ((c & 1) << 4) | ((c & 2) << 7));
}

}  // namespace

MessageWriter::MessageWriter(MutableBytes out, Class message_class, Method method,
                             const TransactionId& transaction) noexcept
    : out_(out) {
  if (out_.size() < kHeaderSize) {
    failed_ = true;
    return;
  }
  store_u16(out_, 0, type_field(message_class, method));
  store_u16(out_, 2, 0);
  store_u32(out_, 4, kMagicCookie);
  std::copy(transaction.begin(), transaction.end(), out_.begin() + 8);
  size_ = kHeaderSize;
}

MutableBytes MessageWriter::reserve(Attribute type, std::size_t length) noexcept {
  const std::size_t needed = kAttributeHeaderSize + padded(length);
  if (failed_ || length > 0xFFFF || needed > out_.size() - size_ ||
      size_ + needed > kMaxMessageSize) {
    failed_ = true;
    return {};
  }
  store_u16(out_, size_, static_cast<std::uint16_t>(type));
  store_u16(out_, size_ + 2, static_cast<std::uint16_t>(length));
  const MutableBytes value = out_.subspan(size_ + kAttributeHeaderSize, padded(length));
  std::fill(value.begin() + static_cast<std::ptrdiff_t>(length), value.end(), std::uint8_t{0});
  size_ += needed;
  // Kept up to date all the time: integrity and fingerprint cover the header with the length so
  // far.
  store_u16(out_, 2, static_cast<std::uint16_t>(size_ - kHeaderSize));
  return value.first(length);
}

MessageWriter& MessageWriter::add_bytes(Attribute type, Bytes value) noexcept {
  const MutableBytes room = reserve(type, value.size());
  if (!failed_) std::copy(value.begin(), value.end(), room.begin());
  return *this;
}

MessageWriter& MessageWriter::add_text(Attribute type, std::string_view value) noexcept {
  return add_bytes(type, as_bytes(value));
}

MessageWriter& MessageWriter::add_present(Attribute type, std::size_t length) noexcept {
  reserve(type, length);
  return *this;
}

MessageWriter& MessageWriter::add_flag(Attribute type) noexcept { return add_bytes(type, {}); }

MessageWriter& MessageWriter::add_u32(Attribute type, std::uint32_t value) noexcept {
  const MutableBytes room = reserve(type, 4);
  if (!failed_) store_u32(room, 0, value);
  return *this;
}

MessageWriter& MessageWriter::add_xor_address(Attribute type, const Endpoint& endpoint) noexcept {
  const IpAddress address = endpoint.address.unmapped();
  const Bytes octets = address.bytes();
  const MutableBytes room = reserve(type, 4 + octets.size());
  if (failed_) return *this;
  const Bytes mask = Bytes(out_).subspan(4, octets.size());  // cookie, then transaction id
  room[0] = 0;
  room[1] = static_cast<std::uint8_t>(address.family());
  store_u16(room, 2, static_cast<std::uint16_t>(endpoint.port ^ load_u16(mask, 0)));
  for (std::size_t i = 0; i < octets.size(); ++i) {
    room[4 + i] = static_cast<std::uint8_t>(octets[i] ^ mask[i]);
  }
  return *this;
}

MessageWriter& MessageWriter::add_error(std::uint16_t code, std::string_view reason) noexcept {
  assert(code >= 300 && code <= 699);
  const MutableBytes room = reserve(Attribute::error_code, 4 + reason.size());
  if (failed_) return *this;
  store_u16(room, 0, 0);
  room[2] = static_cast<std::uint8_t>(code / 100);
  room[3] = static_cast<std::uint8_t>(code % 100);
  const Bytes text = as_bytes(reason);
  std::copy(text.begin(), text.end(), room.begin() + 4);
  return *this;
}

MessageWriter& MessageWriter::add_unknown_attributes(
    std::span<const std::uint16_t> types) noexcept {
  const MutableBytes room = reserve(Attribute::unknown_attributes, 2 * types.size());
  if (failed_) return *this;
  for (std::size_t i = 0; i < types.size(); ++i) store_u16(room, 2 * i, types[i]);
  return *this;
}

MessageWriter& MessageWriter::add_integrity(Bytes key) noexcept {
  const std::size_t covered = size_;
  Sha1Digest digest{};
  const MutableBytes room = reserve(Attribute::message_integrity, digest.size());
  if (failed_) return *this;
  failed_ = !hmac_sha1(key, {Bytes(out_).first(covered)}, digest);
  std::copy(digest.begin(), digest.end(), room.begin());
  return *this;
}

MessageWriter& MessageWriter::add_integrity_sha256(Bytes key) noexcept {
  const std::size_t covered = size_;
  Sha256Digest digest{};
  const MutableBytes room = reserve(Attribute::message_integrity_sha256, digest.size());
  if (failed_) return *this;
  failed_ = !hmac_sha256(key, {Bytes(out_).first(covered)}, digest);
  std::copy(digest.begin(), digest.end(), room.begin());
  return *this;
}

MessageWriter& MessageWriter::add_fingerprint() noexcept {
  const std::size_t covered = size_;
  const MutableBytes room = reserve(Attribute::fingerprint, 4);
  if (!failed_) store_u32(room, 0, fingerprint_of(Bytes(out_).first(covered)));
  return *this;
}

Bytes MessageWriter::finish() const noexcept {
  if (failed_) return {};
  return Bytes(out_).first(size_);
}

}  // namespace bedside::stun
