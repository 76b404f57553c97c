#pragma once

// The cryptography behind the audit log's privacy rules: pseudonyms, truncated and encrypted
// addresses.
//
// Any thread.

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "server/audit_data_keys.h"
#include "store/audit_bundle.h"
#include "store/audit_record.h"
#include "stun/endpoint.h"

namespace bedside::server {

// A value that may be erased later: the commitment stays in the sealed body, the ciphertext beside
// it. The salt keeps anybody from finding the value by trying all addresses against the commitment.
struct SealedField {
  std::string commitment;                // hex SHA-256(salt16 || value)
  std::vector<std::uint8_t> ciphertext;  // AES-256-GCM of salt16 || value
};

class AuditPrivacy {
 public:
  using Key = std::span<const std::uint8_t, 32>;

  // The keys are copied, and wiped at the end. `wrapping_key` is for the keys of the months; until
  // one of those is adopted, values are encrypted with the field key itself, as they all once were.
  AuditPrivacy(Key pseudonym_key, Key field_key, Key wrapping_key);
  AuditPrivacy(const AuditPrivacy&) = delete;
  AuditPrivacy& operator=(const AuditPrivacy&) = delete;
  ~AuditPrivacy();

  // HMAC-SHA-256 truncated to 128 bits, in hex. The domain ("room", "appointment") keeps equal
  // values of different kinds apart.
  std::string pseudonym(std::string_view domain, std::string_view value) const;

  // Empty fields when the system has no randomness to give: better a record without the address
  // than with a predictable nonce.
  SealedField seal(std::string_view field, std::string_view value) const;
  // Nothing when the key does not fit or a bit was changed.
  std::optional<std::string> reveal(std::span<const std::uint8_t> ciphertext) const;
  // With its salt.
  std::optional<store::DisclosedField> open(std::span<const std::uint8_t> ciphertext) const;

  AuditDataKeys& data_keys() { return data_keys_; }
  const AuditDataKeys& data_keys() const { return data_keys_; }

 private:
  std::array<std::uint8_t, 32> pseudonym_key_{};
  std::array<std::uint8_t, 32> field_key_{};
  AuditDataKeys data_keys_;
};

// A commitment in the body's detail, the value encrypted beside it. Nothing for an empty value.
void seal_into(store::AuditRecord& record, const AuditPrivacy& privacy, const char* field,
               std::string_view value);

std::string network_of(const stun::IpAddress& address);       // "203.0.113.0/24", "2001:db8:1::/48"
std::string_view class_of(const stun::IpAddress& address);    // "loopback", "private", "public"
std::string full_address_of(const stun::IpAddress& address);  // "203.0.113.7/32", "2001:db8::1/128"

}  // namespace bedside::server
