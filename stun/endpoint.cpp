#include "stun/endpoint.h"

#include <arpa/inet.h>

#include <algorithm>
#include <charconv>

namespace bedside::stun {
namespace {

constexpr std::array<std::uint8_t, 12> kMappedPrefix{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF};

std::optional<std::uint16_t> parse_port(std::string_view text) noexcept {
  // from_chars accepts no sign and no blank for unsigned numbers, and reports overflow.
  std::uint16_t port = 0;
  const char* const end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, port);
  if (text.empty() || error != std::errc{} || stop != end) return std::nullopt;
  return port;
}

}  // namespace

std::optional<IpAddress> IpAddress::from_bytes(Bytes bytes) noexcept {
  if (bytes.size() == 4) return v4(bytes[0], bytes[1], bytes[2], bytes[3]);
  if (bytes.size() != 16) return std::nullopt;
  std::array<std::uint8_t, 16> octets{};
  std::copy(bytes.begin(), bytes.end(), octets.begin());
  return v6(octets);
}

std::optional<IpAddress> IpAddress::parse(std::string_view text) noexcept {
  std::array<char, INET6_ADDRSTRLEN> terminated{};
  if (text.size() >= terminated.size() || text.find('\0') != std::string_view::npos) {
    return std::nullopt;
  }
  std::copy(text.begin(), text.end(), terminated.begin());
  std::array<std::uint8_t, 16> octets{};
  if (inet_pton(AF_INET, terminated.data(), octets.data()) == 1) {
    return from_bytes(Bytes(octets).first(4));
  }
  if (inet_pton(AF_INET6, terminated.data(), octets.data()) == 1) return v6(octets);
  return std::nullopt;
}

std::string IpAddress::to_string() const {
  std::array<char, INET6_ADDRSTRLEN> text{};
  inet_ntop(is_v4() ? AF_INET : AF_INET6, octets_.data(), text.data(), text.size());
  return text.data();
}

IpAddress IpAddress::unmapped() const noexcept {
  if (is_v4() || !std::equal(kMappedPrefix.begin(), kMappedPrefix.end(), octets_.begin())) {
    return *this;
  }
  return v4(octets_[12], octets_[13], octets_[14], octets_[15]);
}

bool IpAddress::is_unspecified() const noexcept {
  return std::all_of(octets_.begin(), octets_.end(), [](std::uint8_t octet) { return octet == 0; });
}

std::optional<Endpoint> Endpoint::parse(std::string_view text) noexcept {
  const std::size_t colon = text.rfind(':');
  if (colon == std::string_view::npos) return std::nullopt;
  std::string_view host = text.substr(0, colon);
  const bool bracketed = host.size() >= 2 && host.front() == '[' && host.back() == ']';
  if (bracketed) host = host.substr(1, host.size() - 2);
  const auto address = IpAddress::parse(host);
  const auto port = parse_port(text.substr(colon + 1));
  // Brackets belong to IPv6 and only to it: "::1:3478" could be read in two ways.
  if (!address || !port || bracketed == address->is_v4()) return std::nullopt;
  return Endpoint{*address, *port};
}

std::string Endpoint::to_string() const {
  const std::string host = address.to_string();
  return (address.is_v4() ? host : "[" + host + "]") + ":" + std::to_string(port);
}

SeededMix& SeededMix::add(const IpAddress& address) noexcept {
  const Bytes bytes = address.bytes();
  if (address.is_v4()) return add(load_u32(bytes, 0));
  // The family needs no word of its own: an IPv6 address adds two words where IPv4 adds one.
  return add((std::uint64_t{load_u32(bytes, 0)} << 32) | load_u32(bytes, 4))
      .add((std::uint64_t{load_u32(bytes, 8)} << 32) | load_u32(bytes, 12));
}

SeededMix& SeededMix::add(const Endpoint& endpoint) noexcept {
  if (endpoint.address.is_v4()) {
    return add((std::uint64_t{load_u32(endpoint.address.bytes(), 0)} << 16) | endpoint.port);
  }
  return add(endpoint.address).add(endpoint.port);
}

}  // namespace bedside::stun
