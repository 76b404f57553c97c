#include "server/audit_trail.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <fstream>
#include <iterator>
#include <regex>
#include <set>
#include <string>
#include <utility>
#include <variant>
#include <vector>

namespace bedside::server {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using store::AuditRecord;
using store::Outcome;
using testing::HasSubstr;
using testing::Not;

constexpr std::array<std::uint8_t, 32> kPseudonymKey{1};
constexpr std::array<std::uint8_t, 32> kFieldKey{2};

class AuditTrailTest : public testing::Test {
 protected:
  static signaling::Caller caller() {
    signaling::Caller made;
    made.request_id = 9;
    made.listener = "https";
    made.address = "203.0.113.77";
    made.actor_kind = "anonymous";
    made.actor_auth = "none";
    return made;
  }
  store::Commit from_hub(signaling::Change change) const {
    return trail.commit(signaling::CommitNeeded{1, "visit-ada", {std::move(change)}, caller()});
  }
  static AuditSource source() { return {9, "https", stun::IpAddress::parse("203.0.113.77")}; }
  static turn::Party party(std::string participant, const std::string& client) {
    turn::Party made;
    made.client.client = stun::Endpoint::parse(client).value();
    made.subject = "patient-4711";
    made.participant = std::move(participant);
    return made;
  }
  static std::string body(const AuditRecord& record) { return store::audit_body(record, {}); }

  AuditTrail trail{kPseudonymKey, kFieldKey};
};

constexpr signaling::TokenHash kToken{0xab, 0xcd};
constexpr signaling::TokenHash kNewLink{1, 2, 3, 4, 5, 6, 7, 8, 9};
constexpr signaling::TokenHash kOldLink{0xf1, 2, 3, 4, 5, 6, 7, 8, 9};
constexpr const char* kAppointment = "\"appointment-4711\"";

// One of each kind in the order of the variant, with values that must not be found in a log.
std::vector<signaling::Change> one_of_each() {
  using signaling::LeaveReason;
  const std::string room = "visit-ada";
  const auto ms = [](int count) { return milliseconds(count); };
  std::vector<signaling::Change> all{
      signaling::RoomCreated{room, kAppointment, ms(1), ms(2)},
      signaling::RoomKept{room, ms(11)},
      signaling::RoomLocked{room, true},
      signaling::LinkIssued{room, signaling::Role::guest, kNewLink, ms(12)},
      signaling::LinkDropped{room, kOldLink},
      signaling::RoomEnded{room, signaling::EndReason::admin, ms(9), ms(10)},
      signaling::RoomForgotten{room},
      signaling::ParticipantJoined{room, "p1", "Ada Lovelace", signaling::Role::host, kToken, ms(2),
                                   ms(3), true, kNewLink},
      signaling::ParticipantAttached{room, "p1", signaling::Transport::poll, ms(4)},
      signaling::ParticipantAdmitted{room, "p2"},
      signaling::ParticipantDeclined{room, "p3"},
      signaling::ParticipantKicked{room, "p4", seconds(5)},
      signaling::ParticipantDetached{room, "p1", LeaveReason::disconnected, ms(5), seconds(6)},
      signaling::ParticipantLeft{room, "p1", LeaveReason::left, ms(7), seconds(8)},
      signaling::CredentialIssued{room, "p1", ms(600'000)},
      signaling::EmergencyOpened{room, "p1", ms(13)},
      signaling::MediaDeclared{room, "p1", signaling::MediaDeclared::What::relay, true}};
  for (std::size_t i = 0; i < all.size(); ++i) EXPECT_EQ(all[i].index(), i);
  EXPECT_EQ(all.size(), std::variant_size_v<signaling::Change>);
  return all;
}

TEST_F(AuditTrailTest, RecordsEveryChangeOfARoomOnce) {
  static_assert(std::variant_size_v<signaling::Change> == 17, "a new one has its line below, too");
  signaling::CommitNeeded needed{1, "visit-ada", one_of_each(), caller()};
  needed.keep = true;
  const store::Commit commit = trail.commit(needed);
  EXPECT_TRUE(commit.keep);
  std::vector<std::pair<std::string, std::string>> told;
  for (const AuditRecord& record : commit.records) {
    told.emplace_back(record.type, record.object);
    EXPECT_EQ(record.room, trail.room_pseudonym("visit-ada"));
    EXPECT_EQ(record.request_id, 9U);
    EXPECT_EQ(record.where.listener, "https");
    EXPECT_EQ(record.where.ip_prefix, "203.0.113.0/24");
    EXPECT_EQ(trail.reveal_ip(record.where.ip_enc), "203.0.113.77");
  }
  // A room that is kept for longer has none: whoever moved its expiry has one beside it.
  const std::vector<std::pair<std::string, std::string>> expected{
      {"room.created", trail.config_digest("appointment", kAppointment)},
      {"room.locked", ""},
      {"link.issued", "0102030405060708"},
      {"link.dropped", "f102030405060708"},
      {"room.ended", ""},
      {"room.expired", ""},
      {"link.opened", "0102030405060708"},
      {"room.join", "p1"},
      {"room.attach", "p1"},
      {"room.admit", "p2"},
      {"room.deny", "p3"},
      {"room.kick", "p4"},
      {"room.leave", "p1"},
      {"room.leave", "p1"},
      {"cred.issued", "p1"},
      {"room.emergency_opened", "p1"},
      {"media.path", "p1"}};
  EXPECT_EQ(told, expected);
  // A credential, an emergency and what a client says of its media are no state.
  EXPECT_EQ(commit.changes.size(), 14U);
}

TEST_F(AuditTrailTest, TellsHowLongARoomWasOpen) {
  const signaling::RoomEnded ended{
      "visit-ada", signaling::EndReason::host, {}, {}, std::chrono::seconds(754)};
  const auto commit = trail.commit({1, "visit-ada", {ended}, caller(), true});
  EXPECT_EQ(commit.records.at(0).detail.text(), R"({"seconds":754})");
}

TEST_F(AuditTrailTest, MarksWhatOnlyTheClientSays) {
  using What = signaling::MediaDeclared::What;
  const std::string room = "visit-ada";
  const auto commit = trail.commit({1,
                                    room,
                                    {signaling::MediaDeclared{room, "p1", What::screen, true},
                                     signaling::MediaDeclared{room, "p1", What::recording, false},
                                     signaling::MediaDeclared{room, "p1", What::relay, true}},
                                    caller(),
                                    true});
  std::vector<std::string> said;
  for (const AuditRecord& record : commit.records) {
    said.push_back(record.type + " " + record.detail.text());
    EXPECT_EQ(record.object, "p1");
  }
  EXPECT_THAT(said,
              testing::ElementsAre(R"(media.screen_share {"declared_by":"client","on":1})",
                                   R"(media.recording_claimed {"declared_by":"client","on":0})",
                                   R"(media.path {"declared_by":"client","path":"relay"})"));
  EXPECT_TRUE(commit.changes.empty());
}

TEST_F(AuditTrailTest, SaysOfEverythingInAnEmergencyThatItWasOne) {
  signaling::CommitNeeded needed{
      1, "visit-ada", {signaling::EmergencyOpened{"visit-ada", "p1", milliseconds(5)}}, caller()};
  EXPECT_EQ(trail.commit(needed).records.at(0).purpose, "");
  needed.emergency = true;
  const AuditRecord record = trail.commit(needed).records.at(0);
  EXPECT_EQ(record.type, "room.emergency_opened");
  EXPECT_EQ(record.purpose, "BTG");
  EXPECT_EQ(record.actor.role, "host");
}

TEST_F(AuditTrailTest, PutsNothingPersonalInClearIntoARecord) {
  const store::Commit commit = trail.commit({1, "visit-ada", one_of_each(), caller()});
  std::vector<AuditRecord> records = commit.records;
  const auto opened =
      trail.commit(turn::AllocationOpened{{5}, party("", "203.0.113.77:4000"), {}, seconds(600)},
                   "visit-ada", milliseconds(0));
  records.insert(records.end(), opened->records.begin(), opened->records.end());
  ASSERT_EQ(records.size(), 18U);
  for (const AuditRecord& record : records) {
    for (const char* secret :
         {"Ada", "Lovelace", "visit-ada", "appointment-4711", "203.0.113.77", "abcd0000"}) {
      EXPECT_THAT(body(record), Not(HasSubstr(secret)));
    }
  }
}

// With a month's key and before there was one.
TEST_F(AuditTrailTest, CommitsToNamesAndAppointmentsAndKeepsThemEncrypted) {
  for (const bool with_data_key : {false, true}) {
    if (with_data_key) {
      const auto due = trail.data_key_due(milliseconds(0));
      ASSERT_TRUE(due);
      ASSERT_TRUE(trail.adopt(std::get<store::DataKeyCreated>(due->changes.at(0)).key));
    }
    const auto records = trail.commit({1, "visit-ada", one_of_each(), caller()}).records;
    const std::pair<const AuditRecord*, std::pair<std::string, std::string>> wanted[] = {
        {&records.at(0), {"patient_ref", "\"appointment-4711\""}},
        {&records.at(7), {"display", "Ada Lovelace"}}};
    for (const auto& [record, value] : wanted) {
      ASSERT_EQ(record->private_fields.size(), 1U);
      const store::PrivateField& kept = record->private_fields[0];
      EXPECT_EQ(kept.field, value.first);
      EXPECT_EQ(trail.reveal_ip(kept.ciphertext), value.second);
      EXPECT_THAT(std::string(kept.ciphertext.begin(), kept.ciphertext.end()),
                  Not(HasSubstr(value.second)));
      EXPECT_THAT(body(*record), HasSubstr("\"detail\":{\"" + value.first + "\":\""));
    }
    EXPECT_EQ(trail.reveal_ip(records.at(7).where.ip_enc), "203.0.113.77");
  }
}

TEST_F(AuditTrailTest, KeepsTheStateThatARestartNeeds) {
  const store::Commit commit = trail.commit({1, "visit-ada", one_of_each(), caller()});
  const auto bytes = [](const signaling::TokenHash& hash) {
    return std::vector<std::uint8_t>(hash.begin(), hash.end());
  };
  const auto& created = std::get<store::RoomCreated>(commit.changes.at(0)).room;
  EXPECT_EQ(created.appointment_json, kAppointment);
  EXPECT_EQ(std::get<store::RoomKept>(commit.changes.at(1)).expires_at, milliseconds(11));
  EXPECT_TRUE(std::get<store::RoomLocked>(commit.changes.at(2)).locked);
  const auto& link = std::get<store::LinkIssued>(commit.changes.at(3)).link;
  EXPECT_EQ(link.role, "guest");
  EXPECT_EQ(link.secret_hash, bytes(kNewLink));
  EXPECT_EQ(std::get<store::LinkDropped>(commit.changes.at(4)).secret_hash, bytes(kOldLink));
  EXPECT_EQ(std::get<store::RoomEnded>(commit.changes.at(5)).expires_at, milliseconds(10));
  EXPECT_EQ(std::get<store::RoomForgotten>(commit.changes.at(6)).room_id, "visit-ada");
  const auto& joined = std::get<store::ParticipantJoined>(commit.changes.at(7)).participant;
  EXPECT_EQ(joined.display_name, "Ada Lovelace");
  EXPECT_EQ(joined.role, "host");
  EXPECT_EQ(joined.token_hash, bytes(kToken));
  EXPECT_EQ(joined.lease_until, milliseconds(3));
  const auto& attached = std::get<store::ParticipantAttached>(commit.changes.at(8));
  EXPECT_EQ(attached.attached_at, milliseconds(4));
  EXPECT_EQ(std::get<store::ParticipantAdmitted>(commit.changes.at(9)).participant_id, "p2");
  EXPECT_EQ(std::get<store::ParticipantLeft>(commit.changes.at(10)).participant_id, "p3");
  EXPECT_EQ(std::get<store::ParticipantLeft>(commit.changes.at(11)).participant_id, "p4");
  EXPECT_EQ(std::get<store::ParticipantDetached>(commit.changes.at(12)).participant_id, "p1");
  EXPECT_EQ(std::get<store::ParticipantLeft>(commit.changes.at(13)).participant_id, "p1");
}

TEST_F(AuditTrailTest, NamesWhoActed) {
  constexpr auto kLeft = signaling::LeaveReason::left;
  const signaling::Change leave =
      signaling::ParticipantLeft{"r", "p1", kLeft, milliseconds(1), seconds(61)};
  const AuditRecord own = from_hub(leave).records[0];
  EXPECT_EQ(own.actor.kind, "participant");
  EXPECT_EQ(own.actor.id, "p1");
  EXPECT_EQ(own.reason, "left");
  EXPECT_EQ(own.detail.text(), R"({"attended_s":61})");

  signaling::CommitNeeded by_time{1, "r", {leave}, {}};
  by_time.caller.actor_kind = "system";
  const AuditRecord timed = trail.commit(by_time).records[0];
  EXPECT_EQ(timed.actor.kind, "service");
  EXPECT_EQ(timed.object, "p1");
  EXPECT_TRUE(timed.where.ip_prefix.empty());

  const signaling::Change end = signaling::RoomEnded{"r", signaling::EndReason::admin, {}, {}};
  signaling::CommitNeeded by_staff{1, "r", {end}, caller()};
  by_staff.caller.actor_kind = "user";
  by_staff.caller.actor_id = "dr.grace";
  const AuditRecord ended = trail.commit(by_staff).records[0];
  EXPECT_EQ(ended.actor.kind, "staff");
  EXPECT_EQ(ended.actor.id, "dr.grace");
  EXPECT_EQ(ended.reason, "admin");
}

TEST_F(AuditTrailTest, RecordsAllocationsWithTheirTrafficWhateverTheDiskSays) {
  turn::AllocationClosed closed;
  closed.serial = {42};
  closed.party = party("p1", "[2001:db8:1:2::3]:4000");
  closed.party.client.transport = turn::ClientTransport::tcp;
  closed.reason = turn::CloseReason::revoked;
  closed.duration = seconds(90);
  closed.to_peer = {10, 1000};
  closed.to_client = {20, 2000};
  const auto commit = trail.commit(closed, "visit-ada", milliseconds(0));
  ASSERT_TRUE(commit);
  EXPECT_TRUE(commit->keep);
  const AuditRecord& record = commit->records.at(0);
  EXPECT_EQ(record.type, "alloc.close");
  EXPECT_EQ(record.reason, "revoked");
  EXPECT_EQ(record.object, "42");
  EXPECT_EQ(record.actor.id, "p1");
  EXPECT_EQ(record.room, trail.room_pseudonym("visit-ada"));
  EXPECT_EQ(record.where.ip_prefix, "2001:db8:1::/48");
  EXPECT_EQ(record.detail.text(),
            R"({"bytes_to_client":2000,"bytes_to_peer":1000,"packets_to_client":20,)"
            R"("packets_to_peer":10,"seconds":90,"transport":"tcp"})");
}

TEST_F(AuditTrailTest, RecordsTheFirstRefusedPeerAtOnceAndCountsTheRest) {
  const turn::PeerDenied denied{party("p1", "203.0.113.77:4000"), turn::DeniedRange::loopback};
  const auto first = trail.commit(denied, "", milliseconds(0));
  ASSERT_TRUE(first);
  EXPECT_EQ(first->records.at(0).type, "turn.peer_denied");
  EXPECT_EQ(first->records[0].outcome, Outcome::denied);
  EXPECT_EQ(first->records[0].reason, to_text(turn::DeniedRange::loopback));
  for (int i = 0; i < 1000; ++i) EXPECT_FALSE(trail.commit(denied, "", milliseconds(i)));
  EXPECT_FALSE(trail.take_counted(milliseconds(59'000)));
  const auto counted = trail.take_counted(milliseconds(60'000));
  ASSERT_TRUE(counted);
  ASSERT_EQ(counted->records.size(), 1U);
  EXPECT_EQ(counted->records[0].detail.text(), R"({"count":1000,"window_s":60})");
  // One alone leaves no second record.
  EXPECT_TRUE(trail.commit(denied, "", milliseconds(100'000)));
  EXPECT_FALSE(trail.take_all_counted());
}

TEST_F(AuditTrailTest, CountsWhatStrangersCanRepeat) {
  turn::AuthFailed failed;
  failed.client.client = stun::Endpoint::parse("203.0.113.77:1").value();
  turn::QuotaReached quota;
  quota.party = party("p1", "203.0.113.78:1");
  for (int i = 0; i < 5; ++i) {
    EXPECT_FALSE(trail.commit(failed, "", milliseconds(0)));
    EXPECT_FALSE(trail.commit(quota, "", milliseconds(0)));
    trail.count(Abuse::malformed, stun::IpAddress::parse("203.0.113.79"), milliseconds(0));
    trail.count(Abuse::rate_limited, std::nullopt, milliseconds(0));
  }
  const auto counted = trail.take_all_counted();
  ASSERT_TRUE(counted);
  std::set<std::string> types;
  for (const AuditRecord& record : counted->records) {
    types.insert(record.type);
    EXPECT_THAT(record.detail.text(), HasSubstr("\"count\":5"));
    EXPECT_EQ(record.detail.text().find("\"kind\":\"http\"") != std::string::npos,
              record.type == "abuse.malformed");
    EXPECT_EQ(record.where.ip_prefix,
              record.type == "abuse.rate_limited" ? "unknown" : "203.0.113.0/24");
  }
  EXPECT_THAT(types, testing::ElementsAre("abuse.malformed", "abuse.rate_limited",
                                          "abuse.turn_auth", "abuse.turn_quota"));
}

TEST_F(AuditTrailTest, NeverKeepsANameThatIsNobodys) {
  LoginTried tried;
  tried.staff.account = "hunter2 typed into the wrong field";
  const AuditRecord unknown = trail.commit(tried, source()).records[0];
  EXPECT_THAT(body(unknown), Not(HasSubstr("hunter2")));
  EXPECT_EQ(unknown.outcome, Outcome::denied);
  EXPECT_EQ(unknown.where.ip_prefix, "203.0.113.0/24");
  tried.staff.account = "dr.grace";
  tried.account_known = true;
  tried.result = LoginResult::locked;
  const AuditRecord locked = trail.commit(tried, source()).records[0];
  EXPECT_EQ(locked.object, "dr.grace");
  EXPECT_EQ(locked.reason, "locked");
  EXPECT_TRUE(
      locked.actor.id.empty());  // somebody tried that account; nobody proved to be its owner
}

TEST_F(AuditTrailTest, NamesStaffAndTheirAddressInFull) {
  const AuditStaff grace{"dr.grace", "admin", "s1"};
  const AuditRecord login =
      trail.commit(LoginTried{grace, true, LoginResult::ok}, source()).records[0];
  EXPECT_EQ(login.type, "auth.login");
  EXPECT_EQ(login.actor.id, "dr.grace");
  EXPECT_EQ(login.session, "s1");
  EXPECT_EQ(login.where.ip_prefix, "203.0.113.77/32");
  EXPECT_TRUE(trail.commit(LoggedOut{grace}, source()).keep);

  AuditViewed viewed{grace, {}, 17};
  viewed.query.type_prefix = "room.";
  viewed.query.outcome = Outcome::denied;
  EXPECT_EQ(trail.commit(viewed, source()).records[0].detail.text(),
            R"({"filter":{"limit":50,"outcome":"denied","type":"room."},"rows":17})");
}

TEST_F(AuditTrailTest, WritesAccountAndRecordTogetherWithoutThePassword) {
  const store::AccountRow row{"dr.grace", "scrypt$secret", "admin", milliseconds(1)};
  const store::Commit created = trail.commit(UserCreated{std::nullopt, {row, true}}, source());
  ASSERT_EQ(created.changes.size(), 1U);
  EXPECT_TRUE(std::get<store::AccountCreated>(created.changes[0]).only_first);
  EXPECT_EQ(created.records.at(0).object, "dr.grace");
  EXPECT_EQ(created.records[0].actor.auth, "set-up code");
  EXPECT_THAT(body(created.records[0]), Not(HasSubstr("scrypt")));

  const store::Commit set =
      trail.commit(PasswordSet{{"dr.grace", "admin", "s1"}, {"dr.ada", "scrypt$secret"}}, source());
  EXPECT_EQ(std::get<store::AccountPasswordSet>(set.changes.at(0)).password_hash, "scrypt$secret");
  EXPECT_EQ(set.records.at(0).object, "dr.ada");
  EXPECT_THAT(body(set.records[0]), Not(HasSubstr("scrypt")));
}

TEST_F(AuditTrailTest, RecordsWhatElseWasStarted) {
  const AuditRecord upgrade =
      trail.commit(ServiceUpgraded{{"0.1", "", "a"}, {"0.2", "file", "b"}}, {}).records.at(0);
  EXPECT_EQ(upgrade.type, "service.upgrade");
  EXPECT_EQ(upgrade.detail.text(), R"({"from":{"assets":"a","version":"0.1"},)"
                                   R"("to":{"assets":"b","binary":"file","version":"0.2"}})");
}

TEST_F(AuditTrailTest, RecordsWhatTheClockDidWhateverTheDiskSays) {
  const store::Commit step = trail.commit(ClockStepped{std::chrono::milliseconds(-2500)}, {});
  EXPECT_TRUE(step.keep);
  EXPECT_EQ(step.records.at(0).type, "time.step");
  EXPECT_EQ(step.records[0].detail.text(), R"({"by_ms":-2500})");
  const store::Commit unsynced = trail.commit(ClockSynchronization{false}, {});
  EXPECT_EQ(unsynced.records.at(0).type, "time.unsynced");
  EXPECT_EQ(unsynced.records[0].reason, "began");
}

TEST_F(AuditTrailTest, RecordsACheckOfTheLog) {
  const AuditRecord good = trail.commit(AuditVerified{7, "root", true, 0, 7}, {}).records.at(0);
  EXPECT_EQ(good.type, "audit.verified");
  EXPECT_EQ(good.outcome, store::Outcome::ok);
  EXPECT_EQ(good.detail.text(), R"({"intact":7,"root":"root","size":7})");
  const AuditRecord bad = trail.commit(AuditVerified{7, "", false, 3, 2}, {}).records.at(0);
  EXPECT_EQ(bad.outcome, store::Outcome::failed);
  EXPECT_EQ(bad.detail.text(), R"({"first_bad_seq":3,"intact":2,"size":7})");
}

TEST_F(AuditTrailTest, RecordsASessionThatEndedByItself) {
  const store::Commit ended =
      trail.commit(SessionTimedOut{{"dr.grace", "admin", "s1"}, TimeoutReason::idle}, {});
  EXPECT_TRUE(ended.keep);
  EXPECT_EQ(ended.records.at(0).type, "auth.timeout");
  EXPECT_EQ(ended.records[0].reason, "idle");
  EXPECT_EQ(ended.records[0].actor.id, "dr.grace");
  EXPECT_EQ(ended.records[0].session, "s1");
}

TEST_F(AuditTrailTest, RecordsStartAndStop) {
  const AuditRecord start =
      trail
          .commit(ServiceStarted{{"0.1", "file", "digest"}, 3, true, false, {{"turn.listen", "d"}}},
                  AuditSource{})
          .records[0];
  EXPECT_EQ(start.type, "service.start");
  EXPECT_EQ(start.reason, "after-crash");
  EXPECT_EQ(start.detail.text(),
            R"({"assets":"digest","binary":"file","config":{"turn.listen":"d"},"rooms":3})");
  const store::Commit stop = trail.commit(ServiceStopped{"signal"}, AuditSource{});
  EXPECT_EQ(stop.records.at(0).type, "service.stop");
  EXPECT_TRUE(stop.keep);
}

// A type that is not in the list cannot be filtered for.
TEST(AuditTypes, AreAllInTheList) {
  std::ifstream file(BEDSIDE_SOURCE_DIR "/server/audit_types.h");
  const std::string source{std::istreambuf_iterator<char>(file), {}};
  const std::regex constant("inline constexpr std::string_view k[A-Za-z]+ =\\s*\"([^\"]+)\"");
  std::set<std::string> declared;
  for (std::sregex_iterator it(source.begin(), source.end(), constant), end; it != end; ++it) {
    declared.insert((*it)[1]);
  }
  EXPECT_EQ(declared, std::set<std::string>(audit_type::kAll.begin(), audit_type::kAll.end()));
}

TEST(AuditTypes, AreListedOnceEachInTheShapeOfAType) {
  std::set<std::string_view> seen;
  for (const std::string_view type : audit_type::kAll) {
    EXPECT_TRUE(seen.insert(type).second) << type;
    EXPECT_EQ(std::count(type.begin(), type.end(), '.'), 1) << type;
    EXPECT_EQ(type.find_first_not_of("abcdefghijklmnopqrstuvwxyz._"), std::string_view::npos);
  }
}

}  // namespace
}  // namespace bedside::server
