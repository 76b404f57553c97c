#include "server/audit_data_keys.h"

#include <openssl/crypto.h>
#include <openssl/rand.h>

#include <algorithm>
#include <cstddef>
#include <ctime>

namespace bedside::server {
namespace {

// "bf2:2026-11:ip\n", then nonce, ciphertext and tag. Values from before there were data keys begin
// with a random nonce instead.
constexpr std::string_view kMark = "bf2:";
constexpr std::size_t kMonthLength = 7;
constexpr std::size_t kMaxHeader = 64;

std::string wrapping_purpose(std::string_view month) {
  return "bedside audit data key v1:" + std::string(month);
}

std::string header_of(std::string_view month, std::string_view field) {
  return std::string(kMark).append(month).append(":").append(field).append("\n");
}

// With its line end; empty: there is none.
std::string header_in(std::span<const std::uint8_t> sealed) {
  const auto window = sealed.first(std::min(sealed.size(), kMaxHeader));
  const auto end = std::find(window.begin(), window.end(), '\n');
  if (end == window.end()) return {};
  std::string header(window.begin(), end + 1);
  const bool whole = header.size() > kMark.size() + kMonthLength && header.starts_with(kMark) &&
                     header[kMark.size() + kMonthLength] == ':';
  return whole ? header : std::string();
}

}  // namespace

std::string month_of(std::chrono::milliseconds wall) {
  const std::time_t seconds = std::chrono::duration_cast<std::chrono::seconds>(wall).count();
  std::tm utc{};
  gmtime_r(&seconds, &utc);
  std::array<char, 16> text{};
  return {text.data(), std::strftime(text.data(), text.size(), "%Y-%m", &utc)};
}

AuditDataKeys::AuditDataKeys(AesKey wrapping, AesKey former) {
  std::copy(wrapping.begin(), wrapping.end(), wrapping_.begin());
  std::copy(former.begin(), former.end(), former_.begin());
}

AuditDataKeys::~AuditDataKeys() {
  OPENSSL_cleanse(wrapping_.data(), wrapping_.size());
  OPENSSL_cleanse(former_.data(), former_.size());
  for (auto& [month, key] : keys_) OPENSSL_cleanse(key.data(), key.size());
}

std::vector<std::uint8_t> AuditDataKeys::make(std::string_view month) const {
  DataKey fresh{};
  if (RAND_bytes(fresh.data(), static_cast<int>(fresh.size())) != 1) return {};
  auto wrapped = aes_gcm_encrypt(wrapping_, fresh, wrapping_purpose(month));
  OPENSSL_cleanse(fresh.data(), fresh.size());
  return wrapped;
}

bool AuditDataKeys::adopt(const std::string& month, std::span<const std::uint8_t> wrapped) {
  const std::string purpose = wrapping_purpose(month);
  auto key = aes_gcm_decrypt(wrapping_, wrapped, purpose);
  if (!key) key = aes_gcm_decrypt(former_, wrapped, purpose);
  if (!key || key->size() != sizeof(DataKey)) return false;
  const std::lock_guard lock(mutex_);
  std::copy(key->begin(), key->end(), keys_[month].begin());
  OPENSSL_cleanse(key->data(), key->size());
  in_use_ = std::max(in_use_, month);
  return true;
}

bool AuditDataKeys::use(const std::string& month) {
  const std::lock_guard lock(mutex_);
  if (keys_.count(month) == 0) return false;
  in_use_ = month;
  return true;
}

std::string AuditDataKeys::in_use() const {
  const std::lock_guard lock(mutex_);
  return in_use_;
}

std::vector<std::uint8_t> AuditDataKeys::encrypt(std::string_view field,
                                                 std::span<const std::uint8_t> plain) const {
  const std::lock_guard lock(mutex_);
  const auto found = keys_.find(in_use_);
  if (found == keys_.end()) return {};
  const auto& [month, key] = *found;
  const std::string header = header_of(month, field);
  const auto value = aes_gcm_encrypt(key, plain, header);
  if (value.empty() || header.size() > kMaxHeader) return {};
  std::vector<std::uint8_t> sealed(header.begin(), header.end());
  sealed.insert(sealed.end(), value.begin(), value.end());
  return sealed;
}

std::optional<std::vector<std::uint8_t>> AuditDataKeys::decrypt(
    std::span<const std::uint8_t> sealed) const {
  const std::string header = header_in(sealed);
  if (header.empty()) return std::nullopt;
  const std::lock_guard lock(mutex_);
  const auto key = keys_.find(header.substr(kMark.size(), kMonthLength));
  if (key == keys_.end()) return std::nullopt;
  return aes_gcm_decrypt(key->second, sealed.subspan(header.size()), header);
}

bool AuditDataKeys::names_its_month(std::span<const std::uint8_t> sealed) {
  return !header_in(sealed).empty();
}

}  // namespace bedside::server
