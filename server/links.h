#pragma once

// The addresses people type or click. Pure functions of the configuration; any thread.

#include <string>

#include "server/config.h"

namespace bedside::server {

// "https://visit.example.org", with the port where it is not the scheme's own. Empty when not
// served.
std::string https_origin(const Config& config);
std::string http_origin(const Config& config);

// What to hand to a person: https, else http.
std::string best_origin(const Config& config);

// Where plain http sends its visitors; empty: it serves them itself. A server reachable from
// outside that has https serves nothing in clear; a loopback listener (a proxy's) and the demo do.
std::string redirect_target(const Config& config);

}  // namespace bedside::server
