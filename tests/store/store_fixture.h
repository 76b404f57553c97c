#pragma once

// What the tests of the store share: a folder, a store in it, the file seen from outside.

#include <gtest/gtest.h>
#include <sqlite3.h>

#include <condition_variable>
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <future>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "store/reader.h"
#include "store/store.h"
#include "store/verify.h"

namespace bedside::store {

// Holds the store's thread inside a completion, so that a test decides what piles up behind it.
class Gate {
 public:
  void wait() {
    std::unique_lock lock(mutex_);
    reached_ = true;
    changed_.notify_all();
    changed_.wait(lock, [this] { return open_; });
  }
  void wait_until_reached() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return reached_; });
  }
  void open() {
    const std::lock_guard lock(mutex_);
    open_ = true;
    changed_.notify_all();
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  bool reached_ = false;
  bool open_ = false;
};

// A folder that goes away with the test.
class TemporaryFolder {
 public:
  TemporaryFolder() {
    std::string pattern = (std::filesystem::temp_directory_path() / "bedside-XXXXXX").string();
    path_ = mkdtemp(pattern.data());
  }
  ~TemporaryFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;
  const std::string& path() const { return path_; }
  std::string database() const { return path_ + "/data/bedside.db"; }
  std::string keys() const { return path_ + "/data/keys"; }
  void make_keys_folder() const {
    std::filesystem::create_directories(keys());
    for (const std::string& folder : {path_ + "/data", keys()}) {
      std::filesystem::permissions(folder, std::filesystem::perms::owner_all);
    }
  }

 private:
  std::string path_;
};

inline std::unique_ptr<Store> open_or_die(Options options) {
  auto opened = Store::open(std::move(options));
  if (!opened) {
    ADD_FAILURE() << opened.error().text;
    std::abort();
  }
  return std::move(*opened);
}

inline std::unique_ptr<Store> open_or_die(const std::string& path) {
  Options options;
  options.path = path;
  options.build = "test 1";
  return open_or_die(std::move(options));
}

// Of a store in `folder` whose records are sealed.
inline Options sealed_options(const TemporaryFolder& folder) {
  folder.make_keys_folder();
  Options options;
  options.path = folder.database();
  options.keys = folder.keys();
  options.build = "test 1";
  return options;
}

inline Reader reader_or_die(const std::string& path) {
  auto reader = Reader::open(path);
  if (!reader) {
    ADD_FAILURE() << reader.error();
    std::abort();
  }
  return std::move(*reader);
}

// Submits and waits for the answer. A refusal by submit() reads as `failed`.
inline CommitResult commit_and_wait(Store& store, Commit commit) {
  std::promise<CommitResult> answer;
  auto future = answer.get_future();
  if (!store.submit(std::move(commit), [&](const CommitResult& r) { answer.set_value(r); })) {
    return {};
  }
  return future.get();
}

inline AuditRecord record_of(std::string type, std::string object = {}) {
  AuditRecord record;
  record.type = std::move(type);
  record.object = std::move(object);
  return record;
}

inline Commit commit_of(std::string type, std::string object = {}) {
  Commit commit;
  commit.records.push_back(record_of(std::move(type), std::move(object)));
  return commit;
}

// Returns when the store's thread waits at the gate: what is submitted from then on piles up.
inline void hold(Store& store, Gate& gate) {
  ASSERT_TRUE(store.submit(commit_of("gate"), [&](const CommitResult&) { gate.wait(); }));
  gate.wait_until_reached();
}

inline Commit kept(const std::string& type, const std::string& object = {}) {
  Commit commit = commit_of(type, object);
  commit.keep = true;
  return commit;
}

inline Change room_created(const std::string& room) {
  return RoomCreated{RoomRow{room, "42", std::chrono::milliseconds(1000), {}, {}}};
}

inline ParticipantJoined joined(const std::string& room, const std::string& participant,
                                const std::string& name = "Grace") {
  ParticipantJoined change;
  change.participant.participant_id = participant;
  change.participant.room_id = room;
  change.participant.display_name = name;
  change.participant.role = "guest";
  change.participant.token_hash = {1, 0, 2};
  return change;
}

// The file as any other program sees it: no rules of ours on the connection.
class RawDatabase {
 public:
  explicit RawDatabase(const std::string& path) { sqlite3_open(path.c_str(), &handle_); }
  ~RawDatabase() { sqlite3_close(handle_); }
  RawDatabase(const RawDatabase&) = delete;
  RawDatabase& operator=(const RawDatabase&) = delete;

  // "" when it worked, else SQLite's words.
  std::string run(const std::string& sql) {
    return sqlite3_exec(handle_, sql.c_str(), nullptr, nullptr, nullptr) == SQLITE_OK
               ? std::string()
               : std::string(sqlite3_errmsg(handle_));
  }
  // The first column of every row.
  std::vector<std::string> column(const std::string& sql) {
    std::vector<std::string> values;
    const auto take = [](void* out, int, char** columns, char**) {
      static_cast<std::vector<std::string>*>(out)->emplace_back(columns[0] ? columns[0] : "");
      return 0;
    };
    EXPECT_EQ(sqlite3_exec(handle_, sql.c_str(), take, &values, nullptr), SQLITE_OK)
        << sqlite3_errmsg(handle_);
    return values;
  }
  // The log as a reader of the list sees it, oldest first.
  std::vector<std::string> types() { return column("SELECT type FROM audit ORDER BY seq"); }
  std::string value(const std::string& sql) {
    const auto values = column(sql);
    return values.empty() ? std::string() : values.front();
  }

 private:
  sqlite3* handle_ = nullptr;
};

// 1, 2, 3 … without a gap, and as many as it says.
inline void expect_gapless(const std::string& path) {
  RawDatabase raw(path);
  EXPECT_EQ(raw.value("SELECT count(*) FROM audit"),
            raw.value("SELECT coalesce(max(seq), 0) FROM audit"));
  EXPECT_EQ(raw.value("PRAGMA integrity_check"), "ok");
}

// The same of a sealed log, and its verifier finds nothing.
inline void expect_whole(const std::string& path) {
  expect_gapless(path);
  VerifyOptions options;
  options.path = path;
  const auto report = verify_log(options);
  ASSERT_TRUE(report) << report.error();
  EXPECT_EQ(report->problem, "");
}

}  // namespace bedside::store
