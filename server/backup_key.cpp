#include "server/backup_key.h"

#include <fcntl.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>

#include "server/private_file.h"
#include "store/checkpoint.h"
#include "store/digest.h"

namespace bedside::server {
namespace {

constexpr std::size_t kMaxPem = 16 * 1024;

struct FreeBio {
  void operator()(BIO* bio) const { BIO_free_all(bio); }
};
using Bio = std::unique_ptr<BIO, FreeBio>;
struct FreeContext {
  void operator()(EVP_PKEY_CTX* context) const { EVP_PKEY_CTX_free(context); }
};
using KeyContext = std::unique_ptr<EVP_PKEY_CTX, FreeContext>;

tl::expected<void, std::string> check(EVP_PKEY* key, const std::filesystem::path& file) {
  if (key == nullptr) {
    return tl::unexpected(file.string() +
                          " is no such key in PEM, or its passphrase was wrong\n    → `bedside "
                          "backup key` makes a pair");
  }
  if (EVP_PKEY_get_base_id(key) != EVP_PKEY_RSA || EVP_PKEY_get_bits(key) < kBackupKeyBits) {
    return tl::unexpected(file.string() +
                          " is no RSA key of 3072 bits or more\n    → `bedside backup key` makes a "
                          "pair");
  }
  return {};
}

tl::expected<std::string, std::string> pem_of(const std::filesystem::path& file) {
  auto text = read_file(file, kMaxPem);
  if (!text) return tl::unexpected(sentence(text.error()));
  return std::move(*text);
}

KeyContext oaep(EVP_PKEY* key, int (*begin)(EVP_PKEY_CTX*)) {
  KeyContext context(EVP_PKEY_CTX_new(key, nullptr));
  const bool ready = context && begin(context.get()) > 0 &&
                     EVP_PKEY_CTX_set_rsa_padding(context.get(), RSA_PKCS1_OAEP_PADDING) > 0 &&
                     EVP_PKEY_CTX_set_rsa_oaep_md(context.get(), EVP_sha256()) > 0 &&
                     EVP_PKEY_CTX_set_rsa_mgf1_md(context.get(), EVP_sha256()) > 0;
  return ready ? std::move(context) : nullptr;
}

// The descriptor of a file that was not there before.
class NewFile {
 public:
  NewFile(const std::filesystem::path& file, mode_t mode)
      : stream_(nullptr),
        fd_(::open(file.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, mode)) {
    if (fd_ >= 0) stream_ = ::fdopen(fd_, "w");
  }
  ~NewFile() {
    if (stream_ != nullptr) std::fclose(stream_);
  }
  NewFile(const NewFile&) = delete;
  NewFile& operator=(const NewFile&) = delete;
  FILE* stream() const { return stream_; }
  bool sync() const { return std::fflush(stream_) == 0 && ::fsync(fd_) == 0; }

 private:
  FILE* stream_;
  int fd_;
};

tl::unexpected<std::string> cannot_make(const std::filesystem::path& file) {
  return tl::unexpected("cannot make " + file.string() + ": " + std::strerror(errno));
}

}  // namespace

void BackupKey::Free::operator()(evp_pkey_st* key) const { EVP_PKEY_free(key); }

tl::expected<BackupKey, std::string> BackupKey::load_public(const std::filesystem::path& file) {
  const auto text = pem_of(file);
  if (!text) return tl::unexpected(text.error());
  const Bio bio(BIO_new_mem_buf(text->data(), static_cast<int>(text->size())));
  BackupKey key(PEM_read_bio_PUBKEY(bio.get(), nullptr, nullptr, nullptr));
  if (auto good = check(key.handle_.get(), file); !good) return tl::unexpected(good.error());
  return key;
}

tl::expected<BackupKey, std::string> BackupKey::load_private(const std::filesystem::path& file) {
  auto text = pem_of(file);
  if (!text) return tl::unexpected(text.error());
  const Bio bio(BIO_new_mem_buf(text->data(), static_cast<int>(text->size())));
  BackupKey key(PEM_read_bio_PrivateKey(bio.get(), nullptr, nullptr, nullptr));
  OPENSSL_cleanse(text->data(), text->size());
  if (auto good = check(key.handle_.get(), file); !good) return tl::unexpected(good.error());
  return key;
}

tl::expected<BackupKey, std::string> BackupKey::generate() {
  BackupKey key(EVP_RSA_gen(static_cast<unsigned>(kBackupKeyBits)));
  if (!key.handle_) return tl::unexpected(std::string("OpenSSL cannot make a key"));
  return key;
}

tl::expected<void, std::string> BackupKey::save(const std::filesystem::path& private_file,
                                                const std::filesystem::path& public_file,
                                                bool passphrase) const {
  constexpr mode_t kOwnerReads = 0400;
  constexpr mode_t kAllRead = 0444;
  const NewFile secret(private_file, kOwnerReads);
  if (secret.stream() == nullptr) return cannot_make(private_file);
  if (PEM_write_PKCS8PrivateKey(secret.stream(), handle_.get(),
                                passphrase ? EVP_aes_256_cbc() : nullptr, nullptr, 0, nullptr,
                                nullptr) != 1 ||
      !secret.sync()) {
    ::unlink(private_file.c_str());
    return tl::unexpected("the private key could not be written to " + private_file.string());
  }
  const NewFile open(public_file, kAllRead);
  if (open.stream() == nullptr) {
    ::unlink(private_file.c_str());
    return cannot_make(public_file);
  }
  if (PEM_write_PUBKEY(open.stream(), handle_.get()) != 1 || !open.sync()) {
    return tl::unexpected("the public key could not be written to " + public_file.string());
  }
  return {};
}

std::vector<std::uint8_t> BackupKey::wrap(const ContentKey& key) const {
  const KeyContext context = oaep(handle_.get(), EVP_PKEY_encrypt_init);
  std::vector<std::uint8_t> wrapped(static_cast<std::size_t>(EVP_PKEY_get_size(handle_.get())));
  std::size_t size = wrapped.size();
  if (!context ||
      EVP_PKEY_encrypt(context.get(), wrapped.data(), &size, key.data(), key.size()) <= 0) {
    return {};
  }
  wrapped.resize(size);
  return wrapped;
}

std::optional<ContentKey> BackupKey::unwrap(std::span<const std::uint8_t> wrapped) const {
  const KeyContext context = oaep(handle_.get(), EVP_PKEY_decrypt_init);
  std::vector<std::uint8_t> plain(static_cast<std::size_t>(EVP_PKEY_get_size(handle_.get())));
  std::size_t size = plain.size();
  ContentKey key{};
  const bool done =
      context &&
      EVP_PKEY_decrypt(context.get(), plain.data(), &size, wrapped.data(), wrapped.size()) > 0 &&
      size == key.size();
  if (done) std::memcpy(key.data(), plain.data(), key.size());
  OPENSSL_cleanse(plain.data(), plain.size());
  if (!done) return std::nullopt;
  return key;
}

std::string BackupKey::id() const {
  unsigned char* der = nullptr;
  const int size = i2d_PUBKEY(handle_.get(), &der);
  if (size <= 0) return {};
  const auto digest = store::Sha256()
                          .add(std::span<const std::uint8_t>(der, static_cast<std::size_t>(size)))
                          .finish();
  OPENSSL_free(der);
  return store::to_hex(digest);
}

}  // namespace bedside::server
