#pragma once

#include <chrono>
#include <cstddef>

#include "server/net/connection.h"
#include "server/net/loop.h"
#include "server/net/timer.h"
#include "stun/bytes.h"
#include "turn/five_tuple.h"
#include "turn/stream_framer.h"

namespace bedside::server {

// One TURN client on TCP or TLS: a connection cut into STUN messages and ChannelData. Shard's
// thread.
class TurnStream final : private net::Connection::Handler {
 public:
  // Who keeps the streams. Every call may destroy the stream.
  class Owner {
   public:
    virtual void on_frame(TurnStream& stream, stun::Bytes frame) = 0;
    virtual void on_frames_done(TurnStream& stream) = 0;  // all that one read brought
    virtual void on_over(TurnStream& stream) = 0;  // closed, broken, or idle without an allocation

   protected:
    ~Owner() = default;
  };

  // A connection that holds no allocation for this long is closed: it only costs a descriptor.
  static constexpr std::chrono::seconds kIdle{60};

  TurnStream(net::Loop& loop, net::DetachedConnection connection, bool accept_rfc5766_channels,
             Owner& owner);
  ~TurnStream();

  const turn::FiveTuple& tuple() const { return tuple_; }

  // Answers must arrive; media is dropped first when the client reads too slowly (checklist B.59).
  void answer(stun::Bytes message);
  bool media(stun::Bytes framed);  // false: dropped

  void port_opened() { ++ports_; }
  void port_closed() { --ports_; }

 private:
  void on_bytes(net::Connection& connection, stun::Bytes bytes) override;
  void on_peer_ended(net::Connection& connection) override;
  void on_closed(net::Connection& connection, net::CloseReason reason) override;
  void on_idle();

  Owner& owner_;
  turn::FiveTuple tuple_;
  turn::StreamFramer framer_;
  std::size_t ports_ = 0;
  bool* destroyed_ = nullptr;  // set while frames are handed out
  net::Timer idle_;
  net::Connection connection_;
};

}  // namespace bedside::server
