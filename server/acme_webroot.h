// The answers to ACME's HTTP challenge (RFC 8555 §8.3), which somebody else writes: certbot, into
// `<webroot>/.well-known/acme-challenge/<token>`.
#pragma once

#include <cstddef>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>

namespace bedside::server {

inline constexpr std::string_view kAcmePath = "/.well-known/acme-challenge/";

// Control thread. A key authorization is some 90 bytes, so reading one does not block anybody.
class AcmeWebroot {
 public:
  static constexpr std::size_t kMaxToken = 128;
  static constexpr std::size_t kMaxFile = 4096;

  // Empty: there is none, and nothing is found.
  explicit AcmeWebroot(std::filesystem::path webroot) : webroot_(std::move(webroot)) {}

  // What the challenge of this URL path answers. Nothing unless the path is kAcmePath and a token
  // of base64url characters, and the file a plain one of at most kMaxFile bytes; the folder is
  // followed where the operator put it, below it no symbolic link is.
  std::optional<std::string> find(std::string_view url_path) const;

 private:
  std::filesystem::path webroot_;
};

}  // namespace bedside::server
