#include "server/ice_servers.h"

#include <openssl/evp.h>
#include <openssl/rand.h>

#include <array>
#include <cstdint>
#include <cstdlib>
#include <nlohmann/json.hpp>
#include <span>
#include <utility>

namespace bedside::server {
namespace {

// URL-safe base64 without padding: letters, digits, '-' and '_'.
std::string base64url(std::span<const std::uint8_t> bytes) {
  static constexpr std::string_view kAlphabet =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
  std::string text;
  std::uint32_t bits = 0;
  int count = 0;
  for (const std::uint8_t byte : bytes) {
    bits = (bits << 8U) | byte;
    for (count += 8; count >= 6; count -= 6) text += kAlphabet[(bits >> (count - 6)) & 63U];
  }
  if (count > 0) text += kAlphabet[(bits << (6 - count)) & 63U];
  return text;
}

template <std::size_t kBytes>
std::string random_text() {
  std::array<std::uint8_t, kBytes> bytes{};
  // Ids that can be guessed would be worse than no service.
  if (RAND_bytes(bytes.data(), static_cast<int>(bytes.size())) != 1) std::abort();
  return base64url(bytes);
}

std::array<std::uint8_t, 32> sha256(std::string_view text) {
  std::array<std::uint8_t, 32> digest{};
  if (EVP_Digest(text.data(), text.size(), digest.data(), nullptr, EVP_sha256(), nullptr) != 1) {
    std::abort();
  }
  return digest;
}

}  // namespace

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
  for (const stun::Endpoint& udp : relay.udp) urls_.push_back("stun:" + udp.to_string());
  for (const stun::Endpoint& udp : relay.udp) {
    urls_.push_back("turn:" + udp.to_string() + "?transport=udp");
  }
  for (const stun::Endpoint& tcp : relay.tcp) {
    urls_.push_back("turn:" + tcp.to_string() + "?transport=tcp");
  }
  if (!relay.tls_name.empty()) {
    urls_.push_back("turns:" + relay.tls_name + ":" + std::to_string(relay.tls_port) +
                    "?transport=tcp");
  }
}

std::string IceServers::participant_id() { return random_text<16>(); }

std::string IceServers::token() { return random_text<32>(); }

signaling::TokenHash IceServers::hash(std::string_view token) const { return sha256(token); }

signaling::IceGrant IceServers::ice_grant(std::string_view room, std::string_view participant,
                                          const signaling::Now& now) {
  // Relays see the username: it tells that two people share a room, not which one.
  const auto digest = sha256(room);
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
