// What staff, operators and the server itself do: one of each, and the record it leaves.

#include <gtest/gtest.h>

#include <array>
#include <set>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "server/audit_trail.h"

namespace bedside::server {
namespace {

using std::chrono::milliseconds;

struct Told {
  AdminAction action;
  std::string type;
  std::string object;
  std::string actor;  // its kind and name
};

constexpr std::array<std::uint8_t, 32> kKeyOfActions{3};
const AuditStaff kGrace{"dr.grace", "admin", "s1"};

std::vector<Told> by_staff() {
  const std::string grace = "staff dr.grace";
  const LoginTried refused{{"dr.ada", "admin", ""}, true, LoginResult::locked};
  const store::AccountRow ada{"dr.ada", "scrypt", "admin", milliseconds(1)};
  const auto timed_out = [](TimeoutReason why) { return SessionTimedOut{kGrace, why}; };
  return {
      {LoginTried{kGrace, true, LoginResult::ok}, "auth.login", "", grace},
      {refused, "auth.login", "dr.ada", "client "},
      {LoggedOut{kGrace}, "auth.logout", "", grace},
      {timed_out(TimeoutReason::idle), "auth.timeout", "", grace},
      {timed_out(TimeoutReason::revoked), "auth.session_revoked", "", grace},
      {UserCreated{std::nullopt, {ada, true}}, "user.created", "dr.ada", "client "},
      {UserInvited{kGrace, {{"dr.ada", {}, "", {}}, {}}}, "user.invited", "dr.ada", grace},
      {UserDisabled{kGrace, {"dr.ada", {}}}, "user.disabled", "dr.ada", grace},
      {PasswordSet{kGrace, {"dr.ada", "scrypt"}}, "auth.password_set", "dr.ada", grace},
      {AuditViewed{kGrace, {}, 1}, "audit.viewed", "", grace},
      {AuditExported{kGrace, {}}, "audit.exported", "", grace},
  };
}

std::vector<Told> of_retention() {
  const std::string grace = "staff dr.grace";
  const auto change = [](RetentionAction what) { return RetentionChange{kGrace, std::move(what)}; };
  const HoldSet set{{{"h1", "", "dr.ada", {}, {}}}, {"other", ""}};
  const HoldCleared cleared{{"h1"}, {"closed", ""}};
  return {
      {change(set), "audit.hold_set", "h1", grace},
      {change(cleared), "audit.hold_cleared", "h1", grace},
      {change(PurgeProposed{{{256, 6, "dr.grace", {}}}, 1, 0}), "audit.purge_proposed", "", grace},
      {change(PurgeWithdrawn{}), "audit.purge_withdrawn", "", grace},
      {change(LogPurged{{}, "archive.tar"}), "audit.purged", "", grace},
  };
}

// Somebody at the server's own socket.
std::vector<Told> by_operators() {
  const std::string anna = "operator anna";
  const store::ApiTokenRow token{"t1", "EHR", "rooms.read", {}, {}, {}};
  BackupTried made;
  made.ok = true;
  return {
      {UserInvited{{}, {{"dr.ada", {}, "", {}}, {}}}, "user.invited", "dr.ada", anna},
      {AuditVerified{1, "root", true, 0, 1}, "audit.verified", "", anna},
      {made, "backup.verified", "", anna},
      {BackupTried{}, "backup.failed", "", anna},
      {LogRestored{}, "log.restored", "", anna},
      {ApiTokenCreated{{token}}, "token.created", "t1", anna},
      {ApiTokenRevoked{{"t1"}}, "token.revoked", "t1", anna},
      {TurnCredentialIssued{"desk", milliseconds(1)}, "cred.issued",
       AuditTrail(kKeyOfActions, kKeyOfActions).config_digest("turn-subject", "desk"), anna},
      {DataKeysGivenUp{{"2026-11"}}, "key.given_up", "audit-data-key", anna},
      {RelayDraining{true}, "relay.draining", "", "operator "},
  };
}

std::vector<Told> by_the_service() {
  const std::string service = "service ";
  const store::WitnessedLogRow log{"other/log", 3, {1}, "note"};
  return {
      {ServiceStarted{}, "service.start", "", service},
      {ServiceUpgraded{}, "service.upgrade", "", service},
      {ServiceStopped{"signal"}, "service.stop", "", service},
      {StorageLow{}, "storage.low", "", service},
      {StorageFull{}, "storage.full", "", service},
      {ClockStepped{milliseconds(1)}, "time.step", "", service},
      {ClockSynchronization{}, "time.unsynced", "", service},
      {ConfigChanged{{{"key", "", "d"}}}, "config.changed", "", service},
      {CertificateRenewed{"a", "b", {}}, "cert.renewed", "", service},
      {CheckpointCosigned{{log, 0}}, "witness.cosigned", "other/log", "client "},
      {CheckpointRefused{{"other/log", 3, {}}, 4}, "witness.refused", "other/log", "client "},
      {AnchorCosigned{"witness", {}}, "witness.cosigned", "witness", service},
      {AnchorRefused{"file", "why"}, "witness.refused", "file", service},
  };
}

TEST(AuditActions, LeaveOneRecordEach) {
  const AuditTrail trail(kKeyOfActions, kKeyOfActions);
  AuditSource source{9, "https", stun::IpAddress::parse("203.0.113.77")};
  source.local = LocalUser{"anna", "root"};
  std::set<std::size_t> seen;
  for (const auto& group : {by_staff(), of_retention(), by_operators(), by_the_service()}) {
    for (const Told& each : group) {
      seen.insert(each.action.index());
      const std::vector<store::AuditRecord> records = trail.commit(each.action, source).records;
      ASSERT_EQ(records.size(), 1U) << each.type;
      const store::AuditRecord& record = records[0];
      EXPECT_EQ(record.type, each.type);
      EXPECT_EQ(record.object, each.object) << each.type;
      EXPECT_EQ(record.actor.kind + " " + record.actor.id, each.actor) << each.type;
      EXPECT_EQ(record.room, "") << each.type;
      EXPECT_EQ(record.request_id, 9U) << each.type;
      EXPECT_EQ(record.where.listener, "https") << each.type;
    }
  }
  static_assert(std::variant_size_v<AdminAction> == 31, "a new one has its line above, too");
  EXPECT_EQ(seen.size(), std::variant_size_v<AdminAction>);
}

TEST(AuditActions, ADrainThatSomeRelayThreadMissedHasFailed) {
  const AuditTrail trail(kKeyOfActions, kKeyOfActions);
  const auto outcome = [&](bool everywhere) {
    return trail.commit(RelayDraining{true, everywhere}, {}).records.at(0).outcome;
  };
  EXPECT_EQ(outcome(true), store::Outcome::ok);
  EXPECT_EQ(outcome(false), store::Outcome::failed);
}

}  // namespace
}  // namespace bedside::server
