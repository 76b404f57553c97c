#pragma once

// The key pair of backups: RSA, 3072 bits or more. The server has the public half and can only
// write backups; the private half stays off the machine until one is restored.
// Any thread. Errors are sentences with what to do.

#include <array>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <tl/expected.hpp>
#include <vector>

struct evp_pkey_st;

namespace bedside::server {

inline constexpr int kBackupKeyBits = 3072;

using ContentKey = std::array<std::uint8_t, 32>;

class BackupKey {
 public:
  // PEM, as `bedside backup key` and `openssl genpkey -algorithm RSA` write them. A passphrase is
  // asked for on the terminal.
  static tl::expected<BackupKey, std::string> load_public(const std::filesystem::path& file);
  static tl::expected<BackupKey, std::string> load_private(const std::filesystem::path& file);
  static tl::expected<BackupKey, std::string> generate();

  // Makes the files `private_file` (0400) and `public_file`; neither may be there.
  tl::expected<void, std::string> save(const std::filesystem::path& private_file,
                                       const std::filesystem::path& public_file,
                                       bool passphrase) const;

  // RSA-OAEP with SHA-256 (RFC 8017 §7.1). Empty when OpenSSL fails.
  std::vector<std::uint8_t> wrap(const ContentKey& key) const;
  std::optional<ContentKey> unwrap(std::span<const std::uint8_t> wrapped) const;

  // SHA-256 of the public half (SubjectPublicKeyInfo, DER) in hexadecimal: names the pair.
  std::string id() const;

 private:
  struct Free {
    void operator()(evp_pkey_st* key) const;
  };
  explicit BackupKey(evp_pkey_st* key) : handle_(key) {}

  std::unique_ptr<evp_pkey_st, Free> handle_;
};

}  // namespace bedside::server
