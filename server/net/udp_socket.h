// A UDP socket that reads in batches.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <tl/expected.hpp>

#include "server/net/fd.h"
#include "server/net/loop.h"
#include "server/net/socket_error.h"
#include "stun/endpoint.h"

namespace bedside::net {

class ErrorBatch;
class ReceiveBatch;
struct Datagram;
struct UdpError;

struct UdpOptions {
  // The first socket of this process on the endpoint: refused when another process has it, which
  // SO_REUSEPORT alone would permit to a process of the same user. The other shards say false.
  bool first = true;
  bool reuse_port = false;  // several sockets on one endpoint, one a thread; the kernel spreads
  // Strangers' hosts at the other end, with paths we know nothing of: datagrams may be fragmented
  // unless one says otherwise, and ICMP errors about them are kept for take_errors().
  bool faces_peers = false;
  int receive_buffer = 4 << 20;  // bytes; forced past net.core.rmem_max where we are permitted to,
  int send_buffer = 4 << 20;     // otherwise what the system allows. 0 leaves the default
};

// A bound, nonblocking UDP socket. IPv6 sockets are IPv6 only: "[::]" for both families is two
// sockets. A wildcard bind learns the destination address of every datagram (IP_PKTINFO), so that
// an answer leaves from the address the client wrote to. Used by one thread; movable until watched.
class UdpSocket {
 public:
  // Port 0 takes a free one, see local().
  static tl::expected<UdpSocket, SocketError> bind(const stun::Endpoint& endpoint,
                                                   const UdpOptions& options = {});

  // The bound endpoint; the address is the wildcard one after a wildcard bind.
  const stun::Endpoint& local() const { return local_; }
  bool wildcard() const { return wildcard_; }
  int fd() const { return fd_.get(); }

  // One recvmmsg into the slots of `batch`, whose earlier contents are gone after this. Empty when
  // nothing waits. Truncated datagrams and those without a usable source are dropped and counted in
  // the batch. Errors that belong to an earlier send (ECONNREFUSED …) are swallowed.
  std::span<Datagram> receive(ReceiveBatch& batch);

  // ICMP errors about datagrams this socket has sent, oldest first, with the destination each of
  // them had; at most a batch, the rest at the next call. Only sockets that face peers have any.
  // Call it when receive() brought nothing: until they are taken the socket stays readable.
  std::span<const UdpError> take_errors(ErrorBatch& batch);

  // Calls back on `loop` while datagrams wait (level triggered): read a bounded number of batches
  // a call, other sockets want their turn. The socket must not move afterwards.
  void watch(Loop& loop, std::function<void()> on_readable);

 private:
  UdpSocket(Fd fd, const stun::Endpoint& local, bool wildcard)
      : fd_(std::move(fd)), local_(local), wildcard_(wildcard) {}

  Fd fd_;
  stun::Endpoint local_;
  bool wildcard_ = false;
  std::unique_ptr<FdWatch> watch_;  // after fd_: destroyed before the descriptor is closed
};

}  // namespace bedside::net
