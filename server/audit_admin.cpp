#include "server/audit_admin.h"

#include <string>
#include <string_view>
#include <variant>

#include "server/audit_types.h"
#include "store/checkpoint.h"

namespace bedside::server {
namespace {

namespace type = audit_type;
using store::AuditRecord;
using store::Outcome;

// Longer filter texts are cut in the record: nobody types them by mistake.
constexpr std::size_t kMaxFilterText = 64;

store::JsonObject filter_of(const store::AuditQuery& query) {
  store::JsonObject filter;
  if (query.from) filter.set("from_us", query.from->count());
  if (query.to) filter.set("to_us", query.to->count());
  filter.set_if("type", std::string_view(query.type_prefix).substr(0, kMaxFilterText));
  filter.set_if("room", std::string_view(query.room).substr(0, kMaxFilterText));
  if (query.outcome) filter.set("outcome", to_string(*query.outcome));
  if (query.before_seq != 0) filter.set("before_seq", query.before_seq);
  filter.set("limit", query.limit);
  return filter;
}

// AdminAction → record, with the change where there is one. No catch-all here either.
struct AdminMapping {
  const AuditPrivacy& privacy;
  const AuditSource& source;
  store::Commit& commit;

  void operator()(const LoginTried& action) {
    const bool ok = action.result == LoginResult::ok;
    AuditRecord& made = ok ? by(type::kLogin, action.staff) : add(type::kLogin);
    if (ok) {
      made.actor.auth = "password";
      return;
    }
    made.outcome = Outcome::denied;
    made.reason = action.result == LoginResult::locked ? "locked" : "wrong";
    made.actor.kind = "client";
    if (action.account_known) made.object = action.staff.account;
  }
  void operator()(const LoggedOut& action) {
    by(type::kLogout, action.staff).reason =
        action.reason == LogoutReason::requested ? "requested" : "replaced";
    commit.keep = true;  // the session is gone already
  }
  void operator()(const SessionTimedOut& action) {
    const bool revoked = action.reason == TimeoutReason::revoked;
    by(revoked ? type::kSessionRevoked : type::kSessionTimeout, action.staff).reason =
        word(action.reason);
    commit.keep = true;  // the session is gone already
  }
  void operator()(const UserCreated& action) {
    AuditRecord& made = action.by ? by(type::kUserCreated, *action.by) : add(type::kUserCreated);
    if (!action.by) {
      made.actor.kind = "client";
      made.actor.auth = action.change.invited ? "invitation" : "set-up code";
    }
    made.object = action.change.account.name;
    made.detail.set("role", action.change.account.role);
    commit.changes.emplace_back(action.change);
  }
  void operator()(const UserInvited& action) {
    by_somebody(type::kUserInvited, action.by).object = action.change.invitation.name;
    commit.changes.emplace_back(action.change);
  }
  void operator()(const UserDisabled& action) {
    by_somebody(type::kUserDisabled, action.by).object = action.change.name;
    commit.changes.emplace_back(action.change);
  }
  void operator()(const RetentionChange& action) {
    describe(action.what, privacy, by_somebody(type_of(action.what), action.by), commit);
  }
  void operator()(const PasswordSet& action) {
    by(type::kPasswordSet, action.by).object = action.change.name;
    commit.changes.emplace_back(action.change);
  }
  void operator()(const AuditViewed& action) {
    by(type::kAuditViewed, action.by)
        .detail.set("filter", filter_of(action.query))
        .set("rows", action.rows);
  }
  void operator()(const AuditExported& action) {
    by_somebody(type::kAuditExported, action.by).detail = action.detail;
  }
  void operator()(const AuditVerified& action) {
    AuditRecord& made = add_by_operator(type::kAuditVerified, "");
    made.detail.set("size", action.records).set_if("root", action.root);
    made.detail.set("intact", action.intact);
    if (action.ok) return;
    made.outcome = Outcome::failed;
    if (action.first_bad_seq != 0) made.detail.set("first_bad_seq", action.first_bad_seq);
  }
  void operator()(const BackupTried& action) {
    AuditRecord& made =
        add_by_operator(action.ok ? type::kBackupVerified : type::kBackupFailed, "");
    if (!action.ok) {
      made.outcome = Outcome::failed;
      made.detail.set_if("step", action.failed_at);
      return;
    }
    made.detail.set("size", action.records).set("root", action.root).set("bytes", action.bytes);
    made.detail.set("sha256", action.digest).set("rto_ms", action.restore.count());
  }
  void operator()(const LogRestored& action) {
    AuditRecord& made = add_by_operator(type::kLogRestored, "");
    made.detail.set("lost_from", action.lost_from).set("root", action.root);
    made.detail.set("backup_made", action.backup_made.count());
    made.detail.set("rto_ms", action.took.count());
  }
  void operator()(const ServiceStarted& action) {
    AuditRecord& made = add(type::kServiceStart);
    made.actor.kind = "service";
    if (action.after_crash) made.reason = "after-crash";
    made.detail.set_if("assets", action.build.assets).set("rooms", action.rooms);
    made.detail.set_if("binary", action.build.binary);
    if (action.clock_unsynced) made.detail.set("clock_unsynced", 1);
    store::JsonObject config;
    for (const ConfigDigest& each : action.config) config.set(each.key, each.digest);
    if (!config.empty()) made.detail.set("config", config);
  }
  void operator()(const ServiceUpgraded& action) {
    AuditRecord& made = add(type::kServiceUpgrade);
    made.actor.kind = "service";
    made.detail.set("from", identity(action.before)).set("to", identity(action.after));
  }
  void operator()(const ServiceStopped& action) {
    AuditRecord& made = add(type::kServiceStop);
    made.actor.kind = "service";
    made.reason = action.reason;
    commit.keep = true;
  }
  void operator()(const StorageLow& action) {
    AuditRecord& made = add(type::kStorageLow);
    made.actor.kind = "service";
    made.reason = name(action.state);
    made.detail.set("free_mb", action.space.free >> 20).set("size_mb", action.space.size >> 20);
    commit.keep = true;  // it is so
  }
  void operator()(const StorageFull& action) {
    AuditRecord& made = add(type::kStorageFull);
    made.actor.kind = "service";
    if (action.ballast_mb != 0) made.detail.set("ballast_mb", action.ballast_mb);
    commit.keep = true;
  }
  void operator()(const ClockStepped& action) {
    AuditRecord& made = add(type::kTimeStep);
    made.actor.kind = "service";
    made.detail.set("by_ms", action.by.count());
    commit.keep = true;  // it is so
  }
  void operator()(const ClockSynchronization& action) {
    AuditRecord& made = add(type::kTimeUnsynced);
    made.actor.kind = "service";
    made.reason = action.synchronized ? "ended" : "began";
    commit.keep = true;
  }
  void operator()(const TurnCredentialIssued& action) {
    const std::string subject = privacy.pseudonym("turn-subject", action.subject);
    add_by_operator(type::kCredentialIssued, subject)
        .detail.set("expires_ms", action.expires_at.count());
  }
  void operator()(const DataKeysGivenUp& action) {
    std::string months;
    for (const std::string& month : action.months) {
      months += (months.empty() ? "" : " ") + month;
      commit.changes.emplace_back(store::DataKeyGivenUp{month});
    }
    add_by_operator(type::kKeysGivenUp, "audit-data-key").detail.set("months", months);
  }
  void operator()(const RelayDraining& action) {
    AuditRecord& made = add(type::kRelayDraining);
    made.actor.kind = "operator";
    made.actor.auth = "loopback";
    made.reason = action.draining ? "began" : "ended";
    if (!action.everywhere) made.outcome = store::Outcome::failed;
    commit.keep = true;
  }
  void operator()(const CertificateRenewed& action) {
    AuditRecord& made = add(type::kCertificateRenewed);
    made.actor.kind = "service";
    made.detail.set("before", action.before);
    made.detail.set("after", action.after);
    made.detail.set("expires", action.expires.count());
    commit.keep = true;  // it is served whatever the disk says
  }
  void operator()(const CheckpointCosigned& action) {
    const store::WitnessedLogRow& log = action.change.log;
    AuditRecord& made = add(type::kWitnessCosigned);
    made.actor.kind = "client";
    made.actor.auth = "signature";
    made.object = log.origin;
    made.detail.set("as", "witness").set("size", log.size).set("root", store::to_hex(log.root));
    commit.changes.emplace_back(action.change);
  }
  void operator()(const CheckpointRefused& action) {
    AuditRecord& made = add(type::kWitnessRefused);
    made.outcome = Outcome::denied;
    made.reason = "inconsistent";
    made.actor.kind = "client";
    made.actor.auth = "signature";
    made.object = action.head.origin;
    made.detail.set("as", "witness").set("size", action.head.size);
    made.detail.set("root", store::to_hex(action.head.root)).set("known_size", action.known_size);
    commit.keep = true;  // the answer has given nothing, and this is the proof against that log
  }
  void operator()(const AnchorCosigned& action) {
    AuditRecord& made = add(type::kWitnessCosigned);
    made.actor.kind = "service";
    made.object = action.witness;
    made.detail.set("as", "log").set("size", action.head.size);
    made.detail.set("root", store::to_hex(action.head.root));
    commit.keep = true;  // it has happened
  }
  void operator()(const AnchorRefused& action) {
    AuditRecord& made = add(type::kWitnessRefused);
    made.outcome = Outcome::failed;
    made.reason = "inconsistent";
    made.actor.kind = "service";
    made.object = action.place;
    made.detail.set("as", "log").set("what", action.what);
    commit.keep = true;  // it has happened
  }
  void operator()(const ConfigChanged& action) {
    AuditRecord& made = add(type::kConfigChanged);
    made.actor.kind = "service";
    for (const ConfigChange& change : action.keys) {
      store::JsonObject digests;
      digests.set_if("before", change.before).set("after", change.after);
      made.detail.set(change.key, digests);
    }
  }

  void operator()(const ApiTokenCreated& action) {
    const store::ApiTokenRow& token = action.change.token;
    AuditRecord& made = add_by_operator(type::kTokenCreated, token.token_id);
    made.detail.set("scopes", token.scopes);
    if (token.expires_at) made.detail.set("expires_ms", token.expires_at->count());
    commit.changes.emplace_back(action.change);
  }
  void operator()(const ApiTokenRevoked& action) {
    add_by_operator(type::kTokenRevoked, action.change.token_id);
    commit.changes.emplace_back(action.change);
  }

 private:
  static std::string_view word(TimeoutReason reason) {
    switch (reason) {
      case TimeoutReason::idle:
        return "idle";
      case TimeoutReason::absolute:
        return "absolute";
      case TimeoutReason::displaced:
        return "displaced";
      case TimeoutReason::revoked:
        return "account-disabled";
    }
    return "unknown";
  }
  static store::JsonObject identity(const BuildIdentity& build) {
    store::JsonObject told;
    told.set("version", build.version).set_if("binary", build.binary);
    told.set_if("assets", build.assets);
    return told;
  }
  AuditRecord& add_by_operator(std::string_view kind, const std::string& object) {
    AuditRecord& made = add(kind);
    const LocalUser user = source.local.value_or(LocalUser{});
    made.actor = {"operator", user.login, user.runs_as, "local"};
    made.object = object;
    return made;
  }
  AuditRecord& add(std::string_view kind) {
    AuditRecord& made = commit.records.emplace_back();
    made.type = kind;
    made.request_id = source.request_id;
    return made;
  }
  AuditRecord& by_somebody(std::string_view kind, const std::optional<AuditStaff>& staff) {
    return staff ? by(kind, *staff) : add_by_operator(kind, "");
  }
  AuditRecord& by(std::string_view kind, const AuditStaff& staff) {
    AuditRecord& made = add(kind);
    made.actor = {"staff", staff.account, staff.role, "session"};
    made.session = staff.session;
    return made;
  }
};

}  // namespace

store::Commit map_admin_action(const AdminAction& action, const AuditPrivacy& privacy,
                               const AuditSource& source) {
  store::Commit commit;
  std::visit(AdminMapping{privacy, source, commit}, action);
  return commit;
}

}  // namespace bedside::server
