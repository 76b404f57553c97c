#include "turn/peer_policy.h"

#include <algorithm>
#include <charconv>

namespace bedside::turn {
namespace {

using stun::IpAddress;
using Outcome = PeerJudgement::Outcome;

constexpr PeerJudgement denied(DeniedRange range) noexcept { return {Outcome::denied, range}; }
constexpr PeerJudgement kAllowed{Outcome::allowed, {}};
constexpr PeerJudgement kOwnRelayOnly{Outcome::own_relay_only, {}};

enum class Exception : bool { never, by_configuration };

struct RangeRow {
  Prefix prefix;
  DeniedRange range{};
  Exception exception{};  // whether `allowed_peers` may re-allow it
};

constexpr Prefix net4(std::uint8_t a, std::uint8_t b, std::uint8_t c, std::uint8_t d,
                      std::uint8_t length) {
  return {IpAddress::v4(a, b, c, d), length};
}

// The first four 16-bit groups of an IPv6 prefix.
constexpr Prefix net6(std::uint16_t a, std::uint16_t b, std::uint16_t c, std::uint16_t d,
                      std::uint8_t length) {
  std::array<std::uint8_t, 16> octets{};
  stun::store_u16(octets, 0, a);
  stun::store_u16(octets, 2, b);
  stun::store_u16(octets, 4, c);
  stun::store_u16(octets, 6, d);
  return {IpAddress::v6(octets), length};
}

constexpr Prefix kLoopback4 = net4(127, 0, 0, 0, 8);
constexpr Prefix kLoopback6{IpAddress::v6({0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1}), 128};
constexpr Prefix kNat64 = net6(0x0064, 0xff9b, 0, 0, 96);
constexpr Prefix k6to4 = net6(0x2002, 0, 0, 0, 16);
constexpr Prefix kTeredo = net6(0x2001, 0, 0, 0, 32);
constexpr Prefix kIpv4Compatible = net6(0, 0, 0, 0, 96);
// Everything IANA has given out as global unicast. What lies outside is not a peer on the internet.
constexpr Prefix kGlobalUnicast6 = net6(0x2000, 0, 0, 0, 3);

// The special-purpose address registries of IANA (RFC 6890 and successors). The first match
// decides.
constexpr std::array<RangeRow, 29> kRanges{{
    {net4(0, 0, 0, 0, 8), DeniedRange::unspecified, Exception::never},
    {kLoopback4, DeniedRange::loopback, Exception::never},
    {net4(169, 254, 0, 0, 16), DeniedRange::link_local, Exception::never},
    {net4(224, 0, 0, 0, 4), DeniedRange::multicast, Exception::never},
    {net4(255, 255, 255, 255, 32), DeniedRange::broadcast, Exception::never},
    {net4(10, 0, 0, 0, 8), DeniedRange::private_use, Exception::by_configuration},
    {net4(172, 16, 0, 0, 12), DeniedRange::private_use, Exception::by_configuration},
    {net4(192, 168, 0, 0, 16), DeniedRange::private_use, Exception::by_configuration},
    {net4(100, 64, 0, 0, 10), DeniedRange::shared_address, Exception::by_configuration},
    {net4(192, 0, 0, 0, 24), DeniedRange::special_protocol, Exception::by_configuration},
    {net4(192, 0, 2, 0, 24), DeniedRange::documentation, Exception::by_configuration},
    {net4(192, 88, 99, 0, 24), DeniedRange::special_protocol, Exception::by_configuration},
    {net4(198, 18, 0, 0, 15), DeniedRange::benchmarking, Exception::by_configuration},
    {net4(198, 51, 100, 0, 24), DeniedRange::documentation, Exception::by_configuration},
    {net4(203, 0, 113, 0, 24), DeniedRange::documentation, Exception::by_configuration},
    {net4(240, 0, 0, 0, 4), DeniedRange::reserved, Exception::by_configuration},
    // A public address by number, but on Azure machines the host's own control service.
    {net4(168, 63, 129, 16, 32), DeniedRange::special_protocol, Exception::by_configuration},
    {net6(0, 0, 0, 0, 128), DeniedRange::unspecified, Exception::never},
    {kLoopback6, DeniedRange::loopback, Exception::never},
    {net6(0xfe80, 0, 0, 0, 10), DeniedRange::link_local, Exception::never},
    {net6(0xff00, 0, 0, 0, 8), DeniedRange::multicast, Exception::never},
    {net6(0x0064, 0xff9b, 1, 0, 48), DeniedRange::special_protocol, Exception::never},
    {net6(0xfc00, 0, 0, 0, 7), DeniedRange::private_use, Exception::by_configuration},
    {net6(0xfec0, 0, 0, 0, 10), DeniedRange::private_use, Exception::by_configuration},
    {net6(0x0100, 0, 0, 0, 64), DeniedRange::special_protocol, Exception::by_configuration},
    {net6(0x2001, 0, 0, 0, 23), DeniedRange::special_protocol, Exception::by_configuration},
    {net6(0x2001, 0x0db8, 0, 0, 32), DeniedRange::documentation, Exception::by_configuration},
    {net6(0x3fff, 0, 0, 0, 20), DeniedRange::documentation, Exception::by_configuration},
    {net6(0x5f00, 0, 0, 0, 16), DeniedRange::special_protocol, Exception::by_configuration},
}};

// UDP services above 1023 that amplify, manage or tunnel. Media ports picked by NATs fall on one of
// them once in thousands of calls, and ICE then has other candidates.
constexpr std::array<std::uint16_t, 17> kServicePorts{
    1434,   // SQL Server browser
    1812,   // RADIUS
    1813,   // RADIUS accounting
    1900,   // SSDP
    2049,   // NFS
    2152,   // GTP-U
    3283,   // Apple Remote Desktop
    3389,   // RDP
    3702,   // WS-Discovery
    4789,   // VXLAN
    5060,   // SIP
    5353,   // mDNS
    5683,   // CoAP
    6081,   // Geneve
    8472,   // VXLAN, older Linux
    11211,  // memcached
    37810,  // DVR discovery
};

const RangeRow* row_of(const IpAddress& address) noexcept {
  const auto row = std::find_if(kRanges.begin(), kRanges.end(), [&](const RangeRow& candidate) {
    return candidate.prefix.contains(address);
  });
  return row == kRanges.end() ? nullptr : &*row;
}

bool is_in(const std::vector<Prefix>& prefixes, const IpAddress& address) noexcept {
  return std::any_of(prefixes.begin(), prefixes.end(),
                     [&](const Prefix& prefix) { return prefix.contains(address); });
}

bool is_loopback(const IpAddress& address) noexcept {
  return kLoopback4.contains(address) || kLoopback6.contains(address);
}

IpAddress v4_at(stun::Bytes bytes, std::size_t at, std::uint8_t mask = 0) noexcept {
  const auto octet = [&](std::size_t i) { return static_cast<std::uint8_t>(bytes[at + i] ^ mask); };
  return IpAddress::v4(octet(0), octet(1), octet(2), octet(3));
}

// RFC 5214 §6.1: interface identifiers 0000:5efe:a.b.c.d and 0200:5efe:a.b.c.d, below any prefix.
bool is_isatap(stun::Bytes bytes) noexcept {
  return (bytes[8] & 0xFD) == 0 && bytes[9] == 0 && bytes[10] == 0x5E && bytes[11] == 0xFE;
}

}  // namespace

std::string_view to_text(DeniedRange range) noexcept {
  switch (range) {
    case DeniedRange::unspecified:
      return "unspecified";
    case DeniedRange::loopback:
      return "loopback";
    case DeniedRange::link_local:
      return "link_local";
    case DeniedRange::multicast:
      return "multicast";
    case DeniedRange::broadcast:
      return "broadcast";
    case DeniedRange::private_use:
      return "private_use";
    case DeniedRange::shared_address:
      return "shared_address";
    case DeniedRange::documentation:
      return "documentation";
    case DeniedRange::benchmarking:
      return "benchmarking";
    case DeniedRange::special_protocol:
      return "special_protocol";
    case DeniedRange::reserved:
      return "reserved";
    case DeniedRange::not_global:
      return "not_global";
    case DeniedRange::own_service:
      return "own_service";
    case DeniedRange::low_port:
      return "low_port";
    case DeniedRange::known_service:
      return "known_service";
    case DeniedRange::configured:
      return "configured";
  }
  return "";
}

std::string_view to_text(PeerPolicyError error) noexcept {
  switch (error) {
    case PeerPolicyError::too_many_prefixes:
      return "allowed_peers and denied_peers hold at most 256 prefixes each";
    case PeerPolicyError::too_many_own_addresses:
      return "this host has more than 256 addresses";
    case PeerPolicyError::allows_forbidden_range:
      return "allowed_peers names unspecified, loopback, link-local, multicast, broadcast or "
             "local-use NAT64 addresses; these are never relayed to";
  }
  return "";
}

std::optional<Prefix> Prefix::parse(std::string_view text) noexcept {
  const std::size_t slash = text.find('/');
  const auto base = IpAddress::parse(text.substr(0, slash));
  if (!base) return std::nullopt;
  const unsigned bits = base->is_v4() ? 32 : 128;
  unsigned length = bits;
  if (slash != std::string_view::npos) {
    const std::string_view number = text.substr(slash + 1);
    const auto [stop, error] =
        std::from_chars(number.data(), number.data() + number.size(), length);
    if (error != std::errc{} || stop != number.data() + number.size() || length > bits) {
      return std::nullopt;
    }
  }
  // "10.1.2.3/8" is more likely a mistyped length than a wish for all of 10/8.
  const stun::Bytes octets = base->bytes();
  for (unsigned bit = length; bit < bits; ++bit) {
    if (((octets[bit / 8] >> (7 - bit % 8)) & 1) != 0) return std::nullopt;
  }
  return Prefix{*base, static_cast<std::uint8_t>(length)};
}

CanonicalPeer canonicalise(const IpAddress& peer) noexcept {
  CanonicalPeer result;
  const auto add = [&](const IpAddress& address) { result.addresses[result.size++] = address; };
  const IpAddress outer = peer.unmapped();
  add(outer);
  if (outer.is_v4()) return result;
  const stun::Bytes bytes = outer.bytes();
  // :: and ::1 look IPv4-compatible too, but have a meaning of their own (RFC 4291 §2.5).
  const bool is_special = outer.is_unspecified() || is_loopback(outer);
  if ((kIpv4Compatible.contains(outer) && !is_special) || kNat64.contains(outer)) {
    add(v4_at(bytes, 12));
  }
  if (k6to4.contains(outer)) add(v4_at(bytes, 2));
  if (kTeredo.contains(outer)) {
    add(v4_at(bytes, 4));         // the server
    add(v4_at(bytes, 12, 0xFF));  // the client, inverted (RFC 4380 §4)
  }
  if (is_isatap(bytes)) add(v4_at(bytes, 12));
  return result;
}

tl::expected<PeerPolicy, PeerPolicyError> PeerPolicy::make(PeerPolicyConfig config) {
  if (config.allowed.size() > limits::kMaxPeerPrefixes ||
      config.denied.size() > limits::kMaxPeerPrefixes) {
    return tl::make_unexpected(PeerPolicyError::too_many_prefixes);
  }
  for (const Prefix& prefix : config.allowed) {
    const RangeRow* row = row_of(prefix.base);
    if (row != nullptr && row->exception == Exception::never &&
        prefix.length >= row->prefix.length) {
      return tl::make_unexpected(PeerPolicyError::allows_forbidden_range);
    }
  }
  for (IpAddress& address : config.own_addresses) address = address.unmapped();
  std::erase_if(config.own_addresses,
                [](const IpAddress& address) { return address.is_unspecified(); });
  if (config.own_addresses.size() > limits::kMaxOwnAddresses) {
    return tl::make_unexpected(PeerPolicyError::too_many_own_addresses);
  }
  std::sort(config.own_addresses.begin(), config.own_addresses.end());
  return PeerPolicy(std::move(config));
}

PeerJudgement PeerPolicy::judge(const IpAddress& peer) const noexcept {
  return judge_all(canonicalise(peer));
}

PeerJudgement PeerPolicy::judge_all(const CanonicalPeer& peer) const noexcept {
  PeerJudgement result = kAllowed;
  for (const IpAddress& address : peer.view()) {
    const PeerJudgement judgement = judge_one(address);
    if (judgement.is_denied()) return judgement;
    if (judgement.outcome == Outcome::own_relay_only) result = judgement;
  }
  return result;
}

PeerJudgement PeerPolicy::judge(const stun::Endpoint& peer) const noexcept {
  const CanonicalPeer canonical = canonicalise(peer.address);
  const PeerJudgement judgement = judge_all(canonical);
  if (judgement.is_denied()) return judgement;
  const bool is_here = std::any_of(
      canonical.view().begin(), canonical.view().end(),
      [&](const IpAddress& address) { return is_own(address) || is_loopback(address); });
  if (is_here && std::find(config_.own_ports.begin(), config_.own_ports.end(), peer.port) !=
                     config_.own_ports.end()) {
    return denied(DeniedRange::own_service);
  }
  if (!config_.restrict_ports) return judgement;
  if (peer.port < limits::kLowestPeerPort) return denied(DeniedRange::low_port);
  if (std::find(kServicePorts.begin(), kServicePorts.end(), peer.port) != kServicePorts.end()) {
    return denied(DeniedRange::known_service);
  }
  return judgement;
}

PeerJudgement PeerPolicy::judge_one(const IpAddress& address) const noexcept {
  if (is_in(config_.denied, address)) return denied(DeniedRange::configured);
  if (config_.allow_loopback && is_loopback(address)) return kAllowed;
  if (is_own(address)) return kOwnRelayOnly;
  const RangeRow* row = row_of(address);
  if (row != nullptr && row->exception == Exception::never) return denied(row->range);
  if (is_in(config_.allowed, address)) return kAllowed;
  if (row != nullptr) return denied(row->range);
  const bool is_global =
      address.is_v4() || kGlobalUnicast6.contains(address) || kNat64.contains(address);
  return is_global ? kAllowed : denied(DeniedRange::not_global);
}

bool PeerPolicy::is_own(const IpAddress& address) const noexcept {
  return std::binary_search(config_.own_addresses.begin(), config_.own_addresses.end(), address);
}

}  // namespace bedside::turn
