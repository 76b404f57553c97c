#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fstream>

#include "store/migrations.h"
#include "store_fixture.h"

namespace bedside::store {
namespace {

using testing::AllOf;
using testing::HasSubstr;

mode_t mode_of(const std::string& path) {
  struct stat info {};
  EXPECT_EQ(stat(path.c_str(), &info), 0) << path;
  return info.st_mode & 07777;
}

OpenError error_of(const std::string& path) {
  Options options;
  options.path = path;
  auto opened = Store::open(std::move(options));
  if (!opened) return opened.error();
  ADD_FAILURE() << "opened " << path;
  return {};
}

void write_file(const std::string& path, const std::string& content) {
  std::filesystem::create_directories(std::filesystem::path(path).parent_path());
  std::filesystem::permissions(std::filesystem::path(path).parent_path(),
                               std::filesystem::perms::owner_all);
  std::ofstream(path, std::ios::binary) << content;
}

TEST(Open, MakesFolderAndFilesForThisUserOnlyWhateverTheUmask) {
  const TemporaryFolder folder;
  const mode_t before = umask(0);
  const auto store = open_or_die(folder.database());
  ASSERT_TRUE(commit_and_wait(*store, commit_of("x")).ok());
  umask(before);
  EXPECT_EQ(mode_of(folder.path() + "/data"), 0700U);
  for (const char* suffix : {"", "-wal", "-shm", ".lock"}) {
    EXPECT_EQ(mode_of(folder.database() + suffix), 0600U) << suffix;
  }
}

TEST(Open, TightensTheModeOfAFileThatWasCopiedBack) {
  const TemporaryFolder folder;
  open_or_die(folder.database())->close();
  chmod(folder.database().c_str(), 0644);
  const auto store = open_or_die(folder.database());
  EXPECT_EQ(mode_of(folder.database()), 0600U);
}

TEST(Open, RefusesAFolderOthersMayWriteInto) {
  const TemporaryFolder folder;
  std::filesystem::create_directories(folder.path() + "/data");
  chmod((folder.path() + "/data").c_str(), 0770);
  const OpenError error = error_of(folder.database());
  EXPECT_EQ(error.kind, OpenError::Kind::folder);
  EXPECT_THAT(error.text, HasSubstr("chmod 700 " + folder.path() + "/data"));
}

TEST(Open, SaysWhatIsInTheWayOfTheFolder) {
  const TemporaryFolder folder;
  write_file(folder.path() + "/x/data", "a file");
  const OpenError error = error_of(folder.path() + "/x/data/bedside.db");
  EXPECT_EQ(error.kind, OpenError::Kind::folder);
  EXPECT_THAT(error.text, HasSubstr("is not a folder"));
}

TEST(Open, RefusesASecondServerOnTheSameFileAndNamesTheFirst) {
  const TemporaryFolder folder;
  auto first = open_or_die(folder.database());
  const OpenError error = error_of(folder.database());
  EXPECT_EQ(error.kind, OpenError::Kind::in_use);
  EXPECT_THAT(error.text, AllOf(HasSubstr("in use by another Bedside server"),
                                HasSubstr("process " + std::to_string(getpid()))));
  EXPECT_TRUE(commit_and_wait(*first, commit_of("still fine")).ok());
  first->close();
  open_or_die(folder.database());
}

TEST(Open, NamesBothVersionsOfANewerDatabaseAndLeavesItAlone) {
  const TemporaryFolder folder;
  open_or_die(folder.database())->close();
  RawDatabase(folder.database()).run("PRAGMA user_version=1234");
  const OpenError error = error_of(folder.database());
  EXPECT_EQ(error.kind, OpenError::Kind::newer_version);
  EXPECT_THAT(error.text,
              AllOf(HasSubstr("version 1234"), HasSubstr("up to " + std::to_string(kSchemaVersion)),
                    HasSubstr("backup")));
  EXPECT_EQ(RawDatabase(folder.database()).value("PRAGMA user_version"), "1234");
}

TEST(Open, RefusesAFileThatIsNoDatabaseAndLeavesItAlone) {
  const TemporaryFolder folder;
  const std::string text(5000, 'a');
  write_file(folder.database(), text);
  const OpenError error = error_of(folder.database());
  EXPECT_EQ(error.kind, OpenError::Kind::not_a_database);
  EXPECT_THAT(error.text, HasSubstr("is not a Bedside database"));
  std::ifstream file(folder.database(), std::ios::binary);
  EXPECT_EQ(std::string(std::istreambuf_iterator<char>(file), {}), text);
}

TEST(Open, RefusesADatabaseOfAnotherProgram) {
  const TemporaryFolder folder;
  write_file(folder.database(), "");
  RawDatabase(folder.database()).run("CREATE TABLE patients(name)");
  EXPECT_EQ(error_of(folder.database()).kind, OpenError::Kind::not_a_database);
  EXPECT_EQ(RawDatabase(folder.database()).value("PRAGMA journal_mode"), "delete");
}

TEST(Open, TakesAnEmptyFileAsANewDatabase) {
  const TemporaryFolder folder;
  write_file(folder.database(), "");
  EXPECT_TRUE(commit_and_wait(*open_or_die(folder.database()), commit_of("x")).ok());
}

TEST(Open, NamesPathErrnoAndUserOfAFileItMayNotOpen) {
  if (geteuid() == 0) {
    // Root may open everything; a folder in the file's place fails the same way.
    const TemporaryFolder folder;
    std::filesystem::create_directories(folder.database());
    std::filesystem::permissions(folder.path() + "/data", std::filesystem::perms::owner_all);
    const OpenError error = error_of(folder.database());
    EXPECT_EQ(error.kind, OpenError::Kind::unreadable);
    EXPECT_THAT(error.text,
                AllOf(HasSubstr(folder.database()), HasSubstr("errno 21"), HasSubstr("user id 0")));
    return;
  }
  const TemporaryFolder folder;
  write_file(folder.database(), "");
  chmod(folder.database().c_str(), 0);
  const OpenError error = error_of(folder.database());
  EXPECT_EQ(error.kind, OpenError::Kind::unreadable);
  EXPECT_THAT(error.text, AllOf(HasSubstr(folder.database()), HasSubstr("errno 13"),
                                HasSubstr("user id " + std::to_string(geteuid()))));
}

TEST(Open, RefusesAFileWithADamagedPage) {
  const TemporaryFolder folder;
  {
    const auto store = open_or_die(folder.database());
    for (int i = 0; i < 200; ++i) {
      ASSERT_TRUE(store->submit(commit_of("x", std::string(500, 'y')), {}));
    }
  }
  {
    std::fstream file(folder.database(), std::ios::in | std::ios::out | std::ios::binary);
    for (int page = 15; page < 40; ++page) {
      file.seekp(page * 4096);
      file << std::string(64, '\xee');
    }
  }
  const OpenError error = error_of(folder.database());
  EXPECT_EQ(error.kind, OpenError::Kind::damaged) << error.text;
  EXPECT_THAT(error.text, HasSubstr("restore the last backup"));
}

TEST(Open, RefusesALogWithAMissingRecord) {
  const TemporaryFolder folder;
  {
    const auto store = open_or_die(folder.database());
    for (int i = 0; i < 5; ++i) ASSERT_TRUE(commit_and_wait(*store, commit_of("x")).ok());
  }
  RawDatabase raw(folder.database());
  EXPECT_EQ(raw.run("DROP TRIGGER audit_is_not_deleted; DELETE FROM audit WHERE seq = 3;"), "");
  const OpenError error = error_of(folder.database());
  EXPECT_EQ(error.kind, OpenError::Kind::damaged);
  EXPECT_THAT(error.text, HasSubstr("1 of the newest audit records"));
}

TEST(Migrations, RunOnceEachInOrderAndKeepWhatWasThere) {
  const TemporaryFolder folder;
  write_file(folder.database(), "");
  auto database = Database::open(folder.database(), Database::Mode::read_write, {});
  ASSERT_TRUE(database) << database.error().text;
  const Migration steps[] = {{1, "CREATE TABLE a(x); INSERT INTO a VALUES(1);"},
                             {2, "ALTER TABLE a ADD COLUMN y;"},
                             {3, "INSERT INTO a VALUES(2, 3);"}};
  ASSERT_TRUE(migrate(*database, std::span(steps).first(1)));
  ASSERT_TRUE(migrate(*database, steps));
  ASSERT_TRUE(migrate(*database, steps));
  EXPECT_EQ(*database->integer("SELECT count(*) FROM a"), 2);
  EXPECT_EQ(*database->integer("PRAGMA user_version"), 3);
}

TEST(Migrations, ThatFailHalfWayChangeNothing) {
  const TemporaryFolder folder;
  write_file(folder.database(), "");
  auto database = Database::open(folder.database(), Database::Mode::read_write, {});
  ASSERT_TRUE(database);
  const Migration steps[] = {{1, "CREATE TABLE a(x);"},
                             {2, "INSERT INTO a VALUES(1); INSERT INTO nowhere VALUES(1);"}};
  EXPECT_FALSE(migrate(*database, steps));
  EXPECT_FALSE(database->in_transaction());
  EXPECT_EQ(*database->integer("SELECT count(*) FROM a"), 0);
  EXPECT_EQ(*database->integer("PRAGMA user_version"), 1);
}

}  // namespace
}  // namespace bedside::store
