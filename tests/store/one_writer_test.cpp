#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <mutex>
#include <thread>
#include <vector>

#include "faulty_vfs.h"
#include "sealed_store.h"

namespace bedside::store {
namespace {

// Every connection this process opens, in order. SQLite before 3.51.3 can corrupt a WAL database
// when two connections write or checkpoint at the same moment.
class Connections {
 public:
  Connections() {
    all().clear();
    sqlite3_auto_extension(entry());
  }
  ~Connections() { sqlite3_cancel_auto_extension(entry()); }
  Connections(const Connections&) = delete;
  Connections& operator=(const Connections&) = delete;

  std::size_t count() const {
    const std::lock_guard lock(mutex());
    return all().size();
  }
  sqlite3* newest() const {
    const std::lock_guard lock(mutex());
    return all().back();
  }

 private:
  // SQLite's type for what it calls with (sqlite3*, char**, const sqlite3_api_routines*).
  using Entry = void (*)();
  static int note(sqlite3* connection, char**, const void*) {
    const std::lock_guard lock(mutex());
    all().push_back(connection);
    return SQLITE_OK;
  }
  static Entry entry() { return reinterpret_cast<Entry>(&note); }
  static std::vector<sqlite3*>& all() {
    static std::vector<sqlite3*> connections;
    return connections;
  }
  static std::mutex& mutex() {
    static std::mutex one;
    return one;
  }
};

std::string answer(sqlite3* connection, const std::string& sql) {
  std::string text;
  const auto take = [](void* out, int, char** columns, char**) {
    *static_cast<std::string*>(out) += columns[0] == nullptr ? "" : columns[0];
    return 0;
  };
  if (sqlite3_exec(connection, sql.c_str(), take, &text, nullptr) == SQLITE_OK) return text;
  return sqlite3_errmsg(connection);
}

TEST(OneWriter, AReaderCanNeitherWriteNorCheckpoint) {
  SealedStore log;
  log.open();
  ASSERT_TRUE(log.commit("room.created").ok());
  const Connections connections;
  const Reader reader = reader_or_die(log.database());
  ASSERT_EQ(connections.count(), 1U);
  sqlite3* inside = connections.newest();
  EXPECT_EQ(answer(inside, "PRAGMA query_only"), "1");
  EXPECT_EQ(answer(inside, "PRAGMA wal_autocheckpoint"), "0");
  for (const char* sql : {"DELETE FROM rooms", "INSERT INTO settings VALUES('a', 'b')",
                          "CREATE TABLE t(x)", "DROP TRIGGER audit_private_is_not_changed"}) {
    EXPECT_THAT(answer(inside, sql), testing::HasSubstr("readonly")) << sql;
  }
  answer(inside, "PRAGMA query_only=OFF");
  EXPECT_THAT(answer(inside, "DELETE FROM rooms"), testing::HasSubstr("readonly"))
      << "the file is open for reading only";
  EXPECT_NE(sqlite3_wal_checkpoint_v2(inside, nullptr, SQLITE_CHECKPOINT_PASSIVE, nullptr, nullptr),
            SQLITE_OK);
}

// Readers read while more is written than the log holds before it is brought into the file, and
// one of them goes last: whoever closes last checkpoints, unless it may not.
TEST(OneWriter, OneConnectionChangesTheFilesWhoeverReads) {
  const TemporaryFolder folder;
  FaultyVfs vfs;
  Options options;
  options.path = folder.database();
  options.vfs = vfs.name();
  auto store = open_or_die(std::move(options));
  std::atomic<bool> over = false;
  std::vector<std::thread> readers;
  for (int i = 0; i < 3; ++i) {
    readers.emplace_back([&] {
      while (!over) {
        const auto reader = Reader::open(folder.database(), vfs.name());
        ASSERT_TRUE(reader) << reader.error();
        EXPECT_TRUE(reader->audit({}));
        EXPECT_TRUE(reader->state());
        EXPECT_TRUE(reader->accounts());
      }
    });
  }
  for (int i = 0; i < 300; ++i) {
    Commit commit = commit_of("x", std::string(9000, 'x'));
    commit.changes = {SettingSet{std::to_string(i), "v"}};
    ASSERT_TRUE(commit_and_wait(*store, std::move(commit)).ok());
    if (i % 100 == 0) {
      EXPECT_TRUE(store->load());
    }
  }
  over = true;
  for (std::thread& reader : readers) reader.join();
  {
    const auto last = Reader::open(folder.database(), vfs.name());
    ASSERT_TRUE(last);
    EXPECT_TRUE(last->audit({}));
    store.reset();
    EXPECT_TRUE(last->audit({}));
  }
  EXPECT_EQ(vfs.writers_of(folder.database()), 1U);
  EXPECT_EQ(vfs.writers_of(folder.database() + "-wal"), 1U);
  EXPECT_GT(RawDatabase(folder.database()).types().size(), 299U);
}

}  // namespace
}  // namespace bedside::store
