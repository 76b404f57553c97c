#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace bedside::turn {

// Why a datagram went nowhere. Dropping is silent on the wire; this is what operators see.
enum class DropReason : std::uint8_t {
  not_stun_or_channel,  // first byte is neither (RFC 8656 §12 demultiplexing)
  malformed,            // broken STUN message or ChannelData shorter than it says
  unexpected_class,     // responses and unknown indications
  rate_limited,         // unauthenticated reply withheld from a noisy source
  no_allocation,
  no_channel,
  no_permission,
  peer_refused,  // peer policy, or our own address without a live relay port
  wrong_family,
  incomplete_send,  // Send without DATA or XOR-PEER-ADDRESS
  over_bandwidth,
  too_large,           // does not fit a UDP datagram or the reply buffer
  icmp_withheld,       // an ICMP error of a kind that is not passed on, or one too many
  connection_refused,  // a peer's TCP connection beyond the quota
  count_,
};
inline constexpr std::size_t kDropReasons = static_cast<std::size_t>(DropReason::count_);

// Stable lower-case name, used as a metric label.
std::string_view to_string(DropReason reason);

// Monotonic counters of one Relay since it was made, except the gauges.
struct RelayCounters {
  std::uint64_t allocations = 0;  // gauge
  std::uint64_t allocations_opened = 0;
  std::uint64_t packets_to_peer = 0;
  std::uint64_t bytes_to_peer = 0;
  std::uint64_t packets_to_client = 0;
  std::uint64_t bytes_to_client = 0;
  std::uint64_t packets_inside =
      0;  // of packets_to_peer, those handed over to a relay port of ours
  std::uint64_t icmp_to_client = 0;
  std::uint64_t redirects = 0;         // Allocates answered with an alternate server
  std::uint64_t moved = 0;             // allocations that followed their client (RFC 8016)
  std::uint64_t peer_connections = 0;  // gauge: of TCP allocations (RFC 6062), with peers
  std::uint64_t peer_connections_opened = 0;
  std::uint64_t bindings = 0;
  std::uint64_t requests = 0;
  std::uint64_t auth_failures = 0;
  std::uint64_t events_lost = 0;  // abuse events beyond the bound; lifecycle events are never lost
  std::array<std::uint64_t, kDropReasons> drops{};
};

}  // namespace bedside::turn
