#pragma once

// From the configuration to what the relay is made of: credentials, peer policy, addresses,
// settings. Called at start, before any thread exists. Reads the machine's interfaces and routes.

#include <cstdint>
#include <memory>
#include <string>
#include <tl/expected.hpp>
#include <vector>

#include "server/config.h"
#include "server/front_door.h"
#include "server/ice_servers.h"
#include "server/keys.h"
#include "server/live_relay_table.h"
#include "server/net/tls.h"
#include "server/relay_addresses.h"
#include "turn/credentials.h"
#include "turn/peer_policy.h"
#include "turn/relay.h"

namespace bedside::server {

// Everything the shards share and none of them changes.
struct RelaySetup {
  turn::Credentials credentials;
  turn::PeerPolicy peers;
  RelayAddresses addresses;
  turn::RelaySettings settings;  // `shard` is for the caller to set
  AdvertisedRelay advertised;
};

// `served`: the certificate whose name turns: URIs carry, whatever is in its file by now; null
// where nothing is served, then the file decides. `retired_secrets` are shared secrets that were
// replaced lately: what they have signed is accepted until it expires. The error is a sentence for
// the operator.
tl::expected<RelaySetup, std::string> make_relay_setup(
    const Config& config, const Keys& keys, const net::TlsContext* served,
    const std::vector<std::string>& retired_secrets = {});

// turn.threads, or one per core.
unsigned relay_threads(const Config& config);

// What the front door of every shard listens on. TLS on the ports of [https] and [turn] carries
// both HTTP and TURN; without TLS [http] carries HTTP only, [turn] TURN only.
std::vector<ListenerSpec> listener_specs(const Config& config);

}  // namespace bedside::server
