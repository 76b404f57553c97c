#include "server/port_probe.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <system_error>

namespace bedside::server {
namespace {

struct SocketAddress {
  sockaddr_storage storage{};
  socklen_t size = 0;
};

SocketAddress socket_address(const stun::Endpoint& endpoint) {
  SocketAddress result;
  const stun::Bytes bytes = endpoint.address.bytes();
  if (endpoint.address.is_v4()) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(endpoint.port);
    std::memcpy(&address.sin_addr, bytes.data(), bytes.size());
    std::memcpy(&result.storage, &address, sizeof address);
    result.size = sizeof address;
  } else {
    sockaddr_in6 address{};
    address.sin6_family = AF_INET6;
    address.sin6_port = htons(endpoint.port);
    std::memcpy(&address.sin6_addr, bytes.data(), bytes.size());
    std::memcpy(&result.storage, &address, sizeof address);
    result.size = sizeof address;
  }
  return result;
}

// The errno of a bind (and listen) without SO_REUSEPORT; 0 when it works.
int try_bind(const stun::Endpoint& endpoint, Transport transport) {
  const int family = endpoint.address.is_v4() ? AF_INET : AF_INET6;
  const int type = transport == Transport::udp ? SOCK_DGRAM : SOCK_STREAM;
  const int fd = ::socket(family, type | SOCK_CLOEXEC, 0);
  if (fd < 0) return errno;
  const int yes = 1;
  if (family == AF_INET6) ::setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &yes, sizeof yes);
  // For TCP: connections of a former server that linger in TIME_WAIT are no obstacle. (For UDP this
  // option would share the port.)
  if (transport == Transport::tcp) ::setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
  const SocketAddress address = socket_address(endpoint);
  const void* untyped = &address.storage;
  int error = 0;
  if (::bind(fd, static_cast<const sockaddr*>(untyped), address.size) != 0) error = errno;
  if (error == 0 && transport == Transport::tcp && ::listen(fd, 1) != 0) error = errno;
  ::close(fd);
  return error;
}

}  // namespace

std::optional<PortTrouble> probe_port(const stun::Endpoint& endpoint, Transport transport,
                                      std::string_view key) {
  const int error = try_bind(endpoint, transport);
  if (error == 0) return std::nullopt;
  const std::string port = std::to_string(endpoint.port);
  PortTrouble trouble;
  trouble.what = "cannot listen on " + endpoint.to_string() +
                 (transport == Transport::udp ? " (UDP, " : " (TCP, ") + std::string(key) + "): ";
  if (error == EADDRINUSE) {
    trouble.what += "another program has the port";
    trouble.remedy = std::string("`ss -lp") + (transport == Transport::udp ? "u" : "t") +
                     " sport = :" + port + "` names it; stop it, or choose another port in " +
                     std::string(key);
  } else if (error == EACCES) {
    trouble.what += "user id " + std::to_string(::geteuid()) + " may not use ports below 1024";
    trouble.remedy =
        "start it as a service (systemd/ gives it CAP_NET_BIND_SERVICE), or choose a "
        "port above 1023 in " +
        std::string(key);
  } else if (error == EADDRNOTAVAIL || error == EAFNOSUPPORT) {
    trouble.address_missing = true;
    trouble.what += "this machine does not have the address";
    trouble.remedy = "`ip address` lists the ones it has; write one of them in " + std::string(key);
  } else {
    trouble.what += std::generic_category().message(error);
    trouble.remedy = "check " + std::string(key);
  }
  return trouble;
}

}  // namespace bedside::server
