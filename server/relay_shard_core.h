// Private to the relay_shard*.cpp files: what a relay thread consists of.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "server/dtls_clients.h"
#include "server/net/loop.h"
#include "server/net/mailbox.h"
#include "server/net/timer.h"
#include "server/net/udp_batch.h"
#include "server/net/udp_errors.h"
#include "server/net/udp_socket.h"
#include "server/relay_handover.h"
#include "server/relay_port_sockets.h"
#include "server/relay_shard.h"
#include "server/relay_stats.h"
#include "server/tcp_links.h"
#include "server/turn_sessions.h"
#include "server/turn_stream.h"
#include "turn/relay.h"

namespace bedside::server {

class SystemRandom final : public turn::Random {
 public:
  void fill(stun::MutableBytes out) override;
};

inline constexpr int kBatchesPerWakeup = 4;  // of a source; then the others have their turn

// What other threads ask of a shard.
struct RevokeParticipant {
  std::string id;
};
struct RevokeUser {
  std::string name;
};
struct SetDraining {
  bool draining;
};
struct SetCredentials {
  turn::Credentials credentials;
};
struct SetPeerPolicy {
  turn::PeerPolicy peers;
};
struct SetQuotas {
  turn::Quotas quotas;
};
using ShardCommand = std::variant<RevokeParticipant, RevokeUser, SetDraining, SetCredentials,
                                  SetPeerPolicy, SetQuotas>;

struct RelayShard::Core final : TurnSession::Owner, TcpLink::Owner {
  Core(const RelayShardSettings& settings, const RelayShardShared& with);

  turn::Now now() const;
  tl::expected<void, net::SocketError> listen(const RelayShardSettings& settings);
  void adopt(net::DetachedConnection connection, bool handed_over = false);
  std::size_t streams() const;
  void on_client_readable(net::UdpSocket& socket);
  void on_client_datagram(const net::UdpSocket& socket, const net::Datagram& datagram,
                          const turn::Now& time);
  void to_client_by(const turn::ToClient::Route& route, stun::Bytes bytes);
  void on_port_readable(turn::RelayPortId id);
  void from_peer(PortSocket& port, const stun::Endpoint& from, const turn::PeerDatagram& datagram,
                 const turn::Now& time, bool stays);
  void to_owner(const ClientLink& owner, const turn::ToOwner& out, bool stays);
  void on_frame(TurnSession& session, stun::Bytes frame) override;
  void on_frames_done(TurnSession& session) override;
  void on_proven(TurnSession& session) override;
  void on_over(TurnSession& session) override;
  void to_peer(const turn::ToPeer& out, stun::MutableBytes room, const turn::Now& time);

  // relay_shard_inside.cpp
  void hand_over(const turn::ToPeer& out, const stun::Endpoint& from, stun::MutableBytes room,
                 const turn::Now& time);
  void to_port(turn::RelayPortId id, const stun::Endpoint& to, const stun::Endpoint& from,
               const turn::PeerDatagram& datagram, const turn::Now& time, bool stays);
  void on_handed_over();
  void ring();
  void on_port_errors(PortSocket& port, const turn::Now& time);

  // relay_shard_tcp.cpp
  stun::Endpoint as_bound(const stun::Endpoint& peer) const;
  stun::Endpoint as_advertised(const stun::Endpoint& peer) const;
  void connect(const turn::ToConnect& out);
  void join(TurnSession& session, const turn::ToJoin& out);
  void hand_over(TurnSession& session, stun::Bytes frame, std::uint16_t shard);
  void on_peer_connection(turn::RelayPortId port, net::AcceptedSocket peer);
  void on_link_connected(TcpLink& link) override;
  void on_link_failed(TcpLink& link, turn::ConnectFailure failure) override;
  std::optional<std::chrono::nanoseconds> on_link_data(TcpLink& link, turn::DataDirection direction,
                                                       std::size_t bytes) override;
  void on_link_over(TcpLink& link) override;
  void answer_owner(turn::RelayPortId port, stun::Bytes message);

  void on_command(const ShardCommand& command);
  void settle();
  void deliver_events();
  void arm_expiry();
  void close_all();
  void finish();

  net::Loop loop;
  RelayShardShared shared;
  std::uint16_t number;
  bool accept_rfc5766_channels;
  SystemRandom random;
  net::ReceiveBatch received;
  net::SendBatch outgoing;
  net::ErrorBatch errors;
  // A payload handed over within the shard, when it comes from a stream.
  std::array<std::uint8_t, net::kUdpHeadroom + net::kUdpPayload + net::kUdpTailroom> inside{};
  std::uint64_t to_ring = 0;  // shards something was handed over to, a bit each
  std::uint64_t handover_drops = 0;
  std::uint64_t slow_reader_drops = 0;
  PortSockets ports;
  TcpLinks links;
  std::unique_ptr<const turn::Credentials> credentials;  // since a reload; null: the shared ones
  turn::Relay relay;
  std::vector<std::unique_ptr<net::UdpSocket>> clients;
  std::optional<DtlsClients> dtls;  // before sessions: the associations among them leave it
  TurnSessions sessions;
  net::Timer expiry;
  net::Timer event_retry;
  net::Mailbox<ShardCommand> commands;
  net::Wakeup stop_bell;
  std::unique_ptr<net::FdWatch> handover_bell;  // null when there is no other shard
  RelayStats stats;
  bool draining = false;
  bool backlogged = false;  // events wait because the mailbox is full
  bool stopping = false;
  net::MonoTime give_up{};  // when stopping: the last events are not waited for any longer
};

}  // namespace bedside::server
