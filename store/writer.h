#pragma once

// The file as the store's thread sees it.

#include <chrono>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "store/audit_writer.h"
#include "store/data_file.h"
#include "store/database.h"
#include "store/state_writer.h"
#include "store/store.h"

namespace bedside::store {

// The write connection without its thread: turns a batch of commits into one durable transaction.
class Writer {
 public:
  // Everything between a path and a file that is safe to write: folder, lock, checks, migrations.
  static tl::expected<Writer, OpenError> open(const Options& options);

  struct Item {
    const Commit* commit = nullptr;
    Clock at;           // when it was submitted
    bool late = false;  // it was deferred: has happened, so that its records are written even when
                        // its changes contradict the state
    CommitResult result{};
    std::string body = {};  // of the record that is receipted
    // Of a former process; empty: of this one. Borrowed.
    std::string_view boot_id = {};
    std::string_view build = {};
  };

  enum class Ending : std::uint8_t {
    done,    // durable, apart from items whose result is conflict or invalid
    full,    // nothing of the batch was written; try again, or smaller
    broken,  // I/O error: this connection must not be used again
  };

  // On `done` every item has its result; otherwise every result is `failed`.
  Ending write(std::span<Item> batch);
  // The last `full` was none: another program holds the file.
  bool locked() const { return locked_; }
  const std::string& trouble() const {
    return trouble_;
  }  // what ended the last batch that was not done

  const std::string& boot_id() const { return audit_.boot_id(); }
  const std::string& build() const { return audit_.build(); }

  // Empty when it was never set.
  tl::expected<std::string, SqlError> setting(std::string_view key) const;

  // A new epoch of the seal, when one is due (or in any case). Its record is a transaction of its
  // own. `full` also when the key could not be made: the present epoch goes on.
  Ending begin_epoch_if_due(const Clock& now);
  Ending begin_epoch(const Clock& now);
  std::uint64_t epoch() const { return audit_.seal() == nullptr ? 0 : audit_.seal()->epoch(); }

  // Moves the WAL into the database when it has grown: a little when idle, in any case when large.
  Ending checkpoint_if_due(bool idle);
  // The whole WAL, at the end of a clean run.
  Ending checkpoint_for_close();

  // What is left of deleted rows (erasure.h), in the file and in the WAL, once the state has
  // changed: a minute after the last time when idle, in any case after ten. `full`, or a reader in
  // the way of the WAL: the next time is a minute later.
  Ending erase_if_due(bool idle, std::chrono::microseconds boot);
  Ending erase();

 private:
  Writer(FileLock lock, std::unique_ptr<Database> database);
  tl::expected<void, SqlError> prepare_statements();
  tl::expected<void, SqlError> write_item(Item& item, bool with_changes);
  tl::expected<void, SqlError> write_or_skip(Item& item);
  // The batch as one transaction; `singly`: an item whose fault it is gets that as its result, and
  // the others stay.
  tl::expected<void, SqlError> write_all(std::span<Item> batch, bool singly);
  void give_receipts(std::span<Item> batch);
  Ending fail(const SqlError& error);
  Ending checkpoint(Database::Checkpoint how);

  FileLock lock_;                       // first member: released after the connection is closed
  std::unique_ptr<Database> database_;  // a stable address for the statements below
  Statement mark_item_;
  Statement keep_item_;
  StateWriter state_;
  AuditWriter audit_;
  std::string trouble_;
  bool locked_ = false;
  bool remnants_ = true;  // perhaps: a former process may have left some
  std::chrono::microseconds erased_at_{};
};

}  // namespace bedside::store
