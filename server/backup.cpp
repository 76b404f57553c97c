#include "server/backup.h"

#include <algorithm>
#include <fstream>
#include <utility>
#include <vector>

#include "server/audit_instant.h"
#include "server/backup_content.h"
#include "server/backup_key.h"
#include "server/draft.h"
#include "server/private_file.h"
#include "server/version.h"
#include "store/checkpoint.h"
#include "store/data_file.h"
#include "store/database.h"
#include "store/digest.h"
#include "store/file_sink.h"
#include "store/reader.h"
#include "store/verify.h"

namespace bedside::server {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kBackupPrefix = "bedside-";
constexpr std::string_view kBackupSuffix = ".backup";
constexpr const char* kUnproven = ".unproven";

using Failure = tl::unexpected<std::string>;

tl::expected<BackupManifest, std::string> copy_live(const Config& config, const fs::path& copy) {
  auto keys = read_backup_keys(config.keys_dir());
  if (!keys) return Failure(keys.error());
  {
    auto live =
        store::Database::open(config.database().string(), store::Database::Mode::read_only, {});
    if (!live) {
      return Failure("the database " + config.database().string() +
                     " cannot be read: " + live.error().text);
    }
    if (auto made = store::make_data_file(copy.string()); !made) return Failure(made.error().text);
    if (auto done = live->copy_to(copy.string(), {}); !done) {
      return Failure("the database cannot be copied: " + done.error().text);
    }
  }
  const auto reader = store::Reader::open(copy.string());
  if (!reader) return Failure(reader.error());
  const auto note = reader->newest_checkpoint();
  if (!note) return Failure(note.error());
  const auto parsed = *note ? store::parse_note(**note) : std::nullopt;
  const auto newest = parsed ? store::Checkpoint::parse(parsed->text) : std::nullopt;
  if (!newest) return Failure("the audit log has no checkpoint yet\n    → start the server once");
  BackupManifest manifest;
  manifest.version = kVersion;
  manifest.made = std::chrono::duration_cast<std::chrono::seconds>(
      std::chrono::system_clock::now().time_since_epoch());
  manifest.origin = newest->origin;
  manifest.records = newest->size;
  manifest.root = store::to_hex(newest->root);
  manifest.keys = std::move(*keys);
  manifest.database_bytes = fs::file_size(copy);
  return manifest;
}

// The backup as a restore would meet it, with the key that its maker still has.
tl::expected<void, std::string> prove(const fs::path& file, const ContentKey& key,
                                      const BackupManifest& expected, const fs::path& folder) {
  auto box = BoxReader::open(file.string());
  if (!box) return Failure(box.error());
  box->unlock(key);
  const auto manifest = unpack(*box, folder, {});
  if (!manifest) return Failure(manifest.error());
  const std::string database = (folder / "bedside.db").string();
  {
    const auto opened = store::Database::open(database, store::Database::Mode::read_only, {});
    const auto verdict =
        opened ? opened->text("PRAGMA integrity_check(1)") : tl::unexpected(opened.error());
    if (!verdict || *verdict != "ok") {
      return Failure("the restored database is damaged: " +
                     (verdict ? *verdict : verdict.error().text));
    }
  }
  store::VerifyOptions options;
  options.path = database;
  const auto report = store::verify_log(options);
  if (!report) return Failure(report.error());
  if (!report->ok()) {
    return Failure("the audit log in it does not pass, at record " +
                   std::to_string(report->first_bad_seq) + ": " + report->problem +
                   "\n    → run `bedside audit verify` on the live database too");
  }
  // The root is that of all records, those included that were purged.
  const bool same = store::to_hex(report->root) == expected.root && manifest->keys == expected.keys;
  if (!same) return Failure("what was restored is not what was backed up");
  return {};
}

// Names carry their time, so their order is that of their making.
std::size_t remove_older(const fs::path& folder, unsigned keep) {
  std::vector<fs::path> backups;
  std::error_code error;
  for (auto it = fs::directory_iterator(folder, error); !error && it != fs::directory_iterator();
       it.increment(error)) {
    const std::string name = it->path().filename().string();
    if (name.starts_with(kBackupPrefix) && name.ends_with(kBackupSuffix)) {
      backups.push_back(it->path());
    }
  }
  std::sort(backups.begin(), backups.end());
  std::size_t removed = 0;
  for (std::size_t i = 0; i + keep < backups.size(); ++i) {
    removed += fs::remove(backups[i], error) ? 1U : 0U;
  }
  return removed;
}

// Of backups that were killed: each has a name of its own, so nothing would take its place.
void remove_unproven(const fs::path& folder) {
  std::error_code error;
  std::vector<fs::path> left;
  for (auto it = fs::directory_iterator(folder, error); !error && it != fs::directory_iterator();
       it.increment(error)) {
    const std::string name = it->path().filename().string();
    const std::size_t tail = name.find(std::string(kBackupSuffix) + kUnproven);
    if (name.starts_with(kBackupPrefix) && tail != std::string::npos) left.push_back(it->path());
  }
  for (const fs::path& file : left) fs::remove(file, error);
}

fs::path scratch_of(const Config& config) { return config.scratch() / "backup-scratch"; }

}  // namespace

void remove_what_a_killed_backup_left(const Config& config) {
  std::error_code ignored;
  if (!fs::exists(scratch_of(config), ignored)) return;
  if (!store::FileLock::take((config.data_dir / "backup").string())) return;  // one is being made
  fs::remove_all(scratch_of(config), ignored);
}

tl::expected<BackupMade, std::string> make_backup(const Config& config, const BackupStep& step) {
  const BackupConfig& wish = config.backup;
  if (wish.folder.empty() || wish.public_key.empty()) {
    return Failure(
        "[backup] needs folder and public_key in the configuration\n    → `bedside backup key` "
        "makes a key pair, on another machine");
  }
  const auto key = BackupKey::load_public(wish.public_key);
  if (!key) return Failure(key.error());
  // Root's files there would keep the service's user from the next backup.
  if (const auto wrong = owned_by_another(config.data_dir)) return Failure(*wrong);
  const auto lock = store::FileLock::take((config.data_dir / "backup").string());
  if (!lock) {
    return Failure(lock.error().kind == store::OpenError::Kind::in_use
                       ? "another backup is being made"
                       : lock.error().text);
  }
  remove_unproven(wish.folder);
  std::error_code error;
  std::uint64_t live = fs::file_size(config.database(), error);
  if (error) return Failure("there is no database " + config.database().string());
  // What is not yet in the database file itself.
  const std::uint64_t recent = fs::file_size(config.database().string() + "-wal", error);
  if (!error) live += recent;
  if (auto room = check_room(config.scratch(), 2 * live); !room) return Failure(room.error());
  if (auto room = check_room(wish.folder, live); !room) return Failure(room.error());
  auto scratch = ScratchSpace::make(scratch_of(config));
  if (!scratch) return Failure(scratch.error());

  step("Copying the database");
  const fs::path copy = scratch->path() / "copy.db";
  const auto manifest = copy_live(config, copy);
  if (!manifest) return Failure(manifest.error());

  step("Encrypting");
  const fs::path name = wish.folder / (std::string(kBackupPrefix) + utc_stamp(manifest->made) +
                                       std::string(kBackupSuffix));
  Draft draft(name.string() + kUnproven);
  auto sink = store::FileSink::create(draft.path().string());
  if (!sink) return Failure(sink.error());
  auto box = BoxWriter::begin(*key, **sink);
  if (!box) return Failure(box.error());
  if (auto packed = pack(*manifest, copy, *box, {}); !packed) return Failure(packed.error());
  if (auto finished = (*sink)->finish(); !finished) return Failure(finished.error());
  fs::remove(copy, error);

  step("Restoring it to a scratch folder and checking the audit log");
  const auto began = std::chrono::steady_clock::now();
  const auto proven = prove(draft.path(), box->key(), *manifest, scratch->path() / "restored");
  if (!proven) return Failure("the backup did not pass its trial: " + proven.error());
  BackupMade made;
  made.restore = std::chrono::duration_cast<std::chrono::milliseconds>(
      std::chrono::steady_clock::now() - began);
  auto digest = digest_of_file(draft.path());
  if (!digest) return Failure(digest.error());
  if (auto kept = draft.keep_as(name); !kept) return Failure(kept.error());
  made.file = name;
  made.bytes = fs::file_size(name, error);
  made.records = manifest->records;
  made.root = manifest->root;
  made.digest = std::move(*digest);
  made.removed = remove_older(wish.folder, wish.keep);
  return made;
}

}  // namespace bedside::server
