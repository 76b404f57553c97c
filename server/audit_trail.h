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
//  - A participant's display name and the appointment as the practice's own system calls it are
//    commitments in the record, encrypted beside it.
//  - Links, tokens and message contents do not appear at all.
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
#include "server/admin_sessions.h"
#include "server/audit_privacy.h"
#include "server/audit_retention.h"
#include "server/audit_types.h"
#include "server/build_identity.h"
#include "server/disk_watch.h"
#include "server/local_user.h"
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
  // At this machine itself: the operator of actions that nobody of the staff did.
  std::optional<LocalUser> local = {};
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
// A session that ended by itself.
struct SessionTimedOut {
  AuditStaff staff;
  TimeoutReason reason = TimeoutReason::idle;
};
// With its change: the account and its record are one transaction.
struct UserCreated {
  std::optional<AuditStaff> by;  // nobody: the set-up code, or an invitation
  store::AccountCreated change;
};
// A name that somebody may make an account of, with a code that is shown once.
struct UserInvited {
  std::optional<AuditStaff> by;  // nobody: whoever may reach the server's own socket
  store::AccountInvited change;
};
struct UserDisabled {
  std::optional<AuditStaff> by;
  store::AccountDisabled change;
};
struct RetentionChange {
  std::optional<AuditStaff> by;
  RetentionAction what;
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
  std::string failed_at = {};           // what was being done when it failed
};
// The first record of a log that goes on from a backup; which records are lost is in the record
// before it (store/seal.h).
struct LogRestored {
  std::uint64_t lost_from = 0;
  std::chrono::seconds backup_made{};  // Unix time
  std::string root;                    // of the records before lost_from, hexadecimal
  std::chrono::milliseconds took{};    // from the archive to a log that goes on
};
// The log was checked beside the running server (`bedside audit verify`).
struct AuditVerified {
  std::uint64_t records = 0;        // from the first to this one
  std::string root;                 // hexadecimal; empty when it was not whole
  bool ok = false;                  // false: from here on it is about the first bad record
  std::uint64_t first_bad_seq = 0;  // where that was noticed; 0: not about one record
  std::uint64_t intact = 0;         // up to this record it was as it was sealed
};
// A value of the configuration is told by a keyed digest only: whoever knows it can recognise it,
// nobody else learns it.
struct ConfigDigest {
  std::string key;  // "turn.denied_peers"
  std::string digest;
};
struct ConfigChange {
  std::string key;
  std::string before;  // empty: not known
  std::string after;
};
struct ServiceStarted {
  BuildIdentity build;
  std::size_t rooms = 0;             // restored
  bool after_crash = false;          // the last run did not stop in an orderly way
  bool clock_unsynced = false;       // nothing keeps this machine's clock right
  std::vector<ConfigDigest> config;  // of every key
};
// This start is of another executable, or of other pages, than the one before.
struct ServiceUpgraded {
  BuildIdentity before;
  BuildIdentity after;
};
struct ServiceStopped {
  std::string reason;  // "signal", "error"
};
// The disk of the database has less space than is good (disk_watch.h).
struct StorageLow {
  DiskState state = DiskState::low;
  DiskSpace space;
};
// It has none: whatever grants something is refused from now on. The store tells of its end.
struct StorageFull {
  std::uint64_t ballast_mb = 0;  // given up for it; 0: none
};
// The wall clock was set (clock_watch.h).
struct ClockStepped {
  std::chrono::milliseconds by{};  // positive: forward
};
// It is kept right no more, or again.
struct ClockSynchronization {
  bool synchronized = false;
};
// SIGHUP, or a start with another configuration than before (config_record.h).
struct ConfigChanged {
  std::vector<ConfigChange> keys;
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
// `bedside turn-credential`: recorded before it is shown.
struct TurnCredentialIssued {
  std::string subject;
  std::chrono::milliseconds expires_at{};
};
// `bedside audit keys give-up`: nobody has what these months' keys were wrapped with.
struct DataKeysGivenUp {
  std::vector<std::string> months;
};
// The relay takes no new allocations, or takes them again; by whoever reaches the operator
// listener.
struct RelayDraining {
  bool draining = false;
  bool everywhere = true;  // false: a relay thread was too busy to be told
};
// Rooms made or ended by staff are no variant of this: they come from the hub like all other rooms,
// with the account in signaling::Caller.
using AdminAction =
    std::variant<LoginTried, LoggedOut, UserCreated, PasswordSet, AuditViewed, ServiceStarted,
                 ServiceStopped, ConfigChanged, ApiTokenCreated, ApiTokenRevoked,
                 CertificateRenewed, CheckpointCosigned, CheckpointRefused, AnchorCosigned,
                 AnchorRefused, AuditExported, BackupTried, LogRestored, StorageLow, StorageFull,
                 UserInvited, UserDisabled, RetentionChange, SessionTimedOut, AuditVerified,
                 ServiceUpgraded, ClockStepped, ClockSynchronization, TurnCredentialIssued,
                 RelayDraining, DataKeysGivenUp>;

class AuditTrail {
 public:
  using Key = AuditPrivacy::Key;
  using Time = AbuseCounters::Time;

  // AuditPrivacy says what the keys are for. Without a wrapping key the field key is one, too.
  AuditTrail(Key pseudonym_key, Key field_key) : AuditTrail(pseudonym_key, field_key, field_key) {}
  AuditTrail(Key pseudonym_key, Key field_key, Key wrapping_key)
      : privacy_(pseudonym_key, field_key, wrapping_key) {}

  std::string config_digest(std::string_view key, std::string_view value) const {
    return privacy_.pseudonym(key, value);
  }

  // This month's key for personal values is used from now on. When there is none yet, one with its
  // record: the caller commits it, and adopts it only then. So a clock that was wrong once, by
  // years, changes nothing later.
  std::optional<store::Commit> data_key_due(std::chrono::milliseconds wall);
  // Any thread. False: it was wrapped with another key.
  bool adopt(const store::DataKeyRow& key);

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

}  // namespace bedside::server
