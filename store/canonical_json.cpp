#include "store/canonical_json.h"

namespace bedside::store {
namespace {

constexpr std::string_view kReplacement = "\xEF\xBF\xBD";  // U+FFFD

// The length of the well-formed UTF-8 sequence at the front of `text`, 0 when there is none
// (RFC 3629 §4: no overlong forms, no surrogates, nothing above U+10FFFF).
std::size_t sequence_length(std::string_view text) {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned char lead = byte(0);
  if (lead < 0x80) return 1;
  std::size_t length = 0;
  unsigned char low = 0x80;  // allowed range of the second byte
  unsigned char high = 0xBF;
  if (lead >= 0xC2 && lead <= 0xDF) {
    length = 2;
  } else if (lead >= 0xE0 && lead <= 0xEF) {
    length = 3;
    if (lead == 0xE0) low = 0xA0;
    if (lead == 0xED) high = 0x9F;
  } else if (lead >= 0xF0 && lead <= 0xF4) {
    length = 4;
    if (lead == 0xF0) low = 0x90;
    if (lead == 0xF4) high = 0x8F;
  } else {
    return 0;
  }
  if (text.size() < length || byte(1) < low || byte(1) > high) return 0;
  for (std::size_t i = 2; i < length; ++i) {
    if ((byte(i) & 0xC0) != 0x80) return 0;
  }
  return length;
}

void append_ascii(std::string& out, char c) {
  constexpr std::string_view kHex = "0123456789abcdef";
  const auto code = static_cast<unsigned char>(c);
  if (c == '"' || c == '\\') {
    out += '\\';
    out += c;
  } else if (code < 0x20 || code == 0x7F) {
    out += "\\u00";
    out += kHex[code >> 4];
    out += kHex[code & 0xF];
  } else {
    out += c;
  }
}

// How many bytes at the front of `text` mean themselves: nearly always all of them.
std::size_t plain_length(std::string_view text) {
  const auto special = [](char c) { return c < 0x20 || c > 0x7E || c == '"' || c == '\\'; };
  return static_cast<std::size_t>(std::find_if(text.begin(), text.end(), special) - text.begin());
}

}  // namespace

void append_quoted(std::string& out, std::string_view text) {
  out += '"';
  while (!text.empty()) {
    const std::size_t plain = plain_length(text);
    out += text.substr(0, plain);
    text.remove_prefix(plain);
    if (text.empty()) break;
    const std::size_t length = sequence_length(text);
    if (length == 1) {
      append_ascii(out, text.front());
    } else if (length == 0) {
      out += kReplacement;
    } else {
      out += text.substr(0, length);
    }
    text.remove_prefix(length == 0 ? 1 : length);
  }
  out += '"';
}

std::string quoted_json(std::string_view text) {
  std::string out;
  out.reserve(text.size() + 2);
  append_quoted(out, text);
  return out;
}

JsonObject& JsonObject::set(std::string_view key, std::string_view value) {
  return set_raw(key, quoted_json(value));
}

JsonObject& JsonObject::set_raw(std::string_view key, std::string text) {
  const auto place = std::lower_bound(
      fields_.begin(), fields_.end(), key,
      [](const Field& field, std::string_view wanted) { return field.key < wanted; });
  if (place != fields_.end() && place->key == key) {
    place->value = std::move(text);
  } else {
    fields_.insert(place, {std::string(key), std::move(text)});
  }
  return *this;
}

std::string JsonObject::text() const {
  constexpr std::size_t kPunctuation = 4;  // of a field: quotes, colon, comma
  std::size_t size = 2;
  for (const auto& [key, value] : fields_) size += key.size() + value.size() + kPunctuation;
  std::string out;
  out.reserve(size);
  OrderedJson json(out);
  for (const auto& [key, value] : fields_) json.begin(key) += value;
  json.end();
  return out;
}

std::string& OrderedJson::begin(std::string_view key) {
  if (out_.size() > begin_ + 1) out_ += ',';
  append_quoted(out_, key);
  return out_ += ':';
}

void OrderedJson::text(std::string_view key, std::string_view value) {
  if (!value.empty()) append_quoted(begin(key), value);
}

void OrderedJson::texts(std::string_view key, std::initializer_list<Text> fields) {
  const auto empty = [](const Text& field) { return field.value.empty(); };
  if (std::all_of(fields.begin(), fields.end(), empty)) return;
  OrderedJson inner(begin(key));
  for (const auto& field : fields) inner.text(field.key, field.value);
  inner.end();
}

}  // namespace bedside::store
