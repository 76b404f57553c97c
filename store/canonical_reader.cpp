#include "store/canonical_reader.h"

#include <algorithm>
#include <charconv>

#include "store/canonical_json.h"

namespace bedside::store {
namespace {

constexpr std::string_view kHex = "0123456789abcdef";

// What `\u00XX` stands for; nothing when it is not spelled as JsonObject spells it.
std::optional<char> control_character(std::string_view escape) {
  if (escape.size() < 6 || escape.substr(0, 4) != "\\u00") return std::nullopt;
  const std::size_t high = kHex.find(escape[4]);
  const std::size_t low = kHex.find(escape[5]);
  if (high == std::string_view::npos || low == std::string_view::npos) return std::nullopt;
  return static_cast<char>(high << 4 | low);
}

// A cursor over the text; every take_… returns an empty view when the text is not canonical there.
class Scanner {
 public:
  explicit Scanner(std::string_view text) : text_(text) {}
  bool at_end() const { return at_ == text_.size(); }
  bool take(char c) {
    if (at_end() || text_[at_] != c) return false;
    ++at_;
    return true;
  }
  // With quotes. Whether what is inside is spelled canonically is decided by spelling it again.
  std::string_view take_string() {
    const std::size_t start = at_;
    if (!take('"')) return {};
    while (!at_end() && text_[at_] != '"') at_ += text_[at_] == '\\' ? 2 : 1;
    if (at_ > text_.size() || !take('"')) return {};
    return text_.substr(start, at_ - start);
  }
  std::string_view take_integer() {
    const std::size_t start = at_;
    std::int64_t value = 0;
    const auto [end, error] =
        std::from_chars(text_.data() + at_, text_.data() + text_.size(), value);
    if (error != std::errc()) return {};
    at_ = static_cast<std::size_t>(end - text_.data());
    const std::string_view spelled = text_.substr(start, at_ - start);
    return spelled == std::to_string(value) ? spelled : std::string_view();
  }
  // A nested object up to its closing brace; what is inside is looked at by its own parse.
  std::string_view take_object() {
    const std::size_t start = at_;
    int depth = 0;
    do {
      if (at_end()) return {};
      const char c = text_[at_];
      if (c == '"') {
        if (take_string().empty()) return {};
        continue;
      }
      if (c == '{') ++depth;
      if (c == '}') --depth;
      ++at_;
    } while (depth > 0);
    return text_.substr(start, at_ - start);
  }
  std::string_view take_value() {
    if (at_end()) return {};
    if (text_[at_] == '"') return take_string();
    return text_[at_] == '{' ? take_object() : take_integer();
  }

 private:
  std::string_view text_;
  std::size_t at_ = 0;
};

std::string unescaped(std::string_view quoted) {
  std::string out;
  for (std::size_t i = 1; i + 1 < quoted.size(); ++i) {
    if (quoted[i] != '\\') {
      out += quoted[i];
    } else if (const auto control = control_character(quoted.substr(i))) {
      out += *control;
      i += 5;
    } else {
      out += quoted[++i];
    }
  }
  return out;
}

bool is_canonical_string(std::string_view quoted) {
  // Most strings need no escapes and no more than ASCII: nothing can be spelled differently.
  const auto plain = [](char c) {
    const auto code = static_cast<unsigned char>(c);
    return code >= 0x20 && code < 0x7F && c != '\\';
  };
  const std::string_view inner = quoted.substr(1, quoted.size() - 2);
  if (std::all_of(inner.begin(), inner.end(), plain)) return true;
  return quoted_json(unescaped(quoted)) == quoted;
}

bool is_canonical(std::string_view text, int depth);

bool is_canonical_value(std::string_view value, int depth) {
  if (value.front() == '"') return is_canonical_string(value);
  return value.front() != '{' || is_canonical(value, depth + 1);
}

// Calls `field` with each key and value; false when the text is not one canonical object.
template <typename OnField>
bool scan(std::string_view text, OnField field) {
  Scanner scanner(text);
  if (!scanner.take('{')) return false;
  std::string_view last;
  bool first = true;
  while (!scanner.take('}')) {
    if (!first && !scanner.take(',')) return false;
    const std::string_view quoted = scanner.take_string();
    if (quoted.size() < 2 || !is_canonical_string(quoted) || !scanner.take(':')) return false;
    const std::string_view key = quoted.substr(1, quoted.size() - 2);
    if (!first && key <= last) return false;
    const std::string_view value = scanner.take_value();
    if (value.empty() || !field(key, value)) return false;
    last = key;
    first = false;
  }
  return scanner.at_end();
}

bool is_canonical(std::string_view text, int depth) {
  if (depth > CanonicalObject::kMaxDepth) return false;
  return scan(text, [&](std::string_view, std::string_view value) {
    return is_canonical_value(value, depth);
  });
}

}  // namespace

std::optional<CanonicalObject> CanonicalObject::parse(std::string_view text) {
  CanonicalObject made;
  made.fields_.reserve(16);
  const bool canonical = scan(text, [&](std::string_view key, std::string_view value) {
    made.fields_.push_back({key, value});
    return is_canonical_value(value, 0);
  });
  if (!canonical) return std::nullopt;
  return made;
}

const CanonicalObject::Field* CanonicalObject::find(std::string_view key) const {
  const auto it = std::find_if(fields_.begin(), fields_.end(),
                               [&](const Field& field) { return field.key == key; });
  return it == fields_.end() ? nullptr : &*it;
}

std::optional<std::string> CanonicalObject::text(std::string_view key) const {
  const Field* field = find(key);
  if (field == nullptr || field->value.front() != '"') return std::nullopt;
  return unescaped(field->value);
}

std::optional<std::int64_t> CanonicalObject::integer(std::string_view key) const {
  const Field* field = find(key);
  if (field == nullptr || field->value.front() == '"' || field->value.front() == '{') {
    return std::nullopt;
  }
  std::int64_t value = 0;
  std::from_chars(field->value.data(), field->value.data() + field->value.size(), value);
  return value;
}

std::optional<CanonicalObject> CanonicalObject::object(std::string_view key) const {
  const Field* field = find(key);
  if (field == nullptr || field->value.front() != '{') return std::nullopt;
  return parse(field->value);
}

std::string_view CanonicalObject::spelled(std::string_view key) const {
  const Field* field = find(key);
  return field == nullptr ? std::string_view() : field->value;
}

std::optional<JsonObject> read_json_object(std::string_view text) {
  if (!CanonicalObject::parse(text)) return std::nullopt;
  JsonObject made;
  const auto set = [&](std::string_view key, std::string_view value) {
    if (value.front() == '"') {
      made.set(key, unescaped(value));
    } else if (value.front() == '{') {
      made.set(key, *read_json_object(value));
    } else {
      std::int64_t number = 0;
      std::from_chars(value.data(), value.data() + value.size(), number);
      made.set(key, number);
    }
    return true;
  };
  scan(text, set);
  return made;
}

}  // namespace bedside::store
