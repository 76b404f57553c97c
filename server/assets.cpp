#include "server/assets.h"

#include <openssl/evp.h>

#include <array>
#include <map>
#include <utility>

#include "server/embedded_assets.h"
#include "server/net/http_message.h"
#include "server/private_file.h"

namespace bedside::server {
namespace {

constexpr std::size_t kMaxAssetSize = 4U << 20;

struct Prefix {
  std::string_view url;
  std::string_view folder;
};
constexpr Prefix kPrefixes[] = {
    {"/session/", "signaling/session-page/"},
    {"/admin/", "admin-ui/"},
    {"/landing/", "server/landing-page/"},
};
constexpr std::pair<std::string_view, std::string_view> kPages[] = {
    {"/", "server/landing-page/index.html"},
    {"/favicon.ico", "server/landing-page/favicon.svg"},
    {"/telehealth-webrtc", "signaling/session-page/telehealth-webrtc.html"},
    {"/telehealth-webrtc.html", "signaling/session-page/telehealth-webrtc.html"},
    {"/admin/", "admin-ui/index.html"},
};
constexpr std::pair<std::string_view, std::string_view> kTypes[] = {
    {".html", "text/html; charset=utf-8"},
    {".js", "text/javascript; charset=utf-8"},
    {".css", "text/css; charset=utf-8"},
    {".svg", "image/svg+xml"},
    {".png", "image/png"},
    {".ico", "image/x-icon"},
    {".webmanifest", "application/manifest+json"},
};

// Where in the source tree the file of a URL path lies; empty: it is none of ours.
std::string source_of(std::string_view path) {
  for (const auto& [url, source] : kPages) {
    if (url == path) return std::string(source);
  }
  for (const Prefix& prefix : kPrefixes) {
    if (!path.starts_with(prefix.url)) continue;
    const std::string_view file = path.substr(prefix.url.size());
    // Only plain names below the folder: what the embedded table holds, for --assets too.
    const bool plain = file.find_first_not_of(
                           "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                           "0123456789-_./") == std::string_view::npos;
    if (!plain || file.empty() || file.find("..") != std::string_view::npos) return {};
    return std::string(prefix.folder) + std::string(file);
  }
  return {};
}

std::string_view content_type_of(std::string_view source) {
  for (const auto& [extension, type] : kTypes) {
    if (source.ends_with(extension)) return type;
  }
  return {};
}

class Sha256 {
 public:
  Sha256() : context_(EVP_MD_CTX_new()) { EVP_DigestInit_ex(context_, EVP_sha256(), nullptr); }
  ~Sha256() { EVP_MD_CTX_free(context_); }
  Sha256(const Sha256&) = delete;
  Sha256& operator=(const Sha256&) = delete;

  void add(std::string_view data) { EVP_DigestUpdate(context_, data.data(), data.size()); }

  std::string hex(std::size_t bytes) {
    std::array<unsigned char, 32> digest{};
    EVP_DigestFinal_ex(context_, digest.data(), nullptr);
    std::string text;
    for (std::size_t i = 0; i < bytes; ++i) {
      text += "0123456789abcdef"[digest[i] >> 4];
      text += "0123456789abcdef"[digest[i] & 15];
    }
    return text;
  }

 private:
  EVP_MD_CTX* context_;
};

std::string etag_of(std::string_view body) {
  Sha256 hash;
  hash.add(body);
  return "\"" + hash.hex(16) + "\"";
}

// The embedded files with their hashes, computed once.
struct Entry {
  std::string_view body;
  std::string etag;
};
const std::map<std::string_view, Entry>& embedded_entries() {
  static const std::map<std::string_view, Entry> entries = [] {
    std::map<std::string_view, Entry> made;
    for (const EmbeddedAsset& asset : embedded_assets()) {
      made[asset.source] = Entry{asset.body(), etag_of(asset.body())};
    }
    return made;
  }();
  return entries;
}

}  // namespace

Assets::Assets(std::filesystem::path source_tree) : source_tree_(std::move(source_tree)) {}

std::optional<Asset> Assets::find(std::string_view path) {
  const std::string source = source_of(path);
  const std::string_view type = content_type_of(source);
  if (type.empty()) return std::nullopt;
  if (source_tree_.empty()) {
    const auto& entries = embedded_entries();
    const auto found = entries.find(source);
    if (found == entries.end()) return std::nullopt;
    return Asset{type, found->second.etag, found->second.body};
  }
  auto content = read_file(source_tree_ / source, kMaxAssetSize);
  if (!content) return std::nullopt;
  loaded_.body = std::move(*content);
  loaded_.etag = etag_of(loaded_.body);
  return Asset{type, loaded_.etag, loaded_.body};
}

std::string Assets::fingerprint() {
  Sha256 hash;
  for (const auto& [source, entry] : embedded_entries()) {
    hash.add(source);
    hash.add(entry.etag);
  }
  return hash.hex(32);
}

bool matches_etag(std::string_view if_none_match, std::string_view etag) {
  while (!if_none_match.empty()) {
    const auto comma = if_none_match.find(',');
    std::string_view candidate = net::trim(if_none_match.substr(0, comma));
    if (candidate == "*") return true;
    if (candidate.starts_with("W/")) candidate.remove_prefix(2);
    if (!candidate.empty() && candidate == etag) return true;
    if (comma == std::string_view::npos) return false;
    if_none_match.remove_prefix(comma + 1);
  }
  return false;
}

}  // namespace bedside::server
