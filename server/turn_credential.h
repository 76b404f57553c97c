#pragma once

// `bedside turn-credential`: a time-limited TURN credential for a client other than the session
// page, signed with the operator's shared secret (the TURN REST convention).

#include <chrono>
#include <string>
#include <string_view>
#include <tl/expected.hpp>

#include "server/config.h"

namespace bedside::server {

// {"iceServers":[{"urls":[…],"username":"…","credential":"…"}]}, good for a day from `now` (Unix
// seconds). The error is a sentence with its remedy.
tl::expected<std::string, std::string> make_turn_credential(const Config& config,
                                                            std::string_view subject,
                                                            std::chrono::seconds now);

}  // namespace bedside::server
