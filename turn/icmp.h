// ICMP errors as a relay passes them on (RFC 8656 §11.5) and their attribute (§18.13).
#pragma once

#include <array>
#include <cstdint>

#include "stun/bytes.h"
#include "stun/endpoint.h"

namespace bedside::turn {

struct IcmpError {
  std::uint8_t type = 0;
  std::uint8_t code = 0;
  std::uint32_t data = 0;  // the next hop's MTU of "too big" and "fragmentation needed"
};

// RFC 8656 §11.5: unreachable and time exceeded, and ICMPv6's packet too big. Nothing else concerns
// the datagrams of a client.
[[nodiscard]] constexpr bool is_passed_on(stun::Family family, const IcmpError& error) noexcept {
  if (family == stun::Family::ipv4) return error.type == 3 || error.type == 11;
  return error.type >= 1 && error.type <= 3;
}

// §18.13: only these two carry error data; of all others it is zero.
[[nodiscard]] constexpr bool has_mtu(stun::Family family, const IcmpError& error) noexcept {
  return family == stun::Family::ipv4 ? error.type == 3 && error.code == 4 : error.type == 2;
}

// The value of the ICMP attribute. The RFC gives the widths by its figure alone: 16 bits reserved,
// 7 bits type, 9 bits code, 32 bits error data.
[[nodiscard]] constexpr std::array<std::uint8_t, 8> icmp_attribute(
    stun::Family family, const IcmpError& error) noexcept {
  std::array<std::uint8_t, 8> value{};
  stun::store_u16(value, 2, static_cast<std::uint16_t>((error.type & 0x7FU) << 9U | error.code));
  stun::store_u32(value, 4, has_mtu(family, error) ? error.data : 0);
  return value;
}

}  // namespace bedside::turn
