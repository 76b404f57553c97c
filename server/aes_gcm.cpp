#include "server/aes_gcm.h"

#include <openssl/evp.h>
#include <openssl/rand.h>

#include <algorithm>
#include <cstddef>
#include <memory>

namespace bedside::server {
namespace {

struct FreeCipher {
  void operator()(EVP_CIPHER_CTX* context) const { EVP_CIPHER_CTX_free(context); }
};
using Cipher = std::unique_ptr<EVP_CIPHER_CTX, FreeCipher>;

int length_of(std::span<const std::uint8_t> bytes) { return static_cast<int>(bytes.size()); }

std::vector<std::uint8_t> octets_of(std::string_view text) { return {text.begin(), text.end()}; }

}  // namespace

bool gcm_seal(AesKey key, const GcmNonce& nonce, std::span<const std::uint8_t> bound,
              std::span<const std::uint8_t> plain, std::span<std::uint8_t> sealed) {
  if (sealed.size() != plain.size() + kGcmTag) return false;
  const Cipher context(EVP_CIPHER_CTX_new());
  int size = 0;
  return context &&
         EVP_EncryptInit_ex(context.get(), EVP_aes_256_gcm(), nullptr, key.data(), nonce.data()) &&
         EVP_EncryptUpdate(context.get(), nullptr, &size, bound.data(), length_of(bound)) &&
         EVP_EncryptUpdate(context.get(), sealed.data(), &size, plain.data(), length_of(plain)) &&
         EVP_EncryptFinal_ex(context.get(), nullptr, &size) &&
         EVP_CIPHER_CTX_ctrl(context.get(), EVP_CTRL_GCM_GET_TAG, kGcmTag,
                             sealed.last(kGcmTag).data());
}

bool gcm_open(AesKey key, const GcmNonce& nonce, std::span<const std::uint8_t> bound,
              std::span<const std::uint8_t> sealed, std::span<std::uint8_t> plain) {
  if (sealed.size() != plain.size() + kGcmTag) return false;
  const auto body = sealed.first(plain.size());
  std::array<std::uint8_t, kGcmTag> tag{};  // OpenSSL wants it writable
  std::copy_n(sealed.last(kGcmTag).begin(), kGcmTag, tag.begin());
  const Cipher context(EVP_CIPHER_CTX_new());
  int size = 0;
  return context &&
         EVP_DecryptInit_ex(context.get(), EVP_aes_256_gcm(), nullptr, key.data(), nonce.data()) &&
         EVP_DecryptUpdate(context.get(), nullptr, &size, bound.data(), length_of(bound)) &&
         EVP_DecryptUpdate(context.get(), plain.data(), &size, body.data(), length_of(body)) &&
         EVP_CIPHER_CTX_ctrl(context.get(), EVP_CTRL_GCM_SET_TAG, kGcmTag, tag.data()) &&
         EVP_DecryptFinal_ex(context.get(), nullptr, &size) > 0;
}

std::vector<std::uint8_t> aes_gcm_encrypt(AesKey key, std::span<const std::uint8_t> plain,
                                          std::string_view purpose) {
  GcmNonce nonce{};
  if (RAND_bytes(nonce.data(), static_cast<int>(nonce.size())) != 1) return {};
  std::vector<std::uint8_t> out(nonce.size() + plain.size() + kGcmTag);
  std::copy(nonce.begin(), nonce.end(), out.begin());
  const auto sealed = std::span(out).subspan(nonce.size());
  if (!gcm_seal(key, nonce, octets_of(purpose), plain, sealed)) return {};
  return out;
}

std::optional<std::vector<std::uint8_t>> aes_gcm_decrypt(AesKey key,
                                                         std::span<const std::uint8_t> sealed,
                                                         std::string_view purpose) {
  GcmNonce nonce{};
  if (sealed.size() < nonce.size() + kGcmTag) return std::nullopt;
  std::copy_n(sealed.begin(), nonce.size(), nonce.begin());
  const auto body = sealed.subspan(nonce.size());
  std::vector<std::uint8_t> plain(body.size() - kGcmTag);
  if (!gcm_open(key, nonce, octets_of(purpose), body, plain)) return std::nullopt;
  return plain;
}

}  // namespace bedside::server
