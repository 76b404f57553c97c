// Which peers the relay may exchange packets with: closed by default, so that a credential for the
// relay is never a way into the network the relay stands in (checklist A.2 to A.6, RFC 8656
// §21.2.1).
//
// Immutable after make(), so shards share one object without locks. judge() is noexcept, does not
// allocate and costs some dozens of comparisons: cheap enough for every Send indication.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <tl/expected.hpp>
#include <utility>
#include <vector>

#include "stun/endpoint.h"
#include "turn/limits.h"

namespace bedside::turn {

// An address prefix such as 10.0.0.0/8.
struct Prefix {
  stun::IpAddress base;
  std::uint8_t length = 0;  // bits, at most 32 or 128

  // "10.0.0.0/8", "fd00::/8", or a single address. Bits below the prefix must be zero.
  [[nodiscard]] static std::optional<Prefix> parse(std::string_view text) noexcept;
  [[nodiscard]] constexpr bool contains(const stun::IpAddress& address) const noexcept {
    if (address.family() != base.family()) return false;
    const stun::Bytes wanted = base.bytes();
    const stun::Bytes have = address.bytes();
    const std::size_t whole = length / 8U;
    for (std::size_t i = 0; i < whole; ++i) {
      if (wanted[i] != have[i]) return false;
    }
    const unsigned rest = length % 8U;
    return rest == 0 || ((wanted[whole] ^ have[whole]) >> (8U - rest)) == 0;
  }
  friend constexpr bool operator==(const Prefix&, const Prefix&) noexcept = default;
};

// Why a peer is refused; recorded as "range class", which names no address.
enum class DeniedRange : std::uint8_t {
  unspecified,
  loopback,
  link_local,
  multicast,
  broadcast,
  private_use,     // RFC 1918, fc00::/7, fec0::/10
  shared_address,  // 100.64/10, carrier-grade NAT
  documentation,
  benchmarking,
  special_protocol,  // IETF protocol assignments, 6to4 relay anycast, discard, SRv6 SIDs
  reserved,          // 240/4
  not_global,        // IPv6 outside 2000::/3 and outside the well-known NAT64 prefix
  own_service,       // a port this server listens on
  low_port,          // below kLowestPeerPort
  known_service,     // a UDP service that is abused for amplification or management
  configured,        // denied_peers
};
[[nodiscard]] std::string_view to_text(DeniedRange range) noexcept;

struct PeerJudgement {
  enum class Outcome : std::uint8_t {
    allowed,
    denied,
    // An address of this server: only towards a live relayed transport address of it. With a judged
    // IpAddress this means "a permission may be installed, each packet is judged with its port".
    own_relay_only,
  };
  Outcome outcome = Outcome::denied;
  DeniedRange range{};  // meaningful for denied

  [[nodiscard]] bool is_allowed() const noexcept { return outcome == Outcome::allowed; }
  [[nodiscard]] bool is_denied() const noexcept { return outcome == Outcome::denied; }
  friend bool operator==(const PeerJudgement&, const PeerJudgement&) noexcept = default;
};

struct PeerPolicyConfig {
  // Test mode: 127/8 and ::1 become ordinary peers (own_ports stay refused). Loud at start.
  bool allow_loopback = false;
  // Exceptions from the default ranges. Unspecified, loopback, link-local, multicast, broadcast and
  // local-use NAT64 stay refused whatever stands here; make() reports entries inside them.
  std::vector<Prefix> allowed;
  std::vector<Prefix> denied;  // wins over `allowed`
  // Addresses of this host: listening, interface and external ones. Wildcards are ignored.
  std::vector<stun::IpAddress> own_addresses;
  // Ports this server listens on (3478, 443, admin, …): refused on own and loopback addresses
  // always.
  std::vector<std::uint16_t> own_ports;
  bool restrict_ports = true;  // refuse low and known service ports (checklist A.6)
};

enum class PeerPolicyError : std::uint8_t {
  too_many_prefixes,       // kMaxPeerPrefixes
  too_many_own_addresses,  // kMaxOwnAddresses
  allows_forbidden_range,  // an entry of `allowed` lies in a range that cannot be re-allowed
};
[[nodiscard]] std::string_view to_text(PeerPolicyError error) noexcept;

// The address itself and every IPv4 address hidden in it, in canonical form: IPv4-mapped is
// replaced by its IPv4; IPv4-compatible, NAT64 (64:ff9b::/96), 6to4, Teredo (server and client) and
// ISATAP add theirs. Judged one by one; one refusal refuses all. Local-use NAT64, 64:ff9b:1::/48,
// is refused as a whole: where it hides the IPv4 address is the local network's choice and unknown
// to us.
struct CanonicalPeer {
  static constexpr std::size_t kMax = 4;
  std::array<stun::IpAddress, kMax> addresses;
  std::size_t size = 0;
  [[nodiscard]] std::span<const stun::IpAddress> view() const noexcept {
    return {addresses.data(), size};
  }
};
[[nodiscard]] CanonicalPeer canonicalise(const stun::IpAddress& peer) noexcept;

class PeerPolicy {
 public:
  [[nodiscard]] static tl::expected<PeerPolicy, PeerPolicyError> make(PeerPolicyConfig config);

  // For CreatePermission, where the port does not matter (RFC 8656 §10.2).
  [[nodiscard]] PeerJudgement judge(const stun::IpAddress& peer) const noexcept;
  // For ChannelBind, also on refresh, and for Send.
  [[nodiscard]] PeerJudgement judge(const stun::Endpoint& peer) const noexcept;

 private:
  explicit PeerPolicy(PeerPolicyConfig config) : config_(std::move(config)) {}
  [[nodiscard]] PeerJudgement judge_all(const CanonicalPeer& peer) const noexcept;
  [[nodiscard]] PeerJudgement judge_one(const stun::IpAddress& address) const noexcept;
  [[nodiscard]] bool is_own(const stun::IpAddress& address) const noexcept;

  PeerPolicyConfig config_;
};

}  // namespace bedside::turn
