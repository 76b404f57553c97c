// The wire form of ChannelData (RFC 8656 §12.4) and the first-byte rule that tells it from STUN.
#pragma once

#include <cstdint>
#include <optional>

#include "stun/bytes.h"
#include "turn/limits.h"

namespace bedside::turn {

enum class PacketKind : std::uint8_t { stun, channel_data, other };

// RFC 8656 §12: 0 to 3 begin a STUN message, 64 to 79 ChannelData, everything else is neither. Old
// clients' channels (RFC 5766, up to 0x7FFF) are 80 to 127: `other`, unless `accept_rfc5766`.
[[nodiscard]] constexpr PacketKind classify(std::uint8_t first_byte,
                                            bool accept_rfc5766 = false) noexcept {
  if (first_byte <= 3) return PacketKind::stun;
  const std::uint8_t last = accept_rfc5766 ? 0x7F : 0x4F;
  if (first_byte >= 0x40 && first_byte <= last) return PacketKind::channel_data;
  return PacketKind::other;
}

struct ChannelData {
  std::uint16_t number = 0;
  stun::Bytes payload;  // borrows the packet
};

// Nothing when the packet is shorter than its length field says. Bytes beyond it are padding and
// ignored, as UDP clients may send it (checklist B.54). The number is not checked.
[[nodiscard]] constexpr std::optional<ChannelData> parse_channel_data(stun::Bytes packet) noexcept {
  if (packet.size() < limits::kChannelHeaderSize) return std::nullopt;
  const std::size_t length = stun::load_u16(packet, 2);
  if (packet.size() - limits::kChannelHeaderSize < length) return std::nullopt;
  return ChannelData{stun::load_u16(packet, 0), packet.subspan(limits::kChannelHeaderSize, length)};
}

// Writes the four bytes in front of a payload that already stands behind them.
constexpr void write_channel_header(stun::MutableBytes out, std::uint16_t number,
                                    std::size_t payload_size) noexcept {
  stun::store_u16(out, 0, number);
  stun::store_u16(out, 2, static_cast<std::uint16_t>(payload_size));
}

}  // namespace bedside::turn
