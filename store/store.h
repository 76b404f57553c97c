#pragma once

// The only writer of the SQLite file: one thread, one connection. A commit is a list of changes and
// the audit records about them, written in one transaction; it is reported only after the
// transaction is on stable storage (WAL, synchronous=FULL).
//
// open() and close() are called by the owner's thread; submit(), load() and stats() by any thread.
// Completions and on_fatal run on the store's thread: they post to a mailbox and return.

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <tl/expected.hpp>
#include <vector>

#include "store/audit_record.h"
#include "store/change.h"
#include "store/journal.h"
#include "store/open_error.h"
#include "store/seal.h"

namespace bedside::store {

// Of the SQLite that runs, e.g. "3.40.1": not necessarily the one this was built with.
std::string_view sqlite_version();

enum class CommitStatus : std::uint8_t {
  committed,  // durable
  journaled,  // durable in the journal (journal.h); comes into the database when space returns,
              // marked late. A `keep` or `emergency` commit
  deferred,   // a `keep` commit: held in memory, written when space returns, marked late
  conflict,   // a change contradicts the state (see change.h); nothing of this commit was written
  invalid,    // a record is too large or nested too deeply; nothing was written
  full,       // no space, or another program locks the file: nothing was written; later commits may
              // succeed again without a restart
  failed,     // the store met an I/O error and is final; nothing more will be acknowledged
};

struct CommitResult {
  CommitStatus status = CommitStatus::failed;
  std::uint64_t first_seq = 0;  // of this commit's records; 0 when it wrote none
  std::uint64_t last_seq = 0;
  std::string receipt{};  // of its first record (receipt.h), when it was asked for
  bool ok() const { return status == CommitStatus::committed || status == CommitStatus::journaled; }
};

struct Commit {
  std::vector<Change> changes;
  std::vector<AuditRecord> records;
  // For what has happened whether or not it can be written (leave, end, close, timeout): it is
  // accepted beyond the queue's ordinary limit and, when the disk is full, deferred instead of
  // refused.
  bool keep = false;
  // The stored proposal is carried out in this transaction (purge.h); a record of kPurgeRecord gets
  // what was purged in its detail.
  std::optional<PurgeOrder> purge = {};
  // Of a declared emergency: when the disk is full it goes into the journal. Without one, or when
  // that takes nothing either, it is refused like all others.
  bool emergency = false;
  // The result shall have a receipt: costs a few hashes, no reading.
  bool receipt = false;
};

using Completion = std::function<void(const CommitResult&)>;

// Limits, each with its behaviour.
inline constexpr std::size_t kMaxBatchRows =
    256;  // changes + records in one transaction; more go next
inline constexpr std::size_t kMaxQueuedCommits =
    1024;  // beyond: submit() is false, callers answer 503
inline constexpr std::size_t kMaxQueuedKeepCommits = 8192;  // the same for `keep` commits
inline constexpr std::size_t kMaxDeferredCommits = 8192;    // beyond: `full`, counted as lost

struct Clock {
  std::chrono::microseconds wall{};
  std::chrono::microseconds boot{};
};

struct Options {
  std::string path;  // of the database; its folder is made when missing
  std::string keys;  // folder of the keys that seal the audit log (epoch_keys.h); must be there.
                     // Empty: records are not sealed, for tests of everything else
  // The file is a backup that is to be continued (seal.h); what is known of the records it lacks.
  std::optional<Restored> restored;
  JournalOptions journal;
  std::string build;  // version text that goes into every record
  std::function<void(const std::string&)>
      on_fatal;  // once, at an I/O error; the owner logs and exits
  std::chrono::milliseconds retry_deferred{1000};  // how often a full disk is tried again when idle
  std::size_t max_queued = kMaxQueuedCommits;
  std::size_t max_queued_keep = kMaxQueuedKeepCommits;
  std::size_t max_deferred = kMaxDeferredCommits;
  std::function<Clock()> clock;  // empty: the system's clocks; asked by the store's thread and by
                                 // whoever submits
  std::string vfs;               // empty: the platform's; tests name one that fails on purpose
};

struct Stats {
  std::uint64_t commits = 0;  // durable ones
  std::uint64_t records = 0;  // durable ones
  std::uint64_t batches = 0;  // transactions that made them durable
  std::uint64_t refused = 0;  // submit() was false
  std::uint64_t failed = 0;   // conflict, invalid, full, failed
  std::uint64_t lost = 0;     // `keep` commits that found the deferred buffer full
  std::uint64_t epoch = 0;    // of the audit log's seal; 0: not sealed
  std::size_t queued = 0;
  std::size_t deferred = 0;    // journaled ones included
  std::size_t journaled = 0;   // of those
  bool journal = false;        // there is one, and it takes commits
  bool full = false;           // the last attempt found no space, or a lock
  bool locked = false;         // full, but not of data: another program holds the file
  bool epoch_overdue = false;  // the seal's next epoch cannot begin: the old key signs on
  bool fatal = false;
};

class Store {
  class Impl;

 public:
  static tl::expected<std::unique_ptr<Store>, OpenError> open(Options options);

  explicit Store(std::unique_ptr<Impl> impl);  // open() is the only one who has an Impl
  Store(const Store&) = delete;
  Store& operator=(const Store&) = delete;
  ~Store();  // close()

  // False: the queue is full, the store is closed or has met an I/O error; nothing was taken and
  // the completion will not run. True: the completion runs exactly once. An empty completion is
  // allowed. Commits are written in the order in which they were submitted.
  bool submit(Commit commit, Completion completion);

  // Rooms and participants as last committed.
  tl::expected<LoadedState, std::string> load() const;

  Stats stats() const;

  // What is wrong with the journal, or was when it was opened; empty: nothing. The store works
  // without it.
  std::string journal_trouble() const;

  // Why the seal's next epoch cannot begin, while that is so; empty: nothing is wrong. It is tried
  // again each minute.
  std::string epoch_trouble() const;

  // Takes no more, writes what was taken (completions run), checkpoints, closes the file and gives
  // the lock back. Returns how many commits are nowhere (disk full or an I/O error).
  std::size_t close();

  const std::string& path() const;

 private:
  std::unique_ptr<Impl> impl_;
};

}  // namespace bedside::store
