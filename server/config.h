#pragma once

// The configuration of a server, as values. Reading one never stops at the first mistake: every
// problem of a file is collected with its place and its remedy, because a person who edits a
// configuration on a remote machine wants to hear everything at once.
//
// Any thread; the values are immutable after start. Secrets of a Config (shared secret, passwords)
// are read from their files while loading and never printed.

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "store/cosignature.h"
#include "stun/endpoint.h"
#include "turn/limits.h"
#include "turn/peer_policy.h"

namespace bedside::server {

// How visitors get into a room (protocol.md 2.1).
enum class Access : std::uint8_t { open, invite };

struct PortRange {
  std::uint16_t first = 49152;
  std::uint16_t last = 65535;
};

// "203.0.113.0/24"; a bare address is a block of one.
using AddressBlock = turn::Prefix;

struct PracticeConfig {
  std::string name = "Bedside";
  std::string phone;
};

struct HttpsConfig {
  std::vector<stun::Endpoint> listen;
  std::filesystem::path certificate;  // PEM, leaf first
  std::filesystem::path private_key;  // PEM

  bool has_certificate() const { return !certificate.empty() && !private_key.empty(); }
};

struct HttpConfig {
  std::vector<stun::Endpoint> listen;
  std::filesystem::path acme_webroot;  // empty: none; otherwise `listen` serves challenges from it
};

// A long-term user for TURN clients other than the session page.
struct TurnUser {
  std::string name;
  std::string password;
};

struct TurnConfig {
  // Each address is served over UDP and over TCP, over UDP only where [https] has the TCP port (so
  // 443 may be written here too); where [https] has a certificate, also over TLS on
  // the same TCP port and, with `dtls`, over DTLS on the same UDP port.
  std::vector<stun::Endpoint> listen;
  bool dtls = true;
  PortRange relay_ports;
  std::vector<stun::IpAddress> external_ip;  // at most one per family
  // Where clients are sent while this server accepts no new allocations; at most one per family.
  std::vector<stun::Endpoint> alternate_server;
  std::string realm;
  std::filesystem::path shared_secret_file;
  std::string shared_secret;  // content of the file; empty: no shared secret
  bool allow_loopback_peers = false;
  std::vector<AddressBlock> allowed_peers;
  std::vector<AddressBlock> denied_peers;
  turn::Quotas quotas;
  unsigned threads = 0;  // relay threads; 0: one per core
  std::vector<TurnUser> users;
  bool mobility = false;                 // RFC 8016; needs threads = 1
  bool tcp_relay = false;                // RFC 6062
  bool behavior_discovery = false;       // RFC 5780; needs two addresses × two ports in `listen`
  bool accept_rfc5766_channels = false;  // tests with old clients only
};

struct SignalingConfig {
  Access access = Access::invite;
  bool waiting_room = true;          // guests wait until a host admits; invite mode only
  unsigned room_lifetime_days = 30;  // rooms nobody ends or uses, and links, are good for that long
  unsigned max_participants = 8;
  std::vector<std::string> allowed_origins;  // "https://portal.example.org", compared exactly
};

struct AdminConfig {
  std::vector<AddressBlock> allow_from;  // empty: every address may see the log-in page
};

// A server that cosigns checkpoints of this log.
struct WitnessOfUs {
  std::string url;  // "/add-checkpoint" is added
  store::VerifierKey key;
};

struct AuditConfig {
  std::filesystem::path key_file;           // 32 bytes; empty: a key in data_dir
  std::filesystem::path anchor_file;        // on another disk; empty: none
  std::filesystem::path emergency_journal;  // on another disk; empty: no emergencies
  std::string anchor_webhook;               // an https URL; empty: none
  std::vector<WitnessOfUs> witnesses;
  unsigned ballast_mb = 64;  // of data_dir's disk, given up when it is full; 0: none
  unsigned keep_years = 10;  // what is younger is never purged; store::kMinKeepYears at least
};

// Encrypted copies of the database (backup.h).
struct BackupConfig {
  std::filesystem::path folder;      // empty: none are made
  std::filesystem::path public_key;  // PEM; its private half is kept elsewhere
  unsigned keep = 30;                // newest ones; older ones are removed
  std::filesystem::path
      scratch_folder;  // plain copies while one is made or proven; empty: data_dir
};

// This server as the witness of other practices' logs.
struct WitnessConfig {
  std::vector<store::VerifierKey> logs;
};

struct OperatorConfig {
  std::optional<stun::Endpoint> listen;  // absent: no operator listener
};

struct Config {
  std::filesystem::path data_dir;
  std::string public_host;         // name in links and turns: URIs
  std::string log_level = "info";  // one of log::Level
  PracticeConfig practice;
  HttpsConfig https;
  HttpConfig http;
  TurnConfig turn;
  SignalingConfig signaling;
  AdminConfig admin;
  AuditConfig audit;
  BackupConfig backup;
  WitnessConfig witness;
  OperatorConfig operator_listener;
  bool demo = false;  // the configuration is demo_config(), not a file

  // Where backups and archives of purges are made and proven. Plain copies: nobody else may read
  // it.
  std::filesystem::path scratch() const {
    return backup.scratch_folder.empty() ? data_dir : backup.scratch_folder;
  }
  std::filesystem::path database() const { return data_dir / "bedside.db"; }
  std::filesystem::path keys_dir() const { return data_dir / "keys"; }
};

enum class Severity : std::uint8_t { error, warning };

struct Problem {
  Severity severity = Severity::error;
  std::uint32_t line = 0;  // 1-based; 0: concerns the file as a whole
  std::uint32_t column = 0;
  std::string what;
  std::string remedy;  // what to write or do instead
};

struct CheckedConfig {
  Config config;                  // complete and consistent only when ok()
  std::vector<Problem> problems;  // in file order

  bool ok() const;
};

// Reads and checks a file. Relative paths in it are relative to the file's folder. Files it names
// (certificate, key, secrets) are opened, so that "cannot read" is told with file and uid.
CheckedConfig load_config(const std::filesystem::path& file);

// The same for a text; `file` gives the folder of relative paths and is not opened.
CheckedConfig parse_config(std::string_view text, const std::filesystem::path& file);

// "bedside.toml:12:3: error: …\n    instead: …"
std::string describe(const Problem& problem, const std::filesystem::path& file);

// What an operator must hear at every start and in check-config although it is allowed: open rooms
// on a public address, test-only switches, plain HTTP outside of this machine.
std::vector<Problem> loud_warnings(const Config& config);

// Open rooms where strangers may come: on a listener that is not loopback.
bool open_to_all(const Config& config);

// "[::]" means both families: the sockets are bound per family with IPV6_V6ONLY, so an IPv6
// wildcard is accompanied by 0.0.0.0. Order kept, duplicates removed.
std::vector<stun::Endpoint> endpoints_to_bind(const std::vector<stun::Endpoint>& listen);

// The endpoints of turn.listen that have a TCP socket of their own: not those whose TCP port is one
// of [https], which speaks TURN over TLS there anyway. By family, as bound.
std::vector<stun::Endpoint> turn_tcp_endpoints(const Config& config);

bool is_loopback(const stun::IpAddress& address);

}  // namespace bedside::server
