#pragma once

#include <optional>

#include "server/net/connection.h"
#include "server/net/loop.h"
#include "server/turn_session.h"
#include "stun/bytes.h"
#include "turn/stream_framer.h"

namespace bedside::server {

// One TURN client on TCP or TLS: a connection cut into STUN messages and ChannelData. Shard's
// thread.
class TurnStream final : public TurnSession, private net::Connection::Handler {
 public:
  TurnStream(net::Loop& loop, net::DetachedConnection connection, bool accept_rfc5766_channels,
             const TurnSessionLimits& limits, Owner& owner);
  ~TurnStream() override;

  void answer(stun::Bytes message) override;
  bool media(stun::Bytes framed) override;
  std::optional<net::DetachedConnection> detach() override;

  // Bytes that wait for a client that reads slowly: media is dropped beyond
  // ConnectionLimits::queue_data, and the client beyond queue_control.
  std::size_t queued() const { return connection_.queued(); }

 private:
  void on_bytes(net::Connection& connection, stun::Bytes bytes) override;
  void on_peer_ended(net::Connection& connection) override;
  void on_closed(net::Connection& connection, net::CloseReason reason) override;

  turn::StreamFramer framer_;
  bool* destroyed_ = nullptr;  // set while frames are handed out
  net::Connection connection_;
};

}  // namespace bedside::server
