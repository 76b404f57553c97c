#pragma once

// Private to the relay_*.cpp files.

#include "turn/relay.h"

namespace bedside::turn {

// A request on its way through the Relay. Borrows everything.
struct Relay::Request {
  const stun::MessageView& message;
  const FiveTuple& client;
  const Now& now;
};

// RFC 8656 §7.2: what a client gets for its LIFETIME, at least the default and at most the maximum.
std::chrono::seconds granted_lifetime(std::optional<std::uint32_t> requested);

}  // namespace bedside::turn
