#include "server/config.h"

#include <toml++/toml.h>

#include <algorithm>
#include <functional>
#include <utility>

#include "server/anchor_places.h"
#include "server/config_check.h"
#include "server/config_text.h"
#include "server/log.h"
#include "server/private_file.h"
#include "server/quota_keys.h"

namespace bedside::server {
namespace {

constexpr std::size_t kMaxFileSize = 1 << 20;

Place place_of(const toml::node& node) {
  const toml::source_position& begin = node.source().begin;
  return {static_cast<std::uint32_t>(begin.line), static_cast<std::uint32_t>(begin.column)};
}

std::string in_quotes(std::string_view text) { return "\"" + std::string(text) + "\""; }

// One table of the file. Every key asked for is a known one, so that what remains can be told as
// unknown, with the known ones as suggestions.
class Section {
 public:
  Section(Findings& findings, const toml::table* table, std::string name)
      : findings_(findings), table_(table), name_(std::move(name)) {}

  // Null when the key is absent.
  const toml::node* find(std::string_view key) {
    known_.emplace_back(key);
    const toml::node* node = table_ != nullptr ? table_->get(key) : nullptr;
    if (node != nullptr) findings_.note_place(path(key), place_of(*node));
    return node;
  }

  void read(std::string_view key, std::string& out) {
    const toml::node* node = find(key);
    if (node == nullptr) return;
    if (const auto text = node->value_exact<std::string>()) {
      out = *text;
    } else {
      wrong(key, "must be text", std::string(key) + " = \"…\"");
    }
  }

  void read(std::string_view key, bool& out) {
    const toml::node* node = find(key);
    if (node == nullptr) return;
    if (const auto truth = node->value_exact<bool>()) {
      out = *truth;
    } else {
      wrong(key, "must be true or false", std::string(key) + " = true");
    }
  }

  void read(std::string_view key, unsigned& out, unsigned least, unsigned most) {
    if (const auto number = read_number(key, least, most)) out = static_cast<unsigned>(*number);
  }

  // Nothing when the key is absent or, which is a problem then, no such number.
  std::optional<std::uint64_t> read_number(std::string_view key, std::uint64_t least,
                                           std::uint64_t most) {
    const toml::node* node = find(key);
    if (node == nullptr) return std::nullopt;
    const auto number = node->value_exact<std::int64_t>();
    if (number && *number >= 0) {
      const auto value = static_cast<std::uint64_t>(*number);
      if (value >= least && value <= most) return value;
    }
    wrong(key, "must be a number from " + std::to_string(least) + " to " + std::to_string(most),
          std::string(key) + " = " + std::to_string(most));
    return std::nullopt;
  }

  // Relative paths are relative to the file's folder.
  void read(std::string_view key, std::filesystem::path& out, const std::filesystem::path& folder) {
    std::string text;
    read(key, text);
    if (!text.empty()) out = (folder / text).lexically_normal();
  }

  // One text that `parse` understands.
  template <typename T>
  void read_as(std::string_view key, T& out,
               const std::function<std::optional<T>(std::string_view)>& parse,
               const std::string& expected, const std::string& example) {
    const toml::node* node = find(key);
    if (node != nullptr) parse_into(*node, key, parse, expected, example, &out);
  }

  // A list of such texts; a single text stands for a list of one.
  template <typename T>
  void read_list(std::string_view key, std::vector<T>& out,
                 const std::function<std::optional<T>(std::string_view)>& parse,
                 const std::string& expected, const std::string& example) {
    const toml::node* node = find(key);
    if (node == nullptr) return;
    out.clear();
    const auto add = [&](const toml::node& element) {
      T value{};
      if (parse_into(element, key, parse, expected, "[" + example + "]", &value)) {
        out.push_back(std::move(value));
      }
    };
    if (const toml::array* array = node->as_array()) {
      for (const toml::node& element : *array) add(element);
    } else {
      add(*node);
    }
  }

  Section child(std::string_view key) {
    const toml::node* node = find(key);
    if (node != nullptr && !node->is_table()) {
      wrong(key, "must be a section", "[" + path(key) + "]");
      node = nullptr;
    }
    return {findings_, node != nullptr ? node->as_table() : nullptr, path(key)};
  }

  // The tables of [[name.key]].
  std::vector<Section> children(std::string_view key) {
    std::vector<Section> result;
    const toml::node* node = find(key);
    if (node == nullptr) return result;
    const toml::array* array = node->as_array();
    if (array == nullptr) {
      wrong(key, "must be a list of sections", "[[" + path(key) + "]]");
      return result;
    }
    for (const toml::node& element : *array) {
      const std::string name = path(key) + "[" + std::to_string(result.size()) + "]";
      findings_.note_place(name, place_of(element));
      result.emplace_back(findings_, element.as_table(), name);
      if (!element.is_table()) {
        wrong(key, "must hold sections only", "[[" + path(key) + "]]");
      }
    }
    return result;
  }

  // To be called last: what was never asked for does not exist.
  void refuse_unknown() {
    if (table_ == nullptr) return;
    for (const auto& [key, node] : *table_) {
      const std::string_view word = key.str();
      if (std::find(known_.begin(), known_.end(), word) != known_.end()) continue;
      const auto similar = did_you_mean(word, known_);
      std::string remedy = "remove it";
      if (similar) {
        remedy = "did you mean " + *similar + "?";
      } else if (!known_.empty()) {
        remedy += "; known here: ";
        for (const std::string& name : known_) remedy += (name == known_[0] ? "" : ", ") + name;
      }
      const auto& begin = key.source().begin;
      findings_.error_at(
          {static_cast<std::uint32_t>(begin.line), static_cast<std::uint32_t>(begin.column)},
          "unknown key " + path(word), remedy);
    }
  }

  const std::string& name() const { return name_; }

 private:
  std::string path(std::string_view key) const {
    return name_.empty() ? std::string(key) : name_ + "." + std::string(key);
  }

  void wrong(std::string_view key, const std::string& what, const std::string& example) {
    findings_.error(path(key), path(key) + " " + what, "write " + example);
  }

  template <typename T>
  bool parse_into(const toml::node& node, std::string_view key,
                  const std::function<std::optional<T>(std::string_view)>& parse,
                  const std::string& expected, const std::string& example, T* out) {
    const auto text = node.value_exact<std::string>();
    auto value = text ? parse(*text) : std::nullopt;
    if (!value) {
      findings_.error_at(
          place_of(node),
          path(key) + " must be " + expected + (text ? ", not " + in_quotes(*text) : std::string()),
          "write " + std::string(key) + " = " + example);
      return false;
    }
    *out = std::move(*value);
    return true;
  }

  Findings& findings_;
  const toml::table* table_;
  std::string name_;
  std::vector<std::string> known_;
};

using EndpointParser = std::function<std::optional<stun::Endpoint>(std::string_view)>;
const EndpointParser kListening = [](std::string_view text) -> std::optional<stun::Endpoint> {
  const auto endpoint = stun::Endpoint::parse(text);
  return endpoint && endpoint->port != 0 ? endpoint : std::nullopt;
};
constexpr const char* kListenText = "an address with a port";

std::optional<store::VerifierKey> verifier_key(std::string_view text, store::KeyKind kind) {
  auto key = store::VerifierKey::parse(text);
  return key && key->kind == kind ? std::move(key) : std::nullopt;
}

void read_turn_users(Section& turn, const std::filesystem::path& folder, TurnConfig& out,
                     Findings& findings, bool file_is_open) {
  for (Section& section : turn.children("user")) {
    TurnUser user;
    std::filesystem::path password_file;
    section.read("name", user.name);
    section.read("password", user.password);
    section.read("password_file", password_file, folder);
    section.refuse_unknown();
    if (!user.password.empty() && !password_file.empty()) {
      findings.error(section.name() + ".password",
                     section.name() + " has both password and password_file", "keep one of them");
    } else if (!password_file.empty()) {
      auto secret = read_secret(password_file);
      if (!secret) {
        findings.error(section.name() + ".password_file", secret.error().what,
                       secret.error().remedy);
      }
      user.password = secret.value_or("unreadable");
    } else if (!user.password.empty() && file_is_open) {
      findings.warning(section.name() + ".password",
                       "others on this machine can read the password in this file",
                       "run `chmod 600` on it, or use password_file");
    }
    out.users.push_back(std::move(user));
  }
}

void read_turn(Section turn, const std::filesystem::path& folder, TurnConfig& out,
               Findings& findings, bool file_is_open) {
  turn.read_list<stun::Endpoint>("listen", out.listen, kListening, kListenText, "\"[::]:3478\"");
  turn.read("dtls", out.dtls);
  turn.read_as<PortRange>("relay_ports", out.relay_ports, parse_port_range,
                          "a range of ports above 1023", "\"49152-65535\"");
  turn.read_list<stun::IpAddress>(
      "external_ip", out.external_ip,
      [](std::string_view text) { return stun::IpAddress::parse(text); },
      "an IP address without a port", "\"203.0.113.5\"");
  turn.read_list<stun::Endpoint>("alternate_server", out.alternate_server, kListening,
                                 "an address with a port", "\"203.0.113.9:3478\"");
  turn.read("realm", out.realm);
  turn.read("shared_secret_file", out.shared_secret_file, folder);
  turn.read("allow_loopback_peers", out.allow_loopback_peers);
  turn.read_list<AddressBlock>("allowed_peers", out.allowed_peers, AddressBlock::parse,
                               "an address or a block of addresses", "\"10.1.2.0/24\"");
  turn.read_list<AddressBlock>("denied_peers", out.denied_peers, AddressBlock::parse,
                               "an address or a block of addresses", "\"198.51.100.0/24\"");
  turn.read("threads", out.threads, 0, 64);
  turn.read("mobility", out.mobility);
  turn.read("tcp_relay", out.tcp_relay);
  turn.read("behavior_discovery", out.behavior_discovery);
  turn.read("accept_rfc5766_channels", out.accept_rfc5766_channels);
  Section quotas = turn.child("quotas");
  for (const QuotaKey& quota : kQuotaKeys) {
    if (const auto value = quotas.read_number(quota.name, quota.least, quota.most)) {
      quota.set(out.quotas, *value);
    }
  }
  quotas.refuse_unknown();
  read_turn_users(turn, folder, out, findings, file_is_open);
  turn.refuse_unknown();
}

void read_signaling(Section signaling, SignalingConfig& out) {
  signaling.read_as<Access>(
      "access", out.access,
      [](std::string_view text) -> std::optional<Access> {
        if (text == "open") return Access::open;
        if (text == "invite") return Access::invite;
        return std::nullopt;
      },
      "\"open\" or \"invite\"", "\"open\"");
  signaling.read("waiting_room", out.waiting_room);
  signaling.read("room_lifetime_days", out.room_lifetime_days, 1, 365);
  signaling.read("max_participants", out.max_participants, 2, 8);
  signaling.read_list<std::string>(
      "allowed_origins", out.allowed_origins,
      [](std::string_view text) -> std::optional<std::string> {
        return is_origin(text) ? std::optional<std::string>(text) : std::nullopt;
      },
      "an origin: scheme and host, no path and no *", "\"https://portal.example.org\"");
  signaling.refuse_unknown();
}

void read_audit(Section audit, const std::filesystem::path& folder, AuditConfig& out) {
  audit.read("key_file", out.key_file, folder);
  audit.read("keep_years", out.keep_years, 0, 100);
  audit.read("ballast_mb", out.ballast_mb, 0, 4096);
  audit.read("anchor_file", out.anchor_file, folder);
  audit.read("emergency_journal", out.emergency_journal, folder);
  audit.read_as<std::string>(
      "anchor_webhook", out.anchor_webhook,
      [](std::string_view text) {
        return read_anchor_url(std::string(text)) ? std::optional<std::string>(text) : std::nullopt;
      },
      "an https URL", "\"https://records.example.org/bedside-anchor\"");
  for (Section& section : audit.children("witness")) {
    WitnessOfUs witness;
    section.read_as<std::string>(
        "url", witness.url,
        [](std::string_view text) {
          return read_anchor_url(std::string(text)) ? std::optional<std::string>(text)
                                                    : std::nullopt;
        },
        "an https URL", "\"https://visit.other-practice.example/witness\"");
    section.read_as<store::VerifierKey>(
        "key", witness.key,
        [](std::string_view text) { return verifier_key(text, store::KeyKind::witness); },
        "the key of a witness, as its `bedside witness key` prints it", "\"NAME+ID+KEY\"");
    section.refuse_unknown();
    out.witnesses.push_back(std::move(witness));
  }
  audit.refuse_unknown();
}

void read_backup(Section backup, const std::filesystem::path& folder, BackupConfig& out) {
  backup.read("folder", out.folder, folder);
  backup.read("public_key", out.public_key, folder);
  backup.read("keep", out.keep, 1, 10'000);
  backup.read("scratch_folder", out.scratch_folder, folder);
  backup.refuse_unknown();
}

void read_witness(Section witness, WitnessConfig& out) {
  witness.read_list<store::VerifierKey>(
      "logs", out.logs,
      [](std::string_view text) { return verifier_key(text, store::KeyKind::log); },
      "the key of a log, as its server's `bedside witness key` prints it", "\"NAME+ID+KEY\"");
  witness.refuse_unknown();
}

void read_root(Section root, const std::filesystem::path& folder, Config& config,
               Findings& findings, bool file_is_open) {
  root.read("data_dir", config.data_dir, folder);
  root.read("public_host", config.public_host);
  root.read_as<std::string>(
      "log_level", config.log_level,
      [](std::string_view text) {
        return log::level_from(text) ? std::optional<std::string>(text) : std::nullopt;
      },
      "debug, info, warning or error", "\"info\"");
  Section practice = root.child("practice");
  practice.read("name", config.practice.name);
  practice.read("phone", config.practice.phone);
  practice.refuse_unknown();
  Section https = root.child("https");
  https.read_list<stun::Endpoint>("listen", config.https.listen, kListening, kListenText,
                                  "\"[::]:443\"");
  https.read("certificate", config.https.certificate, folder);
  https.read("private_key", config.https.private_key, folder);
  https.refuse_unknown();
  Section http = root.child("http");
  http.read_list<stun::Endpoint>("listen", config.http.listen, kListening, kListenText,
                                 "\"127.0.0.1:8080\"");
  http.read("acme_webroot", config.http.acme_webroot, folder);
  http.refuse_unknown();
  read_turn(root.child("turn"), folder, config.turn, findings, file_is_open);
  read_signaling(root.child("signaling"), config.signaling);
  Section admin = root.child("admin");
  admin.read_list<AddressBlock>("allow_from", config.admin.allow_from, AddressBlock::parse,
                                "an address or a block of addresses", "\"192.168.1.0/24\"");
  admin.refuse_unknown();
  read_audit(root.child("audit"), folder, config.audit);
  read_backup(root.child("backup"), folder, config.backup);
  read_witness(root.child("witness"), config.witness);
  Section operator_section = root.child("operator");
  operator_section.read_as<std::optional<stun::Endpoint>>(
      "listen", config.operator_listener.listen,
      [](std::string_view text) -> std::optional<std::optional<stun::Endpoint>> {
        const auto endpoint = kListening(text);
        return endpoint ? std::make_optional(endpoint) : std::nullopt;
      },
      kListenText, "\"127.0.0.1:9641\"");
  operator_section.refuse_unknown();
  root.refuse_unknown();
}

// What holds when a key is not written. Plain HTTP is served only where somebody asks for it.
Config file_defaults() {
  Config config;
  config.data_dir = "/var/lib/bedside";
  config.https.listen = {{stun::IpAddress::v6({}), 443}};
  config.turn.listen = {{stun::IpAddress::v6({}), 3478}};
  config.operator_listener.listen = stun::Endpoint{stun::IpAddress::v4(127, 0, 0, 1), 9641};
  return config;
}

CheckedConfig read_text(std::string_view text, const std::filesystem::path& file,
                        bool file_is_open) {
  CheckedConfig result;
  result.config = file_defaults();
  Findings findings(result.problems);
  try {
    const toml::table table = toml::parse(text);
    read_root(Section(findings, &table, ""), file.parent_path(), result.config, findings,
              file_is_open);
  } catch (const toml::parse_error& error) {
    const auto& begin = error.source().begin;
    findings.error_at(
        {static_cast<std::uint32_t>(begin.line), static_cast<std::uint32_t>(begin.column)},
        "this is not TOML: " + std::string(error.description()),
        "correct this line; see systemd/bedside.toml for an example");
    return result;
  }
  check_config(result.config, findings);
  std::stable_sort(result.problems.begin(), result.problems.end(),
                   [](const Problem& a, const Problem& b) {
                     return std::pair(a.line, a.column) < std::pair(b.line, b.column);
                   });
  return result;
}

}  // namespace

bool CheckedConfig::ok() const {
  return std::none_of(problems.begin(), problems.end(),
                      [](const Problem& problem) { return problem.severity == Severity::error; });
}

CheckedConfig parse_config(std::string_view text, const std::filesystem::path& file) {
  return read_text(text, file, false);
}

CheckedConfig load_config(const std::filesystem::path& file) {
  const auto text = read_file(file, kMaxFileSize);
  if (!text) {
    CheckedConfig result;
    result.problems.push_back({Severity::error, 0, 0, text.error().what, text.error().remedy});
    return result;
  }
  std::error_code ignored;
  const auto absolute = std::filesystem::absolute(file, ignored);
  return read_text(*text, absolute, open_to_others(file));
}

std::string describe(const Problem& problem, const std::filesystem::path& file) {
  std::string text = file.string();
  if (problem.line != 0) {
    text += ":" + std::to_string(problem.line) + ":" + std::to_string(problem.column);
  }
  text += problem.severity == Severity::error ? ": error: " : ": warning: ";
  text += problem.what;
  if (!problem.remedy.empty()) text += "\n    → " + problem.remedy;
  return text;
}

}  // namespace bedside::server
