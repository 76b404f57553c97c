#include "server/config_text.h"

#include <algorithm>
#include <charconv>
#include <numeric>

namespace bedside::server {
namespace {

constexpr std::string_view kHostCharacters =
    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-";

template <typename T>
std::optional<T> parse_number(std::string_view text) {
  T number{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return number;
}

// Levenshtein distance in one row.
std::size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), std::size_t{0});
  for (std::size_t i = 1; i <= a.size(); ++i) {
    std::size_t diagonal = row[0];
    row[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t replace = diagonal + (a[i - 1] == b[j - 1] ? 0 : 1);
      diagonal = row[j];
      row[j] = std::min({row[j] + 1, row[j - 1] + 1, replace});
    }
  }
  return row.back();
}

}  // namespace

std::optional<PortRange> parse_port_range(std::string_view text) {
  const auto dash = text.find('-');
  if (dash == std::string_view::npos) return std::nullopt;
  const auto first = parse_number<std::uint16_t>(text.substr(0, dash));
  const auto last = parse_number<std::uint16_t>(text.substr(dash + 1));
  if (!first || !last || *first < 1024 || *first > *last) return std::nullopt;
  return PortRange{*first, *last};
}

bool is_host(std::string_view text) {
  if (stun::IpAddress::parse(text)) return true;
  return !text.empty() && text.size() <= 253 &&
         text.find_first_not_of(kHostCharacters) == std::string_view::npos && text.front() != '-' &&
         text.front() != '.' && text.find("..") == std::string_view::npos;
}

bool is_origin(std::string_view text) {
  for (const std::string_view scheme : {"https://", "http://"}) {
    if (!text.starts_with(scheme)) continue;
    std::string_view host = text.substr(scheme.size());
    const auto colon = host.rfind(':');
    if (colon != std::string_view::npos && host.back() != ']') {
      const auto port = parse_number<std::uint16_t>(host.substr(colon + 1));
      if (!port || *port == 0) return false;
      host = host.substr(0, colon);
    }
    if (host.size() > 2 && host.front() == '[' && host.back() == ']') {
      return is_host(host.substr(1, host.size() - 2));
    }
    return is_host(host);
  }
  return false;
}

std::optional<std::string> did_you_mean(std::string_view word,
                                        const std::vector<std::string>& candidates) {
  std::optional<std::string> best;
  std::size_t best_distance = std::max<std::size_t>(2, word.size() / 3) + 1;
  for (const std::string& candidate : candidates) {
    const std::size_t distance = edit_distance(word, candidate);
    if (distance < best_distance && distance < candidate.size()) {
      best_distance = distance;
      best = candidate;
    }
  }
  return best;
}

bool is_loopback(const stun::IpAddress& address) {
  const stun::IpAddress plain = address.unmapped();
  if (plain.family() == stun::Family::ipv4) return plain.bytes()[0] == 127;
  const auto bytes = plain.bytes();
  return bytes.back() == 1 &&
         std::all_of(bytes.begin(), bytes.end() - 1, [](std::uint8_t byte) { return byte == 0; });
}

std::vector<stun::Endpoint> endpoints_to_bind(const std::vector<stun::Endpoint>& listen) {
  std::vector<stun::Endpoint> result;
  const auto add = [&result](const stun::Endpoint& endpoint) {
    if (std::find(result.begin(), result.end(), endpoint) == result.end()) {
      result.push_back(endpoint);
    }
  };
  for (const stun::Endpoint& endpoint : listen) {
    add(endpoint);
    if (endpoint.address.is_unspecified() && !endpoint.address.is_v4()) {
      add({stun::IpAddress{}, endpoint.port});
    }
  }
  return result;
}

std::vector<stun::Endpoint> turn_tcp_endpoints(const Config& config) {
  const std::vector<stun::Endpoint> https = endpoints_to_bind(config.https.listen);
  std::vector<stun::Endpoint> result = endpoints_to_bind(config.turn.listen);
  std::erase_if(result, [&https](const stun::Endpoint& turn) {
    return std::any_of(https.begin(), https.end(), [&turn](const stun::Endpoint& web) {
      return web.port == turn.port && web.address.family() == turn.address.family() &&
             (web.address == turn.address || web.address.is_unspecified());
    });
  });
  return result;
}

}  // namespace bedside::server
