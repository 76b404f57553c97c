#include "server/relay_setup.h"

#include <openssl/rand.h>

#include <algorithm>
#include <thread>
#include <utility>

#include "server/net/certificate.h"

namespace bedside::server {
namespace {

constexpr unsigned kMaxThreads = 64;

std::vector<stun::Endpoint> bound(const std::vector<stun::Endpoint>& listen) {
  return endpoints_to_bind(listen);
}

tl::expected<turn::Credentials, std::string> make_credentials(
    const Config& config, const Keys& keys, const std::vector<std::string>& retired_secrets) {
  turn::CredentialsConfig wanted;
  wanted.realm = config.turn.realm;
  wanted.participant_secrets = {
      std::string(keys.turn_participant.begin(), keys.turn_participant.end())};
  if (!config.turn.shared_secret.empty()) wanted.shared_secrets = {config.turn.shared_secret};
  wanted.shared_secrets.insert(wanted.shared_secrets.end(), retired_secrets.begin(),
                               retired_secrets.end());
  for (const TurnUser& user : config.turn.users) wanted.users.push_back({user.name, user.password});
  auto made = turn::Credentials::make(std::move(wanted));
  if (!made) {
    return tl::unexpected("the relay's credentials: " + std::string(turn::to_text(made.error())));
  }
  return std::move(*made);
}

tl::expected<turn::PeerPolicy, std::string> make_peer_policy(const Config& config) {
  turn::PeerPolicyConfig policy;
  policy.allow_loopback = config.turn.allow_loopback_peers;
  policy.allowed = config.turn.allowed_peers;
  policy.denied = config.turn.denied_peers;
  policy.own_addresses = interface_addresses();
  const auto add_address = [&policy](const stun::IpAddress& address) {
    auto& own = policy.own_addresses;
    if (!address.is_unspecified() && std::find(own.begin(), own.end(), address) == own.end()) {
      own.push_back(address);
    }
  };
  std::vector<stun::Endpoint> listening;
  for (const auto* list : {&config.turn.listen, &config.https.listen, &config.http.listen}) {
    listening.insert(listening.end(), list->begin(), list->end());
  }
  if (config.operator_listener.listen) listening.push_back(*config.operator_listener.listen);
  for (const stun::Endpoint& endpoint : listening) {
    add_address(endpoint.address);
    policy.own_ports.push_back(endpoint.port);
  }
  for (const stun::IpAddress& address : config.turn.external_ip) add_address(address);
  auto made = turn::PeerPolicy::make(std::move(policy));
  if (!made) {
    return tl::unexpected("turn.allowed_peers and turn.denied_peers: " +
                          std::string(turn::to_text(made.error())));
  }
  return std::move(*made);
}

// Where turns: URIs lead: to 443 if TURN over TLS is there, because that gets through most
// firewalls. 0: nowhere a browser would take our certificate.
std::uint16_t turns_port(const Config& config, const net::TlsContext* served) {
  // Browsers trust no certificate that we made ourselves, and none of another name.
  if (config.demo || config.turn.listen.empty() || !config.https.has_certificate()) return 0;
  const bool named = served != nullptr ? served->names(config.public_host)
                                       : net::certificate_names(config.https.certificate.string(),
                                                                config.public_host);
  if (!named) return 0;
  std::vector<stun::Endpoint> candidates = config.https.listen;
  std::stable_partition(candidates.begin(), candidates.end(),
                        [](const stun::Endpoint& e) { return e.port == 443; });
  const std::vector<stun::Endpoint> tcp = turn_tcp_endpoints(config);
  candidates.insert(candidates.end(), tcp.begin(), tcp.end());
  // Who may use the relay over UDP must reach it over TLS as well.
  const auto local = [](const stun::Endpoint& e) { return is_loopback(e.address); };
  const bool all_local = std::all_of(config.turn.listen.begin(), config.turn.listen.end(), local);
  const auto found = std::find_if(candidates.begin(), candidates.end(),
                                  [&](const stun::Endpoint& e) { return all_local || !local(e); });
  return found == candidates.end() ? 0 : found->port;
}

std::vector<stun::Endpoint> advertised_endpoints(const std::vector<stun::Endpoint>& listen,
                                                 const RelayAddresses& addresses,
                                                 const std::vector<stun::IpAddress>& external) {
  std::vector<stun::Endpoint> result;
  for (const stun::Endpoint& endpoint : listen) {
    const auto shown = advertised_endpoint(endpoint, addresses, external);
    if (shown && std::find(result.begin(), result.end(), *shown) == result.end()) {
      result.push_back(*shown);
    }
  }
  return result;
}

// Clients are told one of the four addresses of behaviour discovery; who discovers learns of the
// others there.
std::vector<stun::Endpoint> first_of_each_family(const std::vector<stun::Endpoint>& endpoints) {
  std::vector<stun::Endpoint> first;
  for (const stun::Endpoint& endpoint : endpoints) {
    const bool known = std::any_of(first.begin(), first.end(), [&](const stun::Endpoint& other) {
      return other.address.family() == endpoint.address.family();
    });
    if (!known) first.push_back(endpoint);
  }
  return first;
}

bool fill_random(void* out, std::size_t size) {
  return RAND_bytes(static_cast<unsigned char*>(out), static_cast<int>(size)) == 1;
}

}  // namespace

unsigned relay_threads(const Config& config) {
  const unsigned cores = std::max(1U, std::thread::hardware_concurrency());
  return std::min(config.turn.threads != 0 ? config.turn.threads : cores, kMaxThreads);
}

tl::expected<RelaySetup, std::string> make_relay_setup(
    const Config& config, const Keys& keys, const net::TlsContext* served,
    const std::vector<std::string>& retired_secrets) {
  auto credentials = make_credentials(config, keys, retired_secrets);
  if (!credentials) return tl::unexpected(credentials.error());
  auto peers = make_peer_policy(config);
  if (!peers) return tl::unexpected(peers.error());

  const std::vector<stun::Endpoint> listen = bound(config.turn.listen);
  RelaySetup setup{std::move(*credentials),
                   std::move(*peers),
                   choose_relay_addresses(listen, config.turn.external_ip),
                   {},
                   {}};
  setup.settings.first_port = config.turn.relay_ports.first;
  setup.settings.last_port = config.turn.relay_ports.last;
  setup.settings.shards = static_cast<std::uint16_t>(relay_threads(config));
  setup.settings.mobility = config.turn.mobility;
  setup.settings.tcp_relay = config.turn.tcp_relay;
  setup.settings.quotas = config.turn.quotas;
  if (config.turn.behavior_discovery) {
    setup.settings.discovery = {discovery_addresses(listen, stun::Family::ipv4),
                                discovery_addresses(listen, stun::Family::ipv6)};
  }
  setup.settings.accept_rfc5766_channels = config.turn.accept_rfc5766_channels;
  if (!fill_random(setup.settings.nonce_key.data(), setup.settings.nonce_key.size())) {
    return tl::unexpected(std::string("the system gives no random numbers"));
  }
  for (const stun::Endpoint& server : config.turn.alternate_server) {
    setup.settings.alternate_server[server.address.is_v4() ? 0 : 1] = server;
  }
  const auto told = [&](const std::vector<stun::Endpoint>& endpoints) {
    auto all = advertised_endpoints(endpoints, setup.addresses, config.turn.external_ip);
    return config.turn.behavior_discovery ? first_of_each_family(all) : all;
  };
  setup.advertised.udp = told(listen);
  setup.advertised.tcp = told(turn_tcp_endpoints(config));
  setup.advertised.tls_port = turns_port(config, served);
  if (setup.advertised.tls_port != 0) setup.advertised.tls_name = config.public_host;
  return setup;
}

std::vector<ListenerSpec> listener_specs(const Config& config) {
  std::vector<ListenerSpec> specs;
  const auto add = [&specs](const std::vector<stun::Endpoint>& listen, const ListenerSpec& kind) {
    for (const stun::Endpoint& endpoint : bound(listen)) {
      specs.push_back(kind);
      specs.back().endpoint = endpoint;
    }
  };
  add(config.http.listen, {{}, "http", net::TlsMode::off, true, false, false});
  add(config.https.listen,
      {{}, "https", net::TlsMode::on, false, true, !config.turn.listen.empty()});
  const auto turn_tls = config.https.has_certificate() ? net::TlsMode::detect : net::TlsMode::off;
  for (const stun::Endpoint& endpoint : turn_tcp_endpoints(config)) {
    // Pages are shown to nobody whom [https] would not show them to.
    const bool https = std::any_of(
        config.https.listen.begin(), config.https.listen.end(), [&](const stun::Endpoint& e) {
          return is_loopback(endpoint.address) || !is_loopback(e.address);
        });
    specs.push_back({endpoint, "turn", turn_tls, false, https, true});
  }
  return specs;
}

}  // namespace bedside::server
