#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdint>

#include "store_fixture.h"

namespace bedside::store {
namespace {

using std::chrono::microseconds;
using testing::AllOf;
using testing::HasSubstr;

TEST(AuditLog, KeepsEveryFieldInACanonicalBody) {
  const TemporaryFolder folder;
  Options options;
  options.path = folder.database();
  options.build = "0.1.0";
  options.clock = [] { return Clock{microseconds(1'700'000'000'000'001), microseconds(42)}; };
  const auto store = open_or_die(std::move(options));
  AuditRecord record = record_of("room.join", "participant:p1");
  record.outcome = Outcome::denied;
  record.reason = "room-full";
  record.actor = {"participant", "p1", "guest", "token"};
  record.session = "s1";
  record.where = {"https", "public", "203.0.113.0/24", "c0ffee", {1, 2, 0, 3}};
  record.room = "r1";
  record.purpose = "visit";
  record.request_id = 77;
  record.detail.set("b", 2).set("a", "x");
  Commit commit;
  commit.records.push_back(record);
  ASSERT_TRUE(commit_and_wait(*store, std::move(commit)).ok());

  const Reader reader = reader_or_die(folder.database());
  const AuditRow row = *reader.audit_row(1).value();
  RawDatabase raw(folder.database());
  const std::string boot_id =
      raw.value("SELECT json_extract(CAST(body AS TEXT), '$.boot_id') FROM audit");
  EXPECT_EQ(boot_id.size(), 36U);
  EXPECT_EQ(row.body, R"({"actor":{"auth":"token","id":"p1","kind":"participant","role":"guest"},)"
                      R"("boot_id":")" +
                          boot_id +
                          R"(","build":"0.1.0","detail":{"a":"x","b":2},"object":"participant:p1",)"
                          R"("outcome":"denied","purpose":"visit","reason":"room-full",)"
                          R"("request_id":77,"room":"r1","seq":1,"session":"s1","t_boot_us":42,)"
                          R"("t_wall_us":1700000000000001,"type":"room.join","v":1,)"
                          R"("where":{"ip":"c0ffee","ip_class":"public",)"
                          R"("ip_prefix":"203.0.113.0/24","listener":"https"}})");
  EXPECT_EQ(row.wall, microseconds(1'700'000'000'000'001));
  EXPECT_EQ(row.type, "room.join");
  EXPECT_EQ(row.outcome, "denied");
  EXPECT_EQ(row.reason, "room-full");
  EXPECT_EQ(row.actor, "participant:p1");
  EXPECT_EQ(row.room, "r1");
  EXPECT_EQ(*reader.audit_ip(1), (std::vector<std::uint8_t>{1, 2, 0, 3}));
  EXPECT_TRUE(reader.audit_ip(2)->empty());
  EXPECT_EQ(raw.value("SELECT typeof(body) FROM audit"), "blob");
}

// Defence in depth against a mistake or a hand on the file; the evidence is the seal, not this.
TEST(AuditLog, CannotBeChangedByAnyStatementOfOurs) {
  const TemporaryFolder folder;
  const auto store = open_or_die(folder.database());
  AuditRecord record = record_of("a");
  record.where.ip_enc = {9};
  record.private_fields = {{"display", {8}}};
  Commit commit;
  commit.records = {record, record_of("b")};
  commit.changes = {DataKeyCreated{{"2026-11", {7}}}};
  ASSERT_TRUE(commit_and_wait(*store, std::move(commit)).ok());

  EXPECT_EQ(store->load()->data_keys, (std::vector<DataKeyRow>{{"2026-11", {7}}}));
  Commit again;
  again.changes = {DataKeyCreated{{"2026-11", {6}}}};
  EXPECT_EQ(commit_and_wait(*store, std::move(again)).status, CommitStatus::conflict);

  Commit gone;
  gone.changes = {DataKeyGivenUp{"2026-10"}};
  EXPECT_EQ(commit_and_wait(*store, std::move(gone)).status, CommitStatus::conflict);

  RawDatabase raw(folder.database());
  const auto changed = HasSubstr("records are never changed");
  const auto deleted = HasSubstr("records are never deleted");
  EXPECT_THAT(raw.run("UPDATE audit SET type = 'x'"), changed);
  EXPECT_THAT(raw.run("UPDATE OR REPLACE audit SET seq = 2 WHERE seq = 1"), changed);
  EXPECT_THAT(raw.run("DELETE FROM audit WHERE seq = 2"), deleted);
  EXPECT_THAT(raw.run("DELETE FROM audit"), deleted);
  const std::string second = " INTO audit VALUES(2, 0, 't', 'ok', NULL, NULL, NULL, x'00', NULL)";
  auto ours = Database::open(folder.database(), Database::Mode::read_write, {});
  ASSERT_TRUE(ours) << ours.error().text;
  for (const char* words : {"INSERT", "REPLACE", "INSERT OR ROLLBACK"}) {
    EXPECT_FALSE(ours->run((words + second).c_str())) << words;
  }
  EXPECT_TRUE(ours->run(("INSERT OR IGNORE" + second).c_str()));
  EXPECT_THAT(raw.run("INSERT INTO audit VALUES(3, 0, 't', 'fine', NULL, NULL, NULL, x'00', NULL)"),
              HasSubstr("CHECK"));
  EXPECT_THAT(raw.run("UPDATE audit_private SET ciphertext = x'00'"),
              HasSubstr("fields are never changed"));
  EXPECT_THAT(raw.run("UPDATE audit_data_key SET wrapped = x'00'"),
              HasSubstr("keys are never changed"));
  EXPECT_EQ(raw.run("DELETE FROM audit_data_key"), "");
  EXPECT_EQ(raw.run("DELETE FROM audit_private"), "");  // erasing is allowed: the body stays whole
  EXPECT_THAT(raw.types(), testing::ElementsAre("a", "b"));
}

TEST(AuditLog, NumbersGoOnAfterARestart) {
  const TemporaryFolder folder;
  for (std::uint64_t i = 1; i <= 3; ++i) {
    const auto store = open_or_die(folder.database());
    EXPECT_EQ(commit_and_wait(*store, commit_of("x")).first_seq, i);
  }
}

class ForeignRecord : public testing::TestWithParam<const char*> {};

TEST_P(ForeignRecord, StopsTheStore) {
  const TemporaryFolder folder;
  Options options;
  options.path = folder.database();
  std::promise<std::string> fatal;
  options.on_fatal = [&](const std::string& text) { fatal.set_value(text); };
  const auto store = open_or_die(std::move(options));
  ASSERT_TRUE(commit_and_wait(*store, commit_of("first")).ok());
  ASSERT_EQ(RawDatabase(folder.database())
                .run(std::string("INSERT INTO audit VALUES(") + GetParam() +
                     ", 0, 't', 'ok', NULL, NULL, NULL, x'00', NULL)"),
            "");
  EXPECT_EQ(commit_and_wait(*store, commit_of("x")).status, CommitStatus::failed);
  EXPECT_THAT(fatal.get_future().get(), HasSubstr("the next audit record should be 2, but"));
  EXPECT_FALSE(store->submit(commit_of("y"), {}));
  EXPECT_THAT(RawDatabase(folder.database()).types(), testing::ElementsAre("first", "t"));
}
// The next number; one that leaves a gap; the last one there is.
INSTANTIATE_TEST_SUITE_P(WithNumber, ForeignRecord,
                         testing::Values("2", "9", "9223372036854775807"));

TEST(AuditLog, NeverContainsTheDisplayName) {
  const TemporaryFolder folder;
  const auto store = open_or_die(folder.database());
  Commit commit = commit_of("room.join");
  commit.changes = {room_created("r"), joined("r", "p", "Ludovika Zacharias")};
  ASSERT_TRUE(commit_and_wait(*store, std::move(commit)).ok());
  RawDatabase raw(folder.database());
  EXPECT_EQ(raw.value("SELECT count(*) FROM audit WHERE CAST(body AS TEXT) LIKE '%Ludovika%'"),
            "0");
}

}  // namespace
}  // namespace bedside::store
