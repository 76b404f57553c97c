#include "store/checkpoint.h"

#include <algorithm>
#include <charconv>

namespace bedside::store {
namespace {

constexpr std::string_view kEpochLine = "epoch ";
constexpr std::string_view kTimeLine = "time ";

// A number as we would write it: no sign, no leading zero.
template <typename Number>
bool read_number(std::string_view text, Number& out) {
  if (text.empty() || (text.size() > 1 && text.front() == '0') || text.front() == '-') return false;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out);
  return error == std::errc() && end == text.data() + text.size();
}

std::optional<std::string_view> take(std::string_view& text) {
  const std::size_t end = text.find('\n');
  if (end == std::string_view::npos) return std::nullopt;
  const std::string_view line = text.substr(0, end);
  text.remove_prefix(end + 1);
  return line;
}

}  // namespace

std::string Checkpoint::text() const {
  std::string out = origin + "\n" + std::to_string(size) + "\n" + base64(root) + "\n";
  out.append(kEpochLine).append(std::to_string(epoch)).append("\n");
  out.append(kTimeLine).append(std::to_string(time_us)).append("\n");
  return out;
}

std::optional<Checkpoint> Checkpoint::parse(std::string_view text) {
  Checkpoint made;
  const std::string_view whole = text;
  const auto origin = take(text);
  const auto size = take(text);
  const auto root = take(text);
  const auto epoch = take(text);
  const auto time = take(text);
  if (!time || !text.empty() || origin->empty()) return std::nullopt;
  const auto hash = from_base64(*root);
  if (!hash || hash->size() != made.root.size() || !read_number(*size, made.size) ||
      !epoch->starts_with(kEpochLine) || !time->starts_with(kTimeLine) ||
      !read_number(epoch->substr(kEpochLine.size()), made.epoch) ||
      !read_number(time->substr(kTimeLine.size()), made.time_us)) {
    return std::nullopt;
  }
  made.origin = *origin;
  std::copy(hash->begin(), hash->end(), made.root.begin());
  if (made.text() != whole) return std::nullopt;
  return made;
}

tl::expected<std::string, std::string> sign_checkpoint(const Checkpoint& checkpoint,
                                                       const SigningKey& key) {
  return sign_note(checkpoint.text(), checkpoint.origin, key);
}

std::string epoch_message(std::string_view origin, std::uint64_t epoch, const PublicKey& next,
                          std::uint64_t size_before, const Hash& root_before) {
  std::string message = "bedside audit epoch\n";
  message.append(origin).append("\n").append(std::to_string(epoch)).append("\n");
  message.append(to_hex(next)).append("\n").append(std::to_string(size_before)).append("\n");
  return message.append(to_hex(root_before)).append("\n");
}

std::string epoch_message(std::string_view origin, std::uint64_t epoch, const PublicKey& next,
                          const MerkleEdge& before) {
  return epoch_message(origin, epoch, next, before.size(), before.root());
}

std::string to_hex(std::span<const std::uint8_t> bytes) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string text;
  text.reserve(2 * bytes.size());
  for (const std::uint8_t byte : bytes) {
    text += kDigits[byte >> 4];
    text += kDigits[byte & 15];
  }
  return text;
}

bool from_hex(std::string_view text, std::span<std::uint8_t> out) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  if (text.size() != 2 * out.size()) return false;
  for (std::size_t i = 0; i < out.size(); ++i) {
    const std::size_t high = kDigits.find(text[2 * i]);
    const std::size_t low = kDigits.find(text[2 * i + 1]);
    if (high == std::string_view::npos || low == std::string_view::npos) return false;
    out[i] = static_cast<std::uint8_t>(high << 4 | low);
  }
  return true;
}

}  // namespace bedside::store
