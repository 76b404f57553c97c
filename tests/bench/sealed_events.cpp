// How many sealed records a second 64 clients get acknowledged, each of whom waits for its answer
// before it asks again; beside plain SQLite with group commit for as many clients, rows of the same
// size and the same durability, without a seal: once with the columns and indexes of the audit
// table and the encrypted fields beside it, once with nothing but a number and the bytes.
//
//   sealed_events FOLDER [SECONDS [SYNC-MS [EVENTS [TIMES]]]]
//
// `./run sealed-events` runs it in memory and on disk.
// EVENTS, TIMES: exits with 1 when fewer are sealed a second, or when they cost more than so many
// times what the same columns cost.
// SYNC-MS: no sync of either takes less, as on the disks that servers rent: a virtual machine's own
// disk often answers before anything is durable.

#include <sqlite3.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <deque>
#include <filesystem>
#include <future>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "store/store.h"

namespace {

using bedside::store::AuditRecord;
using bedside::store::Commit;
using bedside::store::CommitResult;
using bedside::store::Options;
using bedside::store::Store;
using std::chrono::steady_clock;

constexpr int kClients = 64;
constexpr std::size_t kBodyBytes = 540;  // about what the record below takes

// SQLite's usual access to files, whose syncs take a while.
class SlowSync {
 public:
  explicit SlowSync(std::chrono::microseconds least) : real_(sqlite3_vfs_find(nullptr)) {
    least_ = least;
    slow_ = *real_;
    slow_.zName = "slow-sync";
    slow_.pAppData = this;
    slow_.xOpen = [](sqlite3_vfs* vfs, const char* path, sqlite3_file* file, int flags, int* out) {
      const auto& self = *static_cast<SlowSync*>(vfs->pAppData);
      const int code = self.real_->xOpen(self.real_, path, file, flags, out);
      if (file->pMethods != nullptr) file->pMethods = slowed(file->pMethods);
      return code;
    };
    sqlite3_vfs_register(&slow_, 1);
  }

 private:
  // SQLite has a few tables of methods; which one a file has depends on how it is locked.
  struct Methods {
    const sqlite3_io_methods* real;
    sqlite3_io_methods slow;
  };
  static const sqlite3_io_methods* slowed(const sqlite3_io_methods* real) {
    const std::lock_guard lock(mutex_);
    for (const Methods& each : tables_) {
      if (each.real == real) return &each.slow;
    }
    tables_.push_back({real, *real});
    tables_.back().slow.xSync = [](sqlite3_file* file, int flags) {
      const auto begin = steady_clock::now();
      const int code = real_sync(file, flags);
      std::this_thread::sleep_until(begin + least_);
      return code;
    };
    return &tables_.back().slow;
  }
  static int real_sync(sqlite3_file* file, int flags) {
    const sqlite3_io_methods* real = nullptr;
    {
      const std::lock_guard lock(mutex_);
      for (const Methods& each : tables_) {
        if (&each.slow == file->pMethods) real = each.real;
      }
    }
    return real->xSync(file, flags);
  }

  static inline std::chrono::microseconds least_{0};
  static inline std::mutex mutex_;
  static inline std::deque<Methods> tables_;  // which do not move
  sqlite3_vfs* real_;
  sqlite3_vfs slow_{};
};

struct Rate {
  double events = 0;    // a second
  double per_sync = 0;  // events in one transaction
};

// Of an address and of a name, with salt, nonce and tag.
constexpr int kAddressBytes = 58;
constexpr int kNameBytes = 60;

AuditRecord join(std::uint64_t i) {
  AuditRecord record;
  record.type = "room.join";
  record.actor = {"participant", "participant-" + std::to_string(i), "guest", "token"};
  record.where.listener = "https";
  record.where.ip_class = "public";
  record.where.ip_prefix = "203.0.113.0/24";
  record.where.ip_commitment = std::string(64, 'a');
  record.where.ip_enc.assign(kAddressBytes, 1);
  record.detail.set("display", std::string(64, 'b'));
  record.private_fields.push_back({"display", std::vector<std::uint8_t>(kNameBytes, 2)});
  record.room = "0123456789abcdef0123456789abcdef";
  record.request_id = i + 1;
  return record;
}

// 64 threads that wait for the acknowledgement of one event before they ask for the next.
// `ask(i, answered)` is false when it was not taken.
template <typename Ask>
std::uint64_t clients_ask(std::chrono::seconds time, const Ask& ask) {
  std::atomic<std::uint64_t> events = 0;
  const auto end = steady_clock::now() + time;
  std::vector<std::thread> clients;
  for (int i = 0; i < kClients; ++i) {
    clients.emplace_back([&] {
      while (steady_clock::now() < end) {
        std::promise<bool> answer;
        if (!ask(events.load(), answer) || !answer.get_future().get()) std::exit(1);
        ++events;
      }
    });
  }
  for (std::thread& client : clients) client.join();
  return events;
}

Rate rate(std::uint64_t events, std::uint64_t groups, std::chrono::seconds time) {
  const auto count = static_cast<double>(events);
  return {count / static_cast<double>(time.count()),
          count / static_cast<double>(std::max<std::uint64_t>(1, groups))};
}

Rate sealed(const std::filesystem::path& folder, std::chrono::seconds time) {
  Options options;
  options.path = (folder / "sealed" / "bedside.db").string();
  options.keys = (folder / "sealed" / "keys").string();
  std::filesystem::create_directories(options.keys);
  std::filesystem::permissions(folder / "sealed", std::filesystem::perms::owner_all);
  const auto store = Store::open(std::move(options));
  if (!store) {
    std::fprintf(stderr, "sealed_events: %s\n", store.error().text.c_str());
    std::exit(1);
  }
  const auto batches = (*store)->stats().batches;
  const auto events = clients_ask(time, [&](std::uint64_t i, std::promise<bool>& answer) {
    Commit commit;
    commit.records.push_back(join(i));
    return (*store)->submit(std::move(commit), [&answer](const CommitResult& result) {
      answer.set_value(result.ok());
    });
  });
  return rate(events, (*store)->stats().batches - batches, time);
}

void must(int code, sqlite3* database) {
  if (code == SQLITE_OK || code == SQLITE_DONE) return;
  std::fprintf(stderr, "sealed_events: %s\n", sqlite3_errmsg(database));
  std::exit(1);
}

enum class Columns : std::uint8_t { same, bare };

constexpr const char* kSameTable =
    "CREATE TABLE log(seq INTEGER PRIMARY KEY, t_wall_us INTEGER, type TEXT, outcome TEXT, "
    "reason TEXT, actor TEXT, room TEXT, body BLOB) STRICT;"
    "CREATE INDEX log_by_time ON log(t_wall_us);"
    "CREATE INDEX log_by_type ON log(type);"
    "CREATE INDEX log_by_room ON log(room);"
    "CREATE TABLE log_private(seq INTEGER, field TEXT, ciphertext BLOB, PRIMARY KEY(seq, field)) "
    "STRICT, WITHOUT ROWID";
constexpr const char* kPrivateInsert =
    "INSERT INTO log_private VALUES(?1, 'ip', zeroblob(?2)), (?1, 'display', zeroblob(?3))";
constexpr const char* kSameInsert =
    "INSERT INTO log VALUES(NULL, ?2, 'room.join', 'ok', NULL, ?3, "
    "'0123456789abcdef0123456789abcdef', ?1)";
constexpr const char* kBareTable = "CREATE TABLE log(seq INTEGER PRIMARY KEY, body BLOB) STRICT";
constexpr const char* kBareInsert = "INSERT INTO log(body) VALUES(?1)";

// Group commit as anybody would write it: what waits becomes one transaction of plain rows, and its
// clients are answered after COMMIT. No seal, no state.
class PlainLog {
 public:
  PlainLog(const std::filesystem::path& file, Columns columns) : columns_(columns) {
    must(sqlite3_open(file.c_str(), &database_), database_);
    run("PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;");
    const bool bare = columns == Columns::bare;
    run(bare ? kBareTable : kSameTable);
    must(sqlite3_prepare_v2(database_, bare ? kBareInsert : kSameInsert, -1, &insert_, nullptr),
         database_);
    if (!bare) {
      must(sqlite3_prepare_v2(database_, kPrivateInsert, -1, &insert_private_, nullptr), database_);
    }
    thread_ = std::thread([this] { serve(); });
  }
  ~PlainLog() {
    {
      const std::lock_guard lock(mutex_);
      closing_ = true;
    }
    arrived_.notify_one();
    thread_.join();
    sqlite3_finalize(insert_);
    sqlite3_finalize(insert_private_);
    sqlite3_close(database_);
  }
  PlainLog(const PlainLog&) = delete;
  PlainLog& operator=(const PlainLog&) = delete;

  void submit(std::string body, std::promise<bool>& answer) {
    {
      const std::lock_guard lock(mutex_);
      waiting_.push_back({std::move(body), &answer});
    }
    arrived_.notify_one();
  }
  std::uint64_t groups() const { return groups_; }

 private:
  struct Row {
    std::string body;
    std::promise<bool>* answer;
  };

  void run(const char* sql) {
    must(sqlite3_exec(database_, sql, nullptr, nullptr, nullptr), database_);
  }
  void bind_columns() {
    constexpr const char* kActor = "participant:participant-123456";
    const auto now = std::chrono::system_clock::now().time_since_epoch();
    sqlite3_bind_int64(insert_, 2,
                       std::chrono::duration_cast<std::chrono::microseconds>(now).count());
    sqlite3_bind_text(insert_, 3, kActor, -1, SQLITE_STATIC);
  }
  void insert_fields() {
    sqlite3_bind_int64(insert_private_, 1, sqlite3_last_insert_rowid(database_));
    sqlite3_bind_int(insert_private_, 2, kAddressBytes);
    sqlite3_bind_int(insert_private_, 3, kNameBytes);
    must(sqlite3_step(insert_private_), database_);
    must(sqlite3_reset(insert_private_), database_);
  }
  void serve() {
    while (true) {
      std::vector<Row> rows;
      {
        std::unique_lock lock(mutex_);
        arrived_.wait(lock, [this] { return closing_ || !waiting_.empty(); });
        if (waiting_.empty()) return;
        rows.swap(waiting_);
      }
      run("BEGIN IMMEDIATE");
      for (const Row& row : rows) {
        sqlite3_bind_blob(insert_, 1, row.body.data(), static_cast<int>(row.body.size()),
                          SQLITE_STATIC);
        if (columns_ == Columns::same) bind_columns();
        must(sqlite3_step(insert_), database_);
        must(sqlite3_reset(insert_), database_);
        if (columns_ == Columns::same) insert_fields();
      }
      run("COMMIT");
      ++groups_;
      for (const Row& row : rows) row.answer->set_value(true);
    }
  }

  Columns columns_;
  sqlite3* database_ = nullptr;
  sqlite3_stmt* insert_ = nullptr;
  sqlite3_stmt* insert_private_ = nullptr;
  std::mutex mutex_;
  std::condition_variable arrived_;
  std::vector<Row> waiting_;
  bool closing_ = false;
  std::atomic<std::uint64_t> groups_ = 0;
  std::thread thread_;
};

Rate plain(const std::filesystem::path& folder, std::chrono::seconds time, Columns columns) {
  PlainLog log(folder / (columns == Columns::bare ? "bare.db" : "plain.db"), columns);
  const auto events = clients_ask(time, [&log](std::uint64_t, std::promise<bool>& answer) {
    log.submit(std::string(kBodyBytes, 'x'), answer);
    return true;
  });
  return rate(events, log.groups(), time);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2) {
    std::fprintf(stderr, "sealed_events FOLDER [SECONDS [SYNC-MS [EVENTS [TIMES]]]]\n");
    return 2;
  }
  const std::filesystem::path folder = argv[1];
  const std::chrono::seconds time(argc > 2 ? std::atoi(argv[2]) : 5);
  std::optional<SlowSync> slow;
  const int sync_ms = argc > 3 ? std::atoi(argv[3]) : 0;
  if (sync_ms > 0) slow.emplace(std::chrono::milliseconds(sync_ms));
  const Rate ours = sealed(folder, time);
  const Rate same = plain(folder, time, Columns::same);
  const Rate bare = plain(folder, time, Columns::bare);
  const auto print = [&](const char* what, const Rate& rate) {
    std::printf("%-32s %9.0f events/s, %.1f a commit; sealed costs %.2f times that\n", what,
                rate.events, rate.per_sync, rate.events / ours.events);
  };
  std::printf("%-32s %9.0f events/s, %.1f a commit\n", "sealed", ours.events, ours.per_sync);
  print("plain, same columns and indexes", same);
  print("plain, a number and the bytes", bare);
  if (argc > 4 && ours.events < std::atof(argv[4])) {
    std::fprintf(stderr, "sealed_events: fewer than %s events a second\n", argv[4]);
    return 1;
  }
  if (argc > 5 && same.events > std::atof(argv[5]) * ours.events) {
    std::fprintf(stderr, "sealed_events: sealed costs more than %s times as much\n", argv[5]);
    return 1;
  }
  return 0;
}
