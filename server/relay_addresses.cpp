#include "server/relay_addresses.h"

#include <algorithm>

#include "server/config.h"
#include "server/net/host_addresses.h"
#include "turn/peer_policy.h"

namespace bedside::server {
namespace {

std::optional<stun::IpAddress> bind_address(const std::vector<stun::Endpoint>& listen,
                                            stun::Family family) {
  const bool all_local = std::all_of(
      listen.begin(), listen.end(), [](const stun::Endpoint& e) { return is_loopback(e.address); });
  bool wildcard = false;
  for (const stun::Endpoint& endpoint : listen) {
    if (endpoint.address.family() != family) continue;
    if (endpoint.address.is_unspecified()) {
      wildcard = true;
    } else if (all_local || !is_loopback(endpoint.address)) {
      return endpoint.address;
    }
  }
  return wildcard ? net::outgoing_address(family) : std::nullopt;
}

// Nobody on the internet has a way to it.
bool is_private(const stun::IpAddress& address) {
  using turn::DeniedRange;
  static const auto kByDefault = turn::PeerPolicy::make({});
  const turn::PeerJudgement judged = kByDefault->judge(address);
  return judged.is_denied() &&
         (judged.range == DeniedRange::private_use || judged.range == DeniedRange::shared_address ||
          judged.range == DeniedRange::link_local);
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

std::optional<stun::Endpoint> advertised_endpoint(const stun::Endpoint& listening,
                                                  const RelayAddresses& addresses,
                                                  const std::vector<stun::IpAddress>& external) {
  const stun::IpAddress& address = listening.address;
  const auto& relay = addresses.of(address.family());
  if (!relay) return std::nullopt;
  if (address.is_unspecified() || address == relay->bind) {
    return stun::Endpoint{relay->advertised, listening.port};
  }
  const bool mapped =
      std::any_of(external.begin(), external.end(),
                  [&](const stun::IpAddress& known) { return known.family() == address.family(); });
  const bool reached =
      is_loopback(address) ? is_loopback(relay->bind) : !mapped || !is_private(address);
  return reached ? std::optional(listening) : std::nullopt;
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
