// What the network says about datagrams that did not arrive.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

#include "stun/endpoint.h"

namespace bedside::net {

// An ICMP or ICMPv6 error (which one, `to` tells by its family). A datagram the kernel itself found
// too large for its interface is told the same way: as "fragmentation needed" or "packet too big".
struct UdpError {
  stun::Endpoint to;  // where the datagram was meant to go
  std::uint8_t type = 0;
  std::uint8_t code = 0;
  std::uint32_t data = 0;  // the next hop's MTU when the datagram was too large
};

// The slots of UdpSocket::take_errors(), allocated once. One a thread serves all of its sockets.
class ErrorBatch {
 public:
  static constexpr std::size_t kErrors = 16;

  ErrorBatch();
  ~ErrorBatch();
  ErrorBatch(const ErrorBatch&) = delete;
  ErrorBatch& operator=(const ErrorBatch&) = delete;

 private:
  friend class UdpSocket;
  struct Slots;
  std::unique_ptr<Slots> slots_;
};

}  // namespace bedside::net
