#pragma once

// The pages the server serves: session page, admin page and landing page, embedded into the binary
// (or read from a source tree while developing, `--assets DIR`).
//
// URLs: "/" landing page · "/telehealth-webrtc.html", "/telehealth-webrtc" session page ·
// "/session/<file>" · "/admin/" · "/admin/<file>" · "/favicon.ico", "/landing/<file>".
//
// Control thread only.

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>

namespace bedside::server {

struct Asset {
  std::string_view content_type;
  std::string_view etag;  // strong, quoted, a hash of the content
  std::string_view body;
};

class Assets {
 public:
  // The embedded ones.
  Assets() = default;
  // A checkout of the source tree; files are read again at every request.
  explicit Assets(std::filesystem::path source_tree);

  // `path` is a decoded URL path without query. The result borrows from this object until the next
  // find(). Unknown path: nothing.
  std::optional<Asset> find(std::string_view path);

  // SHA-256 over all embedded assets in hexadecimal: service.start records it.
  static std::string fingerprint();

 private:
  struct Loaded {
    std::string body;
    std::string etag;
  };
  std::filesystem::path source_tree_;  // empty: embedded
  Loaded loaded_;
};

// RFC 9110 §13.1.2: whether an If-None-Match header lists this entity tag (or is "*"). Weak
// comparison, as that header wants.
bool matches_etag(std::string_view if_none_match, std::string_view etag);

}  // namespace bedside::server
