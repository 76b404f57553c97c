// One connection with a peer of a TCP allocation, and the client's that is joined to it.
#pragma once

#include <chrono>
#include <cstddef>
#include <memory>
#include <optional>

#include "server/net/connection.h"
#include "server/net/loop.h"
#include "server/net/tcp_connector.h"
#include "stun/endpoint.h"
#include "turn/data_connections.h"

namespace bedside::server {

// RFC 6062's peer data connection from its first SYN on. Nothing is read from the peer until the
// client data connection is joined: what it sends until then waits in the kernel, whose window
// closes. From then on each side is read while the other takes what comes.
//
// Memory: kQueue and one read for each direction. A side that takes nothing for kStall ends both.
// An end (FIN) of one side is passed on behind what it has sent, and ends both (RFC 6062 §5.5):
// what the other side still sends is discarded.
//
// Shard's thread.
class TcpLink {
 public:
  static constexpr std::size_t kQueue = std::size_t{64} * 1024;
  static constexpr std::chrono::seconds kStall{120};

  // Every call may end() the link, none may destroy it.
  class Owner {
   public:
    virtual void on_link_connected(TcpLink& link) = 0;
    virtual void on_link_failed(TcpLink& link, turn::ConnectFailure failure) = 0;
    // So many bytes are about to be passed on: how long the sender is to wait afterwards. Nothing:
    // they must not be passed on, and the link was ended.
    virtual std::optional<std::chrono::nanoseconds> on_link_data(TcpLink& link,
                                                                 turn::DataDirection direction,
                                                                 std::size_t bytes) = 0;
    virtual void on_link_over(TcpLink& link) = 0;

   protected:
    ~Owner() = default;
  };

  // One to be opened, from `local` to `peer`.
  TcpLink(net::Loop& loop, const turn::ToConnect& wanted, const stun::Endpoint& local,
          const stun::Endpoint& peer, Owner& owner);
  // One the peer has opened.
  TcpLink(net::Loop& loop, turn::ConnectionId id, turn::RelayPortId port, net::AcceptedSocket peer,
          Owner& owner);
  ~TcpLink();
  TcpLink(const TcpLink&) = delete;
  TcpLink& operator=(const TcpLink&) = delete;

  turn::ConnectionId id() const { return id_; }
  turn::RelayPortId port() const { return port_; }

  // Precondition: connected, and joined to nobody.
  void join(net::DetachedConnection client);

  // Closes both connections. The owner hears no more of it; it may still be on the stack.
  void end();

 private:
  class Side;

  void on_connected(tl::expected<net::AcceptedSocket, net::ConnectError> done);
  void take(net::AcceptedSocket peer);
  void forward(Side& from, stun::Bytes bytes);
  void on_side_closed();
  Side* other_of(const Side& side) const;

  net::Loop& loop_;
  const turn::ConnectionId id_;
  const turn::RelayPortId port_;
  Owner& owner_;
  bool ended_ = false;
  std::unique_ptr<net::TcpConnector> connector_;
  std::unique_ptr<Side> client_;
  std::unique_ptr<Side> peer_;
};

}  // namespace bedside::server
