#include "server/bearer_secret.h"

#include <openssl/evp.h>
#include <openssl/rand.h>

#include <cstdlib>

namespace bedside::server {
namespace {

template <std::size_t kBytes>
std::string random_text() {
  std::array<std::uint8_t, kBytes> bytes{};
  if (RAND_bytes(bytes.data(), static_cast<int>(bytes.size())) != 1) std::abort();
  return base64url(bytes);
}

}  // namespace

std::string base64url(std::span<const std::uint8_t> bytes) {
  static constexpr std::string_view kAlphabet =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
  std::string text;
  std::uint32_t bits = 0;
  int count = 0;
  for (const std::uint8_t byte : bytes) {
    bits = (bits << 8U) | byte;
    for (count += 8; count >= 6; count -= 6) text += kAlphabet[(bits >> (count - 6)) & 63U];
  }
  if (count > 0) text += kAlphabet[(bits << (6 - count)) & 63U];
  return text;
}

std::string new_secret() { return random_text<32>(); }

std::string new_name() {
  std::string name = random_text<16>();
  while (name.front() == '-') name = random_text<16>();
  return name;
}

SecretHash hash_of(std::string_view secret) {
  SecretHash digest{};
  if (EVP_Digest(secret.data(), secret.size(), digest.data(), nullptr, EVP_sha256(), nullptr) !=
      1) {
    std::abort();
  }
  return digest;
}

}  // namespace bedside::server
