#include "store/signed_note.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/sha.h>

#include <algorithm>
#include <utility>

namespace bedside::store {
namespace {

constexpr std::uint8_t kEd25519 = 1;                 // C2SP signed-note: signature type
constexpr std::string_view kDash = "\xE2\x80\x94 ";  // an em dash and a space
constexpr std::string_view kNoRoom = "the crypto library failed (no memory or no randomness)";

struct FreeDigest {
  void operator()(EVP_MD_CTX* context) const { EVP_MD_CTX_free(context); }
};
using Digest = std::unique_ptr<EVP_MD_CTX, FreeDigest>;

const unsigned char* bytes_of(std::string_view text) {
  return static_cast<const unsigned char*>(static_cast<const void*>(text.data()));
}

bool is_plain(std::string_view text) {
  return std::none_of(text.begin(), text.end(), [](char c) {
    const auto code = static_cast<unsigned char>(c);
    return code < 0x20 && c != '\n';
  });
}

// Empty when there is no further whole line.
std::optional<std::string_view> take_line(std::string_view& text) {
  const std::size_t end = text.find('\n');
  if (end == std::string_view::npos) return std::nullopt;
  const std::string_view line = text.substr(0, end);
  text.remove_prefix(end + 1);
  return line;
}

std::optional<NoteSignature> parse_signature(std::string_view line) {
  if (!line.starts_with(kDash)) return std::nullopt;
  line.remove_prefix(kDash.size());
  const std::size_t space = line.find(' ');
  if (space == 0 || space == std::string_view::npos) return std::nullopt;
  const auto blob = from_base64(line.substr(space + 1));
  NoteSignature made;
  if (!blob || blob->size() <= made.key_id.size()) return std::nullopt;
  made.name = line.substr(0, space);
  std::copy_n(blob->begin(), made.key_id.size(), made.key_id.begin());
  made.signature.assign(blob->begin() + made.key_id.size(), blob->end());
  return made;
}

}  // namespace

void SigningKey::Free::operator()(evp_pkey_st* key) const { EVP_PKEY_free(key); }

SigningKey::SigningKey(evp_pkey_st* key) : key_(key) {
  std::size_t size = public_.size();
  EVP_PKEY_get_raw_public_key(key, public_.data(), &size);
}

tl::expected<SigningKey, std::string> SigningKey::generate() {
  EVP_PKEY* key = EVP_PKEY_Q_keygen(nullptr, nullptr, "ED25519");
  if (key == nullptr) return tl::unexpected(std::string(kNoRoom));
  return SigningKey(key);
}

tl::expected<SigningKey, std::string> SigningKey::from_seed(std::span<const std::uint8_t> seed) {
  if (seed.size() != kSeedSize) return tl::unexpected(std::string("a signing key has 32 bytes"));
  EVP_PKEY* key = EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, nullptr, seed.data(), seed.size());
  if (key == nullptr) return tl::unexpected(std::string(kNoRoom));
  return SigningKey(key);
}

std::array<std::uint8_t, SigningKey::kSeedSize> SigningKey::seed() const {
  std::array<std::uint8_t, kSeedSize> seed{};
  std::size_t size = seed.size();
  EVP_PKEY_get_raw_private_key(key_.get(), seed.data(), &size);
  return seed;
}

tl::expected<Signature, std::string> SigningKey::sign(std::string_view message) const {
  const Digest context(EVP_MD_CTX_new());
  Signature signature{};
  std::size_t size = signature.size();
  if (!context || EVP_DigestSignInit(context.get(), nullptr, nullptr, nullptr, key_.get()) != 1 ||
      EVP_DigestSign(context.get(), signature.data(), &size, bytes_of(message), message.size()) !=
          1) {
    return tl::unexpected(std::string(kNoRoom));
  }
  return signature;
}

bool verify(const PublicKey& key, std::string_view message, const Signature& signature) {
  struct FreeKey {
    void operator()(EVP_PKEY* k) const { EVP_PKEY_free(k); }
  };
  const std::unique_ptr<EVP_PKEY, FreeKey> pkey(
      EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, nullptr, key.data(), key.size()));
  const Digest context(EVP_MD_CTX_new());
  return pkey && context &&
         EVP_DigestVerifyInit(context.get(), nullptr, nullptr, nullptr, pkey.get()) == 1 &&
         EVP_DigestVerify(context.get(), signature.data(), signature.size(), bytes_of(message),
                          message.size()) == 1;
}

std::array<std::uint8_t, 4> note_key_id(std::string_view name, const PublicKey& key) {
  std::string input(name);
  input += '\n';
  input += static_cast<char>(kEd25519);
  input.append(key.begin(), key.end());
  std::array<std::uint8_t, 32> hash{};
  SHA256(bytes_of(input), input.size(), hash.data());
  return {hash[0], hash[1], hash[2], hash[3]};
}

tl::expected<std::string, std::string> sign_note(std::string_view text, std::string_view name,
                                                 const SigningKey& key) {
  const auto signature = key.sign(text);
  if (!signature) return tl::unexpected(signature.error());
  const auto id = note_key_id(name, key.public_key());
  std::vector<std::uint8_t> blob(id.begin(), id.end());
  blob.insert(blob.end(), signature->begin(), signature->end());
  std::string note(text);
  note += '\n';
  note += kDash;
  note.append(name).append(" ").append(base64(blob)).append("\n");
  return note;
}

std::optional<Note> parse_note(std::string_view note) {
  if (note.size() > kMaxNote || !is_plain(note)) return std::nullopt;
  const std::size_t gap = note.rfind("\n\n");
  if (gap == std::string_view::npos) return std::nullopt;
  Note made;
  made.text = note.substr(0, gap + 1);
  std::string_view rest = note.substr(gap + 2);
  while (!rest.empty()) {
    const auto line = take_line(rest);
    if (!line || made.signatures.size() == kMaxNoteSignatures) return std::nullopt;
    auto signature = parse_signature(*line);
    if (!signature) return std::nullopt;
    made.signatures.push_back(std::move(*signature));
  }
  if (made.signatures.empty()) return std::nullopt;
  return made;
}

bool is_signed_by(const Note& note, std::string_view name, const PublicKey& key) {
  const auto id = note_key_id(name, key);
  return std::any_of(note.signatures.begin(), note.signatures.end(), [&](const auto& line) {
    Signature signature{};
    if (line.name != name || line.key_id != id || line.signature.size() != signature.size()) {
      return false;
    }
    std::copy(line.signature.begin(), line.signature.end(), signature.begin());
    return verify(key, note.text, signature);
  });
}

std::string base64(std::span<const std::uint8_t> bytes) {
  std::vector<unsigned char> out(4 * ((bytes.size() + 2) / 3) + 1);
  const int size = EVP_EncodeBlock(out.data(), bytes.data(), static_cast<int>(bytes.size()));
  return {out.begin(), out.begin() + size};
}

std::optional<std::vector<std::uint8_t>> from_base64(std::string_view text) {
  if (text.empty() || text.size() % 4 != 0) return std::nullopt;
  std::vector<std::uint8_t> out(text.size() / 4 * 3);
  const int size = EVP_DecodeBlock(out.data(), bytes_of(text), static_cast<int>(text.size()));
  if (size < 0) return std::nullopt;
  // OpenSSL counts the padding as zero bytes.
  std::size_t padding = 0;
  while (padding < 2 && text[text.size() - 1 - padding] == '=') ++padding;
  out.resize(static_cast<std::size_t>(size) - padding);
  if (base64(out) != text) return std::nullopt;  // one spelling only
  return out;
}

}  // namespace bedside::store
