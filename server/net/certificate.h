// Our certificate and its key, put into an OpenSSL context.
#pragma once

#include <chrono>
#include <string>
#include <tl/expected.hpp>

struct ssl_ctx_st;

namespace bedside::net {

// Both files in PEM, the certificate first and its chain after it. The error is a sentence that
// names the file, the reason and the user we run as; it never shows contents.
tl::expected<void, std::string> use_certificate(ssl_ctx_st* context,
                                                const std::string& certificate_path,
                                                const std::string& private_key_path);

// What everybody may know of a certificate.
struct CertificateFacts {
  std::chrono::seconds begins{};   // notBefore, Unix time
  std::chrono::seconds expires{};  // notAfter, Unix time
  std::string digest;              // SHA-256 of the DER form, 64 hexadecimal digits
};
// Of the certificate that `context` serves.
CertificateFacts facts_of(const ssl_ctx_st* context);

// Whether the certificate that `context` serves is made out to this host name or IP address.
bool certificate_names(const ssl_ctx_st* context, const std::string& host);
// The same of the first certificate of a PEM file. False also when the file cannot be read.
bool certificate_names(const std::string& certificate_path, const std::string& host);

// The last reason OpenSSL gave, for operators; empties its queue.
std::string openssl_reason();

}  // namespace bedside::net
