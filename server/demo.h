#pragma once

// What `bedside serve` is without a configuration file: a complete server for this machine alone.

#include <filesystem>
#include <string>

#include "server/config.h"
#include "store/change.h"

namespace bedside::server {

// http://localhost:8080, https://localhost:8443, STUN/TURN on port 3478, all on 127.0.0.1 and ::1,
// rooms open to whoever reaches them, data in `folder`/bedside-demo/.
Config demo_config(const std::filesystem::path& folder);

// The visit link of the banner must lead somewhere: to "demo", or while that one is still
// remembered as ended, to "demo-2" and so on.
std::string demo_room_name(const store::LoadedState& state);

struct BannerFacts {
  bool ipv6 = true;  // false: this machine has no ::1, IPv4 alone is served
  std::string demo_room = "demo";
  std::string set_up_code;  // empty: an administrator exists already
  std::string first_key;    // of the audit log (first_key.h); empty: not to be shown
  bool terminal = false;    // standard output is one
};

// The text printed when the demo serves: links, where the data is, what is demo about it.
std::string demo_banner(const Config& config, const BannerFacts& facts);

// The text printed when a configured server serves.
std::string server_banner(const Config& config, const BannerFacts& facts);

}  // namespace bedside::server
