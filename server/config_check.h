#pragma once

// What can only be judged when the whole file is read: values that contradict each other, and the
// files a configuration names. Used by load_config() and parse_config().

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "server/config.h"

namespace bedside::server {

struct Place {
  std::uint32_t line = 0;
  std::uint32_t column = 0;
};

// Where each key stands in the file: "turn.realm", "turn.user[0].password".
using Places = std::map<std::string, Place, std::less<>>;

// The problems found so far, with the places to attach them to.
class Findings {
 public:
  explicit Findings(std::vector<Problem>& problems) : problems_(problems) {}

  // At the key's place, or at the file as a whole when the key is not written there.
  void error(std::string_view key, std::string what, std::string remedy);
  void warning(std::string_view key, std::string what, std::string remedy);
  void error_at(Place place, std::string what, std::string remedy);

  void note_place(std::string key, Place place) { places_[std::move(key)] = place; }
  bool written(std::string_view key) const { return places_.find(key) != places_.end(); }

 private:
  void add(Severity severity, Place place, std::string what, std::string remedy);
  Place place_of(std::string_view key) const;

  std::vector<Problem>& problems_;
  Places places_;
};

// Fills in the defaults that depend on other keys, reads the secret files and adds every problem.
void check_config(Config& config, Findings& findings);

}  // namespace bedside::server
