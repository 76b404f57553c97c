#pragma once

// Keys that outlive an epoch, and what witnesses say with theirs (C2SP signed-note and
// tlog-cosignature). A log has one key by which witnesses know it; a witness has one by which logs
// and auditors know it. Values and functions: any thread.

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <tl/expected.hpp>

#include "store/merkle.h"
#include "store/signed_note.h"

namespace bedside::store {

enum class KeyKind : std::uint8_t {
  log = 1,      // Ed25519 over the note's text
  witness = 4,  // cosignature/v1: Ed25519 over a time and the note's text
};

// What one tells the other side: "NAME+KEYID+BASE64(kind || public key)".
struct VerifierKey {
  std::string name;
  KeyKind kind = KeyKind::log;
  PublicKey key{};

  std::string text() const;
  // Nothing when the text is damaged: the key id in it is checked.
  static std::optional<VerifierKey> parse(std::string_view text);
  friend bool operator==(const VerifierKey&, const VerifierKey&) = default;
};

// The note with one more signature, made by the log's lasting key.
tl::expected<std::string, std::string> add_log_signature(std::string_view note,
                                                         std::string_view name,
                                                         const SigningKey& key);

// One signature line, with its line break, that says: at `time` (Unix) this checkpoint was
// consistent with every one I have signed before.
tl::expected<std::string, std::string> cosign(std::string_view note_text, std::chrono::seconds time,
                                              std::string_view name, const SigningKey& key);

// When that witness has cosigned the note; nothing when it has not.
std::optional<std::chrono::seconds> cosigned_at(const Note& note, const VerifierKey& witness);
[[nodiscard]] bool is_signed_by_log(const Note& note, const VerifierKey& log);

// The first three lines of any checkpoint (C2SP tlog-checkpoint), whatever follows.
struct TreeHead {
  std::string origin;
  std::uint64_t size = 0;
  Hash root{};
  friend bool operator==(const TreeHead&, const TreeHead&) = default;
};
std::optional<TreeHead> read_tree_head(std::string_view note_text);

}  // namespace bedside::store
