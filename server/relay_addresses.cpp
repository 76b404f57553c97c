#include "server/relay_addresses.h"

#include <algorithm>

#include "server/net/host_addresses.h"

namespace bedside::server {
namespace {

std::optional<stun::IpAddress> bind_address(const std::vector<stun::Endpoint>& listen,
                                            stun::Family family) {
  bool wildcard = false;
  for (const stun::Endpoint& endpoint : listen) {
    if (endpoint.address.family() != family) continue;
    if (!endpoint.address.is_unspecified()) return endpoint.address;
    wildcard = true;
  }
  return wildcard ? net::outgoing_address(family) : std::nullopt;
}

}  // namespace

RelayAddresses choose_relay_addresses(const std::vector<stun::Endpoint>& listen,
                                      const std::vector<stun::IpAddress>& external) {
  RelayAddresses chosen;
  for (const stun::Family family : {stun::Family::ipv4, stun::Family::ipv6}) {
    const auto bind = bind_address(listen, family);
    if (!bind) continue;
    const auto mapped =
        std::find_if(external.begin(), external.end(),
                     [&](const stun::IpAddress& a) { return a.family() == family; });
    chosen.by_family[family == stun::Family::ipv4 ? 0 : 1] =
        RelayAddress{*bind, mapped == external.end() ? *bind : *mapped};
  }
  return chosen;
}

std::optional<stun::DiscoveryAddresses> discovery_addresses(
    const std::vector<stun::Endpoint>& listen, stun::Family family) {
  std::vector<stun::IpAddress> addresses;
  std::vector<std::uint16_t> ports;
  std::size_t endpoints = 0;
  const auto note = [](auto& seen, const auto& value) {
    if (std::find(seen.begin(), seen.end(), value) == seen.end()) seen.push_back(value);
  };
  for (const stun::Endpoint& endpoint : listen) {
    if (endpoint.address.family() != family) continue;
    if (endpoint.address.is_unspecified()) return std::nullopt;
    note(addresses, endpoint.address);
    note(ports, endpoint.port);
    ++endpoints;
  }
  // Four different endpoints of two addresses and two ports are all there are.
  if (endpoints != 4 || addresses.size() != 2 || ports.size() != 2) return std::nullopt;
  return stun::DiscoveryAddresses{{addresses[0], addresses[1]}, {ports[0], ports[1]}};
}

std::vector<stun::IpAddress> interface_addresses() { return net::interface_addresses(); }

}  // namespace bedside::server
