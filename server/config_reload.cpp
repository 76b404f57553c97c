#include "server/config_reload.h"

#include <algorithm>
#include <cstddef>
#include <utility>

#include "server/quota_keys.h"
#include "turn/limits.h"

namespace bedside::server {
namespace {

struct Entry {
  std::string_view key;
  std::string value;
  bool live;  // can change while visits go on
};

// No value contains a line break, so lists of different elements never look alike.
template <typename List, typename Text>
std::string joined(const List& list, Text text) {
  std::string result;
  for (const auto& element : list) result += text(element) + "\n";
  return result;
}

template <typename List>
std::string joined(const List& list) {
  return joined(list, [](const auto& element) { return element.to_string(); });
}

std::string blocks(const std::vector<AddressBlock>& list) {
  return joined(list, [](const AddressBlock& block) {
    return block.base.to_string() + "/" + std::to_string(block.length);
  });
}

std::string text_of(bool truth) { return truth ? "true" : "false"; }

std::string text_of(const turn::Quotas& quotas) {
  std::string result;
  for (const QuotaKey& quota : kQuotaKeys) result += std::to_string(quota.get(quotas)) + "\n";
  return result;
}

std::vector<Entry> entries(const Config& config) {
  const TurnConfig& turn = config.turn;
  return {
      {"data_dir", config.data_dir.string(), false},
      {"public_host", config.public_host, false},
      {"log_level", config.log_level, true},
      {"practice", config.practice.name + "\n" + config.practice.phone, false},
      {"https.listen", joined(config.https.listen), false},
      {"https.certificate", config.https.certificate.string(), false},
      {"https.private_key", config.https.private_key.string(), false},
      {"http.listen", joined(config.http.listen), false},
      {"http.acme_webroot", config.http.acme_webroot.string(), false},
      {"turn.listen", joined(turn.listen), false},
      {"turn.dtls", text_of(turn.dtls), false},
      {"turn.relay_ports",
       std::to_string(turn.relay_ports.first) + "-" + std::to_string(turn.relay_ports.last), false},
      {"turn.external_ip", joined(turn.external_ip), true},
      {"turn.alternate_server", joined(turn.alternate_server), false},
      {"turn.realm", turn.realm, false},
      {"turn.shared_secret_file", turn.shared_secret, true},
      {"turn.user",
       joined(turn.users, [](const TurnUser& user) { return user.name + "\n" + user.password; }),
       true},
      {"turn.allow_loopback_peers", text_of(turn.allow_loopback_peers), true},
      {"turn.allowed_peers", blocks(turn.allowed_peers), true},
      {"turn.denied_peers", blocks(turn.denied_peers), true},
      {"turn.quotas", text_of(turn.quotas), true},
      {"turn.mobility", text_of(turn.mobility), false},
      {"turn.tcp_relay", text_of(turn.tcp_relay), false},
      {"turn.behavior_discovery", text_of(turn.behavior_discovery), false},
      {"turn.threads", std::to_string(turn.threads), false},
      {"turn.accept_rfc5766_channels", text_of(turn.accept_rfc5766_channels), false},
      {"signaling.access", text_of(config.signaling.access == Access::open), false},
      {"signaling.waiting_room", text_of(config.signaling.waiting_room), false},
      {"signaling.room_lifetime_days", std::to_string(config.signaling.room_lifetime_days), false},
      {"signaling.max_participants", std::to_string(config.signaling.max_participants), false},
      {"signaling.allowed_origins",
       joined(config.signaling.allowed_origins, [](const std::string& origin) { return origin; }),
       false},
      {"admin.allow_from", blocks(config.admin.allow_from), false},
      {"audit.key_file", config.audit.key_file.string(), false},
      {"audit.keep_years", std::to_string(config.audit.keep_years), false},
      {"audit.ballast_mb", std::to_string(config.audit.ballast_mb), false},
      {"audit.anchor_file", config.audit.anchor_file.string(), false},
      {"audit.emergency_journal", config.audit.emergency_journal.string(), false},
      {"audit.anchor_webhook", config.audit.anchor_webhook, false},
      {"audit.witness",
       joined(config.audit.witnesses,
              [](const WitnessOfUs& witness) { return witness.url + "\n" + witness.key.text(); }),
       false},
      // `bedside backup make` reads them itself, each time; purges are told of them.
      {"backup.folder", config.backup.folder.string(), true},
      {"backup.public_key", config.backup.public_key.string(), true},
      {"backup.scratch_folder", config.backup.scratch_folder.string(), false},
      {"backup.keep", std::to_string(config.backup.keep), true},
      {"witness.logs",
       joined(config.witness.logs, [](const store::VerifierKey& key) { return key.text(); }),
       false},
      {"operator.listen",
       config.operator_listener.listen ? config.operator_listener.listen->to_string() : "", false},
  };
}

// One place is for the secret in use.
constexpr std::size_t kMaxRetired = turn::limits::kMaxSecrets - 1;

}  // namespace

void RetiredSecrets::add(std::string secret, Time now) {
  if (secret.empty()) return;
  remove(secret);
  if (entries_.size() == kMaxRetired) entries_.erase(entries_.begin());
  entries_.push_back({std::move(secret), now + turn::limits::kMaxSharedCredentialTtl});
}

void RetiredSecrets::remove(std::string_view secret) {
  std::erase_if(entries_, [&](const Entry& entry) { return entry.secret == secret; });
}

bool RetiredSecrets::expire(Time now) {
  return std::erase_if(entries_, [&](const Entry& entry) { return entry.until <= now; }) > 0;
}

std::optional<RetiredSecrets::Time> RetiredSecrets::next_deadline() const {
  if (entries_.empty()) return std::nullopt;
  return entries_.front().until;
}

std::vector<std::string> RetiredSecrets::secrets() const {
  std::vector<std::string> result;
  for (auto entry = entries_.rbegin(); entry != entries_.rend(); ++entry) {
    result.push_back(entry->secret);
  }
  return result;
}

std::vector<ConfigValue> config_values(const Config& config) {
  std::vector<ConfigValue> values;
  for (Entry& entry : entries(config)) {
    values.push_back({std::string(entry.key), std::move(entry.value)});
  }
  return values;
}

std::vector<ChangedKey> changed_keys(const Config& before, const Config& after) {
  const std::vector<Entry> old_entries = entries(before);
  const std::vector<Entry> new_entries = entries(after);
  std::vector<ChangedKey> changed;
  for (std::size_t i = 0; i < old_entries.size(); ++i) {
    const Entry& was = old_entries[i];
    const Entry& is = new_entries[i];
    if (was.value != is.value) {
      changed.push_back({std::string(was.key), was.value, is.value, !was.live});
    }
  }
  return changed;
}

std::vector<std::string> users_gone(const Config& before, const Config& after) {
  std::vector<std::string> gone;
  for (const TurnUser& user : before.turn.users) {
    const bool stays =
        std::any_of(after.turn.users.begin(), after.turn.users.end(), [&](const TurnUser& other) {
          return other.name == user.name && other.password == user.password;
        });
    if (!stays) gone.push_back(user.name);
  }
  return gone;
}

Config take_over(Config running, const Config& wanted) {
  running.log_level = wanted.log_level;
  running.turn.external_ip = wanted.turn.external_ip;
  running.turn.shared_secret_file = wanted.turn.shared_secret_file;
  running.turn.shared_secret = wanted.turn.shared_secret;
  running.turn.users = wanted.turn.users;
  running.turn.allow_loopback_peers = wanted.turn.allow_loopback_peers;
  running.turn.allowed_peers = wanted.turn.allowed_peers;
  running.turn.denied_peers = wanted.turn.denied_peers;
  running.turn.quotas = wanted.turn.quotas;
  running.backup.folder = wanted.backup.folder;
  running.backup.public_key = wanted.backup.public_key;
  running.backup.keep = wanted.backup.keep;
  return running;
}

}  // namespace bedside::server
