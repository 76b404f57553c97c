#include "server/config_check.h"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <system_error>
#include <utility>

#include "server/backup_key.h"
#include "server/ballast.h"
#include "server/config_text.h"
#include "server/emergency_journal.h"
#include "server/links.h"
#include "server/net/tls.h"
#include "server/private_file.h"
#include "server/relay_addresses.h"
#include "store/purge.h"

namespace bedside::server {
namespace {

bool any_public(const std::vector<stun::Endpoint>& listen) {
  return std::any_of(listen.begin(), listen.end(),
                     [](const stun::Endpoint& e) { return !is_loopback(e.address); });
}

void check_names(Config& config, Findings& findings) {
  const bool reachable = any_public(config.https.listen) || any_public(config.http.listen) ||
                         any_public(config.turn.listen);
  if (config.public_host.empty() && !findings.written("public_host")) {
    if (reachable) {
      findings.error("public_host", "public_host is missing: links need the name of this server",
                     "write public_host = \"visit.example.org\"");
    }
    config.public_host = "localhost";
  } else if (!is_host(config.public_host)) {
    findings.error("public_host", "public_host must be a host name without scheme, port or path",
                   "write public_host = \"visit.example.org\"");
  }
  if (config.turn.realm.empty()) config.turn.realm = config.public_host;
  // RFC 8489 §14.9: fewer than 128 characters.
  if (config.turn.realm.size() > 127) {
    findings.error("turn.realm", "turn.realm is longer than 127 bytes",
                   "write realm = \"visit.example.org\"");
  }
}

void check_https(const Config& config, Findings& findings) {
  const HttpsConfig& https = config.https;
  if (https.listen.empty()) return;
  if (https.certificate.empty() || https.private_key.empty()) {
    findings.error(https.certificate.empty() ? "https.private_key" : "https.certificate",
                   "https is served but https.certificate or https.private_key is missing",
                   "write both, for example certificate = \"/etc/letsencrypt/live/" +
                       config.public_host +
                       "/fullchain.pem\" and private_key = \"…/privkey.pem\" under [https], or "
                       "listen = [] to serve no https");
    return;
  }
  const auto tls = net::TlsContext::load(https.certificate.string(), https.private_key.string());
  if (!tls) {
    findings.error("https.certificate", tls.error(),
                   "write the paths of a PEM certificate chain and its private key");
  }
  if (open_to_others(https.private_key) && ::geteuid() != 0) {
    findings.warning("https.private_key",
                     "others on this machine can read " + https.private_key.string(),
                     "run `chmod 600` on it");
  }
}

// A warning only: visits are worth more than what goes there. `path`: a file, or the folder it is
// to be made in. (For root everything can be written but what is mounted read-only.)
void check_writable(const char* key, const std::filesystem::path& path, Findings& findings) {
  if (::access(path.c_str(), W_OK) == 0) return;
  const int error = errno;
  findings.warning(key,
                   std::string(key) + " cannot be written: " + path.string() + ": " +
                       std::generic_category().message(error),
                   error == EROFS
                       ? "name its folder in ReadWritePaths= (`systemctl edit bedside`, and "
                         "bedside-backup for backups), unless its disk is mounted read-only"
                       : "give it to the user that the server runs as");
}

void check_journal(const Config& config, Findings& findings) {
  const std::filesystem::path& file = config.audit.emergency_journal;
  std::error_code ignored;
  if (file.empty()) return;
  // A warning only: a visit without a journal is better than no visit.
  if (!std::filesystem::is_directory(file.parent_path(), ignored)) {
    findings.warning(
        "audit.emergency_journal",
        "the folder of audit.emergency_journal is not there: " + file.parent_path().string(),
        "make it, or mount the disk it is on; without it nobody can declare an emergency");
  } else if (!on_another_disk(file, config.data_dir)) {
    findings.warning("audit.emergency_journal",
                     "audit.emergency_journal is on the disk of data_dir: when that one is full, "
                     "the journal takes nothing either",
                     "write a path on another disk");
  } else {
    check_writable("audit.emergency_journal",
                   std::filesystem::exists(file, ignored) ? file : file.parent_path(), findings);
  }
}

void check_anchors(const Config& config, Findings& findings) {
  const std::filesystem::path& file = config.audit.anchor_file;
  std::error_code ignored;
  if (file.empty()) return;
  if (!std::filesystem::is_directory(file.parent_path(), ignored)) {
    findings.error("audit.anchor_file",
                   "the folder of audit.anchor_file is not there: " + file.parent_path().string(),
                   "make it, or mount the disk it is on");
  } else if (file.parent_path() == config.data_dir) {
    findings.warning("audit.anchor_file",
                     "audit.anchor_file lies in data_dir: who can change the audit log there can "
                     "change this file too",
                     "write a path on another disk");
  } else {
    check_writable("audit.anchor_file",
                   std::filesystem::exists(file, ignored) ? file : file.parent_path(), findings);
  }
  for (std::size_t i = 0; i < config.audit.witnesses.size(); ++i) {
    const WitnessOfUs& witness = config.audit.witnesses[i];
    const std::string section = "audit.witness[" + std::to_string(i) + "]";
    if (witness.url.empty() || witness.key.name.empty()) {
      findings.error(section, section + " needs url and key",
                     "take both from `bedside witness key` of the other server");
    }
  }
}

void check_retention(const AuditConfig& audit, Findings& findings) {
  if (audit.keep_years >= unsigned{store::kMinKeepYears}) return;
  findings.error("audit.keep_years",
                 "audit.keep_years is " + std::to_string(audit.keep_years) +
                     "; HIPAA asks for six years (45 CFR 164.316(b)(2))",
                 "write 6 or more; the default is 10");
}

void check_ballast(const Config& config, Findings& findings) {
  const std::string without =
      "on a full disk the server cannot record that it is full, purge, or start again";
  const unsigned ballast_mb = config.audit.ballast_mb;
  if (ballast_mb == 0) {
    return findings.warning("audit.ballast_mb", "audit.ballast_mb is 0: " + without,
                            "leave it out (64) unless the disk is tiny");
  }
  const auto space = measure_disk(config.data_dir);
  if (!space || Ballast(config.data_dir, std::uint64_t{ballast_mb} << 20U).fits(*space)) return;
  findings.warning("audit.ballast_mb",
                   "the disk of data_dir, of " + std::to_string(space->size >> 20U) +
                       " MB, has no place for audit.ballast_mb = " + std::to_string(ballast_mb) +
                       ": " + without,
                   "write a smaller number, or take a larger disk");
}

void check_backup(const BackupConfig& backup, const Config& config, Findings& findings) {
  if (backup.folder.empty() && backup.public_key.empty()) return;
  if (backup.folder.empty() || backup.public_key.empty()) {
    return findings.error("backup", "[backup] needs both folder and public_key",
                          "`bedside backup key` on another machine makes the key");
  }
  std::error_code ignored;
  if (!std::filesystem::is_directory(backup.folder, ignored)) {
    findings.error("backup.folder", "the folder of backups is not there: " + backup.folder.string(),
                   "make it, or mount the disk it is on");
  } else if (backup.folder == config.data_dir) {
    findings.warning("backup.folder", "backups lie in data_dir: what destroys it destroys them too",
                     "write a folder on another disk or machine");
  } else {
    check_writable("backup.folder", backup.folder, findings);
  }
  if (!std::filesystem::is_directory(config.scratch(), ignored) && !backup.scratch_folder.empty()) {
    findings.error("backup.scratch_folder",
                   "the scratch folder of backups is not there: " + backup.scratch_folder.string(),
                   "make it, or mount the disk it is on");
  }
  if (const auto key = BackupKey::load_public(backup.public_key); !key) {
    findings.error("backup.public_key", key.error(), "write the path of the public half, in PEM");
  }
}

void check_acme(const HttpConfig& http, Findings& findings) {
  if (http.acme_webroot.empty()) return;
  std::error_code ignored;
  if (http.listen.empty()) {
    findings.error("http.acme_webroot", "http.acme_webroot is given but http is not served",
                   "write listen = [\"[::]:80\"] under [http]");
  } else if (!std::filesystem::is_directory(http.acme_webroot, ignored)) {
    findings.error("http.acme_webroot",
                   "http.acme_webroot is no folder: " + http.acme_webroot.string(),
                   "make it with `mkdir`, and give it to certbot with --webroot");
  }
}

// Two parts on one TCP port would each get half of the connections.
void check_ports(const Config& config, Findings& findings) {
  struct Use {
    std::string key;
    stun::Endpoint endpoint;
  };
  std::vector<Use> uses;
  const auto add = [&](const std::string& key, const std::vector<stun::Endpoint>& listen) {
    for (const stun::Endpoint& endpoint : endpoints_to_bind(listen)) {
      for (const Use& use : uses) {
        if (use.key == key || use.endpoint.port != endpoint.port) continue;
        const bool same_family = use.endpoint.address.family() == endpoint.address.family();
        const bool overlap = use.endpoint.address == endpoint.address ||
                             use.endpoint.address.is_unspecified() ||
                             endpoint.address.is_unspecified();
        if (!same_family || !overlap) continue;
        findings.error(key,
                       key + " and " + use.key + " both want port " + std::to_string(endpoint.port),
                       "give each of them a port of its own");
        return;
      }
      uses.push_back({key, endpoint});
    }
  };
  add("https.listen", config.https.listen);
  add("http.listen", config.http.listen);
  add("turn.listen", turn_tcp_endpoints(config));
  if (config.operator_listener.listen) add("operator.listen", {*config.operator_listener.listen});
  if (config.https.listen.empty() && config.http.listen.empty()) {
    findings.error("https.listen", "neither https nor http is served, so nobody can visit",
                   "write listen = [\"[::]:443\"] under [https]");
  }
}

void check_relay_addresses(const TurnConfig& turn, Findings& findings) {
  for (std::size_t i = 0; i < turn.external_ip.size(); ++i) {
    const stun::IpAddress& address = turn.external_ip[i];
    if (address.is_unspecified()) {
      findings.error("turn.external_ip",
                     "turn.external_ip must be the address clients reach this server at",
                     "write external_ip = [\"203.0.113.5\"]");
    }
    for (std::size_t j = 0; j < i; ++j) {
      if (turn.external_ip[j].family() == address.family()) {
        findings.error("turn.external_ip", "turn.external_ip names two addresses of one family",
                       "keep one IPv4 and one IPv6 address at most");
      }
    }
  }
  if (turn.mobility && turn.threads != 1) {
    // The kernel may give the new address of a client to another relay thread than its
    // allocation's.
    findings.error("turn.mobility", "turn.mobility needs a single relay thread",
                   "write threads = 1 under [turn], or leave mobility out");
  }
  for (const stun::Endpoint& endpoint : turn.listen) {
    if (endpoint.port >= turn.relay_ports.first && endpoint.port <= turn.relay_ports.last) {
      findings.error(
          "turn.relay_ports",
          "turn.relay_ports contains the listening port " + std::to_string(endpoint.port),
          "choose a range without it");
    }
  }
}

// What clients could not reach is not told to them; then it may not be what was meant.
void check_advertised(const TurnConfig& turn, Findings& findings) {
  if (turn.external_ip.empty()) return;
  const std::vector<stun::Endpoint> listen = endpoints_to_bind(turn.listen);
  const RelayAddresses addresses = choose_relay_addresses(listen, turn.external_ip);
  for (const stun::Endpoint& endpoint : listen) {
    const auto& relay = addresses.of(endpoint.address.family());
    if (!relay || is_loopback(endpoint.address)) continue;
    if (advertised_endpoint(endpoint, addresses, turn.external_ip)) continue;
    findings.warning(
        "turn.listen",
        "clients are not told of " + endpoint.to_string() +
            " in turn.listen: turn.external_ip leads to " + relay->bind.to_string() +
            ", and a private address is not reached from outside",
        "write " + stun::Endpoint{relay->bind, endpoint.port}.to_string() + " instead");
  }
}

void check_alternate_server(const TurnConfig& turn, Findings& findings) {
  std::array<int, 2> of_family{};
  for (const stun::Endpoint& server : turn.alternate_server) {
    ++of_family[server.address.is_v4() ? 0 : 1];
    if (server.address.is_unspecified()) {
      findings.error("turn.alternate_server",
                     "turn.alternate_server must be where clients reach the other server",
                     "write alternate_server = [\"203.0.113.9:3478\"]");
    }
  }
  if (of_family[0] > 1 || of_family[1] > 1) {
    findings.error("turn.alternate_server", "turn.alternate_server names two servers of one family",
                   "keep one IPv4 and one IPv6 server at most");
  }
}

void check_discovery(const TurnConfig& turn, Findings& findings) {
  if (!turn.behavior_discovery) return;
  const char* key = "turn.behavior_discovery";
  const std::string example =
      "write turn.listen = [\"192.0.2.1:3478\", \"192.0.2.1:3479\", \"192.0.2.2:3478\", "
      "\"192.0.2.2:3479\"] with two addresses of this machine";
  for (const stun::Family family : {stun::Family::ipv4, stun::Family::ipv6}) {
    const bool any = std::any_of(turn.listen.begin(), turn.listen.end(), [&](const auto& endpoint) {
      return endpoint.address.family() == family;
    });
    if (any && !discovery_addresses(turn.listen, family)) {
      findings.error(key,
                     std::string("turn.behavior_discovery needs exactly two ") +
                         (family == stun::Family::ipv4 ? "IPv4" : "IPv6") +
                         " addresses in turn.listen, each with the same two ports, and no wildcard",
                     example);
    }
  }
  if (!turn.external_ip.empty()) {
    findings.error(key,
                   "turn.behavior_discovery does not work behind turn.external_ip: clients "
                   "would be sent to addresses they cannot reach",
                   "give this machine two public addresses, or switch behavior_discovery off");
  }
}

void check_peers(const TurnConfig& turn, Findings& findings) {
  turn::PeerPolicyConfig policy;
  policy.allowed = turn.allowed_peers;
  policy.denied = turn.denied_peers;
  if (const auto made = turn::PeerPolicy::make(std::move(policy)); !made) {
    findings.error(turn.allowed_peers.empty() ? "turn.denied_peers" : "turn.allowed_peers",
                   std::string(turn::to_text(made.error())),
                   "remove loopback, link-local, multicast and unspecified addresses from "
                   "allowed_peers, and join blocks when there are too many");
  }
}

void check_credentials(TurnConfig& turn, Findings& findings) {
  if (!turn.shared_secret_file.empty()) {
    auto secret = read_secret(turn.shared_secret_file);
    if (!secret) {
      findings.error("turn.shared_secret_file", secret.error().what, secret.error().remedy);
    } else {
      turn.shared_secret = std::move(*secret);
      if (turn.shared_secret.size() < 16) {
        findings.error(
            "turn.shared_secret_file",
            "the secret in " + turn.shared_secret_file.string() + " is shorter than 16 characters",
            "make one with `openssl rand -base64 33`");
      }
      if (open_to_others(turn.shared_secret_file)) {
        findings.warning("turn.shared_secret_file",
                         "others on this machine can read " + turn.shared_secret_file.string(),
                         "run `chmod 600` on it");
      }
    }
  }
  for (std::size_t i = 0; i < turn.users.size(); ++i) {
    const std::string key = "turn.user[" + std::to_string(i) + "]";
    const TurnUser& user = turn.users[i];
    if (user.name.empty() || user.password.empty()) {
      findings.error(key, key + " needs a name and a password",
                     "write name = \"…\" and password_file = \"…\"");
    }
    // Names with a colon are time-limited credentials (<expiry>:<subject>).
    if (user.name.find(':') != std::string::npos || user.name.size() > 508) {
      findings.error(key + ".name", key + ".name must not contain a colon or exceed 508 bytes",
                     "choose a plain name");
    }
    for (std::size_t j = 0; j < i; ++j) {
      if (turn.users[j].name == user.name && !user.name.empty()) {
        findings.error(key + ".name", key + ".name is the name of an earlier [[turn.user]]",
                       "keep one of them");
      }
    }
  }
}

void check_operator(const Config& config, Findings& findings) {
  const auto& listen = config.operator_listener.listen;
  if (listen && !is_loopback(listen->address)) {
    findings.error("operator.listen",
                   "operator.listen " + listen->to_string() + " can be reached from outside",
                   "write listen = \"127.0.0.1:" + std::to_string(listen->port) +
                       "\" and reach it through ssh or a proxy");
  }
}

Problem loud(std::string what, std::string remedy) {
  return {Severity::warning, 0, 0, std::move(what), std::move(remedy)};
}

}  // namespace

void Findings::error(std::string_view key, std::string what, std::string remedy) {
  add(Severity::error, place_of(key), std::move(what), std::move(remedy));
}

void Findings::warning(std::string_view key, std::string what, std::string remedy) {
  add(Severity::warning, place_of(key), std::move(what), std::move(remedy));
}

void Findings::error_at(Place place, std::string what, std::string remedy) {
  add(Severity::error, place, std::move(what), std::move(remedy));
}

void Findings::add(Severity severity, Place place, std::string what, std::string remedy) {
  problems_.push_back({severity, place.line, place.column, std::move(what), std::move(remedy)});
}

Place Findings::place_of(std::string_view key) const {
  const auto found = places_.find(key);
  return found == places_.end() ? Place{} : found->second;
}

void check_config(Config& config, Findings& findings) {
  check_names(config, findings);
  check_https(config, findings);
  check_acme(config.http, findings);
  check_ports(config, findings);
  check_relay_addresses(config.turn, findings);
  check_advertised(config.turn, findings);
  check_alternate_server(config.turn, findings);
  check_discovery(config.turn, findings);
  check_peers(config.turn, findings);
  check_credentials(config.turn, findings);
  check_operator(config, findings);
  check_anchors(config, findings);
  check_journal(config, findings);
  check_retention(config.audit, findings);
  if (!config.demo) check_ballast(config, findings);
  check_backup(config.backup, config, findings);
}

bool open_to_all(const Config& config) {
  const bool web_is_public = any_public(config.https.listen) || any_public(config.http.listen);
  return config.signaling.access == Access::open && web_is_public;
}

std::vector<Problem> loud_warnings(const Config& config) {
  std::vector<Problem> result;
  if (open_to_all(config)) {
    result.push_back(
        loud("rooms are open: whoever reaches this server can make and enter rooms",
             "write access = \"invite\" under [signaling], or let only people you trust "
             "reach the listeners"));
  }
  if (any_public(config.http.listen) && redirect_target(config).empty()) {
    result.push_back(
        loud("plain http is served to other machines: signaling is not encrypted, and "
             "browsers give no camera to such pages",
             "serve https, and listen for http on loopback only"));
  }
  if (config.turn.listen.empty()) {
    result.push_back(loud("turn.listen is empty: visits between two firewalls will not connect",
                          "write listen = [\"[::]:3478\"] under [turn]"));
  }
  if (config.turn.allow_loopback_peers) {
    result.push_back(
        loud("turn.allow_loopback_peers lets relay users reach every UDP service of "
             "this machine; it is for tests",
             "remove it"));
  }
  if (config.turn.tcp_relay) {
    result.push_back(loud(
        "turn.tcp_relay lets relay users open TCP connections to hosts of their choice, and be "
        "connected to; browsers do not use it",
        "remove it unless a TURN client of yours asks for TCP allocations (RFC 6062)"));
  }
  if (config.turn.accept_rfc5766_channels) {
    result.push_back(
        loud("turn.accept_rfc5766_channels accepts channel numbers RFC 8656 forbids; "
             "it is for tests with old clients",
             "remove it"));
  }
  return result;
}

}  // namespace bedside::server
