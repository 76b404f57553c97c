#pragma once

// Looks whether ports are free before anything is started, so that every occupied one is told at
// once. The real sockets share their ports between threads (SO_REUSEPORT), which also lets a second
// server of the same user in without any error; a probe without that option notices it.
//
// Called at start, before any thread exists. Between probe and bind somebody else may take a port;
// then the bind says so.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "stun/endpoint.h"

namespace bedside::server {

enum class Transport : std::uint8_t { udp, tcp };

struct PortTrouble {
  bool address_missing = false;  // this machine does not have the address (no IPv6, for example)
  std::string what;              // a sentence
  std::string remedy;
};

// Nothing when the port is free. `key` is the configuration key to name, e.g. "turn.listen".
std::optional<PortTrouble> probe_port(const stun::Endpoint& endpoint, Transport transport,
                                      std::string_view key);

}  // namespace bedside::server
