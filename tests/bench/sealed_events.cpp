// How many sealed records a second 64 clients get acknowledged, each of whom waits for its answer
// before it asks again; beside plain SQLite that commits as many rows of the same size in the same
// groups, with the same durability, without a seal.
//
//   sealed_events FOLDER [SECONDS]     (`./run sealed-events` runs it in memory and on disk)

#include <sqlite3.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <future>
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
constexpr std::size_t kBodyBytes = 420;  // about what the record below takes

struct Rate {
  double events = 0;    // a second
  double per_sync = 0;  // events in one transaction
};

AuditRecord join(std::uint64_t i) {
  AuditRecord record;
  record.type = "room.join";
  record.actor = {"participant", "participant-" + std::to_string(i), "guest", "token"};
  record.where.listener = "https";
  record.where.ip_class = "public";
  record.where.ip_prefix = "203.0.113.0/24";
  record.where.ip_commitment = std::string(64, 'a');
  record.room = "0123456789abcdef0123456789abcdef";
  record.request_id = i + 1;
  return record;
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
  std::atomic<std::uint64_t> events = 0;
  const auto end = steady_clock::now() + time;
  std::vector<std::thread> clients;
  for (int i = 0; i < kClients; ++i) {
    clients.emplace_back([&] {
      while (steady_clock::now() < end) {
        Commit commit;
        commit.records.push_back(join(events));
        std::promise<bool> answer;
        const bool taken = (*store)->submit(
            std::move(commit), [&](const CommitResult& result) { answer.set_value(result.ok()); });
        if (!taken || !answer.get_future().get()) std::exit(1);
        ++events;
      }
    });
  }
  for (std::thread& client : clients) client.join();
  const auto count = static_cast<double>(events);
  const auto groups = static_cast<double>((*store)->stats().batches - batches);
  return {count / static_cast<double>(time.count()), count / std::max(1.0, groups)};
}

void must(int code, sqlite3* database) {
  if (code == SQLITE_OK || code == SQLITE_DONE) return;
  std::fprintf(stderr, "sealed_events: %s\n", sqlite3_errmsg(database));
  std::exit(1);
}

// One thread, groups of the size that the sealed log had: no clients to wait for, no seal.
Rate plain(const std::filesystem::path& folder, std::chrono::seconds time, double per_sync) {
  const auto group = static_cast<int>(std::max(1.0, per_sync));
  sqlite3* database = nullptr;
  must(sqlite3_open((folder / "plain.db").c_str(), &database), database);
  must(sqlite3_exec(database,
                    "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;"
                    "CREATE TABLE log(seq INTEGER PRIMARY KEY, body BLOB) STRICT",
                    nullptr, nullptr, nullptr),
       database);
  sqlite3_stmt* insert = nullptr;
  must(sqlite3_prepare_v2(database, "INSERT INTO log(body) VALUES(?1)", -1, &insert, nullptr),
       database);
  const std::string body(kBodyBytes, 'x');
  std::uint64_t events = 0;
  const auto end = steady_clock::now() + time;
  while (steady_clock::now() < end) {
    must(sqlite3_exec(database, "BEGIN IMMEDIATE", nullptr, nullptr, nullptr), database);
    for (int i = 0; i < group; ++i, ++events) {
      sqlite3_bind_blob(insert, 1, body.data(), static_cast<int>(body.size()), SQLITE_STATIC);
      must(sqlite3_step(insert), database);
      must(sqlite3_reset(insert), database);
    }
    must(sqlite3_exec(database, "COMMIT", nullptr, nullptr, nullptr), database);
  }
  sqlite3_finalize(insert);
  sqlite3_close(database);
  return {static_cast<double>(events) / static_cast<double>(time.count()),
          static_cast<double>(group)};
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2) {
    std::fprintf(stderr, "sealed_events FOLDER [SECONDS]\n");
    return 2;
  }
  const std::filesystem::path folder = argv[1];
  const std::chrono::seconds time(argc > 2 ? std::atoi(argv[2]) : 5);
  const Rate ours = sealed(folder, time);
  const Rate theirs = plain(folder, time, ours.per_sync);
  std::printf("sealed, %d clients   %9.0f events/s, %.1f a commit\n", kClients, ours.events,
              ours.per_sync);
  std::printf("plain SQLite         %9.0f rows/s, %.0f a commit\n", theirs.events, theirs.per_sync);
  std::printf("cost                 %9.2f times that of plain SQLite\n",
              theirs.events / ours.events);
  return 0;
}
