#include "server/security_headers.h"

#include <algorithm>
#include <cctype>
#include <optional>

#include "stun/endpoint.h"

namespace bedside::server {
namespace {

std::string lower(std::string_view text) {
  std::string result(text);
  std::transform(result.begin(), result.end(), result.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return result;
}

// "[::1]:8080" → "[::1]"; "visit.example.org:443" → "visit.example.org". Nothing when something
// else than a port follows: the whole text goes into our own origin and the page's policy.
std::optional<std::string> host_name(std::string_view host) {
  const bool bracketed = host.substr(0, 1) == "[";
  const std::size_t end = bracketed ? host.find(']') + 1 : std::min(host.find(':'), host.size());
  const std::string_view rest = host.substr(end);
  const bool port = rest.empty() || (rest.front() == ':' && rest.size() > 1 && rest.size() <= 6 &&
                                     std::all_of(rest.begin() + 1, rest.end(),
                                                 [](char c) { return c >= '0' && c <= '9'; }));
  if (end == 0 || !port) return std::nullopt;
  return std::string(host.substr(0, end));
}

bool is_own_host(const OriginPolicy& policy, const std::string& name) {
  if (name == "localhost") return true;
  std::string_view address = name;
  if (address.size() > 2 && address.front() == '[') address = address.substr(1, address.size() - 2);
  if (stun::IpAddress::parse(address)) return true;
  return std::any_of(policy.own_hosts.begin(), policy.own_hosts.end(),
                     [&](const std::string& own) { return lower(own) == name; });
}

// Scripts and styles from our own files only, nothing inline, nobody else's frames. Older Safari
// does not take 'self' for WebSockets, so our own are named.
std::string page_policy(const RequestContext& context) {
  std::string connect = "'self'";
  if (context.origin.substr(0, 4) == "http") connect += " ws" + context.origin.substr(4);
  return "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
         "media-src 'self' blob:; connect-src " +
         connect + "; base-uri 'none'; form-action 'self'; frame-ancestors 'none'";
}

bool has(const net::HttpResponse& response, std::string_view name) {
  return std::any_of(response.headers.begin(), response.headers.end(),
                     [&](const auto& field) { return lower(field.first) == name; });
}

bool is_html(const net::HttpResponse& response) {
  return std::any_of(response.headers.begin(), response.headers.end(), [](const auto& field) {
    return lower(field.first) == "content-type" && field.second.substr(0, 9) == "text/html";
  });
}

}  // namespace

std::string own_origin(const OriginPolicy& policy, const net::HttpRequest& request, bool tls) {
  const auto host = request.header("host");
  if (!host || host->empty()) return {};
  const std::string name = lower(*host);
  const auto bare = host_name(name);
  if (!bare || !is_own_host(policy, *bare)) return {};
  std::string_view shown = name;
  // Browsers leave a scheme's own port out of an origin.
  const std::string_view default_port = tls ? ":443" : ":80";
  if (shown.size() > default_port.size() &&
      shown.substr(shown.size() - default_port.size()) == default_port) {
    shown.remove_suffix(default_port.size());
  }
  return (tls ? "https://" : "http://") + std::string(shown);
}

OriginVerdict judge_origin(const OriginPolicy& policy, const net::HttpRequest& request,
                           const RequestContext& context) {
  const auto origin = request.header("origin");
  if (!origin) return OriginVerdict::absent;
  if (!context.origin.empty() && *origin == context.origin) return OriginVerdict::own;
  const bool listed =
      std::find(policy.allowed.begin(), policy.allowed.end(), *origin) != policy.allowed.end();
  return listed ? OriginVerdict::allowed : OriginVerdict::refused;
}

void add_security_headers(const OriginPolicy& policy, const RequestContext& context,
                          net::HttpResponse& response) {
  response.set("Content-Security-Policy", is_html(response)
                                              ? page_policy(context)
                                              : "default-src 'none'; frame-ancestors 'none'");
  response.set("X-Content-Type-Options", "nosniff");
  response.set("X-Frame-Options", "DENY");
  response.set("Referrer-Policy", "no-referrer");
  response.set("Cross-Origin-Opener-Policy", "same-origin");
  response.set("Cross-Origin-Resource-Policy", "same-origin");
  response.set("Permissions-Policy",
               "camera=(self), microphone=(self), display-capture=(self), autoplay=(self), "
               "fullscreen=(self), screen-wake-lock=(self), geolocation=(), payment=(), usb=()");
  if (context.tls && policy.strict_transport) {
    response.set("Strict-Transport-Security", "max-age=31536000");
  }
  if (!has(response, "cache-control")) response.set("Cache-Control", "no-store");
}

void add_cors_headers(OriginVerdict verdict, std::string_view origin, bool preflight,
                      net::HttpResponse& response) {
  response.set("Vary", "Origin");
  if (verdict != OriginVerdict::own && verdict != OriginVerdict::allowed) return;
  response.set("Access-Control-Allow-Origin", origin);
  if (!preflight) return;
  response.set("Access-Control-Allow-Methods", "GET,POST,DELETE,OPTIONS");
  response.set("Access-Control-Allow-Headers", "Content-Type, Authorization");
  response.set("Access-Control-Max-Age", "600");
}

}  // namespace bedside::server
