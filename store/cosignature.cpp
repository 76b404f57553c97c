#include "store/cosignature.h"

#include <openssl/sha.h>

#include <algorithm>
#include <charconv>
#include <span>
#include <utility>
#include <vector>

#include "store/checkpoint.h"

namespace bedside::store {
namespace {

constexpr std::string_view kSignatureMark = "\xE2\x80\x94 ";
constexpr std::size_t kTimeBytes = 8;

using KeyId = std::array<std::uint8_t, 4>;

KeyId id_of(std::string_view name, KeyKind kind, const PublicKey& key) {
  std::vector<std::uint8_t> input(name.begin(), name.end());
  input.push_back('\n');
  input.push_back(static_cast<std::uint8_t>(kind));
  input.insert(input.end(), key.begin(), key.end());
  Hash hash{};
  SHA256(input.data(), input.size(), hash.data());
  return {hash[0], hash[1], hash[2], hash[3]};
}

// What a key's name may be: it stands between spaces and pluses.
bool is_name(std::string_view name) {
  return !name.empty() && name.size() <= 256 && std::all_of(name.begin(), name.end(), [](char c) {
    return c > ' ' && c != '+' && c != 0x7F;
  });
}

std::string signature_line(std::string_view name, const KeyId& id,
                           std::span<const std::uint8_t> time, const Signature& signature) {
  std::vector<std::uint8_t> blob(id.begin(), id.end());
  blob.insert(blob.end(), time.begin(), time.end());
  blob.insert(blob.end(), signature.begin(), signature.end());
  return std::string(kSignatureMark).append(name).append(" ").append(base64(blob)).append("\n");
}

std::string cosigned_message(std::string_view text, std::uint64_t time) {
  return "cosignature/v1\ntime " + std::to_string(time) + "\n" + std::string(text);
}

std::optional<std::string_view> cut_line(std::string_view& text) {
  const std::size_t end = text.find('\n');
  if (end == std::string_view::npos) return std::nullopt;
  const std::string_view line = text.substr(0, end);
  text.remove_prefix(end + 1);
  return line;
}

}  // namespace

std::string VerifierKey::text() const {
  std::vector<std::uint8_t> blob{static_cast<std::uint8_t>(kind)};
  blob.insert(blob.end(), key.begin(), key.end());
  return name + "+" + to_hex(id_of(name, kind, key)) + "+" + base64(blob);
}

std::optional<VerifierKey> VerifierKey::parse(std::string_view text) {
  const std::size_t first = text.find('+');
  if (first == std::string_view::npos) return std::nullopt;
  const std::size_t second = text.find('+', first + 1);
  if (second == std::string_view::npos) return std::nullopt;
  VerifierKey made;
  made.name = text.substr(0, first);
  const auto blob = from_base64(text.substr(second + 1));
  if (!is_name(made.name) || !blob || blob->size() != 1 + made.key.size()) return std::nullopt;
  if (blob->front() != static_cast<std::uint8_t>(KeyKind::log) &&
      blob->front() != static_cast<std::uint8_t>(KeyKind::witness)) {
    return std::nullopt;
  }
  made.kind = static_cast<KeyKind>(blob->front());
  std::copy(blob->begin() + 1, blob->end(), made.key.begin());
  if (made.text() != text) return std::nullopt;
  return made;
}

tl::expected<std::string, std::string> add_log_signature(std::string_view note,
                                                         std::string_view name,
                                                         const SigningKey& key) {
  const auto parsed = parse_note(note);
  if (!parsed) return tl::unexpected(std::string("this is no signed note"));
  const auto signature = key.sign(parsed->text);
  if (!signature) return tl::unexpected(signature.error());
  return std::string(note) +
         signature_line(name, id_of(name, KeyKind::log, key.public_key()), {}, *signature);
}

tl::expected<std::string, std::string> cosign(std::string_view note_text, std::chrono::seconds time,
                                              std::string_view name, const SigningKey& key) {
  const auto when = static_cast<std::uint64_t>(time.count());
  const auto signature = key.sign(cosigned_message(note_text, when));
  if (!signature) return tl::unexpected(signature.error());
  std::array<std::uint8_t, kTimeBytes> stamp{};
  for (std::size_t i = 0; i < kTimeBytes; ++i) {
    stamp[i] = static_cast<std::uint8_t>(when >> (8 * (kTimeBytes - 1 - i)));
  }
  return signature_line(name, id_of(name, KeyKind::witness, key.public_key()), stamp, *signature);
}

std::optional<std::chrono::seconds> cosigned_at(const Note& note, const VerifierKey& witness) {
  if (witness.kind != KeyKind::witness) return std::nullopt;
  const KeyId id = id_of(witness.name, KeyKind::witness, witness.key);
  for (const NoteSignature& line : note.signatures) {
    Signature signature{};
    if (line.name != witness.name || line.key_id != id ||
        line.signature.size() != kTimeBytes + signature.size()) {
      continue;
    }
    std::uint64_t time = 0;
    for (std::size_t i = 0; i < kTimeBytes; ++i) time = time << 8 | line.signature[i];
    std::copy(line.signature.begin() + kTimeBytes, line.signature.end(), signature.begin());
    if (verify(witness.key, cosigned_message(note.text, time), signature)) {
      return std::chrono::seconds(time);
    }
  }
  return std::nullopt;
}

bool is_signed_by_log(const Note& note, const VerifierKey& log) {
  return log.kind == KeyKind::log && is_signed_by(note, log.name, log.key);
}

std::optional<TreeHead> read_tree_head(std::string_view note_text) {
  const auto origin = cut_line(note_text);
  const auto size = cut_line(note_text);
  const auto root = cut_line(note_text);
  if (!root || origin->empty()) return std::nullopt;
  TreeHead head;
  head.origin = *origin;
  const auto [end, error] = std::from_chars(size->data(), size->data() + size->size(), head.size);
  const auto hash = from_base64(*root);
  if (error != std::errc() || std::to_string(head.size) != *size || !hash ||
      hash->size() != head.root.size()) {
    return std::nullopt;
  }
  std::copy(hash->begin(), hash->end(), head.root.begin());
  return head;
}

}  // namespace bedside::store
