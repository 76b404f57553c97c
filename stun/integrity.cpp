#include "stun/integrity.h"

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/params.h>

#include <algorithm>
#include <cstdlib>
#include <memory>

namespace bedside::stun {
namespace {

struct Free {
  void operator()(EVP_MAC* mac) const noexcept { EVP_MAC_free(mac); }
  void operator()(EVP_MAC_CTX* context) const noexcept { EVP_MAC_CTX_free(context); }
  void operator()(EVP_MD* digest) const noexcept { EVP_MD_free(digest); }
  void operator()(EVP_MD_CTX* context) const noexcept { EVP_MD_CTX_free(context); }
};
template <typename T>
using Owned = std::unique_ptr<T, Free>;

// OpenSSL 3 looks algorithms up by name, which costs more than hashing a STUN message. So each
// thread keeps its contexts and only changes the key.
class Hmac {
 public:
  explicit Hmac(std::array<char, 8> digest_name) noexcept {
    const Owned<EVP_MAC> mac(EVP_MAC_fetch(nullptr, OSSL_MAC_NAME_HMAC, nullptr));
    context_.reset(mac ? EVP_MAC_CTX_new(mac.get()) : nullptr);
    const std::array<OSSL_PARAM, 2> params{
        OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest_name.data(), 0),
        OSSL_PARAM_construct_end()};
    if (context_ && EVP_MAC_CTX_set_params(context_.get(), params.data()) != 1) context_.reset();
  }

  bool compute(Bytes key, std::initializer_list<Bytes> parts, MutableBytes out) noexcept {
    // An empty key would mean "the key of the last call" to OpenSSL.
    if (!context_ || key.empty()) return false;
    if (EVP_MAC_init(context_.get(), key.data(), key.size(), nullptr) != 1) return false;
    for (const Bytes part : parts) {
      if (EVP_MAC_update(context_.get(), part.data(), part.size()) != 1) return false;
    }
    std::size_t written = 0;
    return EVP_MAC_final(context_.get(), out.data(), &written, out.size()) == 1 &&
           written == out.size();
  }

 private:
  Owned<EVP_MAC_CTX> context_;
};

class Digest {
 public:
  explicit Digest(const char* name) noexcept
      : digest_(EVP_MD_fetch(nullptr, name, nullptr)), context_(EVP_MD_CTX_new()) {}

  bool compute(std::initializer_list<Bytes> parts, MutableBytes out) noexcept {
    if (!digest_ || !context_ || EVP_MD_get_size(digest_.get()) != static_cast<int>(out.size())) {
      return false;
    }
    if (EVP_DigestInit_ex2(context_.get(), digest_.get(), nullptr) != 1) return false;
    for (const Bytes part : parts) {
      if (EVP_DigestUpdate(context_.get(), part.data(), part.size()) != 1) return false;
    }
    return EVP_DigestFinal_ex(context_.get(), out.data(), nullptr) == 1;
  }

 private:
  Owned<EVP_MD> digest_;
  Owned<EVP_MD_CTX> context_;
};

// For keys, where going on without a digest would mean a key of zeros.
void compute_or_die(Digest& digest, std::initializer_list<Bytes> parts, MutableBytes out) noexcept {
  if (!digest.compute(parts, out)) std::abort();
}

Digest& sha256_digest() noexcept {
  thread_local Digest digest("SHA256");
  return digest;
}

// The first 20 bytes of the message with the length field as if the message ended at `end`.
std::array<std::uint8_t, kHeaderSize> header_ending_at(Bytes message, std::size_t end) noexcept {
  std::array<std::uint8_t, kHeaderSize> header{};
  std::copy_n(message.begin(), header.size(), header.begin());
  store_u16(header, 2, static_cast<std::uint16_t>(end - kHeaderSize));
  return header;
}

}  // namespace

LongTermKey LongTermKey::md5(std::string_view username, std::string_view realm,
                             std::string_view password) noexcept {
  thread_local Digest digest("MD5");
  LongTermKey key;
  key.size_ = 16;
  compute_or_die(
      digest,
      {as_bytes(username), as_bytes(":"), as_bytes(realm), as_bytes(":"), as_bytes(password)},
      MutableBytes(key.octets_).first(key.size_));
  return key;
}

LongTermKey LongTermKey::sha256(std::string_view username, std::string_view realm,
                                std::string_view password) noexcept {
  LongTermKey key;
  key.size_ = 32;
  compute_or_die(
      sha256_digest(),
      {as_bytes(username), as_bytes(":"), as_bytes(realm), as_bytes(":"), as_bytes(password)},
      key.octets_);
  return key;
}

LongTermKeys::LongTermKeys(std::string_view username, std::string_view realm,
                           std::string_view password) noexcept
    : md5_(LongTermKey::md5(username, realm, password)),
      sha256_(LongTermKey::sha256(username, realm, password)) {}

bool hmac_sha1(Bytes key, std::initializer_list<Bytes> parts, Sha1Digest& out) noexcept {
  thread_local Hmac hmac({"SHA1"});
  return hmac.compute(key, parts, out);
}

bool hmac_sha256(Bytes key, std::initializer_list<Bytes> parts, Sha256Digest& out) noexcept {
  thread_local Hmac hmac({"SHA256"});
  return hmac.compute(key, parts, out);
}

bool equal_in_constant_time(Bytes a, Bytes b) noexcept {
  return a.size() == b.size() && CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0;
}

bool verify_integrity(const MessageView& message, Bytes key) noexcept {
  const auto found = message.find(Attribute::message_integrity);
  Sha1Digest expected{};
  if (!found || found->value.size() != expected.size()) return false;
  const std::size_t end = found->offset + kAttributeHeaderSize + found->value.size();
  const auto header = header_ending_at(message.bytes(), end);
  const Bytes body = message.bytes().subspan(kHeaderSize, found->offset - kHeaderSize);
  return hmac_sha1(key, {header, body}, expected) && equal_in_constant_time(found->value, expected);
}

bool verify_integrity_sha256(const MessageView& message, Bytes key) noexcept {
  const auto found = message.find(Attribute::message_integrity_sha256);
  Sha256Digest expected{};
  if (!found) return false;
  const std::size_t length = found->value.size();
  if (length < 16 || length > expected.size() || length % 4 != 0) return false;
  const auto header =
      header_ending_at(message.bytes(), found->offset + kAttributeHeaderSize + length);
  const Bytes body = message.bytes().subspan(kHeaderSize, found->offset - kHeaderSize);
  return hmac_sha256(key, {header, body}, expected) &&
         equal_in_constant_time(found->value, Bytes(expected).first(length));
}

bool verify_any_integrity(const MessageView& message, Bytes key) noexcept {
  const bool sha1 = message.has(Attribute::message_integrity);
  const bool sha256 = message.has(Attribute::message_integrity_sha256);
  return (sha1 || sha256) && (!sha1 || verify_integrity(message, key)) &&
         (!sha256 || verify_integrity_sha256(message, key));
}

Sha256Digest userhash(std::string_view username, std::string_view realm) noexcept {
  Sha256Digest hash{};
  compute_or_die(sha256_digest(), {as_bytes(username), as_bytes(":"), as_bytes(realm)}, hash);
  return hash;
}

}  // namespace bedside::stun
