// Somebody without credentials, somewhere on the loopback network: 127.0.0.0/8 has room for any
// number of sources.
#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>

#include <array>
#include <chrono>
#include <cstdint>
#include <cstring>
#include <optional>
#include <vector>

#include "server/net/fd.h"
#include "stun/message_writer.h"

namespace bedside::testing_support {

using Datagram = std::vector<std::uint8_t>;

class Stranger {
 public:
  // `number` chooses the address, 250 of them in each of many /24 networks; the kernel chooses the
  // port.
  Stranger(std::uint16_t server_port, std::uint32_t number)
      : fd_(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0)) {
    const std::uint32_t host = 0x7F010000U + (number / 250 % 250) * 256 + number % 250 + 1;
    with_address(host, 0, [&](const sockaddr* address, socklen_t size) {
      ok_ = ::bind(fd_.get(), address, size) == 0;
    });
    with_address(INADDR_LOOPBACK, server_port, [&](const sockaddr* address, socklen_t size) {
      ok_ = ok_ && ::connect(fd_.get(), address, size) == 0;
    });
  }
  bool ok() const { return ok_; }

  void send(stun::Bytes packet) const { (void)::send(fd_.get(), packet.data(), packet.size(), 0); }
  std::optional<Datagram> receive(std::chrono::milliseconds patience) const {
    pollfd descriptor{fd_.get(), POLLIN, 0};
    if (::poll(&descriptor, 1, static_cast<int>(patience.count())) <= 0) return std::nullopt;
    Datagram datagram(2048);
    const ssize_t size = ::recv(fd_.get(), datagram.data(), datagram.size(), 0);
    if (size < 0) return std::nullopt;
    datagram.resize(static_cast<std::size_t>(size));
    return datagram;
  }

 private:
  template <typename Use>
  static void with_address(std::uint32_t host, std::uint16_t port, Use use) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(host);
    address.sin_port = htons(port);
    const void* untyped = &address;
    use(static_cast<const sockaddr*>(untyped), sizeof address);
  }

  net::Fd fd_;
  bool ok_ = false;
};

// A request or indication without integrity; `fill` adds attributes.
template <typename Fill>
Datagram unsigned_message(stun::Class kind, stun::Method method, Fill fill) {
  Datagram buffer(512);
  stun::TransactionId id{};
  id[11] = 7;
  stun::MessageWriter writer(buffer, kind, method, id);
  fill(writer);
  buffer.resize(writer.finish().size());
  return buffer;
}
inline Datagram binding_request() {
  return unsigned_message(stun::Class::request, stun::Method::binding, [](auto&) {});
}
inline Datagram allocate_request() {
  return unsigned_message(stun::Class::request, stun::Method::allocate, [](auto& writer) {
    writer.add_u32(stun::Attribute::requested_transport, 17U << 24);
  });
}

}  // namespace bedside::testing_support
