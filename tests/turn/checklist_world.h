// The world of the checklist tests: one client with an allocation, and peers on the internet.
#pragma once

#include <string_view>

#include "tests/turn/relay_world.h"

namespace bedside::turn::testing {

inline constexpr std::string_view kOtherPeer = "9.9.9.9:9000";
inline constexpr std::string_view kPeer6 = "[2620:fe::fe]:9000";
inline constexpr std::string_view kForbidden = "10.1.2.3:9000";

struct AliceWorld : World {
  explicit AliceWorld(const WorldOptions& options = {}, const Fill& wish = {},
                      ClientTransport transport = ClientTransport::udp)
      : World(options), alice(*this, "192.0.2.7:4000", "alice", "alice-password", transport) {
    const Reply reply = alice.allocate(wish);
    relayed = reply.all_relayed().at(0);
    if (reply.all_relayed().size() > 1) relayed6 = reply.all_relayed().at(1);
  }

  Client alice;
  stun::Endpoint relayed;
  stun::Endpoint relayed6;  // of a dual allocation
};

inline Fill dual() { return family(stun::Attribute::additional_address_family, 2); }

inline WorldOptions with_quotas(const std::function<void(Quotas&)>& change) {
  WorldOptions options;
  change(options.quotas);
  return options;
}

// A Send indication made of whatever `fill` adds.
inline Packet send_with(const Fill& fill) {
  Packet buffer(256);
  stun::MessageWriter writer(buffer, stun::Class::indication, stun::Method::send, {});
  fill(writer);
  buffer.resize(writer.finish().size());
  return buffer;
}

}  // namespace bedside::turn::testing
