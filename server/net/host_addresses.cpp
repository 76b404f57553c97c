#include "server/net/host_addresses.h"

#include <ifaddrs.h>
#include <sys/socket.h>

#include <algorithm>
#include <cstring>
#include <memory>

#include "server/net/fd.h"
#include "server/net/socket_address.h"

namespace bedside::net {
namespace {

struct FreeInterfaces {
  void operator()(ifaddrs* list) const { ::freeifaddrs(list); }
};

std::optional<stun::IpAddress> address_of(const ifaddrs& interface) {
  if (interface.ifa_addr == nullptr) return std::nullopt;
  const int family = interface.ifa_addr->sa_family;
  if (family != AF_INET && family != AF_INET6) return std::nullopt;
  SocketAddress address{};
  const socklen_t size = family == AF_INET ? sizeof address.v4 : sizeof address.v6;
  std::memcpy(&address, interface.ifa_addr, size);
  const auto endpoint = from_socket_address(address, size);
  if (!endpoint) return std::nullopt;
  return endpoint->address;
}

}  // namespace

std::vector<stun::IpAddress> interface_addresses() {
  std::vector<stun::IpAddress> found;
  ifaddrs* raw = nullptr;
  if (::getifaddrs(&raw) != 0) return found;
  const std::unique_ptr<ifaddrs, FreeInterfaces> list(raw);
  for (const ifaddrs* item = list.get(); item != nullptr; item = item->ifa_next) {
    const auto address = address_of(*item);
    if (address && std::find(found.begin(), found.end(), *address) == found.end()) {
      found.push_back(*address);
    }
  }
  return found;
}

std::optional<stun::IpAddress> outgoing_address(stun::Family family) {
  // Any global address does: connecting a UDP socket sends nothing.
  const char* somewhere = family == stun::Family::ipv4 ? "198.41.0.4" : "2001:503:ba3e::2:30";
  const Fd fd(
      ::socket(family == stun::Family::ipv4 ? AF_INET : AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  SocketAddress address{};
  const socklen_t size = to_socket_address(
      {stun::IpAddress::parse(somewhere).value_or(stun::IpAddress{}), 9}, address);
  if (!fd || ::connect(fd.get(), &address.any, size) != 0) return std::nullopt;
  const stun::IpAddress local = local_endpoint(fd.get()).address;
  if (local.is_unspecified()) return std::nullopt;
  return local;
}

}  // namespace bedside::net
