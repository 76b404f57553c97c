#include "server/self_signed.h"

#include <openssl/bio.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>

#include <memory>
#include <optional>
#include <string>

namespace bedside::server {
namespace {

using std::chrono::seconds;

constexpr seconds kDay{24 * 60 * 60};
constexpr auto kRenewBefore = 30 * kDay;
// Browsers refuse to remember an exception for certificates that live longer than 825 days.
constexpr auto kLifetime = 365 * kDay;
constexpr std::size_t kMaxPem = 65536;

struct Free {
  void operator()(X509* x) const { X509_free(x); }
  void operator()(EVP_PKEY* x) const { EVP_PKEY_free(x); }
  void operator()(BIO* x) const { BIO_free_all(x); }
  void operator()(X509_EXTENSION* x) const { X509_EXTENSION_free(x); }
};
using Certificate = std::unique_ptr<X509, Free>;
using PrivateKey = std::unique_ptr<EVP_PKEY, Free>;
using Bio = std::unique_ptr<BIO, Free>;

Certificate parse_certificate(const std::string& pem) {
  const Bio bio(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
  return Certificate(PEM_read_bio_X509(bio.get(), nullptr, nullptr, nullptr));
}

PrivateKey parse_key(const std::string& pem) {
  const Bio bio(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
  return PrivateKey(PEM_read_bio_PrivateKey(bio.get(), nullptr, nullptr, nullptr));
}

bool still_good(const CertificateFiles& files, seconds now) {
  const auto certificate_pem = read_file(files.certificate, kMaxPem);
  const auto key_pem = read_file(files.private_key, kMaxPem);
  if (!certificate_pem || !key_pem) return false;
  const Certificate certificate = parse_certificate(*certificate_pem);
  const PrivateKey key = parse_key(*key_pem);
  if (!certificate || !key) return false;
  time_t renew_at = static_cast<time_t>((now + kRenewBefore).count());
  return X509_check_private_key(certificate.get(), key.get()) == 1 &&
         X509_cmp_time(X509_get0_notAfter(certificate.get()), &renew_at) > 0;
}

bool add_extension(X509* certificate, int nid, const char* value) {
  X509V3_CTX context;
  X509V3_set_ctx_nodb(&context);
  X509V3_set_ctx(&context, certificate, certificate, nullptr, nullptr, 0);
  const std::unique_ptr<X509_EXTENSION, Free> extension(
      X509V3_EXT_conf_nid(nullptr, &context, nid, value));
  return extension && X509_add_ext(certificate, extension.get(), -1) == 1;
}

// A random serial number: browsers refuse two certificates of one issuer with the same.
bool set_random_serial(X509* certificate) {
  unsigned char bytes[8];
  if (RAND_bytes(bytes, sizeof bytes) != 1) return false;
  std::uint64_t serial = 0;
  for (const unsigned char byte : bytes) serial = serial << 8 | byte;
  return ASN1_INTEGER_set_uint64(X509_get_serialNumber(certificate), serial >> 1 | 1) == 1;
}

Certificate make_certificate(EVP_PKEY* key, seconds now) {
  Certificate certificate(X509_new());
  X509* x = certificate.get();
  X509_NAME* name = x != nullptr ? X509_get_subject_name(x) : nullptr;
  static constexpr unsigned char kCommonName[] = "Bedside demo on this machine";
  // An hour in the past, for a clock that is set back a little after the start.
  const time_t from = static_cast<time_t>((now - seconds(3600)).count());
  const time_t until = static_cast<time_t>((now + kLifetime).count());
  const bool made =
      name != nullptr && X509_set_version(x, X509_VERSION_3) == 1 && set_random_serial(x) &&
      ASN1_TIME_set(X509_getm_notBefore(x), from) != nullptr &&
      ASN1_TIME_set(X509_getm_notAfter(x), until) != nullptr &&
      X509_NAME_add_entry_by_NID(name, NID_commonName, MBSTRING_UTF8, kCommonName, -1, -1, 0) ==
          1 &&
      X509_set_issuer_name(x, name) == 1 && X509_set_pubkey(x, key) == 1 &&
      add_extension(x, NID_basic_constraints, "critical,CA:FALSE") &&
      add_extension(x, NID_key_usage, "critical,digitalSignature") &&
      add_extension(x, NID_ext_key_usage, "serverAuth") &&
      add_extension(x, NID_subject_alt_name, "DNS:localhost,IP:127.0.0.1,IP:::1") &&
      X509_sign(x, key, EVP_sha256()) > 0;
  return made ? std::move(certificate) : nullptr;
}

std::string text_of(BIO* bio) {
  char* data = nullptr;
  const long size = BIO_get_mem_data(bio, &data);
  return size > 0 ? std::string(data, static_cast<std::size_t>(size)) : std::string();
}

std::optional<std::string> certificate_pem(X509* certificate) {
  const Bio bio(BIO_new(BIO_s_mem()));
  if (PEM_write_bio_X509(bio.get(), certificate) != 1) return std::nullopt;
  return text_of(bio.get());
}

std::optional<std::string> key_pem(EVP_PKEY* key) {
  const Bio bio(BIO_new(BIO_s_secmem()));
  if (PEM_write_bio_PKCS8PrivateKey(bio.get(), key, nullptr, nullptr, 0, nullptr, nullptr) != 1) {
    return std::nullopt;
  }
  return text_of(bio.get());
}

}  // namespace

tl::expected<CertificateMade, FileError> ensure_self_signed(const CertificateFiles& files,
                                                            seconds now) {
  if (still_good(files, now)) return CertificateMade::kept;
  if (auto made = make_private_folder(files.private_key.parent_path()); !made) {
    return tl::unexpected(made.error());
  }
  const PrivateKey key(EVP_EC_gen("P-256"));
  const Certificate certificate = key ? make_certificate(key.get(), now) : nullptr;
  const auto certificate_text =
      certificate ? certificate_pem(certificate.get()) : std::optional<std::string>();
  const auto key_text = key ? key_pem(key.get()) : std::optional<std::string>();
  if (!certificate_text || !key_text) {
    return tl::unexpected(FileError{"OpenSSL cannot make the demo's certificate",
                                    "check the installed OpenSSL with `openssl version -a`"});
  }
  // The key first: a crash in between leaves a pair that does not match and is made again.
  if (auto written = write_file_atomically(files.private_key, *key_text, 0600); !written) {
    return tl::unexpected(written.error());
  }
  if (auto written = write_file_atomically(files.certificate, *certificate_text, 0644); !written) {
    return tl::unexpected(written.error());
  }
  return CertificateMade::made;
}

}  // namespace bedside::server
