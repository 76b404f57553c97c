#include "server/net/socket_address.h"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <string>
#include <system_error>

namespace bedside::net {

socklen_t to_socket_address(const stun::Endpoint& endpoint, SocketAddress& out) {
  const stun::Bytes bytes = endpoint.address.bytes();
  if (endpoint.address.is_v4()) {
    out.v4 = {};
    out.v4.sin_family = AF_INET;
    out.v4.sin_port = htons(endpoint.port);
    std::memcpy(&out.v4.sin_addr, bytes.data(), 4);
    return sizeof out.v4;
  }
  out.v6 = {};
  out.v6.sin6_family = AF_INET6;
  out.v6.sin6_port = htons(endpoint.port);
  std::memcpy(&out.v6.sin6_addr, bytes.data(), 16);
  return sizeof out.v6;
}

stun::IpAddress from_in_addr(const in_addr& address) {
  std::array<std::uint8_t, 4> octets{};
  std::memcpy(octets.data(), &address, octets.size());
  return stun::IpAddress::v4(octets);
}

stun::IpAddress from_in6_addr(const in6_addr& address) {
  std::array<std::uint8_t, 16> octets{};
  std::memcpy(octets.data(), &address, octets.size());
  return stun::IpAddress::v6(octets);
}

std::optional<stun::Endpoint> from_socket_address(const SocketAddress& address, socklen_t size) {
  if (size >= sizeof(sockaddr_in) && address.any.sa_family == AF_INET) {
    return stun::Endpoint{from_in_addr(address.v4.sin_addr), ntohs(address.v4.sin_port)};
  }
  if (size >= sizeof(sockaddr_in6) && address.any.sa_family == AF_INET6) {
    return stun::Endpoint{from_in6_addr(address.v6.sin6_addr), ntohs(address.v6.sin6_port)};
  }
  return std::nullopt;
}

SocketError describe_bind_error(int code, std::string_view transport,
                                const stun::Endpoint& endpoint) {
  std::string message = std::string(transport) + " " + endpoint.to_string() + ": ";
  if (code == EADDRINUSE) {
    message +=
        "the port is in use by another process. Stop that process (ss -lntup shows it) or "
        "configure another port";
  } else if (code == EACCES) {
    message += "user id " + std::to_string(::geteuid()) + " may not listen here. ";
    message += endpoint.port < 1024
                   ? "Ports below 1024 need CAP_NET_BIND_SERVICE (in a systemd unit: "
                     "AmbientCapabilities=CAP_NET_BIND_SERVICE) or choose a port from 1024 on"
                   : "A security policy (SELinux, AppArmor) forbids it";
  } else if (code == EADDRNOTAVAIL) {
    message += "no interface of this machine has this address. Configure one that 'ip addr' shows";
  } else if (code == EAFNOSUPPORT) {
    message += "this machine has no IPv6. Remove the endpoint from the configuration";
  } else {
    message += std::generic_category().message(code);
  }
  return {code, std::move(message)};
}

stun::Endpoint local_endpoint(int fd) {
  SocketAddress address{};
  socklen_t size = sizeof address;
  if (::getsockname(fd, &address.any, &size) != 0) return {};
  return from_socket_address(address, size).value_or(stun::Endpoint{});
}

namespace {

bool enable(int fd, int level, int option) {
  const int on = 1;
  return ::setsockopt(fd, level, option, &on, sizeof on) == 0;
}

// 0 or an errno.
int bind_once(const stun::Endpoint& endpoint, int type, bool share, Fd& out) {
  const int family = endpoint.address.is_v4() ? AF_INET : AF_INET6;
  Fd fd(::socket(family, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!fd) return errno;
  // SO_REUSEADDR on TCP ignores connections in TIME_WAIT: a restart must not wait for them.
  if (type == SOCK_STREAM && !enable(fd.get(), SOL_SOCKET, SO_REUSEADDR)) return errno;
  if (share && !enable(fd.get(), SOL_SOCKET, SO_REUSEPORT)) return errno;
  if (family == AF_INET6 && !enable(fd.get(), IPPROTO_IPV6, IPV6_V6ONLY)) return errno;
  SocketAddress address{};
  const socklen_t size = to_socket_address(endpoint, address);
  if (::bind(fd.get(), &address.any, size) != 0) return errno;
  // Two TCP sockets with SO_REUSEADDR may both bind; only listening tells that one is taken.
  if (type == SOCK_STREAM && !share && ::listen(fd.get(), 1) != 0) return errno;
  out = std::move(fd);
  return 0;
}

}  // namespace

tl::expected<Fd, SocketError> open_bound(const stun::Endpoint& endpoint, int type, bool share,
                                         bool first) {
  const std::string_view transport = type == SOCK_STREAM ? "tcp" : "udp";
  Fd fd;
  int code = 0;
  if (share && first && endpoint.port != 0) {
    code = bind_once(endpoint, type, false, fd);
    fd.reset();
  }
  if (code == 0) code = bind_once(endpoint, type, share, fd);
  if (code != 0) return tl::unexpected(describe_bind_error(code, transport, endpoint));
  return fd;
}

}  // namespace bedside::net
