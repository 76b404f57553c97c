#include "server/set_up_code.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>

namespace bedside::server {
namespace {

constexpr std::string_view kAlphabet = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";
constexpr std::size_t kGroup = 4;
constexpr std::size_t kMaxTyped = 128;  // longer text is no code; bounds the work

std::string normalised(std::string_view typed) {
  std::string code;
  for (char c : typed.substr(0, kMaxTyped)) {
    if (c == '-' || c == ' ') continue;
    if (c >= 'a' && c <= 'z') c = static_cast<char>(c - 'a' + 'A');
    if (c == 'O') c = '0';
    if (c == 'I' || c == 'L') c = '1';
    code.push_back(c);
  }
  return code;
}

SetUpCode::Digest digest_of(std::string_view code) {
  SetUpCode::Digest digest{};
  unsigned size = 0;
  EVP_Digest(code.data(), code.size(), digest.data(), &size, EVP_sha256(), nullptr);
  return digest;
}

}  // namespace

std::string make_set_up_code(const SetUpEntropy& entropy) {
  std::string code;
  for (std::size_t i = 0; i < entropy.size(); ++i) {
    if (i != 0 && i % kGroup == 0) code.push_back('-');
    code.push_back(kAlphabet[entropy[i] & 31U]);
  }
  return code;
}

SetUpCode::SetUpCode(std::string_view code) : digest_(digest_of(normalised(code))) {}

bool SetUpCode::matches(std::string_view typed) const {
  const auto digest = digest_of(normalised(typed));
  return CRYPTO_memcmp(digest.data(), digest_.data(), digest_.size()) == 0;
}

}  // namespace bedside::server
