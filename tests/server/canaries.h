#pragma once

// Personal values that are planted, each once, to see where they turn up again.

#include <array>
#include <cstddef>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace bedside::server {

class Canaries {
 public:
  // A new value of this kind (a word in lower case), remembered: "Kanari7-name-12". Good as a name,
  // a header, a part of a URL.
  std::string text(const std::string& kind);
  // Twelve digits, as a phone, patient or insurance number.
  std::string number(const std::string& kind);
  // 32 hexadecimal digits, as a UUID, and as a pseudonym of the audit log.
  std::string hex(const std::string& kind);
  // A loopback address, each in a /24 of its own.
  std::string address(const std::string& kind);

  std::size_t count() const { return planted_.size(); }
  std::size_t kinds() const { return numbers_.size(); }

  // Which planted values are in `content`, one line each: letters in any case, base64, hex digits
  // or UTF-16 included. Values of the kinds in `allowed` may be there. A piece that was cut off
  // within the kind has nothing of a value: "unknown".
  std::vector<std::string> found_in(std::string_view content,
                                    const std::set<std::string>& allowed = {}) const;

 private:
  std::string remember(const std::string& kind, std::string value);
  std::string kind_of_piece(const std::string& piece) const;

  std::map<std::string, std::string> planted_;  // value in lower case → kind
  std::map<std::string, std::size_t> numbers_;  // of each kind so far
};

}  // namespace bedside::server
