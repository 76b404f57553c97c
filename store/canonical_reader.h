#pragma once

// Reads what JsonObject writes, and nothing else. Any thread.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "store/canonical_json.h"

namespace bedside::store {

// One canonical object: sorted keys, each once; values are strings, integers or such objects. All
// views borrow from the text that was parsed.
class CanonicalObject {
 public:
  static constexpr int kMaxDepth = 8;  // objects in one another, below the outermost one

  // Nothing unless `text` is exactly one object in its canonical spelling.
  static std::optional<CanonicalObject> parse(std::string_view text);

  // Unescaped. Nothing when there is no such key or it is no string.
  std::optional<std::string> text(std::string_view key) const;
  std::optional<std::int64_t> integer(std::string_view key) const;
  std::optional<CanonicalObject> object(std::string_view key) const;
  // The value as it is spelled; empty when there is no such key.
  std::string_view spelled(std::string_view key) const;

 private:
  struct Field {
    std::string_view key;    // as spelled, without quotes
    std::string_view value;  // as spelled, with quotes or braces
  };
  const Field* find(std::string_view key) const;

  std::vector<Field> fields_;
};

// The same object, to be added to or put into another one. Nothing unless the text is canonical.
std::optional<JsonObject> read_json_object(std::string_view text);

}  // namespace bedside::store
