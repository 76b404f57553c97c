// An outgoing TCP connection from a chosen local endpoint.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <tl/expected.hpp>

#include "server/net/fd.h"
#include "server/net/loop.h"
#include "server/net/tcp_listener.h"
#include "server/net/timer.h"
#include "stun/endpoint.h"

namespace bedside::net {

enum class ConnectError : std::uint8_t {
  exists,  // the kernel still knows a connection between these two endpoints
  failed,  // refused, unreachable, timed out, or nothing left to connect with
};

// Opens one connection from `local`, which listeners of this process may share (SO_REUSEPORT), to
// `peer`. Calls back once, from the loop; the callback may destroy the connector. Destroying it
// earlier gives up. There is no deadline of its own: the kernel tries for about two minutes.
class TcpConnector {
 public:
  // The connection has the options of an accepted one.
  using OnDone = std::function<void(tl::expected<AcceptedSocket, ConnectError>)>;

  TcpConnector(Loop& loop, const stun::Endpoint& local, const stun::Endpoint& peer, OnDone on_done);
  TcpConnector(const TcpConnector&) = delete;
  TcpConnector& operator=(const TcpConnector&) = delete;

 private:
  void begin(Loop& loop, const stun::Endpoint& local);
  void finish();
  void fail(int code, bool connecting);
  void report();

  stun::Endpoint peer_;
  OnDone on_done_;
  Fd fd_;
  ConnectError error_ = ConnectError::failed;
  std::unique_ptr<FdWatch> watch_;
  Timer soon_;  // tells what was known at once
};

}  // namespace bedside::net
