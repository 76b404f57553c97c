#pragma once

// Ed25519 (RFC 8032) and signed notes as C2SP specifies them: a text, an empty line, and one
// signature line "— NAME BASE64(key id || signature)" a signer. Values and functions: any thread.

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <tl/expected.hpp>
#include <vector>

struct evp_pkey_st;

namespace bedside::store {

using PublicKey = std::array<std::uint8_t, 32>;
using Signature = std::array<std::uint8_t, 64>;

// A private key. Its seed is cleansed when it goes; it is never copied.
class SigningKey {
 public:
  static constexpr std::size_t kSeedSize = 32;

  // Errors: the library has no randomness or no memory.
  static tl::expected<SigningKey, std::string> generate();
  static tl::expected<SigningKey, std::string> from_seed(std::span<const std::uint8_t> seed);

  const PublicKey& public_key() const { return public_; }
  // To be written to a private file; the caller cleanses the copy.
  std::array<std::uint8_t, kSeedSize> seed() const;
  tl::expected<Signature, std::string> sign(std::string_view message) const;

 private:
  struct Free {
    void operator()(evp_pkey_st* key) const;
  };
  explicit SigningKey(evp_pkey_st* key);

  std::unique_ptr<evp_pkey_st, Free> key_;
  PublicKey public_{};
};

[[nodiscard]] bool verify(const PublicKey& key, std::string_view message,
                          const Signature& signature);

// The first four bytes of SHA-256(name || 0x0A || 0x01 || public key): tells which of several keys
// of one name has signed.
std::array<std::uint8_t, 4> note_key_id(std::string_view name, const PublicKey& key);

// `text` ends with a line break and has no empty line. The result is the note with one signature.
tl::expected<std::string, std::string> sign_note(std::string_view text, std::string_view name,
                                                 const SigningKey& key);

struct NoteSignature {
  std::string name;
  std::array<std::uint8_t, 4> key_id{};
  std::vector<std::uint8_t> signature;  // 64 bytes for Ed25519; other kinds have other sizes
};
struct Note {
  std::string text;  // what is signed, with its last line break
  std::vector<NoteSignature> signatures;
};
inline constexpr std::size_t kMaxNote = 8192;
inline constexpr std::size_t kMaxNoteSignatures = 16;

// Nothing when it is no note (C2SP signed-note: no control characters, a last line break, at least
// one signature line), or larger than the limits.
std::optional<Note> parse_note(std::string_view note);

// Signed by that key under that name.
[[nodiscard]] bool is_signed_by(const Note& note, std::string_view name, const PublicKey& key);

std::string base64(std::span<const std::uint8_t> bytes);
std::optional<std::vector<std::uint8_t>> from_base64(std::string_view text);  // strict, padded

}  // namespace bedside::store
