// A server is lost and comes back from its backup, as its operator would do it.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <httplib.h>
#include <sqlite3.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstring>
#include <filesystem>
#include <string>

#include "server/backup_key.h"
#include "store/data_file.h"
#include "store/database.h"
#include "store/reader.h"
#include "tests/server/bedside_process.h"
#include "tests/server/small_disk.h"

namespace bedside::server {
namespace {

namespace fs = std::filesystem;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

class BackupTest : public ::testing::Test {
 protected:
  BackupTest() {
    fs::create_directory(path("backups"));
    EXPECT_EQ(run_bedside({"backup", "key", "--private", path("private.pem"), "--public",
                           path("public.pem")})
                  .exit_code,
              0);
    configure("");
  }

  void configure(const std::string& more) {
    server_.configure(
        "", "[backup]\nfolder = \"backups\"\npublic_key = \"public.pem\"\nkeep = 2\n" + more);
  }
  std::string path(const std::string& name) const {
    return (server_.folder().path() / name).string();
  }
  Ended command(std::vector<std::string> arguments) const {
    arguments.insert(arguments.end(), {"--config", server_.config_file().string()});
    return run_bedside(arguments);
  }
  Ended restore(std::vector<std::string> more = {}) const {
    std::vector<std::string> arguments{"restore", "--backup", newest(), "--key",
                                       path("private.pem")};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return command(arguments);
  }
  int create_room(const std::string& id) const {
    httplib::Client client("127.0.0.1", server_.http());
    const auto answer = client.Post("/api/webrtc-signaling",
                                    R"({"action":"create-room","appointmentId":")" + id + "\"}",
                                    "application/json");
    return answer ? answer->status : 0;
  }
  std::vector<std::string> backups() const {
    std::vector<std::string> names;
    for (const auto& entry : fs::directory_iterator(path("backups"))) {
      names.push_back(entry.path().string());
    }
    std::sort(names.begin(), names.end());
    return names;
  }
  std::string newest() const { return backups().back(); }
  std::vector<store::AuditRow> records(const std::string& type) const {
    store::AuditQuery query;
    query.type_prefix = type;
    return store::Reader::open((server_.data_dir() / "bedside.db").string())->audit(query).value();
  }
  // The word after "New key" in what `restore` says.
  static std::string new_key(const std::string& said) {
    return said.substr(said.find("New key") + 11, 64);
  }

  TestServer server_;
};

TEST_F(BackupTest, OfARunningServerIsProvenAndRecorded) {
  server_.start();
  ASSERT_EQ(create_room("4711"), 200);
  const Ended made = command({"backup", "make"});
  ASSERT_EQ(made.exit_code, 0) << made.errors;
  EXPECT_THAT(made.output, AllOf(HasSubstr("audit records, root"), HasSubstr("as a trial")));
  EXPECT_EQ(backups().size(), 1U);
  EXPECT_EQ(fs::status(newest()).permissions(), fs::perms::owner_read | fs::perms::owner_write);
  const std::string content =
      server_.folder().read("backups/" + fs::path(newest()).filename().string());
  EXPECT_THAT(content, Not(HasSubstr("appointment-4711")));
  EXPECT_THAT(content, Not(HasSubstr("SQLite format")));
  EXPECT_FALSE(fs::exists(server_.data_dir() / "backup-scratch"));
  const auto rows = records("backup.");
  ASSERT_EQ(rows.size(), 1U);
  EXPECT_EQ(rows[0].type, "backup.verified");
  EXPECT_THAT(rows[0].body, AllOf(HasSubstr("\"root\":\""), HasSubstr("\"rto_ms\":"),
                                  HasSubstr("\"sha256\":\"")));
  EXPECT_EQ(server_.stop(SIGTERM).exit_code, 0);
}

// Files of root in data_dir would keep the timer's backups from being made.
TEST_F(BackupTest, IsMadeByTheServersUserAloneAndOneAtATime) {
  server_.start();
  EXPECT_EQ(server_.stop(SIGTERM).exit_code, 0);
  {
    const auto lock = store::FileLock::take((server_.data_dir() / "backup").string());
    ASSERT_TRUE(lock);
    EXPECT_THAT(command({"backup", "make"}).errors, HasSubstr("another backup is being made"));
  }
  if (::geteuid() != 0) GTEST_SKIP() << "needs root to give the folder to somebody else";
  fs::remove(server_.data_dir() / "backup.lock");
  ASSERT_EQ(::chown(server_.data_dir().c_str(), 65534, 65534), 0);
  const Ended refused = command({"backup", "make"});
  EXPECT_EQ(refused.exit_code, 1);
  EXPECT_THAT(refused.errors, AllOf(HasSubstr("belongs to user id 65534"), HasSubstr("runuser")));
  EXPECT_FALSE(fs::exists(server_.data_dir() / "backup.lock"));
}

// Names are in the plain copy, and each half-written file has a name of its own.
TEST_F(BackupTest, ThatWasKilledLeavesNothingForLong) {
  fs::create_directories(server_.data_dir() / "backup-scratch");
  server_.folder().write("data/backup-scratch/copy.db", "names", 0600);
  server_.folder().write("backups/bedside-2026-01-01T000000Z.backup.unproven.part", "x", 0600);
  server_.folder().write("backups/bedside-2026-01-02T000000Z.backup.unproven", "x", 0600);
  server_.folder().write("backups/notes.txt", "x", 0600);
  fs::permissions(server_.data_dir(), fs::perms::owner_all);
  server_.start();
  EXPECT_FALSE(fs::exists(server_.data_dir() / "backup-scratch"));
  ASSERT_EQ(command({"backup", "make"}).exit_code, 0);
  EXPECT_EQ(server_.stop(SIGTERM).exit_code, 0);
  ASSERT_EQ(backups().size(), 2U) << "the backup, and what is not ours";
  EXPECT_THAT(backups().front(), HasSubstr(".backup"));
  EXPECT_THAT(backups().back(), HasSubstr("notes.txt"));
}

// A loss that is declared too small is one that every later check objects to.
TEST_F(BackupTest, IsNotRestoredBesideAnAnchorThatSaysNothingOfItsLog) {
  server_.start();
  ASSERT_EQ(command({"backup", "make"}).exit_code, 0);
  server_.stop(SIGKILL);
  fs::remove_all(server_.data_dir());
  server_.folder().write("mail.txt", "see below\n\n> the checkpoint\n", 0600);
  const Ended refused = restore({"--anchor", path("mail.txt")});
  EXPECT_EQ(refused.exit_code, 1);
  EXPECT_THAT(refused.errors,
              AllOf(HasSubstr("no checkpoint of bedside/audit/"), HasSubstr(path("mail.txt"))));
  EXPECT_FALSE(fs::exists(server_.data_dir() / "bedside.db"));
  EXPECT_EQ(restore().exit_code, 0);
}

TEST_F(BackupTest, BringsALostServerBack) {
  server_.start();
  ASSERT_EQ(create_room("4711"), 200);
  ASSERT_EQ(command({"backup", "make"}).exit_code, 0);
  ASSERT_EQ(create_room("after"), 200);
  server_.stop(SIGKILL);
  fs::remove_all(server_.data_dir());

  const Ended restored = restore();
  ASSERT_EQ(restored.exit_code, 0) << restored.errors;
  EXPECT_THAT(restored.output, HasSubstr("nothing that was kept elsewhere tells"));
  ASSERT_EQ(records("log.restored").size(), 1U);
  EXPECT_THAT(records("log.restored")[0].body, HasSubstr(R"("rto_ms":)"));
  server_.start();
  EXPECT_EQ(server_.stop(SIGTERM).exit_code, 0);
  EXPECT_EQ(records("room.created").size(), 1U);
  const Ended unconfirmed = command({"audit", "verify"});
  EXPECT_EQ(unconfirmed.exit_code, 3);
  EXPECT_THAT(unconfirmed.output, HasSubstr("PASS WITH A DECLARED GAP"));
  const std::string key = new_key(restored.output);
  EXPECT_EQ(command({"audit", "verify", "--restored-key", key}).exit_code, 0) << key;
}

TEST_F(BackupTest, DeclaresTheLossThatAnAnchorFileShows) {
  configure("[audit]\nanchor_file = \"anchor\"\n");
  server_.start();
  ASSERT_EQ(command({"backup", "make"}).exit_code, 0);
  ASSERT_EQ(create_room("after"), 200);
  EXPECT_EQ(server_.stop(SIGTERM).exit_code, 0);  // anchors what it has
  fs::remove_all(server_.data_dir());
  const Ended restored = restore();
  ASSERT_EQ(restored.exit_code, 0) << restored.errors;
  EXPECT_THAT(restored.output,
              AllOf(HasSubstr("as was kept elsewhere"), HasSubstr("old anchor file")));
  server_.start();  // with a new anchor file
  EXPECT_EQ(server_.stop(SIGTERM).exit_code, 0);
  EXPECT_EQ(command({"audit", "verify", "--restored-key", new_key(restored.output)}).exit_code, 0);
}

// The program was upgraded, and what it is to replace was never served by it.
TEST_F(BackupTest, DeclaresTheLossThatTheOldDatabaseShowsWhateverItsVersion) {
  server_.start();
  ASSERT_EQ(command({"backup", "make"}).exit_code, 0);
  ASSERT_EQ(create_room("after"), 200);
  EXPECT_EQ(server_.stop(SIGTERM).exit_code, 0);
  {
    auto old = store::Database::open((server_.data_dir() / "bedside.db").string(),
                                     store::Database::Mode::read_write, {});
    ASSERT_TRUE(old) << old.error().text;
    ASSERT_TRUE(old->run("PRAGMA user_version=2"));
  }
  const Ended restored = restore({"--replace"});
  ASSERT_EQ(restored.exit_code, 0) << restored.errors;
  EXPECT_THAT(restored.output, HasSubstr("as was kept elsewhere"));
}

TEST_F(BackupTest, PersonalValuesComeBackWithTheirWrappingKeyOnly) {
  configure("[audit]\nkey_file = \"audit.key\"\n");
  server_.folder().write("audit.key", std::string(32, 'k'), 0400);
  server_.start();
  ASSERT_EQ(create_room("4711"), 200);
  ASSERT_EQ(command({"backup", "make"}).exit_code, 0);
  server_.stop(SIGKILL);
  fs::remove_all(server_.data_dir());

  const Ended whole = restore();
  ASSERT_EQ(whole.exit_code, 0) << whole.errors;
  EXPECT_THAT(whole.output, Not(HasSubstr("Closed")));
  EXPECT_EQ(command({"audit", "export", "--disclose", "--out", path("open.tar")}).exit_code, 0);
  EXPECT_THAT(server_.folder().read("open.tar"), HasSubstr(R"("value":"\"4711\"")"));

  fs::remove(path("audit.key"));  // a new machine, and nobody thought of the key yet
  const Ended closed = restore({"--replace"});
  ASSERT_EQ(closed.exit_code, 0) << closed.errors;
  EXPECT_THAT(closed.output,
              AllOf(HasSubstr("Closed     the personal values of 20"),
                    HasSubstr("systemd credential audit-key or the audit.key_file")));
  EXPECT_NE(command({"serve"}).exit_code, 0);
  server_.folder().write("audit.key", std::string(32, 'k'), 0400);
  server_.start();
  EXPECT_EQ(server_.stop(SIGTERM).exit_code, 0);
}

TEST_F(BackupTest, NeverReplacesADatabaseUnasked) {
  server_.start();
  ASSERT_EQ(create_room("4711"), 200);
  ASSERT_EQ(command({"backup", "make"}).exit_code, 0);
  EXPECT_THAT(restore({"--replace"}).errors, HasSubstr("bedside.db")) << "the server runs";
  EXPECT_EQ(server_.stop(SIGTERM).exit_code, 0);
  EXPECT_THAT(restore().errors, HasSubstr("--replace"));
  EXPECT_THAT(restore({"--replace", "--genesis", std::string(64, '0')}).errors,
              HasSubstr("not the one that was noted"));
  EXPECT_EQ(records("log.restored").size(), 0U) << "nothing changed so far";
  const Ended replaced = restore({"--replace"});
  ASSERT_EQ(replaced.exit_code, 0) << replaced.errors;
  EXPECT_THAT(replaced.output, HasSubstr("the old data to"));
  EXPECT_EQ(records("log.restored").size(), 1U);
  EXPECT_FALSE(fs::exists(server_.data_dir() / "restore-scratch"));
}

TEST_F(BackupTest, IsMadeWhileTheDiskIsFullWithItsScratchFolderElsewhere) {
  const SmallDisk disk(server_.data_dir(), 40);
  if (!disk.mounted()) {
    GTEST_SKIP() << "NOT TESTED: a backup while the disk is full; mounting a tmpfs needs root: "
                 << std::strerror(errno);
  }
  const std::string backup = "[backup]\nfolder = \"backups\"\npublic_key = \"public.pem\"\n";
  const auto configure_with = [&](const std::string& more) {
    server_.configure("[audit]\nballast_mb = 8\n" + backup + more, "");
  };
  configure_with("scratch_folder = \"scratch\"\n");
  EXPECT_EQ(run_bedside({"check-config", server_.config_file().string()}).exit_code, 1);
  fs::create_directory(path("scratch"));
  const fs::path ballast = server_.data_dir() / "ballast";
  const auto until_ballast = [&](bool there) {
    const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(20);
    while (fs::exists(ballast) != there && std::chrono::steady_clock::now() < end) {
    }
    return fs::exists(ballast) == there;
  };
  server_.start();
  ASSERT_TRUE(until_ballast(true));
  disk.fill();
  ASSERT_TRUE(until_ballast(false));
  // What the ballast gave, but for less than a backup takes.
  disk.fill();
  const fs::path filler = server_.data_dir() / "filler";
  const std::uintmax_t live = fs::file_size(server_.data_dir() / "bedside.db") +
                              fs::file_size(server_.data_dir() / "bedside.db-wal");
  fs::resize_file(filler, fs::file_size(filler) - live);
  const Ended made = command({"backup", "make"});
  EXPECT_EQ(made.exit_code, 0) << made.errors;
  EXPECT_EQ(backups().size(), 1U);
  EXPECT_EQ(records("backup.verified").size(), 1U);
  EXPECT_TRUE(fs::is_empty(path("scratch")));
  configure_with("");
  EXPECT_THAT(command({"backup", "make"}).errors, HasSubstr("backup.scratch_folder"));
}

TEST_F(BackupTest, OfADamagedDatabaseIsNoneAndThatIsRecorded) {
  server_.start();
  EXPECT_EQ(server_.stop(SIGTERM).exit_code, 0);
  sqlite3* raw = nullptr;
  ASSERT_EQ(sqlite3_open((server_.data_dir() / "bedside.db").c_str(), &raw), SQLITE_OK);
  EXPECT_EQ(sqlite3_exec(raw,
                         "DROP TRIGGER audit_is_not_changed;"
                         "UPDATE audit SET outcome = 'denied' WHERE seq = 2;",
                         nullptr, nullptr, nullptr),
            SQLITE_OK);
  sqlite3_close(raw);
  server_.start();
  const Ended made = command({"backup", "make"});
  EXPECT_EQ(made.exit_code, 1);
  EXPECT_THAT(made.errors, AllOf(HasSubstr("did not pass its trial"), HasSubstr("record 2")));
  EXPECT_TRUE(backups().empty());
  ASSERT_EQ(records("backup.failed").size(), 1U);
  EXPECT_THAT(records("backup.failed")[0].body, HasSubstr(R"("step":"Restoring it)"));
  server_.stop(SIGTERM);
}

TEST_F(BackupTest, KeepsAsManyAsWereWished) {
  server_.start();
  for (int i = 0; i < 3; ++i) {
    // Their names tell seconds; older ones, as if made before.
    fs::copy_file(server_.config_file(),
                  path("backups/bedside-2020-01-0" + std::to_string(i + 1) + "T000000Z.backup"));
  }
  const Ended made = command({"backup", "make"});
  ASSERT_EQ(made.exit_code, 0) << made.errors;
  EXPECT_THAT(made.output, HasSubstr("Removed    2 older ones"));
  EXPECT_EQ(backups().size(), 2U);
  EXPECT_THAT(backups().front(), HasSubstr("2020-01-03"));
  server_.stop(SIGTERM);
}

TEST_F(BackupTest, SaysWhatIsMissing) {
  server_.configure("", "");
  EXPECT_THAT(command({"backup", "make"}).errors, HasSubstr("[backup] needs folder"));
  EXPECT_EQ(run_bedside({"restore", "--backup", path("none"), "--key", path("none")}).exit_code, 1);
}

}  // namespace
}  // namespace bedside::server
