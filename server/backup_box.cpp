#include "server/backup_box.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/rand.h>

#include <algorithm>
#include <array>
#include <memory>
#include <utility>

#include "store/signed_note.h"

namespace bedside::server {
namespace {

constexpr std::string_view kMagic = "bedside backup 1";
constexpr std::size_t kBoxTag = 16;
constexpr std::size_t kMaxBoxLine = 2048;  // a wrapped key of 8192 bits has 1368 digits

using Nonce = std::array<std::uint8_t, 12>;

struct FreeBoxCipher {
  void operator()(EVP_CIPHER_CTX* context) const { EVP_CIPHER_CTX_free(context); }
};
using BoxCipher = std::unique_ptr<EVP_CIPHER_CTX, FreeBoxCipher>;

Nonce nonce_of(std::uint64_t piece, bool last) {
  Nonce nonce{};
  for (std::size_t i = 0; i < 8; ++i) nonce[10 - i] = static_cast<std::uint8_t>(piece >> (8 * i));
  nonce[11] = last ? 1 : 0;
  return nonce;
}

const unsigned char* octets(std::string_view text) {
  return static_cast<const unsigned char*>(static_cast<const void*>(text.data()));
}
unsigned char* octets(std::string& text) {
  return static_cast<unsigned char*>(static_cast<void*>(text.data()));
}

}  // namespace

tl::expected<BoxWriter, std::string> BoxWriter::begin(const BackupKey& to, store::ByteSink& sink) {
  BoxWriter made(sink);
  if (RAND_bytes(made.key_.data(), static_cast<int>(made.key_.size())) != 1) {
    return tl::unexpected(std::string("the system gives no random numbers"));
  }
  const auto wrapped = to.wrap(made.key_);
  if (wrapped.empty())
    return tl::unexpected(std::string("OpenSSL cannot wrap the key of the backup"));
  made.header_ = std::string(kMagic) + "\n" + to.id() + "\n" + store::base64(wrapped) + "\n";
  if (!sink.append(made.header_)) return tl::unexpected(std::string("the file cannot be written"));
  return made;
}

BoxWriter::~BoxWriter() { OPENSSL_cleanse(key_.data(), key_.size()); }

bool BoxWriter::seal(std::string_view piece, bool last) {
  const Nonce nonce = nonce_of(pieces_++, last);
  std::string sealed(piece.size() + kBoxTag, '\0');
  const BoxCipher context(EVP_CIPHER_CTX_new());
  int size = 0;
  const bool done =
      context &&
      EVP_EncryptInit_ex(context.get(), EVP_aes_256_gcm(), nullptr, key_.data(), nonce.data()) &&
      EVP_EncryptUpdate(context.get(), nullptr, &size, octets(std::string_view(header_)),
                        static_cast<int>(header_.size())) &&
      EVP_EncryptUpdate(context.get(), octets(sealed), &size, octets(piece),
                        static_cast<int>(piece.size())) &&
      EVP_EncryptFinal_ex(context.get(), nullptr, &size) &&
      EVP_CIPHER_CTX_ctrl(context.get(), EVP_CTRL_GCM_GET_TAG, kBoxTag,
                          octets(sealed) + piece.size());
  return done && sink_->append(sealed);
}

bool BoxWriter::add(std::string_view bytes) {
  while (!bytes.empty()) {
    const std::size_t room = std::min(kBoxPiece - waiting_.size(), bytes.size());
    waiting_ += bytes.substr(0, room);
    bytes.remove_prefix(room);
    if (waiting_.size() < kBoxPiece) continue;
    if (!seal(waiting_, false)) return false;
    waiting_.clear();
  }
  return true;
}

bool BoxWriter::finish() { return seal(waiting_, true); }

tl::expected<BoxReader, std::string> BoxReader::open(const std::string& file) {
  const auto bad = [&](const char* what) { return tl::unexpected(file + what); };
  BoxReader made;
  made.file_.open(file, std::ios::binary);
  if (!made.file_) return bad(" cannot be opened");
  std::array<std::string, 3> lines;
  for (std::string& line : lines) {
    char c = 0;
    while (line.size() <= kMaxBoxLine && made.file_.get(c) && c != '\n') line += c;
    if (!made.file_ || c != '\n') return bad(" is no backup of Bedside");
    made.header_ += line + "\n";
  }
  auto wrapped = store::from_base64(lines[2]);
  if (lines[0] != kMagic || !wrapped) return bad(" is no backup of Bedside, or of a newer one");
  made.key_id_ = lines[1];
  made.wrapped_ = std::move(*wrapped);
  return made;
}

BoxReader::~BoxReader() { OPENSSL_cleanse(key_.data(), key_.size()); }

tl::expected<void, std::string> BoxReader::unlock(const BackupKey& with) {
  if (with.id() != key_id_) {
    return tl::unexpected("this backup was written to the key " + key_id_.substr(0, 16) +
                          "…, and the one given is " + with.id().substr(0, 16) +
                          "…\n    → give the private half of the pair of that time");
  }
  const auto key = with.unwrap(wrapped_);
  if (!key)
    return tl::unexpected(std::string("the key of this backup cannot be unwrapped: it is damaged"));
  key_ = *key;
  return {};
}

tl::expected<std::string, std::string> BoxReader::next() {
  if (ended_) return std::string();
  std::string sealed(kBoxPiece + kBoxTag, '\0');
  file_.read(sealed.data(), static_cast<std::streamsize>(sealed.size()));
  sealed.resize(static_cast<std::size_t>(file_.gcount()));
  const bool last = sealed.size() < kBoxPiece + kBoxTag;
  const auto damaged = [] {
    return tl::unexpected(std::string("this backup is damaged, was changed or is cut off"));
  };
  if (sealed.size() < kBoxTag) return damaged();
  std::string plain(sealed.size() - kBoxTag, '\0');
  const Nonce nonce = nonce_of(pieces_++, last);
  const BoxCipher context(EVP_CIPHER_CTX_new());
  int size = 0;
  const bool done =
      context &&
      EVP_DecryptInit_ex(context.get(), EVP_aes_256_gcm(), nullptr, key_.data(), nonce.data()) &&
      EVP_DecryptUpdate(context.get(), nullptr, &size, octets(std::string_view(header_)),
                        static_cast<int>(header_.size())) &&
      EVP_DecryptUpdate(context.get(), octets(plain), &size, octets(sealed),
                        static_cast<int>(plain.size())) &&
      EVP_CIPHER_CTX_ctrl(context.get(), EVP_CTRL_GCM_SET_TAG, kBoxTag,
                          octets(sealed) + plain.size()) &&
      EVP_DecryptFinal_ex(context.get(), nullptr, &size) > 0;
  if (!done) return damaged();
  ended_ = last;
  return plain;
}

}  // namespace bedside::server
