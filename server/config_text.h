#pragma once

// The small languages inside configuration values: port ranges, hosts, origins.
// Pure functions; any thread.

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "server/config.h"

namespace bedside::server {

// "49152-65535", above the ports of well-known services and not empty.
std::optional<PortRange> parse_port_range(std::string_view text);

// "https://portal.example.org" or with a port; what a browser sends as Origin.
bool is_origin(std::string_view text);

// "visit.example.org" or an IP address; no scheme, port or path.
bool is_host(std::string_view text);

// The candidate most like `word`, if one is like it at all.
std::optional<std::string> did_you_mean(std::string_view word,
                                        const std::vector<std::string>& candidates);

}  // namespace bedside::server
