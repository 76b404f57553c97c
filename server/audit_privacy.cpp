#include "server/audit_privacy.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>
#include <openssl/sha.h>

#include <algorithm>

namespace bedside::server {
namespace {

constexpr std::size_t kSaltBytes = 16;
constexpr std::size_t kPseudonymBytes = 16;
// Bound into values that were encrypted before there were data keys.
constexpr std::string_view kPurpose = "bedside audit field v1";

std::string hex(std::span<const std::uint8_t> bytes) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string text;
  text.reserve(bytes.size() * 2);
  for (const std::uint8_t byte : bytes) {
    text += kDigits[byte >> 4];
    text += kDigits[byte & 0xF];
  }
  return text;
}

int size_of(std::span<const std::uint8_t> bytes) { return static_cast<int>(bytes.size()); }

std::vector<std::uint8_t> bytes_of(std::string_view text) { return {text.begin(), text.end()}; }

bool random(std::span<std::uint8_t> out) {
  return RAND_bytes(out.data(), static_cast<int>(out.size())) == 1;
}

stun::IpAddress truncated(const stun::IpAddress& address, std::size_t kept_bytes) {
  std::array<std::uint8_t, 16> octets{};
  std::copy_n(address.bytes().begin(), kept_bytes, octets.begin());
  if (!address.is_v4()) return stun::IpAddress::v6(octets);
  return stun::IpAddress::v4(octets[0], octets[1], octets[2], octets[3]);
}

bool is_private_v4(stun::Bytes b) {
  return b[0] == 10 || (b[0] == 172 && (b[1] & 0xF0) == 16) || (b[0] == 192 && b[1] == 168) ||
         (b[0] == 169 && b[1] == 254) || (b[0] == 100 && (b[1] & 0xC0) == 64);
}

bool is_private_v6(stun::Bytes b) {
  return (b[0] & 0xFE) == 0xFC || (b[0] == 0xFE && (b[1] & 0xC0) == 0x80);  // fc00::/7, fe80::/10
}

}  // namespace

AuditPrivacy::AuditPrivacy(Key pseudonym_key, Key field_key, Key wrapping_key)
    : data_keys_(wrapping_key, field_key) {
  std::copy(pseudonym_key.begin(), pseudonym_key.end(), pseudonym_key_.begin());
  std::copy(field_key.begin(), field_key.end(), field_key_.begin());
}

AuditPrivacy::~AuditPrivacy() {
  OPENSSL_cleanse(pseudonym_key_.data(), pseudonym_key_.size());
  OPENSSL_cleanse(field_key_.data(), field_key_.size());
}

std::string AuditPrivacy::pseudonym(std::string_view domain, std::string_view value) const {
  std::vector<std::uint8_t> input = bytes_of(domain);
  input.push_back(0);  // "ab" + "c" is not "a" + "bc"
  input.insert(input.end(), value.begin(), value.end());
  std::array<std::uint8_t, SHA256_DIGEST_LENGTH> digest{};
  HMAC(EVP_sha256(), pseudonym_key_.data(), size_of(pseudonym_key_), input.data(), input.size(),
       digest.data(), nullptr);
  return hex(std::span(digest).first(kPseudonymBytes));
}

SealedField AuditPrivacy::seal(std::string_view field, std::string_view value) const {
  std::vector<std::uint8_t> plain(kSaltBytes);
  if (!random(plain)) return {};
  plain.insert(plain.end(), value.begin(), value.end());
  SealedField sealed;
  sealed.ciphertext = data_keys_.in_use().empty() ? aes_gcm_encrypt(field_key_, plain, kPurpose)
                                                  : data_keys_.encrypt(field, plain);
  if (sealed.ciphertext.empty()) return {};
  std::array<std::uint8_t, SHA256_DIGEST_LENGTH> digest{};
  SHA256(plain.data(), plain.size(), digest.data());
  sealed.commitment = hex(digest);
  return sealed;
}

std::optional<std::string> AuditPrivacy::reveal(std::span<const std::uint8_t> ciphertext) const {
  auto opened = open(ciphertext);
  if (!opened) return std::nullopt;
  return std::move(opened->value);
}

std::optional<store::DisclosedField> AuditPrivacy::open(
    std::span<const std::uint8_t> ciphertext) const {
  const auto plain = AuditDataKeys::names_its_month(ciphertext)
                         ? data_keys_.decrypt(ciphertext)
                         : aes_gcm_decrypt(field_key_, ciphertext, kPurpose);
  if (!plain || plain->size() < kSaltBytes) return std::nullopt;
  const auto end_of_salt = plain->begin() + kSaltBytes;
  return store::DisclosedField{{plain->begin(), end_of_salt}, {end_of_salt, plain->end()}};
}

void seal_into(store::AuditRecord& record, const AuditPrivacy& privacy, const char* field,
               std::string_view value) {
  if (value.empty()) return;
  SealedField sealed = privacy.seal(field, value);
  if (sealed.ciphertext.empty()) return;
  record.detail.set(field, sealed.commitment);
  record.private_fields.push_back({field, std::move(sealed.ciphertext)});
}

std::string network_of(const stun::IpAddress& any) {
  const stun::IpAddress address = any.unmapped();
  return address.is_v4() ? truncated(address, 3).to_string() + "/24"
                         : truncated(address, 6).to_string() + "/48";
}

std::string full_address_of(const stun::IpAddress& any) {
  const stun::IpAddress address = any.unmapped();
  return address.to_string() + (address.is_v4() ? "/32" : "/128");
}

std::string_view class_of(const stun::IpAddress& any) {
  const stun::IpAddress address = any.unmapped();
  const stun::Bytes bytes = address.bytes();
  if (address.is_v4()) {
    if (bytes[0] == 127) return "loopback";
    return is_private_v4(bytes) ? "private" : "public";
  }
  const bool only_last = std::all_of(bytes.begin(), bytes.end() - 1, [](auto b) { return b == 0; });
  if (only_last && bytes[15] == 1) return "loopback";
  return is_private_v6(bytes) ? "private" : "public";
}

}  // namespace bedside::server
