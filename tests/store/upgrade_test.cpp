// A database of the first released schema, opened by the server of today.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "python_verifier.h"
#include "store/migrations.h"
#include "store/verify.h"
#include "store_fixture.h"

namespace bedside::store {
namespace {

using testing::ElementsAre;
using testing::Not;

void write_version(const std::string& path, std::size_t version, const char* content) {
  const std::filesystem::path folder = std::filesystem::path(path).parent_path();
  std::filesystem::create_directories(folder);
  std::filesystem::permissions(folder, std::filesystem::perms::owner_all);
  std::ofstream(path).close();
  std::filesystem::permissions(
      path, std::filesystem::perms::owner_read | std::filesystem::perms::owner_write);
  auto database = Database::open(path, Database::Mode::read_write, {});
  ASSERT_TRUE(database) << database.error().text;
  ASSERT_TRUE(migrate(*database, migrations().first(version)));
  ASSERT_TRUE(database->run(content));
}

// As a server of version 1 left it when it was killed: a visit with two people in it, one that has
// ended, and the log of it, which had no seal yet.
void write_first_version(const std::string& path) {
  write_version(path, 1, R"sql(
INSERT INTO rooms VALUES('a', '"a-42"', 1000, NULL, NULL), ('b', '7', 2000, 3000, 9000);
INSERT INTO participants VALUES(1, 'p1', 'a', 'Grace', 'guest', x'0102', 1100, 61100, 1200);
INSERT INTO participants VALUES(2, 'p2', 'a', 'Alan', 'guest', x'0304', 1300, 61300, NULL);
INSERT INTO accounts VALUES('dr.smith', 'hash', 'admin', 500);
INSERT INTO audit VALUES(1, 1000000, 'service.start', 'ok', NULL, NULL, NULL, CAST('{"seq":1,"type":"service.start"}' AS BLOB));
INSERT INTO audit VALUES(2, 1000001, 'room.created', 'ok', NULL, NULL, 'a', CAST('{"seq":2,"type":"room.created"}' AS BLOB));
)sql");
}

class Upgrade : public testing::Test {
 protected:
  Upgrade() {
    write_first_version(folder_.database());
    std::filesystem::create_directories(folder_.path() + "/data/keys");
  }
  std::unique_ptr<Store> open() const {
    Options options;
    options.path = folder_.database();
    options.keys = folder_.path() + "/data/keys";
    options.build = "test";
    return open_or_die(std::move(options));
  }

  TemporaryFolder folder_;
};

TEST_F(Upgrade, KeepsRoomsAndLetsThoseWhoWereInThemStay) {
  const auto store = open();
  const auto state = store->load();
  ASSERT_TRUE(state) << state.error();
  ASSERT_EQ(state->rooms.size(), 2U);
  EXPECT_EQ(state->rooms[0].appointment_json, "\"a-42\"");
  EXPECT_FALSE(state->rooms[0].ended_at || state->rooms[0].locked);
  EXPECT_TRUE(state->rooms[1].ended_at);
  ASSERT_EQ(state->participants.size(), 2U);
  for (const ParticipantRow& person : state->participants) EXPECT_TRUE(person.admitted);
  EXPECT_EQ(state->participants[0].display_name, "Grace");
  EXPECT_EQ(state->participants[0].token_hash, (std::vector<std::uint8_t>{1, 2}));
  EXPECT_TRUE(state->participants[0].attached_at);
  EXPECT_FALSE(state->participants[1].attached_at);
  EXPECT_TRUE(state->links.empty());
  EXPECT_TRUE(state->tokens.empty());
}

TEST_F(Upgrade, KeepsTheLogAndSealsAllOfItAndWritesOn) {
  const auto store = open();
  ASSERT_TRUE(commit_and_wait(*store, commit_of("room.ended")).ok());
  RawDatabase raw(folder_.database());
  EXPECT_THAT(raw.types(),
              ElementsAre("service.start", "room.created", "epoch.rotated", "room.ended"));
  EXPECT_EQ(raw.value("SELECT body FROM audit WHERE seq = 2"),
            R"({"seq":2,"type":"room.created"})");
  EXPECT_EQ(raw.value("SELECT max(size) FROM audit_checkpoint"), "4") << "the old ones are sealed";
  EXPECT_THAT(raw.run("DELETE FROM audit WHERE seq = 1"), Not(testing::IsEmpty()));
  EXPECT_EQ(raw.value("PRAGMA user_version"), std::to_string(kSchemaVersion));
  EXPECT_EQ(raw.value("SELECT name FROM accounts"), "dr.smith");
  expect_gapless(folder_.database());
}

// The last schema without keys for the months: what it kept beside its records stays as it is.
TEST(UpgradeFromSchema4, KeepsPersonalValuesUnderTheirOldKey) {
  const TemporaryFolder folder;
  write_version(folder.database(), 4, R"sql(
INSERT INTO audit VALUES(1, 1000000, 'room.created', 'ok', NULL, NULL, 'a', CAST('{"outcome":"ok","room":"a","seq":1,"t_wall_us":1000000,"type":"room.created"}' AS BLOB));
INSERT INTO audit_private VALUES(1, 'ip', x'0102030405');
)sql");
  std::filesystem::create_directories(folder.path() + "/data/keys");
  Options options;
  options.path = folder.database();
  options.keys = folder.path() + "/data/keys";
  options.build = "test";
  const auto store = open_or_die(std::move(options));
  EXPECT_TRUE(store->load()->data_keys.empty());
  AuditRecord next = record_of("key.rotated");
  next.private_fields = {{"display", {6}}};
  Commit commit;
  commit.records = {next};
  commit.changes = {DataKeyCreated{{"2026-11", {7}}}};
  ASSERT_TRUE(commit_and_wait(*store, std::move(commit)).ok());
  RawDatabase raw(folder.database());
  EXPECT_EQ(raw.value("SELECT hex(ciphertext) FROM audit_private WHERE field = 'ip'"),
            "0102030405");
  EXPECT_EQ(raw.value("SELECT hex(ciphertext) FROM audit_private WHERE field = 'display'"), "06");
  VerifyOptions verify;
  verify.path = folder.database();
  EXPECT_EQ(verify_log(verify)->problem, "");
}

// The last schema without leaf hashes: its record has none, whoever looks may look before and after
// the upgrade, and only what is written from then on must have one.
TEST(UpgradeFromSchema7, NamesTheRecordsThatAreWrittenFromThenOn) {
  const TemporaryFolder folder;
  write_version(folder.database(), 7, R"sql(
INSERT INTO audit VALUES(1, 1000000, 'room.created', 'ok', NULL, NULL, 'a', CAST('{"outcome":"ok","room":"a","seq":1,"t_wall_us":1000000,"type":"room.created"}' AS BLOB));
)sql");
  std::filesystem::create_directories(folder.path() + "/data/keys");
  PythonVerifier python;
  const auto verdict = [&](const char* problem) {
    VerifyOptions verify;
    verify.path = folder.database();
    const auto report = verify_log(verify);
    ASSERT_TRUE(report) << report.error();
    EXPECT_THAT(report->problem, testing::HasSubstr(problem));
    const std::string said = python.judge(folder.database() + " - -");
    EXPECT_EQ(said.front(), report->ok() ? '0' : '1') << said;
    EXPECT_THAT(said, testing::HasSubstr(problem));
  };
  verdict("the log was never sealed");
  {
    Options options;
    options.path = folder.database();
    options.keys = folder.path() + "/data/keys";
    options.build = "test";
    const auto store = open_or_die(std::move(options));
    ASSERT_TRUE(commit_and_wait(*store, commit_of("room.join")).ok());
    verdict("");
  }
  RawDatabase raw(folder.database());
  EXPECT_EQ(raw.value("SELECT group_concat(seq) FROM audit WHERE leaf IS NULL"), "1");
  ASSERT_EQ(raw.run("DROP TRIGGER audit_is_not_changed"), "");
  ASSERT_EQ(raw.run("UPDATE audit SET leaf = NULL WHERE seq = 3"), "");
  verdict("its leaf hash was taken away");
  EXPECT_NE(raw.run("UPDATE audit SET leaf = x'00' WHERE seq = 3"), "");
}

// The last schema whose checks made every insert fill a table of its own.
TEST(UpgradeFromSchema8, ChecksOutcomesAsBeforeInAnotherWay) {
  const TemporaryFolder folder;
  write_version(folder.database(), 8, "");
  auto database = Database::open(folder.database(), Database::Mode::read_write, {});
  ASSERT_TRUE(database) << database.error().text;
  ASSERT_TRUE(migrate(*database, migrations()));
  const auto insert = [&](const std::string& outcome) {
    return database->run(
        ("INSERT INTO audit VALUES(NULL, 0, 't', '" + outcome + "', NULL, NULL, NULL, x'00', NULL)")
            .c_str());
  };
  for (const char* outcome : {"ok", "denied", "failed", "aborted"}) EXPECT_TRUE(insert(outcome));
  for (const char* outcome : {"", "OK", "fine", "ok "}) {
    const auto refused = insert(outcome);
    ASSERT_FALSE(refused) << outcome;
    EXPECT_THAT(refused.error().text, testing::HasSubstr("CHECK"));
  }
  EXPECT_EQ(*database->text("PRAGMA integrity_check"), "ok");
  const auto edit = database->run("PRAGMA writable_schema=ON; UPDATE sqlite_schema SET sql = ''");
  ASSERT_FALSE(edit) << "only the migration may";
  RawDatabase other(folder.database());
  EXPECT_THAT(other.value("SELECT sql FROM sqlite_schema WHERE name = 'audit'"),
              testing::Not(testing::HasSubstr(" IN (")));
}

}  // namespace
}  // namespace bedside::store
