#include "server/links.h"

#include <algorithm>

namespace bedside::server {
namespace {

std::string origin(const std::string& scheme, std::uint16_t usual_port, const Config& config,
                   const std::vector<stun::Endpoint>& listen) {
  if (listen.empty()) return {};
  const bool bare_ipv6 = config.public_host.find(':') != std::string::npos;
  std::string url = scheme + "://";
  url += bare_ipv6 ? "[" + config.public_host + "]" : config.public_host;
  const std::uint16_t port = listen.front().port;
  if (port != usual_port) url += ":" + std::to_string(port);
  return url;
}

}  // namespace

std::string https_origin(const Config& config) {
  return origin("https", 443, config, config.https.listen);
}

std::string http_origin(const Config& config) {
  return origin("http", 80, config, config.http.listen);
}

std::string best_origin(const Config& config) {
  return config.https.listen.empty() ? http_origin(config) : https_origin(config);
}

std::string redirect_target(const Config& config) {
  const bool reachable =
      std::any_of(config.http.listen.begin(), config.http.listen.end(),
                  [](const stun::Endpoint& e) { return !is_loopback(e.address); });
  // With ACME the port is there for challenges and for people who typed no scheme.
  const bool only_a_sign = reachable || !config.http.acme_webroot.empty();
  return only_a_sign ? https_origin(config) : std::string();
}

}  // namespace bedside::server
