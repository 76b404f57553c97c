// IP addresses and transport addresses as plain values: 17 and 20 bytes, no heap, no sockets.
#pragma once

#include <array>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "stun/bytes.h"

namespace bedside::stun {

// The numbers are those of the address family field on the wire (RFC 8489 §14.1).
enum class Family : std::uint8_t { ipv4 = 1, ipv6 = 2 };

class IpAddress {
 public:
  constexpr IpAddress() noexcept = default;  // 0.0.0.0

  [[nodiscard]] static constexpr IpAddress v4(std::array<std::uint8_t, 4> octets) noexcept {
    IpAddress result;
    for (std::size_t i = 0; i < octets.size(); ++i) result.octets_[i] = octets[i];
    return result;
  }
  [[nodiscard]] static constexpr IpAddress v4(std::uint8_t a, std::uint8_t b, std::uint8_t c,
                                              std::uint8_t d) noexcept {
    return v4(std::array<std::uint8_t, 4>{a, b, c, d});
  }
  [[nodiscard]] static constexpr IpAddress v6(std::array<std::uint8_t, 16> octets) noexcept {
    IpAddress result;
    result.octets_ = octets;
    result.family_ = Family::ipv6;
    return result;
  }
  // 4 bytes or 16 bytes in network order; anything else is nothing.
  [[nodiscard]] static std::optional<IpAddress> from_bytes(Bytes bytes) noexcept;

  // "192.0.2.1" or "2001:db8::1"; no brackets, no zone, no leading zeros in IPv4.
  [[nodiscard]] static std::optional<IpAddress> parse(std::string_view text) noexcept;
  [[nodiscard]] std::string to_string() const;

  [[nodiscard]] constexpr Family family() const noexcept { return family_; }
  [[nodiscard]] constexpr bool is_v4() const noexcept { return family_ == Family::ipv4; }
  // 4 or 16 bytes in network order. Borrows this value.
  [[nodiscard]] constexpr Bytes bytes() const noexcept {
    return Bytes(octets_.data(), is_v4() ? 4U : 16U);
  }

  // ::ffff:a.b.c.d becomes a.b.c.d; every other address is returned as it is. Dual-stack sockets
  // report IPv4 clients in the mapped form, which must never reach the wire (checklist B.61).
  [[nodiscard]] IpAddress unmapped() const noexcept;
  [[nodiscard]] bool is_unspecified() const noexcept;

  friend constexpr bool operator==(const IpAddress&, const IpAddress&) noexcept = default;
  // clang-tidy 14 takes the zero inside a defaulted <=> for a null pointer.
  friend constexpr std::strong_ordering operator<=>(const IpAddress&, const IpAddress&) noexcept =
      default;  // NOLINT(modernize-use-nullptr)

 private:
  std::array<std::uint8_t, 16> octets_{};  // IPv4 uses the first four, the rest stays zero
  Family family_ = Family::ipv4;
};

struct Endpoint {
  IpAddress address;
  std::uint16_t port = 0;

  // "192.0.2.1:3478" or "[2001:db8::1]:3478"; the port is required and 0 to 65535.
  [[nodiscard]] static std::optional<Endpoint> parse(std::string_view text) noexcept;
  [[nodiscard]] std::string to_string() const;
  [[nodiscard]] Endpoint unmapped() const noexcept { return {address.unmapped(), port}; }

  friend constexpr bool operator==(const Endpoint&, const Endpoint&) noexcept = default;
  friend constexpr std::strong_ordering operator<=>(const Endpoint&, const Endpoint&) noexcept =
      default;  // NOLINT(modernize-use-nullptr)
};

// Mixes the words of a key with a secret seed, so that clients, who choose their ports and IPv6
// addresses, cannot aim at one bucket of our tables. Not a cryptographic hash.
class SeededMix {
 public:
  constexpr explicit SeededMix(std::uint64_t seed) noexcept : state_(seed) {}

  constexpr SeededMix& add(std::uint64_t word) noexcept {
    state_ = scramble(state_ ^ word);
    return *this;
  }
  SeededMix& add(const Endpoint& endpoint) noexcept;
  SeededMix& add(const IpAddress& address) noexcept;
  [[nodiscard]] constexpr std::uint64_t value() const noexcept { return state_; }

 private:
  // The finaliser of MurmurHash3: a bijection in which every input bit reaches every output bit.
  [[nodiscard]] static constexpr std::uint64_t scramble(std::uint64_t x) noexcept {
    x = (x ^ (x >> 33)) * 0xff51afd7ed558ccdULL;
    x = (x ^ (x >> 33)) * 0xc4ceb9fe1a85ec53ULL;
    return x ^ (x >> 33);
  }
  std::uint64_t state_;
};

// Hash for unordered containers: std::unordered_map<Endpoint, T, EndpointHash> m(0,
// EndpointHash{seed});
struct EndpointHash {
  std::uint64_t seed = 0;
  [[nodiscard]] std::size_t operator()(const Endpoint& endpoint) const noexcept {
    return SeededMix(seed).add(endpoint).value();
  }
  [[nodiscard]] std::size_t operator()(const IpAddress& address) const noexcept {
    return SeededMix(seed).add(address).value();
  }
};

}  // namespace bedside::stun
