#include "store/witness.h"

#include <algorithm>
#include <charconv>
#include <utility>

namespace bedside::store {
namespace {

constexpr std::string_view kOld = "old ";

std::optional<Hash> read_hash(std::string_view line) {
  const auto bytes = from_base64(line);
  Hash hash{};
  if (!bytes || bytes->size() != hash.size()) return std::nullopt;
  std::copy(bytes->begin(), bytes->end(), hash.begin());
  return hash;
}

}  // namespace

std::optional<AddCheckpoint> parse_add_checkpoint(std::string_view body) {
  AddCheckpoint request;
  const auto next_line = [&body]() -> std::optional<std::string_view> {
    const std::size_t end = body.find('\n');
    if (end == std::string_view::npos) return std::nullopt;
    const std::string_view line = body.substr(0, end);
    body.remove_prefix(end + 1);
    return line;
  };
  const auto old = next_line();
  if (!old || !old->starts_with(kOld)) return std::nullopt;
  const std::string_view digits = old->substr(kOld.size());
  std::from_chars(digits.data(), digits.data() + digits.size(), request.old_size);
  if (std::to_string(request.old_size) != digits) return std::nullopt;
  while (true) {
    const auto line = next_line();
    if (!line) return std::nullopt;
    if (line->empty()) break;
    const auto hash = read_hash(*line);
    if (!hash || request.proof.size() == kMaxConsistencyProof) return std::nullopt;
    request.proof.push_back(*hash);
  }
  auto note = parse_note(body);
  auto head = note ? read_tree_head(note->text) : std::nullopt;
  if (!head) return std::nullopt;
  request.checkpoint = std::move(*note);
  request.head = std::move(*head);
  return request;
}

std::string add_checkpoint_body(std::uint64_t old_size, std::span<const Hash> proof,
                                std::string_view checkpoint) {
  std::string body = std::string(kOld) + std::to_string(old_size) + "\n";
  for (const Hash& hash : proof) body.append(base64(hash)).append("\n");
  return body.append("\n").append(checkpoint);
}

WitnessVerdict judge(const AddCheckpoint& request, std::span<const VerifierKey> logs,
                     const std::optional<TreeHead>& known) {
  const TreeHead& head = request.head;
  const auto is_of_this = [&](const VerifierKey& log) { return log.name == head.origin; };
  if (std::none_of(logs.begin(), logs.end(), is_of_this)) return WitnessVerdict::unknown_log;
  if (std::none_of(logs.begin(), logs.end(), [&](const VerifierKey& log) {
        return is_of_this(log) && is_signed_by_log(request.checkpoint, log);
      })) {
    return WitnessVerdict::not_signed;
  }
  if (request.old_size > head.size) return WitnessVerdict::malformed;
  const std::uint64_t last_size = known ? known->size : 0;
  if (request.old_size != last_size) return WitnessVerdict::other_size;
  const Hash last_root = known ? known->root : empty_root();
  return verify_consistency(last_size, last_root, head.size, head.root, request.proof)
             ? WitnessVerdict::consistent
             : WitnessVerdict::inconsistent;
}

}  // namespace bedside::store
