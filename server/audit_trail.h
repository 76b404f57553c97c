#pragma once

// Turns what happened into what is recorded: the only place that knows the privacy rules of the
// audit log, and the only one that makes store::Commits.
//
//  - Rooms and appointments appear as pseudonyms (keyed hashes): whoever reads the log needs the
//  key, or
//    the practice's own records, to tell whose visit it was.
//  - An IP address appears truncated (/24, /48); in full it is encrypted beside the record. Only
//  for
//    staff who are logged in it appears in full.
//  - Display names, links, tokens and message contents do not appear at all.
//
// Control thread only (the abuse counters); the const functions may be called from any thread.

#include <chrono>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "server/abuse_counters.h"
#include "server/audit_privacy.h"
#include "server/audit_types.h"
#include "server/config_reload.h"
#include "signaling/output.h"
#include "store/audit_bundle.h"
#include "store/cosignature.h"
#include "store/reader.h"
#include "store/store.h"
#include "stun/endpoint.h"
#include "turn/event.h"

namespace bedside::server {

// Where a request came from (RequestContext has all of it).
struct AuditSource {
  std::uint64_t request_id = 0;
  std::string listener;
  std::optional<stun::IpAddress> address;
};

// A member of the practice's staff who is logged in. Account names are no display names: staff
// answer for what they do, so they appear in clear.
struct AuditStaff {
  std::string account;
  std::string role;
  std::string session;  // AdminSession::audit_id
};

enum class LoginResult : std::uint8_t { ok, wrong, locked };
enum class LogoutReason : std::uint8_t { requested, replaced };

struct LoginTried {
  AuditStaff staff;  // session only when ok
  bool account_known =
      false;  // a name of nobody may be a password in the wrong field: it is not kept
  LoginResult result = LoginResult::wrong;
};
struct LoggedOut {
  AuditStaff staff;
  LogoutReason reason = LogoutReason::requested;
};
// With its change: the account and its record are one transaction.
struct UserCreated {
  std::optional<AuditStaff> by;  // nobody: the one-time set-up code
  store::AccountCreated change;
};
struct PasswordSet {
  AuditStaff by;
  store::AccountPasswordSet change;
};
struct AuditViewed {
  AuditStaff by;
  store::AuditQuery query;
  std::size_t rows = 0;
};
// Committed before anything leaves. `detail`: audit_export.h.
struct AuditExported {
  std::optional<AuditStaff> by;  // nobody: somebody who may read the database and its keys anyway
  store::JsonObject detail;
};
// A backup that was made and restored to a scratch folder, or why not.
struct BackupTried {
  bool ok = false;
  std::uint64_t records = 0;  // of the audit log in it
  std::string root;           // hexadecimal
  std::string digest;         // SHA-256 of the file
  std::uint64_t bytes = 0;
  std::chrono::milliseconds restore{};  // how long the scratch restore took
};
// The first record of a log that goes on from a backup; which records are lost is in the record
// before it (store/seal.h).
struct LogRestored {
  std::uint64_t lost_from = 0;
  std::chrono::seconds backup_made{};  // Unix time
  std::string root;                    // of the records before lost_from, hexadecimal
};
struct ServiceStarted {
  std::string assets_digest;  // of the pages it serves
  std::size_t rooms = 0;      // restored
  bool after_crash = false;   // the log's last record is not the one of an orderly stop
};
struct ServiceStopped {
  std::string reason;  // "signal", "error"
};
// SIGHUP: the configuration was read again, and this is what it changes. Values are told by keyed
// digests only: whoever knows a value can recognise it, nobody else learns it.
struct ConfigChanged {
  std::vector<ChangedKey> keys;
};
// Digests of certificates are public: whoever connects can compute them.
struct CertificateRenewed {
  std::string before;  // SHA-256, hexadecimal
  std::string after;
  std::chrono::seconds expires{};  // Unix time
};
// By whoever may reach the server's own socket; the secret is in neither.
struct ApiTokenCreated {
  store::ApiTokenCreated change;
};
struct ApiTokenRevoked {
  store::ApiTokenRevoked change;
};
// This server as the witness of another log; detail.as is "witness".
struct CheckpointCosigned {
  store::CheckpointWitnessed change;
};
struct CheckpointRefused {
  store::TreeHead head;          // what was asked for
  std::uint64_t known_size = 0;  // of the checkpoint it contradicts
};
// This log and a witness of it; detail.as is "log".
struct AnchorCosigned {
  std::string witness;
  store::TreeHead head;
};
struct AnchorRefused {
  std::string place;
  std::string what;  // a sentence of ours
};
// Rooms made or ended by staff are no variant of this: they come from the hub like all other rooms,
// with the account in signaling::Caller.
using AdminAction =
    std::variant<LoginTried, LoggedOut, UserCreated, PasswordSet, AuditViewed, ServiceStarted,
                 ServiceStopped, ConfigChanged, ApiTokenCreated, ApiTokenRevoked,
                 CertificateRenewed, CheckpointCosigned, CheckpointRefused, AnchorCosigned,
                 AnchorRefused, AuditExported, BackupTried, LogRestored>;

class AuditTrail {
 public:
  using Key = AuditPrivacy::Key;
  using Time = AbuseCounters::Time;

  AuditTrail(Key pseudonym_key, Key field_key) : privacy_(pseudonym_key, field_key) {}

  // Changes of rooms and their records, one transaction.
  store::Commit commit(const signaling::CommitNeeded& needed) const;
  store::Commit commit(const AdminAction& action, const AuditSource& source) const;

  // A relay event, with the room of its participant as far as the caller knows it. Openings and
  // closings give a commit at once and are kept whatever the disk says (the media flow already).
  // What strangers can repeat is counted and gives nothing now, except the first refused peer of a
  // source and minute.
  std::optional<store::Commit> commit(const turn::Event& event, std::string_view room, Time now);

  void count(Abuse kind, const std::optional<stun::IpAddress>& address, Time now);
  // The counters of the last minute once it is over (call about every second), or of all (at the
  // stop).
  std::optional<store::Commit> take_counted(Time now);
  std::optional<store::Commit> take_all_counted();

  // What a record calls this room: to filter the list by a room somebody names.
  std::string room_pseudonym(std::string_view room) const;

  // The address that Reader::audit_ip() returned encrypted; nothing when the key does not fit.
  // Whoever shows it records that first.
  std::optional<std::string> reveal_ip(std::span<const std::uint8_t> ciphertext) const;
  // With the salt, so that others can check it against the sealed commitment. Recorded likewise.
  std::optional<store::DisclosedField> open_field(std::span<const std::uint8_t> ciphertext) const;

 private:
  std::optional<store::Commit> counted(std::vector<AbuseCounters::Row> rows) const;

  AuditPrivacy privacy_;
  AbuseCounters counters_;
};

// What the log's newest records (newest first) say about the end of the last run: true when it was
// not an orderly stop.
bool ended_by_a_crash(std::span<const store::AuditRow> newest);

}  // namespace bedside::server
