#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <tl/expected.hpp>
#include <variant>
#include <vector>

#include "stun/behavior_discovery.h"
#include "stun/bytes.h"
#include "stun/endpoint.h"
#include "stun/message.h"
#include "stun/message_writer.h"
#include "turn/allocation_ledger.h"
#include "turn/allocation_table.h"
#include "turn/authenticator.h"
#include "turn/credentials.h"
#include "turn/data_connections.h"
#include "turn/event.h"
#include "turn/five_tuple.h"
#include "turn/icmp.h"
#include "turn/limits.h"
#include "turn/live_relays.h"
#include "turn/nonce.h"
#include "turn/now.h"
#include "turn/peer_connection_table.h"
#include "turn/peer_policy.h"
#include "turn/rate_meter.h"
#include "turn/relay_counters.h"
#include "turn/relay_ports.h"
#include "turn/source_limiter.h"

namespace bedside::turn {

// Nothing leaves. The reason is for counters only.
struct Drop {
  DropReason reason;
};
// Bytes for the client that sent the packet. Borrows the relay's scratch.
struct ToClient {
  // Not the way the packet came (RFC 5780): from another listening address of ours over UDP, or to
  // another port.
  struct Route {
    stun::Endpoint from;
    stun::Endpoint to;
  };
  stun::Bytes bytes;
  std::optional<Route> route{};
};
// A datagram for a peer, to leave from that relay port. Borrows the client's packet.
struct ToPeer {
  RelayPortId from;
  stun::Endpoint to;
  stun::Bytes payload;
  // RFC 8656 §11.2: the DF bit is to be set, or a datagram that is too large not sent at all.
  bool dont_fragment = false;
  // `to` is a relayed transport address of this server: nothing is sent, the payload goes to
  // on_peer of the Relay that serves it, as if it had come from the relayed address of `from`.
  std::optional<LiveRelay> inside;
};
using ClientVerdict = std::variant<Drop, ToClient, ToPeer, ToConnect, ToJoin, ToShard>;

// A peer's datagram framed for the client that owns the port. Borrows the datagram's buffer and the
// allocation's five-tuple.
struct ToOwner {
  const FiveTuple* client;
  stun::Bytes bytes;
};
using PortVerdict = std::variant<Drop, ToOwner>;
using AcceptVerdict = std::variant<Drop, Attempted>;

// A datagram received on a relay port. The header for the client is written in front of it, in
// place: `offset` must be at least kHeadroom, and kTailroom bytes must follow the payload.
struct PeerDatagram {
  static constexpr std::size_t kHeadroom = 48;  // Data indication with an IPv6 peer
  static constexpr std::size_t kTailroom = 4;   // padding

  stun::MutableBytes buffer;
  std::size_t offset = 0;
  std::size_t size = 0;
};

struct RelaySettings {
  std::uint16_t shard = 0;
  std::uint16_t shards = 1;  // of the server, among which connections can be handed over
  std::uint16_t first_port = limits::kFirstRelayPort;
  std::uint16_t last_port = limits::kLastRelayPort;
  Quotas quotas;
  // RFC 5766 channel numbers up to 0x7FFF: for tests with old clients only.
  bool accept_rfc5766_channels = false;
  // RFC 8016. An allocation can only follow its client within its shard: with several shards the
  // kernel would often give the new address to another one.
  bool mobility = false;
  // RFC 6062, which needs RelaySurroundings::data_connections.
  bool tcp_relay = false;
  // RFC 5780, IPv4 and IPv6: nothing where it is off.
  std::array<std::optional<stun::DiscoveryAddresses>, 2> discovery{};
  NonceKey nonce_key{};  // random per start, the same for all shards
  // IPv4, IPv6: where clients of that family are sent while no new allocations are accepted.
  std::array<std::optional<stun::Endpoint>, 2> alternate_server;
};

// What a Relay works with. Borrowed; everything outlives the Relay.
struct RelaySurroundings {
  const Credentials* credentials;
  const LiveParticipants* participants;
  const LiveRelayAddresses* live_relays;  // all shards'
  AllocationLedger* ledger;               // all shards'
  RelayPorts* ports;
  Random* random;
  DataConnections* data_connections = nullptr;  // of this shard
};

// RFC 8656 as a state machine: STUN Binding, and TURN over UDP, TCP and TLS clients towards UDP
// peers, and TCP peers where that is on (RFC 6062). No sockets, clocks, locks or logging: datagrams
// (or frames of a stream) and Now go in, verdicts come out.
//
// Threads: none of its own; all calls from the thread of its shard. Verdicts borrow from the packet
// or from the relay and are valid until the next call.
//
// Heap: relaying (ChannelData, Send, a peer's datagram) never allocates; requests may.
//
// Decisions the RFC leaves open are listed in turn/README.md.
class Relay {
 public:
  Relay(const RelaySettings& settings, const RelaySurroundings& surroundings, PeerPolicy peers);
  Relay(const Relay&) = delete;
  Relay& operator=(const Relay&) = delete;

  // One datagram from a client, or one whole frame of its stream.
  ClientVerdict on_client(const FiveTuple& client, stun::Bytes packet, const Now& now);

  // One datagram from a peer, received on an open relay port.
  PortVerdict on_peer(RelayPortId port, const stun::Endpoint& from, const PeerDatagram& datagram,
                      const Now& now);

  // An ICMP error about a datagram that had left an open relay port for `destination` (the one in
  // the error's payload, not its sender). Becomes a Data indication in the relay's scratch.
  PortVerdict on_icmp(RelayPortId port, const stun::Endpoint& destination, const IcmpError& error,
                      const Now& now);

  // TCP allocations. What became of a ToConnect: the answer for the owner of the port it named.
  PortVerdict on_connected(ConnectionId id, const Now& now);
  PortVerdict on_connect_failed(ConnectionId id, ConnectFailure failure, const Now& now);
  // A peer has connected to an open relay port. Drop: its connection is to be closed.
  AcceptVerdict on_accepted(RelayPortId port, const stun::Endpoint& from, const Now& now);
  // So many bytes on joined connections are about to be passed on. How long their sender is not to
  // be read from afterwards (RFC 8656 §5: bandwidth); nothing: they must not be passed on.
  std::optional<std::chrono::nanoseconds> on_data(ConnectionId id, DataDirection direction,
                                                  std::size_t bytes, const Now& now);
  // The peer's connection ended, and the client's that was joined to it.
  void on_data_connection_closed(ConnectionId id, const Now& now);

  // The client's connection ended: its allocation is deleted at once (RFC 8656 §3.1), or waits for
  // its client until it expires when it is mobile (RFC 8016).
  void on_client_closed(const FiveTuple& client, const Now& now);

  // When expire() has something to do next (mono).
  std::optional<std::chrono::nanoseconds> next_deadline() const;
  // Deletes what has ended. Late calls are harmless: nothing dead is ever used.
  void expire(const Now& now);

  // Deletes the allocations of a participant, or of a long-term user. Returns how many.
  std::size_t revoke_participant(std::string_view participant, const Now& now);
  std::size_t revoke_user(std::string_view name, const Now& now);
  // Deletes everything (the server stops).
  std::size_t close_all(const Now& now);

  // Other credentials from the next request on. Allocations live on with the keys they have; to end
  // those of a user, revoke it. Borrowed like the former ones, which may go after this call.
  void set_credentials(const Credentials& credentials) {
    authenticator_.set_credentials(credentials);
  }

  // A changed policy applies at once: permissions and channels it refuses are removed.
  void set_peer_policy(PeerPolicy peers);

  // Rates apply from now on; what exists above a changed limit stays, but gets no more of it.
  void set_quotas(const Quotas& quotas);

  // False: new allocations are refused, with 300 towards the alternate server of the client's
  // family or else with 508; existing ones go on (drain, audit mailbox full).
  void set_accepting(bool accepting) { accepting_ = accepting; }
  bool accepting() const { return accepting_; }

  // Oldest first. Lifecycle events are never lost: while nobody takes them there are at most two
  // per allocation that was ever accepted since, so stop accepting when they cannot be delivered.
  // Others are bounded by limits::kMaxPendingAbuseEvents and counted when lost.
  const std::vector<Event>& events() const { return events_; }
  // Forgets the first `count` events.
  void drop_events(std::size_t count);

  const RelayCounters& counters() const { return counters_; }

 private:
  struct Request;       // a parsed request with its sender and time
  struct AllocateWish;  // what an Allocate asks for, checked
  struct OpenedPorts;   // what an Allocate has obtained so far
  using PortResult = tl::expected<RelayPort, PortError>;

  // relay.cpp: telling packets apart, and the end of allocations
  ClientVerdict on_message(const FiveTuple& client, stun::Bytes packet, const Now& now);
  ClientVerdict on_request(const Request& request);
  void close(Allocation& allocation, CloseReason reason, const Now& now);
  void close_half(Allocation& allocation, stun::Family family, const Now& now);
  template <typename Predicate>
  std::size_t close_where(Predicate matches, CloseReason reason, const Now& now);
  Drop drop(DropReason reason);
  void note(Event abuse);

  // relay_allocate.cpp
  ClientVerdict on_allocate(const Request& request, const Account& account);
  ClientVerdict allocate(const Request& request, const Account& account, const AllocateWish& wish);
  ClientVerdict allocate_reply(const Request& request, const Allocation& allocation);
  ClientVerdict redirect(const Request& request, const Account& account);
  int open_ports(const AllocateWish& wish, OpenedPorts& opened, const Now& now);
  int open_reserved(const ReservationToken& token, OpenedPorts& opened, const Now& now);
  int open_pair(OpenedPorts& opened, stun::Family family, const Now& now);
  template <typename Attempt>
  PortResult try_ports(bool even, Attempt attempt);
  std::uint32_t random_below(std::uint32_t bound);

  // relay_requests.cpp: requests of an existing allocation
  ClientVerdict on_refresh(const Request& request, Allocation& allocation);
  ClientVerdict on_create_permission(const Request& request, Allocation& allocation);
  ClientVerdict on_channel_bind(const Request& request, Allocation& allocation);
  // Room in the quotas for permissions towards these peers; takes from the rate of new ones.
  bool admit_peers(Allocation& allocation, std::span<const stun::IpAddress> peers, const Now& now);
  ClientVerdict peer_denied(const Request& request, const Allocation& allocation,
                            DeniedRange range);

  // relay_mobility.cpp
  Allocation* arriving(const stun::MessageView& message);
  void move(Allocation& allocation, const Request& request);
  void leave_behind(Allocation& allocation);

  // relay_tcp.cpp
  ClientVerdict on_connect(const Request& request, Allocation& allocation);
  ClientVerdict on_connection_bind(const Request& request);
  bool room_for_connection(const Allocation& allocation) const;
  PeerConnection& add_connection(Allocation& allocation, PeerConnection connection,
                                 std::chrono::nanoseconds deadline);
  void forget_connection(Allocation& allocation, ConnectionId id);
  void close_connections(Allocation& allocation, stun::Family family);
  void expire_connections(const Now& now);
  void close_refused_connections();
  void end_connection(ConnectionId id, int code);
  stun::Bytes connect_answer(const PeerConnection& connection, int code);

  // relay_data.cpp: the packet path
  ClientVerdict on_channel_data(const FiveTuple& client, stun::Bytes packet, const Now& now);
  ClientVerdict on_send(const FiveTuple& client, const stun::MessageView& message, const Now& now);
  ClientVerdict to_peer(Allocation& allocation, const ToPeer& wish, bool own, const Now& now);
  stun::TransactionId data_transaction();
  stun::Bytes data_indication(const stun::Endpoint& from, const PeerDatagram& datagram);
  bool within_bandwidth(Allocation& allocation, std::size_t payload, const Now& now);

  // relay_replies.cpp
  ClientVerdict on_binding(const Request& request);
  ClientVerdict discover(const Request& request, const stun::DiscoveryAddresses& addresses);
  ClientVerdict success(const Request& request, const Account& account,
                        stun::MessageWriter& writer);
  ClientVerdict error(const Request& request, const Account& account, int code);
  ClientVerdict unknown_attributes(const Request& request, const Account& account,
                                   std::span<const std::uint16_t> types);
  ClientVerdict refuse_stranger(const Request& request, const AuthRefusal& refusal);
  ClientVerdict quota_reached(const Request& request, const Account& account, QuotaKind kind);
  void finish(const Request& request, stun::MessageWriter& writer, const Account* account);
  ClientVerdict sent(stun::Bytes message);

  RelaySettings settings_;
  RelaySurroundings around_;
  PeerPolicy peers_;
  Authenticator authenticator_;
  SourceLimiter limiter_;
  AllocationTable allocations_;
  PeerConnectionTable connections_;  // of TCP allocations
  std::vector<Event> events_;
  std::size_t pending_abuse_ = 0;
  RelayCounters counters_;
  std::uint64_t opened_ = 0;
  bool accepting_ = true;
  Rate packet_rate_;
  Rate bit_rate_;
  Rate shard_bit_rate_;
  Rate new_peer_rate_;
  Rate icmp_rate_;
  RateMeter shard_bits_;
  std::uint64_t data_seed_;  // of the transaction ids of Data indications
  std::uint64_t data_transactions_ = 0;
  std::array<std::uint8_t, 2048> scratch_{};
};

}  // namespace bedside::turn
