#include "tests/server/canaries.h"

#include <algorithm>
#include <cstdint>

#include "store/checkpoint.h"
#include "store/signed_note.h"

namespace bedside::server {
namespace {

constexpr std::string_view kWord = "kanari7";  // in each value that is not only digits

std::string lower(std::string_view text) {
  std::string made(text);
  for (char& c : made) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
  return made;
}

std::vector<std::uint8_t> octets(std::string_view text) { return {text.begin(), text.end()}; }

// What is the same in base64 of any text with this part, for each place it can have in a group of
// three octets: without the digits it shares with its neighbours.
std::vector<std::string> in_base64(std::string_view part) {
  std::vector<std::string> made;
  for (const std::size_t before : {0U, 1U, 2U}) {
    const std::string digits = store::base64(octets(std::string(before, '\0').append(part)));
    const std::size_t first = before == 0 ? 0 : before + 1;
    const std::size_t last = (before + part.size()) * 8 / 6;
    made.push_back(digits.substr(first, last - first));
  }
  return made;
}

std::string in_utf16(std::string_view part) {
  std::string made;
  for (const char c : part) made += {c, '\0'};
  return made;
}

}  // namespace

std::string Canaries::remember(const std::string& kind, std::string value) {
  planted_.emplace(lower(value), kind);
  return value;
}

std::string Canaries::text(const std::string& kind) {
  return remember(kind, "Kanari7-" + kind + "-" + std::to_string(++numbers_[kind]) + "-end");
}

std::string Canaries::number(const std::string& kind) {
  const std::string digits = std::to_string(kinds() * 10'000 + ++numbers_[kind]);
  return remember(kind,
                  "7305" + std::string(8 - std::min<std::size_t>(8, digits.size()), '9') + digits);
}

std::string Canaries::hex(const std::string& kind) {
  ++numbers_[kind];
  const std::string digits = std::to_string(planted_.size());
  return remember(kind, "7305fade" + std::string(24 - digits.size(), 'c') + digits);
}

std::string Canaries::address(const std::string& kind) {
  const std::size_t number = ++numbers_[kind];
  return remember(kind, "127." + std::to_string(100 + number / 250) + "." +
                            std::to_string(1 + number % 250) + ".217");
}

std::string Canaries::kind_of_piece(const std::string& piece) const {
  // Of all planted values, those beside it in their order have most in common with it.
  const auto after = planted_.lower_bound(piece);
  for (const auto& near : {after, after == planted_.begin() ? after : std::prev(after)}) {
    if (near != planted_.end() && piece.starts_with(std::string(kWord) + near->second + "-")) {
      return near->second;
    }
  }
  return "unknown";
}

std::vector<std::string> Canaries::found_in(std::string_view content,
                                            const std::set<std::string>& allowed) const {
  std::vector<std::string> found;
  const std::string plain = lower(content);
  const auto report = [&](const std::string& value, const std::string& kind) {
    if (allowed.count(kind) == 0) found.push_back(kind + ": " + value);
  };
  for (std::size_t at = plain.find(kWord); at != std::string::npos;
       at = plain.find(kWord, at + 1)) {
    std::size_t end = plain.find("-end", at);
    end = end == std::string::npos || end - at > 64 ? at + kWord.size() : end + 4;
    const std::string value = plain.substr(at, end - at);
    const auto known = planted_.find(value);
    report(value, known == planted_.end() ? kind_of_piece(plain.substr(at, 64)) : known->second);
  }
  for (const auto& [value, kind] : planted_) {
    if (value.starts_with(kWord)) continue;
    for (std::size_t at = plain.find(value); at != std::string::npos; at = std::string::npos) {
      report(value, kind);
    }
  }
  // Written in another way nothing says which value it is, nor that it may be there.
  std::string digits(content);
  std::replace(digits.begin(), digits.end(), '-', '+');
  std::replace(digits.begin(), digits.end(), '_', '/');
  for (const std::string_view word : {std::string_view("Kanari7-"), kWord}) {
    for (const std::string& spelling : in_base64(word)) {
      if (digits.find(spelling) != std::string::npos) found.push_back("in base64: " + spelling);
    }
  }
  if (plain.find(store::to_hex(octets("anari7"))) != std::string::npos) found.push_back("in hex");
  if (plain.find(in_utf16(kWord)) != std::string::npos) found.push_back("in UTF-16");
  return found;
}

}  // namespace bedside::server
