// The peer connections of the TCP allocations of one shard.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <unordered_map>
#include <vector>

#include "server/net/connection.h"
#include "server/net/loop.h"
#include "server/net/timer.h"
#include "server/relay_port_sockets.h"
#include "server/tcp_link.h"
#include "turn/data_connections.h"

namespace bedside::server {

// Owns the links; the relay decides how many there are and when they end. Shard's thread.
class TcpLinks final : public turn::DataConnections {
 public:
  TcpLinks(net::Loop& loop, PortSockets& ports, TcpLink::Owner& owner);

  void connect(const turn::ToConnect& wanted, const stun::Endpoint& local,
               const stun::Endpoint& peer);
  void keep(turn::ConnectionId id, turn::RelayPortId port, net::AcceptedSocket peer);
  // False: there is no such link.
  bool join(turn::ConnectionId id, net::DetachedConnection client);

  void close(turn::ConnectionId id) override;
  void give_up(turn::ConnectionId id, turn::RelayPortId from, stun::Bytes answer) override;

  std::size_t size() const { return links_.size(); }
  std::size_t joined() const { return joined_; }

 private:
  struct Entry {
    std::unique_ptr<TcpLink> link;
    bool joined = false;
  };

  net::Loop& loop_;
  PortSockets& ports_;
  TcpLink::Owner& owner_;
  std::unordered_map<std::uint32_t, Entry> links_;
  std::size_t joined_ = 0;
  // A link may be ended from inside its own callback: it goes with the next wake-up.
  std::vector<std::unique_ptr<TcpLink>> ended_;
  net::Timer sweep_;
};

}  // namespace bedside::server
