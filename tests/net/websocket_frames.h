// Frames as a browser would send them, for tests.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace bedside::tests {

enum : std::uint8_t {
  kContinuation = 0,
  kText = 1,
  kBinary = 2,
  kClose = 8,
  kPing = 9,
  kPong = 10
};

struct FrameShape {
  bool fin = true;
  bool masked = true;
  std::uint8_t reserved = 0;  // the three RSV bits
};

inline std::string client_frame(std::uint8_t opcode, std::string_view payload,
                                FrameShape shape = {}) {
  constexpr std::string_view kMask = "\x11\x22\x33\x44";
  std::string out;
  out += static_cast<char>((shape.fin ? 0x80 : 0) | (shape.reserved << 4) | opcode);
  const int mask_bit = shape.masked ? 0x80 : 0;
  const std::size_t size = payload.size();
  if (size < 126) {
    out += static_cast<char>(mask_bit | static_cast<int>(size));
  } else if (size <= 0xffff) {
    out += static_cast<char>(mask_bit | 126);
    out += static_cast<char>(size >> 8);
    out += static_cast<char>(size & 0xff);
  } else {
    out += static_cast<char>(mask_bit | 127);
    for (int shift = 56; shift >= 0; shift -= 8) {
      out += static_cast<char>((static_cast<std::uint64_t>(size) >> shift) & 0xff);
    }
  }
  if (!shape.masked) return out.append(payload);
  out += kMask;
  for (std::size_t i = 0; i < size; ++i) {
    out += static_cast<char>(payload[i] ^ kMask[i % 4]);
  }
  return out;
}

inline std::string close_payload(std::uint16_t code, std::string_view reason = {}) {
  std::string out;
  out += static_cast<char>(code >> 8);
  out += static_cast<char>(code & 0xff);
  return out.append(reason);
}

// An unmasked frame of at most 125 bytes, as the server sends it.
inline std::string server_frame(std::uint8_t opcode, std::string_view payload) {
  return client_frame(opcode, payload, {.fin = true, .masked = false, .reserved = 0});
}

}  // namespace bedside::tests
