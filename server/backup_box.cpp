#include "server/backup_box.h"

#include <openssl/crypto.h>
#include <openssl/rand.h>

#include <algorithm>
#include <array>
#include <span>
#include <utility>

#include "server/aes_gcm.h"
#include "store/signed_note.h"

namespace bedside::server {
namespace {

constexpr std::string_view kMagic = "bedside backup 1";
constexpr std::size_t kMaxBoxLine = 2048;  // a wrapped key of 8192 bits has 1368 digits

GcmNonce nonce_of(std::uint64_t piece, bool last) {
  GcmNonce nonce{};
  for (std::size_t i = 0; i < 8; ++i) nonce[10 - i] = static_cast<std::uint8_t>(piece >> (8 * i));
  nonce[11] = last ? 1 : 0;
  return nonce;
}

std::span<const std::uint8_t> octets(std::string_view text) {
  return {static_cast<const std::uint8_t*>(static_cast<const void*>(text.data())), text.size()};
}
std::span<std::uint8_t> octets_in(std::string& text) {
  return {static_cast<std::uint8_t*>(static_cast<void*>(text.data())), text.size()};
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
  std::string sealed(piece.size() + kGcmTag, '\0');
  return gcm_seal(key_, nonce_of(pieces_++, last), octets(header_), octets(piece),
                  octets_in(sealed)) &&
         sink_->append(sealed);
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
  std::string sealed(kBoxPiece + kGcmTag, '\0');
  file_.read(sealed.data(), static_cast<std::streamsize>(sealed.size()));
  sealed.resize(static_cast<std::size_t>(file_.gcount()));
  const bool last = sealed.size() < kBoxPiece + kGcmTag;
  const auto damaged = [] {
    return tl::unexpected(std::string("this backup is damaged, was changed or is cut off"));
  };
  if (sealed.size() < kGcmTag) return damaged();
  std::string plain(sealed.size() - kGcmTag, '\0');
  if (!gcm_open(key_, nonce_of(pieces_++, last), octets(header_), octets(sealed),
                octets_in(plain))) {
    return damaged();
  }
  ended_ = last;
  return plain;
}

}  // namespace bedside::server
