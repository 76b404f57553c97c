// Which addresses this machine has.
#pragma once

#include <optional>
#include <vector>

#include "stun/endpoint.h"

namespace bedside::net {

// Every address of this host's interfaces, loopback included.
std::vector<stun::IpAddress> interface_addresses();

// The address the kernel would send from towards the internet; nothing without a route. Asks the
// routing table only, no packet is sent.
std::optional<stun::IpAddress> outgoing_address(stun::Family family);

}  // namespace bedside::net
