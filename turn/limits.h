// Every limit and lifetime of the relay, in one place. Where an RFC gives the number, its section
// is named; the others are ours, with the reason beside them.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>

namespace bedside::turn {

// A token bucket: so many a second, so many at once.
struct SourceRate {
  std::uint32_t per_second = 0;
  std::uint32_t burst = 0;
};

namespace limits {

using std::chrono::seconds;

// --- Lifetimes -----------------------------------------------------------------------------------
inline constexpr seconds kDefaultLifetime{600};     // of an allocation, RFC 8656 §3.2 and §7.2
inline constexpr seconds kMaxLifetime{3600};        // RFC 8656 §7.2 recommends at most an hour
inline constexpr seconds kPermissionLifetime{300};  // RFC 8656 §9: exactly five minutes
inline constexpr seconds kChannelLifetime{600};     // RFC 8656 §12: ten minutes
inline constexpr seconds kReservationLifetime{30};  // RFC 8656 §7.2: at least 30 s
inline constexpr seconds kRetransmitWindow{40};     // RFC 8489 §6.3.1: answers are remembered 40 s
inline constexpr seconds kPeerConnectTimeout{30};   // RFC 6062 §5.2: at least 30 s
inline constexpr seconds kUnboundLifetime{30};      // RFC 6062 §5.2, §5.3: until ConnectionBind
inline constexpr seconds kNonceLifetime{3600};      // RFC 8656 §5: at most an hour
// A freed relay port rests, so that late packets of its peers do not reach the next owner.
inline constexpr seconds kRelayPortRest{60};

// --- Credentials ---------------------------------------------------------------------------------
// Participants' credentials live 10 minutes; an hour leaves the operator room to configure more.
inline constexpr seconds kMaxParticipantCredentialTtl{3600};
// TURN REST credentials of other clients: a day, what that convention commonly uses.
inline constexpr seconds kMaxSharedCredentialTtl{86400};
// How far ahead the clock of a machine that mints credentials may be. Only the upper bound of the
// lifetime is stretched; a credential is never valid after its expiry.
inline constexpr seconds kCredentialClockSkew{300};
inline constexpr std::size_t kMaxUsernameBytes = 508;  // RFC 8489 §14.3: below 509
inline constexpr std::size_t kMaxRealmBytes = 127;     // RFC 8489 §14.9: below 128 characters
inline constexpr std::size_t kMaxSecrets = 4;          // of a kind; two are needed while rotating
inline constexpr std::size_t kMinSecretBytes = 16;     // shorter ones can be guessed offline

// --- Ports and channels --------------------------------------------------------------------------
inline constexpr std::uint16_t kFirstRelayPort = 49152;  // RFC 8656 §7.2: the dynamic range
inline constexpr std::uint16_t kLastRelayPort = 65535;
inline constexpr std::uint16_t kLowestPeerPort = 1024;  // below are services, not media
inline constexpr std::uint16_t kFirstChannel = 0x4000;  // RFC 8656 §12
inline constexpr std::uint16_t kLastChannel = 0x4FFF;
// RFC 5766 allowed channels up to here; only for old test clients (turn.accept_rfc5766_channels).
inline constexpr std::uint16_t kLastRfc5766Channel = 0x7FFF;

// --- Sizes ---------------------------------------------------------------------------------------
inline constexpr std::size_t kChannelHeaderSize = 4;  // RFC 8656 §12.4
// The largest piece of a stream: a STUN message with the largest length that is a multiple of 4.
// ChannelData (4 + 65535 + 1 padding) is smaller.
inline constexpr std::size_t kMaxFrame = 20 + 65532;
// Peers named in one CreatePermission; a message with more is refused whole (508).
inline constexpr std::size_t kMaxPeersPerRequest = 16;
inline constexpr std::size_t kMaxPeerPrefixes = 256;  // allowed_peers and denied_peers, each
inline constexpr std::size_t kMaxOwnAddresses = 256;
// Odd ports kept for the second half of an RTP/RTCP pair, of the whole server; beyond it 508.
inline constexpr std::size_t kMaxReservations = 256;
// Connections with peers of one shard's TCP allocations (RFC 6062): two descriptors each.
inline constexpr std::size_t kMaxPeerConnections = 4096;
// Refusals worth telling that wait for being taken from a relay; more are counted and forgotten.
inline constexpr std::size_t kMaxPendingAbuseEvents = 256;

// --- Unauthenticated replies (checklist A.9) -----------------------------------------------------
// A clinic behind one IPv4 address may start several eight-person calls in the same second: each
// browser sends a few hundred requests without credentials. Hence large bursts and modest rates.
inline constexpr SourceRate kNarrowSourceRate{50, 1000};  // one IPv4 address, one IPv6 /64
inline constexpr SourceRate kWideSourceRate{200, 4000};   // one IPv4 /24, one IPv6 /56
inline constexpr std::size_t kSourceBuckets = 8192;       // per table, a power of two: 64 KiB

// ICMP errors passed on to one client; a path that is broken says so for each datagram, and the
// first few tell everything.
inline constexpr SourceRate kIcmpRate{16, 32};

// What users and sources opened is counted this long, window by window; it is forgotten earlier
// when that many of them are counted.
inline constexpr std::chrono::minutes kNewAllocationsWindow{10};
inline constexpr std::size_t kMaxCountedParties = 65'536;

}  // namespace limits

// --- Quotas the operator can change (checklist A.10) ---------------------------------------------
// On by default. Reaching one is answered as stated and never harms an existing call.
struct Quotas {
  // Allocations of one account at a time; more are answered with 486. A browser in an eight-person
  // mesh opens up to 7 connections × 3 servers × its network interfaces.
  std::size_t allocations_per_user = 64;
  // Allocations of one source, an IPv4 address or an IPv6 /64, whatever their users; more are
  // answered with 486. Wider than for a user: a clinic has one address for all of its browsers.
  std::size_t allocations_per_source = 1024;
  // Allocations that one account, and one source, may open in limits::kNewAllocationsWindow; more
  // are answered with 486. Each is two records in the audit log: nobody shall fill it by opening
  // and closing. Six rounds of ICE restarts of a browser in an eight-person mesh are below that.
  std::size_t new_allocations_per_user = 256;
  std::size_t new_allocations_per_source = 4096;
  // Allocations of the whole server, and of one shard; more are answered with 508. As many as the
  // range of relay ports has.
  std::size_t allocations_total = 16'384;
  std::size_t allocations_per_shard = 4096;
  // Live permissions and channels of one allocation; more are answered with 508.
  std::size_t permissions_per_allocation = 64;
  std::size_t channels_per_allocation = 64;
  // Connections of one TCP allocation with peers (RFC 6062), those being opened included; a Connect
  // for more is answered with 508, a peer that connects is turned away.
  std::size_t peer_connections_per_allocation = 16;
  // Peers an allocation has not talked to before, and each Connect of a TCP allocation; more in a
  // second are answered with 508. Keeps the relay from being used as a scanner.
  std::uint32_t new_peers_per_second = 16;
  std::uint32_t new_peers_burst = 64;
  // Both directions of one allocation together; what exceeds them is dropped (RFC 8656 §5), the
  // allocation lives on. Two HD streams each way need about 10 Mbit/s and 1,500 packets/s.
  std::uint32_t packets_per_second = 10'000;
  std::uint64_t bits_per_second = 50'000'000;
  // All allocations of one shard, same behaviour. 0 means no limit.
  std::uint64_t shard_bits_per_second = 2'000'000'000;
};

}  // namespace bedside::turn
