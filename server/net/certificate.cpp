#include "server/net/certificate.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <ctime>
#include <fstream>
#include <memory>
#include <string_view>
#include <system_error>
#include <utility>

namespace bedside::net {
namespace {

// Empty when the file can be read, otherwise the sentence that says why not.
std::string unreadable(std::string_view what, const std::string& path) {
  errno = 0;
  std::ifstream file(path);
  if (file.good() && file.peek() != std::ifstream::traits_type::eof()) return {};
  const int code = errno;
  const std::string reason =
      code != 0 ? std::generic_category().message(code) : std::string("the file is empty");
  return "cannot read the " + std::string(what) + " " + path + ": " + reason +
         " (running as user id " + std::to_string(::geteuid()) + ")";
}

// Keys with a passphrase are refused: OpenSSL would ask for it on the terminal.
int no_passphrase(char* /*buffer*/, int /*size*/, int /*writing*/, void* /*unused*/) { return 0; }

std::chrono::seconds unix_time(const ASN1_TIME* time) {
  std::tm parts{};
  return std::chrono::seconds(ASN1_TIME_to_tm(time, &parts) == 1 ? ::timegm(&parts) : 0);
}

bool names_host(X509* certificate, const std::string& host) {
  return certificate != nullptr &&
         (X509_check_host(certificate, host.data(), host.size(), 0, nullptr) == 1 ||
          X509_check_ip_asc(certificate, host.c_str(), 0) == 1);
}

}  // namespace

std::string openssl_reason() {
  const unsigned long code = ERR_peek_last_error();
  ERR_clear_error();
  const char* reason = code != 0 ? ERR_reason_error_string(code) : nullptr;
  return reason != nullptr ? reason : "unknown reason";
}

tl::expected<void, std::string> use_certificate(ssl_ctx_st* context,
                                                const std::string& certificate_path,
                                                const std::string& private_key_path) {
  if (auto why = unreadable("certificate", certificate_path); !why.empty()) {
    return tl::unexpected(std::move(why));
  }
  if (auto why = unreadable("private key", private_key_path); !why.empty()) {
    return tl::unexpected(std::move(why));
  }
  ERR_clear_error();
  SSL_CTX_set_default_passwd_cb(context, &no_passphrase);
  if (SSL_CTX_use_certificate_chain_file(context, certificate_path.c_str()) != 1) {
    return tl::unexpected("the certificate " + certificate_path + " is not usable: " +
                          openssl_reason() + ". It must be PEM, the server's certificate first");
  }
  if (SSL_CTX_use_PrivateKey_file(context, private_key_path.c_str(), SSL_FILETYPE_PEM) != 1) {
    // A key of another type or pair already fails here, against the certificate.
    return tl::unexpected("the private key " + private_key_path +
                          " is not usable: " + openssl_reason() +
                          ". It must be PEM, without a passphrase, and belong to the certificate " +
                          certificate_path);
  }
  if (SSL_CTX_check_private_key(context) != 1) {
    return tl::unexpected("the private key " + private_key_path +
                          " does not belong to the certificate " + certificate_path + ": " +
                          openssl_reason());
  }
  return {};
}

CertificateFacts facts_of(const ssl_ctx_st* context) {
  CertificateFacts facts;
  const X509* certificate = SSL_CTX_get0_certificate(context);
  if (certificate == nullptr) return facts;
  facts.begins = unix_time(X509_get0_notBefore(certificate));
  facts.expires = unix_time(X509_get0_notAfter(certificate));
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
  unsigned int size = 0;
  if (X509_digest(certificate, EVP_sha256(), digest.data(), &size) == 1) {
    static constexpr std::string_view kDigits = "0123456789abcdef";
    for (unsigned int i = 0; i < size; ++i) {
      facts.digest += kDigits[digest[i] >> 4U];
      facts.digest += kDigits[digest[i] & 15U];
    }
  }
  return facts;
}

bool certificate_names(const ssl_ctx_st* context, const std::string& host) {
  return names_host(SSL_CTX_get0_certificate(context), host);
}

bool certificate_names(const std::string& certificate_path, const std::string& host) {
  ERR_clear_error();
  const std::unique_ptr<BIO, decltype(&BIO_free)> file(BIO_new_file(certificate_path.c_str(), "r"),
                                                       &BIO_free);
  if (!file) return (ERR_clear_error(), false);
  const std::unique_ptr<X509, decltype(&X509_free)> certificate(
      PEM_read_bio_X509(file.get(), nullptr, &no_passphrase, nullptr), &X509_free);
  ERR_clear_error();
  return names_host(certificate.get(), host);
}

}  // namespace bedside::net
