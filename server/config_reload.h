#pragma once

// What a running server takes over when its configuration is read again (SIGHUP), and what has to
// wait for a restart. Values only; any thread.

#include <chrono>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "server/config.h"

namespace bedside::server {

// One key whose value differs. The values are for digests and comparison: they may be secrets.
struct ChangedKey {
  std::string key;  // "turn.denied_peers"
  std::string before;
  std::string after;
  bool needs_restart = false;
};

struct ConfigValue {
  std::string key;
  std::string value;
};
// Of every key, in a fixed order. For digests and comparison, like those above.
std::vector<ConfigValue> config_values(const Config& config);

// In a fixed order. `before` is the file as it was read last, `after` as it is now.
std::vector<ChangedKey> changed_keys(const Config& before, const Config& after);

// The [[turn.user]]s of `before` whose name and password are not in `after`: nothing of theirs may
// go on.
std::vector<std::string> users_gone(const Config& before, const Config& after);

// Shared secrets that were replaced: what they have signed is good until it expires. Main thread.
class RetiredSecrets {
 public:
  using Time = std::chrono::steady_clock::time_point;

  // `secret` was in use until `now`. Beyond the limit the oldest goes at once.
  void add(std::string secret, Time now);
  // It is in use again.
  void remove(std::string_view secret);
  // Forgets what is due; true when there was something.
  bool expire(Time now);
  std::optional<Time> next_deadline() const;
  std::vector<std::string> secrets() const;

 private:
  struct Entry {
    std::string secret;
    Time until;
  };
  std::vector<Entry> entries_;  // oldest first
};

// `running` with everything taken over from `wanted` that can change while visits go on.
Config take_over(Config running, const Config& wanted);

}  // namespace bedside::server
