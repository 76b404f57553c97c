#include "server/restore.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <future>
#include <utility>

#include "server/anchor_places.h"
#include "server/audit_instant.h"
#include "server/audit_trail.h"
#include "server/backup_box.h"
#include "server/backup_content.h"
#include "server/backup_key.h"
#include "server/keys.h"
#include "server/private_file.h"
#include "server/version.h"
#include "store/checkpoint.h"
#include "store/data_file.h"
#include "store/database.h"
#include "store/log_tree.h"
#include "store/store.h"

namespace bedside::server {
namespace {

namespace fs = std::filesystem;

using Failure = tl::unexpected<std::string>;

std::chrono::seconds unix_now() {
  return std::chrono::duration_cast<std::chrono::seconds>(
      std::chrono::system_clock::now().time_since_epoch());
}

// What is known of the log after the backup was made: numbers of records, of the same log.
class LossCheck {
 public:
  explicit LossCheck(std::string origin) : origin_(std::move(origin)) {}

  // False: it is no checkpoint of this log.
  bool note(const std::string& text) {
    const auto parsed = store::parse_note(text);
    const auto read = parsed ? store::Checkpoint::parse(parsed->text) : std::nullopt;
    if (!read || read->origin != origin_) return false;
    newest_ = std::max(newest_.value_or(0), read->size);
    return true;
  }
  // True: there were checkpoints of this log in it.
  tl::expected<bool, std::string> file(const fs::path& path) {
    const auto text = read_file(path, kMaxAnchorFile);
    if (!text) return Failure(sentence(text.error()));
    bool found = note(*text);  // a single checkpoint
    for (const std::string& each : notes_in(*text)) found = note(each) || found;
    return found;
  }
  // Of any version: an upgraded program may restore before it has ever served.
  void database(const fs::path& path) {
    const auto old = store::Database::open(path.string(), store::Database::Mode::read_only, {});
    if (!old) return;
    if (const auto newest = store::newest_note(*old)) note(*newest);
  }
  std::optional<std::uint64_t> newest() const { return newest_; }

 private:
  std::string origin_;
  std::optional<std::uint64_t> newest_;
};

class Restore {
 public:
  Restore(const Config& config, const RestoreWish& wish,
          const std::function<void(const char*)>& step)
      : config_(config), wish_(wish), step_(step), scratch_(config.data_dir / "restore-scratch") {}
  ~Restore() {
    std::error_code ignored;
    fs::remove_all(scratch_, ignored);
  }
  Restore(const Restore&) = delete;
  Restore& operator=(const Restore&) = delete;

  tl::expected<RestoreDone, std::string> run();

 private:
  tl::expected<void, std::string> check_place();
  tl::expected<void, std::string> open_box();
  tl::expected<void, std::string> check_log();
  tl::expected<void, std::string> declare();
  tl::expected<void, std::string> close(store::Store& store);
  tl::expected<void, std::string> commit_declaration(store::Store& store, const AuditTrail& trail);
  tl::expected<void, std::string> try_data_keys(const store::Store& store, AuditTrail& trail);
  tl::expected<void, std::string> move_into_place();
  tl::expected<std::optional<std::uint64_t>, std::string> lost_to() const;
  bool is_there() const { return fs::exists(config_.database()); }
  fs::path database() const { return scratch_ / "bedside.db"; }
  tl::expected<store::VerifyReport, std::string> verified() const;

  const Config& config_;
  const RestoreWish& wish_;
  const std::function<void(const char*)>& step_;
  const fs::path scratch_;
  const std::chrono::steady_clock::time_point begun_ = std::chrono::steady_clock::now();
  BackupManifest manifest_;
  RestoreDone done_;
};

// Files of the wrong user would keep the server from starting.
tl::expected<void, std::string> Restore::check_place() {
  if (const auto wrong = owned_by_another(config_.data_dir)) return Failure(*wrong);
  if (is_there() && !wish_.replace) {
    return Failure("there is a database already: " + config_.database().string() +
                   "\n    → with --replace it is moved aside (nothing is removed)");
  }
  std::error_code ignored;
  fs::remove_all(scratch_, ignored);
  if (auto made = make_private_folder(scratch_); !made) return Failure(sentence(made.error()));
  return {};
}

tl::expected<void, std::string> Restore::open_box() {
  auto box = BoxReader::open(wish_.backup.string());
  if (!box) return Failure(box.error());
  const auto key = BackupKey::load_private(wish_.private_key);
  if (!key) return Failure(key.error());
  if (auto unlocked = box->unlock(*key); !unlocked) return unlocked;
  step_("Decrypting");
  auto manifest = unpack(*box, scratch_, {});
  if (!manifest) return Failure(manifest.error());
  manifest_ = std::move(*manifest);
  done_.made = manifest_.made;
  done_.version = manifest_.version;
  done_.records = manifest_.records;
  return {};
}

tl::expected<store::VerifyReport, std::string> Restore::verified() const {
  store::VerifyOptions options;
  options.path = database().string();
  if (!wish_.genesis.empty() && !store::from_hex(wish_.genesis, options.genesis.emplace())) {
    return Failure("--genesis takes the 64 hex digits (0-9, a-f) of the first key");
  }
  auto report = store::verify_log(options);
  if (!report) return Failure(report.error());
  if (!report->ok()) {
    return Failure("the audit log in this backup does not pass, at record " +
                   std::to_string(report->first_bad_seq) + ": " + report->problem +
                   "\n    → take an older backup, and keep this one as evidence");
  }
  return report;
}

tl::expected<void, std::string> Restore::check_log() {
  step_("Checking the audit log");
  const auto report = verified();
  if (!report) return Failure(report.error());
  if (store::to_hex(report->root) != manifest_.root) {
    return Failure("the audit log in this backup is not the one its manifest names");
  }
  done_.genesis = report->genesis;
  return {};
}

tl::expected<std::optional<std::uint64_t>, std::string> Restore::lost_to() const {
  LossCheck loss(manifest_.origin);
  if (is_there()) loss.database(config_.database());
  std::error_code ignored;
  if (const auto& file = config_.audit.anchor_file; !file.empty() && fs::exists(file, ignored)) {
    if (auto read = loss.file(file); !read) return Failure(read.error());
  }
  for (const fs::path& file : wish_.anchors) {
    const auto read = loss.file(file);
    if (!read) return Failure(read.error());
    // A loss declared too small is one that every later check with this file objects to.
    if (!*read) {
      return Failure("there is no checkpoint of " + manifest_.origin + " in " + file.string() +
                     "\n    → give the file as it was kept, unchanged, of the log in this backup");
    }
  }
  return loss.newest();
}

tl::expected<void, std::string> Restore::commit_declaration(store::Store& store,
                                                            const AuditTrail& trail) {
  LogRestored action;
  action.lost_from = manifest_.records + 1;
  action.backup_made = manifest_.made;
  action.root = manifest_.root;
  action.took = std::chrono::duration_cast<std::chrono::milliseconds>(
      std::chrono::steady_clock::now() - begun_);
  AuditSource source;
  source.local = this_user();
  std::promise<bool> written;
  const bool taken =
      store.submit(trail.commit(AdminAction{action}, source),
                   [&](const store::CommitResult& result) { written.set_value(result.ok()); });
  if (taken && written.get_future().get()) return {};
  return Failure("the restore cannot be recorded\n    → free space on the disk");
}

// A missing wrapping key stops no restore: it may be a credential that only the service is given.
tl::expected<void, std::string> Restore::try_data_keys(const store::Store& store,
                                                       AuditTrail& trail) {
  const auto state = store.load();
  if (!state) return Failure(state.error());
  for (const store::DataKeyRow& key : state->data_keys) {
    if (!trail.adopt(key)) done_.closed_months.push_back(key.month);
  }
  return {};
}

// Only the database itself is moved into place: what is still in its WAL would be lost.
tl::expected<void, std::string> Restore::close(store::Store& store) {
  const std::size_t unwritten = store.close();
  std::error_code error;
  const fs::path wal = database().string() + "-wal";
  const bool whole = !fs::exists(wal, error) ? !error : fs::file_size(wal, error) == 0;
  if (unwritten == 0 && whole && !store.stats().fatal) return {};
  return Failure("the restored database could not be written to the disk as a whole" +
                 std::string("\n    → free space on the disk of ") + config_.data_dir.string());
}

tl::expected<void, std::string> Restore::declare() {
  step_("Beginning the log anew, with the loss declared");
  const auto lost = lost_to();
  if (!lost) return Failure(lost.error());
  const auto keys = open_keys(scratch_ / "keys", MissingKeys::refuse);
  if (!keys) return Failure(keys.error().message);
  store::Options options;
  options.path = database().string();
  options.keys = (scratch_ / "keys").string();
  options.build = kVersion;
  options.restored = store::Restored{*lost};
  options.vfs = wish_.vfs;
  auto opened = store::Store::open(std::move(options));
  if (!opened) return Failure(opened.error().text);
  const auto own = open_wrapping_key(config_.audit.key_file);
  AuditTrail trail(keys->pseudonym, keys->field, own ? own->value_or(keys->field) : keys->field);
  if (auto tried = try_data_keys(**opened, trail); !tried) return tried;
  if (auto recorded = commit_declaration(**opened, trail); !recorded) return recorded;
  if (auto closed = close(**opened); !closed) return closed;
  const auto report = verified();
  if (!report) return Failure(report.error());
  if (report->gaps.empty()) return Failure("the restore was not declared");  // no epoch before it
  done_.gap = report->gaps.back();
  return {};
}

tl::expected<void, std::string> Restore::move_into_place() {
  const std::string suffix = "replaced-" + utc_stamp(unix_now());
  const auto aside = config_.data_dir / suffix;
  std::error_code error;
  const auto move = [&](const fs::path& from, const fs::path& to) {
    if (!error && fs::exists(fs::symlink_status(from))) fs::rename(from, to, error);
  };
  if (is_there() || fs::exists(config_.keys_dir())) {
    if (auto made = make_private_folder(aside); !made) return Failure(sentence(made.error()));
    done_.replaced = aside;
    for (const char* name : {"bedside.db", "bedside.db-wal", "bedside.db-shm", "keys"}) {
      move(config_.data_dir / name, aside / name);
    }
  }
  move(scratch_ / "keys", config_.keys_dir());
  move(database(), config_.database());
  if (const auto& anchor = config_.audit.anchor_file; !anchor.empty() && fs::exists(anchor)) {
    done_.anchor = anchor.string() + "." + suffix;
    move(anchor, done_.anchor);
  }
  if (error) {
    return Failure("moving the restored files into place failed: " + error.message() +
                   "\n    → nothing is lost: see " + aside.string() + ", then run this again");
  }
  const bool synced = sync_folder(config_.keys_dir()) &&
                      (done_.replaced.empty() || sync_folder(aside)) &&
                      sync_folder(config_.data_dir);
  if (!synced) {
    return Failure(
        "the restored files are in place, but their folder cannot be synced to its disk"
        "\n    → sync it (`sync -f " +
        config_.data_dir.string() + "`) before you start");
  }
  return {};
}

tl::expected<RestoreDone, std::string> Restore::run() {
  if (auto made = store::make_data_folder(config_.database().string()); !made) {
    return Failure(made.error().text);
  }
  const auto lock = store::FileLock::take(config_.database().string());
  if (!lock) return Failure(lock.error().text);
  for (const auto part : {&Restore::check_place, &Restore::open_box, &Restore::check_log,
                          &Restore::declare, &Restore::move_into_place}) {
    if (auto done = (this->*part)(); !done) return Failure(done.error());
  }
  return std::move(done_);
}

}  // namespace

tl::expected<RestoreDone, std::string> restore_backup(
    const Config& config, const RestoreWish& wish, const std::function<void(const char*)>& step) {
  return Restore(config, wish, step).run();
}

}  // namespace bedside::server
