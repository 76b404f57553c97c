#include "server/ice_servers.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <span>
#include <utility>

#include "server/bearer_secret.h"

namespace bedside::server {
IceServers::IceServers(turn::Credentials credentials, const AdvertisedRelay& relay,
                       LiveParticipantSet* live)
    : credentials_(std::move(credentials)), live_(live) {
  advertise(relay);
}

void IceServers::replace(turn::Credentials credentials, const AdvertisedRelay& relay) {
  credentials_ = std::move(credentials);
  advertise(relay);
}

void IceServers::advertise(const AdvertisedRelay& relay) {
  urls_.clear();
  // One an address is enough to learn what a browser looks like from outside; more would only
  // slow its gathering down.
  std::vector<stun::IpAddress> asked;
  for (const stun::Endpoint& udp : relay.udp) {
    if (std::find(asked.begin(), asked.end(), udp.address) != asked.end()) continue;
    asked.push_back(udp.address);
    urls_.push_back("stun:" + udp.to_string());
  }
  for (const stun::Endpoint& udp : relay.udp) {
    urls_.push_back("turn:" + udp.to_string() + "?transport=udp");
  }
  for (const stun::Endpoint& tcp : relay.tcp) {
    urls_.push_back("turn:" + tcp.to_string() + "?transport=tcp");
  }
  if (!relay.tls_name.empty()) {
    const bool bare_ipv6 = relay.tls_name.find(':') != std::string::npos;
    urls_.push_back("turns:" + (bare_ipv6 ? "[" + relay.tls_name + "]" : relay.tls_name) + ":" +
                    std::to_string(relay.tls_port) + "?transport=tcp");
  }
}

std::string IceServers::participant_id() { return new_name(); }

std::string IceServers::token() { return new_secret(); }

signaling::TokenHash IceServers::hash(std::string_view token) const { return hash_of(token); }

signaling::IceGrant IceServers::ice_grant(std::string_view room, std::string_view participant,
                                          const signaling::Now& now) {
  // Relays see the username: it tells that two people share a room, not which one.
  const auto digest = hash_of(room);
  const std::string room_hash = base64url(std::span(digest).first(9));
  turn::Now turn_now{};
  turn_now.mono = now.mono;
  turn_now.wall = std::chrono::duration_cast<std::chrono::seconds>(now.wall);
  nlohmann::ordered_json stun_urls = nlohmann::ordered_json::array();
  nlohmann::ordered_json turn_urls = nlohmann::ordered_json::array();
  for (const std::string& url : urls_) {
    (url.substr(0, 5) == "stun:" ? stun_urls : turn_urls).push_back(url);
  }
  nlohmann::ordered_json servers = nlohmann::ordered_json::array();
  if (!stun_urls.empty()) servers.push_back({{"urls", std::move(stun_urls)}});
  const auto issued =
      credentials_.issue_for_participant(room_hash, participant, turn_now, kLifetime);
  if (issued && live_ != nullptr) live_->remember(*issued, credentials_.realm(), turn_now.wall);
  if (issued && !turn_urls.empty()) {
    servers.push_back({{"urls", std::move(turn_urls)},
                       {"username", issued->username},
                       {"credential", issued->password}});
  }
  const auto expires = issued ? issued->expires_wall : turn_now.wall + kLifetime;
  return {servers.dump(), std::chrono::duration_cast<std::chrono::milliseconds>(expires)};
}

}  // namespace bedside::server
