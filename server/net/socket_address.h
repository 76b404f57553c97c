// Between stun::Endpoint and the kernel: addresses, binding, and what to say when it fails.
#pragma once

#include <netinet/in.h>
#include <sys/socket.h>

#include <optional>
#include <string_view>
#include <tl/expected.hpp>

#include "server/net/fd.h"
#include "server/net/socket_error.h"
#include "stun/endpoint.h"

namespace bedside::net {

// The kernel's form of an endpoint, large enough for both families. Only this folder sees it.
// Link-local IPv6 addresses have no zone here: they cannot be sent to.
union SocketAddress {
  sockaddr any;
  sockaddr_in v4;
  sockaddr_in6 v6;
};

socklen_t to_socket_address(const stun::Endpoint& endpoint, SocketAddress& out);
std::optional<stun::Endpoint> from_socket_address(const SocketAddress& address, socklen_t size);

stun::IpAddress from_in_addr(const in_addr& address);
stun::IpAddress from_in6_addr(const in6_addr& address);

// A nonblocking, close-on-exec socket bound to `endpoint`, IPv6 only when it is IPv6. `type` is
// SOCK_DGRAM or SOCK_STREAM. With `share` it gets SO_REUSEPORT; with `first` too it is made sure
// that nobody has the endpoint yet, because SO_REUSEPORT alone would let a second server of the
// same user in silently and give it half of the clients.
tl::expected<Fd, SocketError> open_bound(const stun::Endpoint& endpoint, int type, bool share,
                                         bool first);

// The endpoint the kernel has bound the socket to.
stun::Endpoint local_endpoint(int fd);

// "tcp 0.0.0.0:443: …", with the remedy for the usual reasons.
SocketError describe_bind_error(int code, std::string_view transport,
                                const stun::Endpoint& endpoint);

}  // namespace bedside::net
