#pragma once

// JSON of which there is exactly one spelling. Any thread.

#include <algorithm>
#include <concepts>
#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace bedside::store {

// A string with its quotes in the one spelling that this subset has.
std::string quoted_json(std::string_view text);
void append_quoted(std::string& out, std::string_view text);

// Above 2^63-1 no reader agrees on a number any more; such a value is kept as a string.
template <std::integral T>
std::string number_json(T value) {
  const std::string digits = std::to_string(value);
  return std::in_range<std::int64_t>(value) ? digits : quoted_json(digits);
}

// Builds the canonical JSON subset of audit bodies: one object with sorted ASCII keys, values that
// are integers, strings or such objects, no white space. The same content always gives the same
// bytes, so a hash over the text is a hash over the content. Bytes that are not UTF-8 become
// U+FFFD, control characters \u00XX: a value can neither break the text nor a line of a log. Keys
// are literals of ours.
class JsonObject {
 public:
  template <std::integral T>
  requires(!std::same_as<T, bool> && !std::same_as<T, char>) JsonObject& set(std::string_view key,
                                                                             T value) {
    return set_raw(key, number_json(value));
  }
  JsonObject& set(std::string_view key, std::string_view value);
  JsonObject& set(std::string_view key, const char* value) {
    return set(key, std::string_view(value));
  }
  JsonObject& set(std::string_view key, const std::string& value) {
    return set(key, std::string_view(value));
  }
  JsonObject& set(std::string_view key, const JsonObject& value) {
    depth_ = std::max(depth_, value.depth_ + 1);
    return set_raw(key, value.text());
  }
  JsonObject& set(std::string_view key,
                  bool value) = delete;  // no booleans in the subset: use 0 and 1

  // Sets the field only when the value is not empty: absent is shorter than "".
  JsonObject& set_if(std::string_view key, std::string_view value) {
    return value.empty() ? *this : set(key, value);
  }

  bool empty() const { return fields_.empty(); }
  // How many objects are inside each other, this one included, those that were replaced counted.
  int depth() const { return depth_; }
  std::string text() const;

 private:
  struct Field {
    std::string key;
    std::string value;  // serialised
  };
  JsonObject& set_raw(std::string_view key, std::string text);

  int depth_ = 1;
  std::vector<Field> fields_;  // by key: a sealed record is worth no tree of twenty nodes
};

// The same spelling for who knows the order of the keys: each field goes straight to the end of
// `out`, which is borrowed. The caller gives them in ascending order, each once, and then end().
class OrderedJson {
 public:
  explicit OrderedJson(std::string& out) : out_(out), begin_(out.size()) { out_ += '{'; }

  // Left out when it is empty: absent is shorter than "".
  void text(std::string_view key, std::string_view value);
  template <std::integral T>
  void number(std::string_view key, T value) {
    begin(key) += number_json(value);
  }
  void object(std::string_view key, const JsonObject& value) { begin(key) += value.text(); }
  // An object of texts, in the order of their keys; left out when all of them are empty.
  struct Text {
    std::string_view key;
    std::string_view value;
  };
  void texts(std::string_view key, std::initializer_list<Text> fields);
  // The field's name; its value is what the caller appends to the result, `out`.
  std::string& begin(std::string_view key);
  void end() { out_ += '}'; }

 private:
  std::string& out_;
  std::size_t begin_;
};

}  // namespace bedside::store
