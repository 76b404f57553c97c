#include "server/password.h"

#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>

#include <algorithm>
#include <charconv>
#include <optional>
#include <span>
#include <vector>

namespace bedside::server {
namespace {

constexpr std::size_t kHashBytes = 32;
// What a stored line may ask for: enough for any sensible future, not enough to exhaust the
// machine.
constexpr unsigned kMaxLog2N = 20;
constexpr unsigned kMaxR = 16;
constexpr unsigned kMaxP = 4;

using Hash = std::array<std::uint8_t, kHashBytes>;

struct StoredLine {
  ScryptCost cost;
  std::vector<std::uint8_t> salt;
  std::vector<std::uint8_t> hash;
};

bool acceptable(const ScryptCost& cost) {
  return cost.log2_n >= 1 && cost.log2_n <= kMaxLog2N && cost.r >= 1 && cost.r <= kMaxR &&
         cost.p >= 1 && cost.p <= kMaxP;
}

bool scrypt(std::string_view password, std::span<const std::uint8_t> salt, const ScryptCost& cost,
            Hash& out) {
  const std::uint64_t n = std::uint64_t{1} << cost.log2_n;
  // RFC 7914 §2 needs 128·N·r + 128·r·p bytes; OpenSSL refuses above 32 MiB unless told otherwise.
  const std::uint64_t memory =
      128 * n * cost.r + std::uint64_t{128} * cost.r * cost.p + (1U << 20U);
  const bool done = EVP_PBE_scrypt(password.data(), password.size(), salt.data(), salt.size(), n,
                                   cost.r, cost.p, memory, out.data(), out.size()) == 1;
  if (!done) ERR_clear_error();
  return done;
}

// Base64 without padding, as the PHC string format has it.
std::string base64(std::span<const std::uint8_t> bytes) {
  std::vector<unsigned char> text(4 * ((bytes.size() + 2) / 3) + 1);
  EVP_EncodeBlock(text.data(), bytes.data(), static_cast<int>(bytes.size()));
  std::string result(text.begin(), text.end() - 1);
  while (result.ends_with('=')) result.pop_back();
  return result;
}

std::optional<std::vector<std::uint8_t>> from_base64(std::string_view text) {
  constexpr std::size_t kMaxText = 128;
  if (text.empty() || text.size() > kMaxText || text.size() % 4 == 1) return std::nullopt;
  if (text.find('=') != std::string_view::npos) return std::nullopt;
  const std::size_t size = text.size() * 3 / 4;
  std::vector<unsigned char> padded(text.begin(), text.end());
  while (padded.size() % 4 != 0) padded.push_back('=');
  std::vector<std::uint8_t> bytes(padded.size());
  if (EVP_DecodeBlock(bytes.data(), padded.data(), static_cast<int>(padded.size())) < 0) {
    ERR_clear_error();
    return std::nullopt;
  }
  bytes.resize(size);
  return bytes;
}

std::optional<unsigned> number_after(std::string_view& text, std::string_view key) {
  if (!text.starts_with(key)) return std::nullopt;
  text.remove_prefix(key.size());
  unsigned value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc()) return std::nullopt;
  text.remove_prefix(static_cast<std::size_t>(end - text.data()));
  return value;
}

std::optional<StoredLine> parse(std::string_view line) {
  StoredLine stored;
  const auto log2_n = number_after(line, "$scrypt$ln=");
  const auto r = number_after(line, ",r=");
  const auto p = number_after(line, ",p=");
  if (!log2_n || !r || !p || !line.starts_with('$')) return std::nullopt;
  stored.cost = {*log2_n, *r, *p};
  line.remove_prefix(1);
  const std::size_t split = line.find('$');
  if (!acceptable(stored.cost) || split == std::string_view::npos) return std::nullopt;
  auto salt = from_base64(line.substr(0, split));
  auto hash = from_base64(line.substr(split + 1));
  if (!salt || !hash || hash->size() != kHashBytes) return std::nullopt;
  stored.salt = std::move(*salt);
  stored.hash = std::move(*hash);
  return stored;
}

std::string encode(const ScryptCost& cost, std::span<const std::uint8_t> salt,
                   std::span<const std::uint8_t> hash) {
  return "$scrypt$ln=" + std::to_string(cost.log2_n) + ",r=" + std::to_string(cost.r) +
         ",p=" + std::to_string(cost.p) + "$" + base64(salt) + "$" + base64(hash);
}

// The length of well-formed UTF-8 in code points; nothing for other bytes and control characters.
std::optional<std::size_t> characters(std::string_view text) {
  std::size_t count = 0;
  for (std::size_t i = 0; i < text.size(); ++count) {
    const auto lead = static_cast<unsigned char>(text[i]);
    if (lead < 0x20 || lead == 0x7F) return std::nullopt;
    const std::size_t size = lead < 0x80   ? 1
                             : lead < 0xC2 ? 0
                             : lead < 0xE0 ? 2
                             : lead < 0xF0 ? 3
                                           : 4;
    if (size == 0 || lead > 0xF4 || i + size > text.size()) return std::nullopt;
    for (std::size_t k = 1; k < size; ++k) {
      if ((static_cast<unsigned char>(text[i + k]) & 0xC0U) != 0x80U) return std::nullopt;
    }
    i += size;
  }
  return count;
}

bool same_ignoring_case(std::string_view a, std::string_view b) {
  const auto lower = [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; };
  return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                    [&](char x, char y) { return lower(x) == lower(y); });
}

}  // namespace

PasswordRule check_password_rules(std::string_view password, std::string_view account_name) {
  if (password.size() > kMaxPasswordBytes) return PasswordRule::too_long;
  const auto count = characters(password);
  if (!count) return PasswordRule::not_text;
  if (*count < kMinPasswordChars) return PasswordRule::too_short;
  const bool repeated = password.find_first_not_of(password.front()) == std::string_view::npos;
  if (repeated || same_ignoring_case(password, account_name)) return PasswordRule::too_plain;
  return PasswordRule::fine;
}

tl::expected<std::string, PasswordError> hash_password(std::string_view password,
                                                       const PasswordSalt& salt, ScryptCost cost) {
  if (!acceptable(cost)) return tl::unexpected(PasswordError::cost);
  Hash hash{};
  if (!scrypt(password, salt, cost, hash)) return tl::unexpected(PasswordError::memory);
  std::string line = encode(cost, salt, hash);
  OPENSSL_cleanse(hash.data(), hash.size());
  return line;
}

PasswordMatch verify_password(std::string_view password, std::string_view encoded) {
  const auto stored = parse(encoded);
  if (!stored) return PasswordMatch::unreadable;
  Hash hash{};
  if (!scrypt(password, stored->salt, stored->cost, hash)) return PasswordMatch::failed;
  const bool same = CRYPTO_memcmp(hash.data(), stored->hash.data(), hash.size()) == 0;
  OPENSSL_cleanse(hash.data(), hash.size());
  return same ? PasswordMatch::yes : PasswordMatch::no;
}

std::string decoy_password_line(ScryptCost cost) {
  // Zeros are the hash of no known password; the salt need not be secret or unique here.
  return encode(cost, PasswordSalt{}, Hash{});
}

}  // namespace bedside::server
