#include "store/writer.h"

#include <utility>

#include "store/erasure.h"
#include "store/migrations.h"
#include "store/purge.h"

namespace bedside::store {
namespace {

// A file up to this size is checked page by page at start; a larger one would delay the start too
// long.
constexpr std::int64_t kQuickCheckBytes = 256LL * 1024 * 1024;
// How many of the newest records must be gapless before the log is continued.
constexpr int kCheckedRecords = 10'000;

constexpr int kIdleCheckpointPages = 1'000;    // about 4 MB of WAL
constexpr int kForcedCheckpointPages = 8'000;  // about 32 MB: also when never idle

constexpr std::chrono::minutes kIdleErasure{1};
constexpr std::chrono::minutes kForcedErasure{10};  // also when never idle

using Failure = tl::unexpected<OpenError>;

Failure damaged(const std::string& path, const std::string& what) {
  return Failure(OpenError{OpenError::Kind::damaged,
                           path + " is damaged: " + what +
                               ". Keep a copy of the whole folder, then restore the last backup."});
}

Failure refuse(const std::string& path, const SqlError& error) {
  if (error.kind == SqlError::Kind::not_a_database) {
    return Failure(OpenError{OpenError::Kind::not_a_database,
                             path + " is not a Bedside database: " + error.text +
                                 ". Move it away, or choose another data_dir."});
  }
  if (error.kind == SqlError::Kind::damaged) return damaged(path, error.text);
  return Failure(OpenError{OpenError::Kind::io, "cannot use " + path + ": " + error.text + "."});
}

// Before anything is written: is it ours, and not from the future?
tl::expected<void, OpenError> check_origin(const Database& database, const std::string& path) {
  const auto application = database.integer("PRAGMA application_id");
  if (!application) return refuse(path, application.error());
  const auto version = database.integer("PRAGMA user_version");
  if (!version) return refuse(path, version.error());
  const auto objects = database.integer("SELECT count(*) FROM sqlite_schema");
  if (!objects) return refuse(path, objects.error());
  const bool fresh = *objects == 0 && *version == 0 && *application == 0;
  if (!fresh && *application != kApplicationId) {
    return refuse(path, SqlError{SqlError::Kind::not_a_database, "it belongs to another program"});
  }
  if (*version > kSchemaVersion) {
    return Failure(OpenError{
        OpenError::Kind::newer_version,
        path + " has database version " + std::to_string(*version) +
            ", written by a newer Bedside; this one knows versions up to " +
            std::to_string(kSchemaVersion) +
            ". Start the newer program again, or restore the backup made before the upgrade."});
  }
  return {};
}

tl::expected<void, OpenError> check_pages(const Database& database, const std::string& path) {
  const auto size = database.integer(
      "SELECT page_count * page_size FROM pragma_page_count(), pragma_page_size()");
  if (!size) return refuse(path, size.error());
  if (*size > kQuickCheckBytes) return {};
  const auto verdict = database.text("PRAGMA quick_check(1)");
  if (!verdict) return damaged(path, verdict.error().text);
  if (*verdict != "ok") return damaged(path, *verdict);
  return {};
}

tl::expected<void, OpenError> check_log(const Database& database, const std::string& path) {
  const auto purge = newest_purge(database);
  if (!purge) return refuse(path, purge.error());
  const std::string sql =
      "SELECT max(seq) - min(seq) + 1 - count(*) FROM (SELECT seq FROM audit WHERE seq > " +
      std::to_string(*purge ? (*purge)->through : 0) + " ORDER BY seq DESC LIMIT " +
      std::to_string(kCheckedRecords) + ")";
  const auto missing = database.integer(sql);
  if (!missing) return refuse(path, missing.error());
  if (*missing != 0) {
    return damaged(path, std::to_string(*missing) + " of the newest audit records are missing");
  }
  return {};
}

tl::expected<void, OpenError> set_durability(Database& database, const std::string& path) {
  const auto mode = database.text("PRAGMA journal_mode=WAL");
  if (!mode) return refuse(path, mode.error());
  if (*mode != "wal") {
    return Failure(
        OpenError{OpenError::Kind::io, "the file system of " + path +
                                           " does not allow SQLite's WAL mode (it stays in mode " +
                                           *mode + "). Put data_dir on a local disk."});
  }
  // journal_size_limit: after a burst the WAL shrinks again when it starts over.
  auto done = database.run("PRAGMA synchronous=FULL; PRAGMA journal_size_limit=16777216;");
  if (!done) return refuse(path, done.error());
  return {};
}

tl::expected<void, OpenError> prepare_file(Database& database, const std::string& path) {
  if (auto ours = check_origin(database, path); !ours) return ours;
  if (auto whole = check_pages(database, path); !whole) return whole;
  if (auto durable = set_durability(database, path); !durable) return durable;
  if (auto current = migrate(database, migrations()); !current) {
    return refuse(path, current.error());
  }
  return check_log(database, path);
}

}  // namespace

Writer::Writer(FileLock lock, std::unique_ptr<Database> database)
    : lock_(std::move(lock)), database_(std::move(database)) {}

// Two statements of every commit: compiled once.
tl::expected<void, SqlError> Writer::prepare_statements() {
  auto mark = database_->prepare("SAVEPOINT item");
  if (!mark) return tl::unexpected(std::move(mark.error()));
  auto keep = database_->prepare("RELEASE item");
  if (!keep) return tl::unexpected(std::move(keep.error()));
  mark_item_ = std::move(*mark);
  keep_item_ = std::move(*keep);
  return {};
}

tl::expected<Writer, OpenError> Writer::open(const Options& options) {
  const std::string& path = options.path;
  if (auto made = make_data_folder(path); !made) return tl::unexpected(std::move(made.error()));
  auto lock = FileLock::take(path);
  if (!lock) return tl::unexpected(std::move(lock.error()));
  if (auto made = make_data_file(path); !made) return tl::unexpected(std::move(made.error()));
  auto database = Database::open(path, Database::Mode::read_write, options.vfs);
  if (!database) return refuse(path, database.error());
  Writer writer(std::move(*lock), std::make_unique<Database>(std::move(*database)));
  if (auto ready = prepare_file(*writer.database_, path); !ready) {
    return tl::unexpected(std::move(ready.error()));
  }
  if (auto ready = writer.prepare_statements(); !ready) return refuse(path, ready.error());
  auto state = StateWriter::prepare(*writer.database_);
  if (!state) return refuse(path, state.error());
  writer.state_ = std::move(*state);
  std::optional<Seal> seal;
  if (!options.keys.empty()) {
    auto opened = Seal::open(*writer.database_, EpochKeys(options.keys), options.restored);
    if (!opened) return damaged(path, opened.error());
    seal = std::move(*opened);
  }
  auto audit = AuditWriter::prepare(*writer.database_, options.build, std::move(seal));
  if (!audit) return refuse(path, audit.error());
  writer.audit_ = std::move(*audit);
  writer.erased_at_ = options.clock().boot;
  // Every start is a new epoch: what was sealed before it cannot be signed again.
  if (writer.begin_epoch(options.clock()) != Ending::done) {
    return Failure(OpenError{OpenError::Kind::io, "cannot seal " + path + ": " + writer.trouble_});
  }
  return writer;
}

Writer::Ending Writer::fail(const SqlError& error) {
  trouble_ = error.text;
  const bool may_pass = error.kind == SqlError::Kind::full || error.kind == SqlError::Kind::busy;
  if (!may_pass) return Ending::broken;
  locked_ = error.kind == SqlError::Kind::busy;
  if (database_->in_transaction() && !database_->run("ROLLBACK")) return Ending::broken;
  return Ending::full;
}

tl::expected<std::string, SqlError> Writer::setting(std::string_view key) const {
  auto find = database_->prepare("SELECT value FROM settings WHERE key = ?1");
  if (!find) return tl::unexpected(std::move(find.error()));
  find->bind(1, key);
  const auto row = find->step();
  if (!row) return tl::unexpected(row.error());
  return *row ? find->text(0) : std::string();
}

tl::expected<void, SqlError> Writer::write_item(Item& item, bool with_changes) {
  const std::uint64_t first = audit_.next_seq();
  if (with_changes) {
    for (const Change& change : item.commit->changes) {
      if (auto done = state_.apply(change); !done) return done;
    }
  }
  JsonObject purged;
  if (const auto& order = item.commit->purge) {
    auto done = purge_log(*database_, *order, item.at.wall);
    if (!done) return tl::unexpected(std::move(done.error()));
    purged = std::move(*done);
  }
  AuditRecord about_purge;
  for (const AuditRecord& given : item.commit->records) {
    const bool of_purge = given.type == kPurgeRecord;
    if (of_purge && purged.empty()) {
      return tl::unexpected(SqlError{SqlError::Kind::constraint, "no purge has this record"});
    }
    if (of_purge) {
      about_purge = given;
      about_purge.detail.set("purge", purged);
    }
    const AuditRecord& record = of_purge ? about_purge : given;
    const Stamp stamp{0, item.at.wall, item.at.boot, item.boot_id, item.build, item.late};
    if (auto done = audit_.append(record, stamp); !done) return done;
    if (item.commit->receipt && item.body.empty()) item.body = audit_.newest_body();
  }
  item.result.status = CommitStatus::committed;
  if (!item.commit->records.empty()) {
    item.result.first_seq = first;
    item.result.last_seq = audit_.next_seq() - 1;
  }
  return {};
}

// One item of the open transaction. What is wrong with the item itself becomes its result; an error
// is the transaction's.
tl::expected<void, SqlError> Writer::write_or_skip(Item& item) {
  const AuditWriter::Mark before = audit_.mark();
  if (auto marked = mark_item_.run(); !marked) return marked;
  auto written = write_item(item, true);
  const auto own_fault = [&](SqlError::Kind kind) {
    return !written && written.error().kind == kind && database_->in_transaction();
  };
  if (item.late && own_fault(SqlError::Kind::constraint)) {
    audit_.rewind(before);
    if (auto undone = database_->run("ROLLBACK TO item"); !undone) return undone;
    written = write_item(item, false);
  }
  const bool too_big = own_fault(SqlError::Kind::too_big);
  if (too_big || own_fault(SqlError::Kind::constraint)) {
    audit_.rewind(before);
    item.result = CommitResult{too_big ? CommitStatus::invalid : CommitStatus::conflict};
    written = database_->run("ROLLBACK TO item");
  }
  if (!written) return written;
  return keep_item_.run();
}

tl::expected<void, SqlError> Writer::write_all(std::span<Item> batch, bool singly) {
  if (auto begun = database_->run("BEGIN IMMEDIATE"); !begun) return begun;
  for (Item& item : batch) {
    if (auto done = singly ? write_or_skip(item) : write_item(item, true); !done) return done;
  }
  if (auto sealed = audit_.sign(batch.back().at.wall); !sealed) return sealed;
  return database_->run("COMMIT");
}

// Hardly ever is something wrong with an item. So the batch is written without a savepoint for
// each, which costs a copy of every page that the item touches, and once more with them when it is.
Writer::Ending Writer::write(std::span<Item> batch) {
  const AuditWriter::Mark first = audit_.mark();
  const auto take_back = [&] {
    audit_.rewind(first);
    for (Item& item : batch) {  // nothing of it happened
      item.result = {};
      item.body.clear();
    }
  };
  for (const Item& item : batch) {
    remnants_ = remnants_ || !item.commit->changes.empty() || item.commit->purge;
  }
  auto written = write_all(batch, false);
  const bool an_items_fault = !written && (written.error().kind == SqlError::Kind::constraint ||
                                           written.error().kind == SqlError::Kind::too_big);
  if (an_items_fault && database_->in_transaction()) {
    take_back();
    written = database_->run("ROLLBACK").and_then([&] { return write_all(batch, true); });
  }
  if (!written) {
    take_back();
    return fail(written.error());
  }
  audit_.committed();
  give_receipts(batch);
  return Ending::done;
}

void Writer::give_receipts(std::span<Item> batch) {
  if (audit_.seal() == nullptr) return;
  for (Item& item : batch) {
    if (!item.result.ok() || item.body.empty()) continue;
    item.result.receipt =
        audit_.seal()->receipt(item.result.first_seq, std::move(item.body)).value_or("");
  }
}

Writer::Ending Writer::begin_epoch_if_due(const Clock& now) {
  const Seal* seal = audit_.seal();
  return seal != nullptr && seal->epoch_due(now.wall) ? begin_epoch(now) : Ending::done;
}

Writer::Ending Writer::begin_epoch(const Clock& now) {
  Seal* seal = audit_.seal();
  if (seal == nullptr) return Ending::done;
  auto announcement = seal->announce_epoch();
  if (!announcement) {
    trouble_ = announcement.error();
    return Ending::full;
  }
  Commit commit;
  commit.records.push_back(std::move(*announcement));
  Item item{&commit, now, false, {}};
  if (const Ending ending = write(std::span(&item, 1)); ending != Ending::done) return ending;
  if (auto begun = seal->begin_epoch(now.wall); !begun) {
    trouble_ = begun.error();  // the old key is still there: a reason to stop
    return Ending::broken;
  }
  return Ending::done;
}

Writer::Ending Writer::checkpoint(Database::Checkpoint how) {
  auto done = database_->checkpoint(how);
  if (done) return Ending::done;
  return fail(done.error());
}

Writer::Ending Writer::checkpoint_if_due(bool idle) {
  const int pages = database_->wal_pages();
  if (pages < (idle ? kIdleCheckpointPages : kForcedCheckpointPages)) return Ending::done;
  return checkpoint(Database::Checkpoint::passive);
}

Writer::Ending Writer::erase_if_due(bool idle, std::chrono::microseconds boot) {
  if (!remnants_ || boot - erased_at_ < (idle ? kIdleErasure : kForcedErasure)) {
    return Ending::done;
  }
  erased_at_ = boot;
  return erase();
}

Writer::Ending Writer::erase() {
  if (!remnants_) return Ending::done;
  if (auto done = erase_remnants(*database_); !done) return fail(done.error());
  const Ending moved = checkpoint(Database::Checkpoint::truncate_now);
  remnants_ = moved != Ending::done || database_->wal_pages() != 0;
  return moved;
}

Writer::Ending Writer::checkpoint_for_close() { return checkpoint(Database::Checkpoint::truncate); }

}  // namespace bedside::store
