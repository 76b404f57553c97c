#include "signaling/quick_forward.h"

#include <charconv>
#include <cstdint>
#include <string>

#include "signaling/limits.h"

namespace bedside::signaling {
namespace {

constexpr std::size_t kSafeDigits = 15;  // of a number that no reader rounds or refuses

// A cursor over JSON text. Every take_… gives false where the text is not what it looks for, and
// the whole attempt ends there.
class Scanner {
 public:
  explicit Scanner(std::string_view text) : text_(text) {}

  bool at_end() const { return at_ == text_.size(); }
  std::size_t position() const { return at_; }

  void skip_space() {
    while (!at_end() && (peek() == ' ' || peek() == '\t' || peek() == '\n' || peek() == '\r'))
      ++at_;
  }
  bool take(char c) {
    if (at_end() || peek() != c) return false;
    ++at_;
    return true;
  }

  // What is between the quotes; with `plain`, nothing may be escaped in it.
  bool take_string(std::string_view& inside, bool plain) {
    if (!take('"')) return false;
    const std::size_t begin = at_;
    for (; !at_end() && peek() != '"'; ++at_) {
      const auto c = static_cast<unsigned char>(peek());
      if (c < 0x20 || c > 0x7e) return false;
      if (c == '\\' && (plain || !take_escape())) return false;
    }
    inside = text_.substr(begin, at_ - begin);
    return take('"');
  }

  // Any value, `depth` levels of which are open already.
  bool take_value(std::size_t depth) {
    if (at_end()) return false;
    std::string_view ignored;
    switch (peek()) {
      case '{':
        return depth < kMaxJsonDepth && take_object(depth + 1);
      case '[':
        return depth < kMaxJsonDepth && take_array(depth + 1);
      case '"':
        return take_string(ignored, false);
      case 't':
        return take_word("true");
      case 'f':
        return take_word("false");
      case 'n':
        return take_word("null");
      default:
        return take_number();
    }
  }

  // A number without sign, fraction and exponent.
  bool take_unsigned(std::uint64_t& number) {
    const std::size_t begin = at_;
    if (!take_number()) return false;
    const std::string_view digits = text_.substr(begin, at_ - begin);
    const auto read = std::from_chars(digits.data(), digits.data() + digits.size(), number);
    return read.ec == std::errc() && read.ptr == digits.data() + digits.size();
  }

 private:
  char peek() const { return text_[at_]; }

  // The character behind a backslash, which is the last one afterwards. \u may be half of a pair,
  // which the long way judges.
  bool take_escape() {
    ++at_;
    constexpr std::string_view kEscapes = "\"\\/bfnrt";
    return !at_end() && kEscapes.find(peek()) != std::string_view::npos;
  }

  bool take_word(std::string_view word) {
    if (text_.substr(at_, word.size()) != word) return false;
    at_ += word.size();
    return true;
  }

  std::size_t take_digits() {
    const std::size_t begin = at_;
    while (!at_end() && peek() >= '0' && peek() <= '9') ++at_;
    return at_ - begin;
  }

  bool take_number() {
    take('-');
    const bool zero = !at_end() && peek() == '0';
    const std::size_t whole = take_digits();
    if (whole == 0 || whole > kSafeDigits || (zero && whole > 1)) return false;
    if (take('.')) {
      const std::size_t fraction = take_digits();
      if (fraction == 0 || fraction > kSafeDigits) return false;
    }
    return at_end() || (peek() != 'e' && peek() != 'E');
  }

  bool take_object(std::size_t depth) {
    ++at_;
    skip_space();
    if (take('}')) return true;
    do {
      std::string_view key;
      skip_space();
      if (!take_string(key, false)) return false;
      skip_space();
      if (!take(':')) return false;
      skip_space();
      if (!take_value(depth)) return false;
      skip_space();
    } while (take(','));
    return take('}');
  }

  bool take_array(std::size_t depth) {
    ++at_;
    skip_space();
    if (take(']')) return true;
    do {
      skip_space();
      if (!take_value(depth)) return false;
      skip_space();
    } while (take(','));
    return take(']');
  }

  std::string_view text_;
  std::size_t at_ = 0;
};

// What a message says about itself.
struct Facts {
  std::string_view type;
  std::string_view target;
  std::optional<std::uint64_t> client_seq;
};

// One member of the message.
bool take_member(Scanner& scanner, Facts& facts) {
  std::string_view key;
  scanner.skip_space();
  if (!scanner.take_string(key, true)) return false;
  scanner.skip_space();
  if (!scanner.take(':')) return false;
  scanner.skip_space();
  if (key == "type") return facts.type.empty() && scanner.take_string(facts.type, true);
  if (key == "targetPeerId") {
    return facts.target.empty() && scanner.take_string(facts.target, true);
  }
  if (key == "clientSeq") {
    std::uint64_t number = 0;
    if (facts.client_seq || !scanner.take_unsigned(number)) return false;
    facts.client_seq = number;
    return true;
  }
  if (key == "fromPeerId" || key == "seq" || key == "requestId") return false;
  return scanner.take_value(1);
}

}  // namespace

std::optional<ClientMessage> quick_forward(std::string_view text) {
  Scanner scanner(text);
  Facts facts;
  scanner.skip_space();
  const std::size_t begin = scanner.position();
  if (!scanner.take('{')) return std::nullopt;
  do {
    if (!take_member(scanner, facts)) return std::nullopt;
    scanner.skip_space();
  } while (scanner.take(','));
  if (!scanner.take('}')) return std::nullopt;
  const std::size_t end = scanner.position();
  scanner.skip_space();
  if (!scanner.at_end() || facts.target.empty()) return std::nullopt;
  if (facts.type != "ice-candidate" && facts.type != "offer" && facts.type != "answer") {
    return std::nullopt;
  }
  ClientMessage message;
  message.client_seq = facts.client_seq;
  message.body = Forward{std::string(facts.target), std::string(text.substr(begin, end - begin))};
  return message;
}

}  // namespace bedside::signaling
