// Private to the relay_shard*.cpp files: what a relay thread consists of.
#pragma once

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
#include "server/net/udp_socket.h"
#include "server/relay_port_sockets.h"
#include "server/relay_shard.h"
#include "server/relay_stats.h"
#include "server/turn_sessions.h"
#include "server/turn_stream.h"
#include "turn/relay.h"

namespace bedside::server {

class SystemRandom final : public turn::Random {
 public:
  void fill(stun::MutableBytes out) override;
};

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
using ShardCommand = std::variant<RevokeParticipant, RevokeUser, SetDraining>;

struct RelayShard::Core final : TurnSession::Owner {
  Core(const RelayShardSettings& settings, const RelayShardShared& with);

  turn::Now now() const;
  tl::expected<void, net::SocketError> listen(const RelayShardSettings& settings);
  void adopt(net::DetachedConnection connection);
  std::size_t streams() const;
  void on_client_readable(net::UdpSocket& socket);
  void on_client_datagram(const net::UdpSocket& socket, const net::Datagram& datagram,
                          const turn::Now& time);
  void on_port_readable(turn::RelayPortId id);
  void on_port_datagram(PortSocket& port, const net::Datagram& datagram, const turn::Now& time);
  void on_frame(TurnSession& session, stun::Bytes frame) override;
  void on_frames_done(TurnSession& session) override;
  void on_proven(TurnSession& session) override;
  void on_over(TurnSession& session) override;
  void to_peer(const turn::ToPeer& out, bool copy);
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
  PortSockets ports;
  turn::Relay relay;
  std::vector<std::unique_ptr<net::UdpSocket>> clients;
  std::optional<DtlsClients> dtls;  // before sessions: the associations among them leave it
  TurnSessions sessions;
  net::Timer expiry;
  net::Timer event_retry;
  net::Mailbox<ShardCommand> commands;
  net::Wakeup stop_bell;
  RelayStats stats;
  bool draining = false;
  bool backlogged = false;  // events wait because the mailbox is full
  bool stopping = false;
  net::MonoTime give_up{};  // when stopping: the last events are not waited for any longer
};

}  // namespace bedside::server
