#include "store/digest.h"

#include <openssl/evp.h>

#include <cstdlib>

namespace bedside::store {
namespace {

// Looked up once: OpenSSL 3 searches its providers each time it is asked by name.
const EVP_MD* sha256() {
  static const EVP_MD* const method = EVP_MD_fetch(nullptr, "SHA256", nullptr);
  return method;
}

}  // namespace

void Sha256::Free::operator()(evp_md_ctx_st* context) const { EVP_MD_CTX_free(context); }

Sha256::Sha256() : context_(EVP_MD_CTX_new()) { begin(); }

void Sha256::begin() {
  // Without memory for a hash nothing that was promised can be kept.
  if (!context_ || EVP_DigestInit_ex2(context_.get(), sha256(), nullptr) != 1) std::abort();
}

Sha256& Sha256::add(std::string_view bytes) {
  EVP_DigestUpdate(context_.get(), bytes.data(), bytes.size());
  return *this;
}

Sha256& Sha256::add(std::span<const std::uint8_t> bytes) {
  EVP_DigestUpdate(context_.get(), bytes.data(), bytes.size());
  return *this;
}

Sha256::Value Sha256::finish() {
  Value value{};
  EVP_DigestFinal_ex(context_.get(), value.data(), nullptr);
  begin();
  return value;
}

}  // namespace bedside::store
