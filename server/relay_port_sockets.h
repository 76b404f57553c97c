// The relayed transport addresses of one shard as bound sockets, with who owns each.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <queue>
#include <unordered_map>
#include <vector>

#include "server/live_relay_table.h"
#include "server/net/loop.h"
#include "server/net/tcp_listener.h"
#include "server/net/udp_batch.h"
#include "server/net/udp_socket.h"
#include "turn/relay_ports.h"

namespace bedside::server {

class TurnSession;

// How to reach the client that owns a relay port: the socket its request came in on.
struct ClientLink {
  const net::UdpSocket* udp = nullptr;
  TurnSession* session = nullptr;  // when it is more than an address
};

// One open relay port of a UDP allocation.
struct PortSocket {
  turn::RelayPort port;
  net::UdpSocket socket;
  ClientLink owner;
};

// One of a TCP allocation (RFC 6062).
struct PortListener {
  turn::RelayPort port;
  std::unique_ptr<net::TcpListener> listener;
  ClientLink owner;
};

// The relay ports of one shard as real sockets. Shard's thread.
class PortSockets final : public turn::RelayPorts {
 public:
  using OnReadable = std::function<void(turn::RelayPortId)>;
  using OnAccept = std::function<void(turn::RelayPortId, net::AcceptedSocket)>;

  // `outgoing` is flushed before a port is closed: what waits in it names sockets by descriptor,
  // and the kernel may give the next socket the same one.
  PortSockets(net::Loop& loop, std::uint16_t shard, LiveRelayTable& table, net::SendBatch& outgoing,
              OnReadable on_readable, OnAccept on_accept);
  ~PortSockets() override;

  // Whom the next opened ports belong to.
  void set_owner(const ClientLink& owner) { owner_ = owner; }

  // Whether what closes now was taken from its client: then the client's connection ends, too.
  void set_revoking(bool revoking) { revoking_ = revoking; }

  // Null when the port is closed, or one for TCP. Stable while it is open.
  PortSocket* find(turn::RelayPortId id);
  // Of either kind. Nobody when it is closed.
  ClientLink owner_of(turn::RelayPortId id);
  // Precondition: an open port for TCP.
  stun::Endpoint local_of(turn::RelayPortId id) const { return listeners_.at(id.value).port.local; }

  tl::expected<turn::RelayPort, turn::PortError> open(turn::PeerTransport transport,
                                                      stun::Family family, std::uint16_t port,
                                                      const turn::Now& now) override;
  void close(turn::RelayPortId id, const turn::Now& now) override;
  void hand_over(turn::RelayPortId id) override;
  bool reserve(const turn::Reservation& reservation, const turn::Now& now) override;
  std::optional<turn::Reservation> claim(const turn::ReservationToken& token,
                                         const turn::Now& now) override;

 private:
  turn::RelayPortId lowest_free_id();
  // 0 or an errno.
  int bind_udp(const turn::RelayPort& port);
  int listen_tcp(const turn::RelayPort& port);

  net::Loop& loop_;
  const std::uint16_t shard_;
  LiveRelayTable& table_;
  net::SendBatch& outgoing_;
  OnReadable on_readable_;
  OnAccept on_accept_;
  ClientLink owner_;
  bool revoking_ = false;
  std::vector<std::unique_ptr<PortSocket>> slots_;  // by RelayPortId; null: closed, or for TCP
  std::unordered_map<std::uint32_t, PortListener> listeners_;  // by RelayPortId
  std::priority_queue<std::uint32_t, std::vector<std::uint32_t>, std::greater<>> free_ids_;
};

}  // namespace bedside::server
