// A listening TCP port.
#pragma once

#include <functional>
#include <memory>
#include <tl/expected.hpp>

#include "server/net/fd.h"
#include "server/net/lifeline.h"
#include "server/net/loop.h"
#include "server/net/socket_error.h"
#include "server/net/timer.h"
#include "stun/endpoint.h"

namespace bedside::net {

// An accepted TCP connection: nonblocking, close-on-exec, TCP_NODELAY, keep-alive probes on.
struct AcceptedSocket {
  Fd fd;
  stun::Endpoint peer;
  stun::Endpoint local;
};

// TCP_NODELAY, and keep-alive probes that find vanished phones within two minutes where nothing
// above TCP speaks regularly. Accepted sockets inherit these from their listener on Linux.
void set_stream_options(int fd);

// A listening TCP socket with SO_REUSEPORT and SO_REUSEADDR; IPv6 only for IPv6 endpoints.
class TcpListener {
 public:
  // Port 0 takes a free one, see local(). Nothing is accepted before start(). `first`: the first
  // socket of this process on the endpoint, refused when another process listens there (see
  // UdpOptions::first).
  static tl::expected<std::unique_ptr<TcpListener>, SocketError> open(
      const stun::Endpoint& endpoint, bool first = true);

  struct Opened;  // only open() can make one
  TcpListener(const Opened& opened, Fd fd, const stun::Endpoint& local);
  TcpListener(const TcpListener&) = delete;
  TcpListener& operator=(const TcpListener&) = delete;

  const stun::Endpoint& local() const { return local_; }

  // Accepts at most 16 connections a wake-up. Out of descriptors or memory: pauses for 100 ms
  // instead of spinning; waiting clients stay in the kernel's queue. The callback may destroy the
  // listener.
  using OnAccept = std::function<void(AcceptedSocket)>;
  void start(Loop& loop, OnAccept on_accept);
  void stop();  // no more callbacks; the port stays bound until destruction

 private:
  void on_readable();
  void accept_some(const OnAccept& on_accept, const Lifeline::Watch& alive);

  Fd fd_;
  stun::Endpoint local_;
  Lifeline lifeline_;
  OnAccept on_accept_;
  std::unique_ptr<FdWatch> watch_;
  std::unique_ptr<Timer> resume_;
};

}  // namespace bedside::net
