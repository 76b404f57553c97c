// Where the hub gets everything unguessable from: ids, tokens and relay credentials.
//
// The hub has no randomness and no cryptography of its own, so tests decide every value. Called on
// the hub's thread from inside hub calls; must not call back.
#pragma once

#include <chrono>
#include <string>
#include <string_view>

#include "signaling/change.h"
#include "signaling/now.h"

namespace bedside::signaling {

// What RTCPeerConnection takes, with short-lived relay credentials in it.
struct IceGrant {
  std::string servers_json;  // a JSON array
  std::chrono::milliseconds expires_wall{0};
};

class Issuer {
 public:
  virtual ~Issuer() = default;

  // Letters, digits, '-' and '_' only (pages use it in DOM ids), at least 128 bits of randomness.
  virtual std::string participant_id() = 0;

  // A bearer secret of at least 128 bits, URL-safe.
  virtual std::string token() = 0;

  virtual TokenHash hash(std::string_view token) const = 0;

  virtual IceGrant ice_grant(std::string_view room, std::string_view participant,
                             const Now& now) = 0;
};

}  // namespace bedside::signaling
