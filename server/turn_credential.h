#pragma once

// `bedside turn-credential`: a time-limited TURN credential for a client other than the session
// page, signed with the operator's shared secret (the TURN REST convention).

#include <chrono>
#include <string>
#include <string_view>
#include <tl/expected.hpp>

#include "server/config.h"

namespace bedside::server {

struct TurnCredential {
  std::string json;  // {"iceServers":[{"urls":[…],"username":"…","credential":"…"}]}
  std::chrono::seconds expires_at{};  // Unix time
};

// Good for a day from `now` (Unix time). The error is a sentence with its remedy. Records nothing.
tl::expected<TurnCredential, std::string> make_turn_credential(const Config& config,
                                                               std::string_view subject,
                                                               std::chrono::seconds now);

}  // namespace bedside::server
