#pragma once

#include <array>
#include <optional>
#include <vector>

#include "stun/behavior_discovery.h"
#include "stun/endpoint.h"

namespace bedside::server {

// Where relay ports of one family live.
struct RelayAddress {
  stun::IpAddress bind;        // of this host; never a wildcard, so that packets leave from it
  stun::IpAddress advertised;  // what clients are told: `bind`, or the address a 1:1 NAT maps to it

  friend bool operator==(const RelayAddress&, const RelayAddress&) = default;
};

// IPv4, IPv6; an absent family is answered with 440.
struct RelayAddresses {
  std::array<std::optional<RelayAddress>, 2> by_family;

  const std::optional<RelayAddress>& of(stun::Family family) const {
    return by_family[family == stun::Family::ipv4 ? 0 : 1];
  }
  friend bool operator==(const RelayAddresses&, const RelayAddresses&) = default;
};

// Per family: relay ports live on the first listening address; behind a wildcard, on the address
// the kernel would use towards the internet. Loopback counts only where we listen on nothing else.
// `external` (at most one a family) is what is advertised. A family without a listening address, or
// without any route, is absent. Reads the routing table.
RelayAddresses choose_relay_addresses(const std::vector<stun::Endpoint>& listen,
                                      const std::vector<stun::IpAddress>& external);

// What clients are told of an endpoint we listen on, `addresses` being chosen for all of them:
// behind a wildcard or a NAT, another address. Nothing when they could not reach it: on loopback
// beside other addresses, or on a private one beside the external one of its family, which leads
// elsewhere.
std::optional<stun::Endpoint> advertised_endpoint(const stun::Endpoint& listening,
                                                  const RelayAddresses& addresses,
                                                  const std::vector<stun::IpAddress>& external);

// Every address of this host's interfaces, for turn::PeerPolicyConfig::own_addresses.
std::vector<stun::IpAddress> interface_addresses();

// The addresses and ports of RFC 5780 among those we listen on: nothing unless they are exactly two
// addresses of this family, each with the same two ports, and no wildcard.
std::optional<stun::DiscoveryAddresses> discovery_addresses(
    const std::vector<stun::Endpoint>& listen, stun::Family family);

}  // namespace bedside::server
