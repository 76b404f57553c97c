#include "store/receipt.h"

#include <algorithm>
#include <charconv>
#include <utility>

#include "store/canonical_reader.h"

namespace bedside::store {
namespace {

constexpr std::string_view kTlogProof = "c2sp.org/tlog-proof@v1";
constexpr std::string_view kExtra = "extra ";
constexpr std::string_view kIndex = "index ";
constexpr std::size_t kMaxHashes = 63;

std::string_view receipt_line(std::string_view& rest) {
  const std::size_t end = rest.find('\n');
  const std::string_view line = rest.substr(0, end);
  rest.remove_prefix(end == std::string_view::npos ? rest.size() : end + 1);
  return line;
}

// Digits in the one spelling they have.
std::optional<std::uint64_t> receipt_index(std::string_view text) {
  std::uint64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || std::to_string(number) != text) return std::nullopt;
  return number;
}

}  // namespace

std::string Receipt::text() const {
  std::string made(kTlogProof);
  made += '\n';
  made += kExtra;
  made += base64(std::vector<std::uint8_t>(body.begin(), body.end()));
  made += '\n';
  made += kIndex;
  made += std::to_string(index) + "\n";
  for (const Hash& hash : proof) made += base64(hash) + "\n";
  return made + "\n" + checkpoint;
}

std::optional<Receipt> Receipt::parse(std::string_view text) {
  if (text.size() > kMaxReceipt || receipt_line(text) != kTlogProof) return std::nullopt;
  Receipt made;
  std::string_view line = receipt_line(text);
  if (!line.starts_with(kExtra)) return std::nullopt;
  const auto body = from_base64(line.substr(kExtra.size()));
  line = receipt_line(text);
  if (!body || !line.starts_with(kIndex)) return std::nullopt;
  made.body.assign(body->begin(), body->end());
  const auto index = receipt_index(line.substr(kIndex.size()));
  if (!index) return std::nullopt;
  made.index = *index;
  while (!(line = receipt_line(text)).empty()) {
    const auto hash = from_base64(line);
    if (!hash || hash->size() != sizeof(Hash) || made.proof.size() == kMaxHashes) {
      return std::nullopt;
    }
    std::copy(hash->begin(), hash->end(), made.proof.emplace_back().begin());
  }
  made.checkpoint = text;
  return made;
}

tl::expected<ReceiptPromise, std::string> check_receipt(std::string_view text) {
  const auto receipt = Receipt::parse(text);
  auto note = receipt ? parse_note(receipt->checkpoint) : std::nullopt;
  const auto checkpoint = note ? Checkpoint::parse(note->text) : std::nullopt;
  if (!checkpoint) return tl::unexpected(std::string("it is not readable"));
  const auto body = CanonicalObject::parse(receipt->body);
  const std::int64_t seq = body ? body->integer("seq").value_or(0) : 0;
  const Hash leaf = leaf_hash(receipt->body);
  if (seq <= 0 || static_cast<std::uint64_t>(seq) - 1 != receipt->index ||
      !verify_inclusion(leaf, receipt->index, checkpoint->size, receipt->proof, checkpoint->root)) {
    return tl::unexpected(std::string("its checkpoint does not cover its record"));
  }
  return ReceiptPromise{std::move(*note), *checkpoint, receipt->index + 1, leaf};
}

}  // namespace bedside::store
