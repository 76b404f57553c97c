#pragma once

// The keys of the audit log's personal values: one for each month, wrapped by a key that is not in
// the database. Whoever deletes a month's wrapped key erases that month's values, in every copy of
// the database that is made afterwards, and no record or proof changes.
//
// Any thread. Unwrapped keys are in this object only, and wiped with it.

#include <array>
#include <chrono>
#include <cstdint>
#include <map>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "server/aes_gcm.h"

namespace bedside::server {

// UTC, "2026-11": sorts as time does.
std::string month_of(std::chrono::milliseconds wall);

class AuditDataKeys {
 public:
  // Keys are wrapped with `wrapping`. `former` unwraps, too: what was wrapped before the operator
  // moved to a key of their own. Both are copied.
  AuditDataKeys(AesKey wrapping, AesKey former);
  AuditDataKeys(const AuditDataKeys&) = delete;
  AuditDataKeys& operator=(const AuditDataKeys&) = delete;
  ~AuditDataKeys();

  // A fresh key, wrapped, for the caller to store; not in use before it is adopted, so that nothing
  // is ever encrypted with a key that could get lost. Empty when OpenSSL fails.
  std::vector<std::uint8_t> make(std::string_view month) const;
  // False: it was wrapped with another key or for another month, or a bit was changed.
  bool adopt(const std::string& month, std::span<const std::uint8_t> wrapped);
  // From now on this month's key encrypts. False: there is none, and nothing changes.
  bool use(const std::string& month);
  // The month whose key encrypts: of those that were adopted the newest, until use() says another.
  // Empty: none was adopted.
  std::string in_use() const;

  // With the key in use; the result names month and field, both authenticated. Empty
  // without a key, or when OpenSSL fails.
  std::vector<std::uint8_t> encrypt(std::string_view field,
                                    std::span<const std::uint8_t> plain) const;
  // Nothing when there is no key for its month, or a bit was changed.
  std::optional<std::vector<std::uint8_t>> decrypt(std::span<const std::uint8_t> sealed) const;

  // Whether this was written by encrypt() of this class.
  static bool names_its_month(std::span<const std::uint8_t> sealed);

 private:
  using DataKey = std::array<std::uint8_t, 32>;

  DataKey wrapping_{};
  DataKey former_{};
  mutable std::mutex mutex_;
  std::map<std::string, DataKey> keys_;
  std::string in_use_;
};

}  // namespace bedside::server
