#include "server/backup_command.h"

#include <cinttypes>
#include <cstdio>
#include <ctime>
#include <string>
#include <vector>

#include "server/audit_trail.h"
#include "server/backup.h"
#include "server/backup_box.h"
#include "server/backup_key.h"
#include "server/local_client.h"
#include "store/checkpoint.h"
#include "store/file_sink.h"

namespace bedside::server {
namespace {

constexpr double kMegabyte = 1e6;

int fail(const std::string& what) {
  std::fprintf(stderr, "bedside: %s\n", what.c_str());
  return 1;
}

void say_step(const char* what) { std::fprintf(stderr, "%s ...\n", what); }

std::string spoken_time(std::chrono::seconds unix_time) {
  const std::time_t seconds = unix_time.count();
  std::tm utc{};
  ::gmtime_r(&seconds, &utc);
  char text[32];
  std::strftime(text, sizeof text, "%Y-%m-%d %H:%M:%S UTC", &utc);
  return text;
}

void print_loss(const store::Gap& gap) {
  if (gap.to) {
    std::printf("Lost       records %" PRIu64 " to %" PRIu64 ", as was kept elsewhere\n", gap.from,
                *gap.to);
  } else {
    std::printf("Lost       records from %" PRIu64
                " on, if there were any: nothing that was kept elsewhere tells\n",
                gap.from);
  }
}

void print_closed(const std::vector<std::string>& months) {
  std::printf("Closed     the personal values of");
  for (const std::string& month : months) std::printf(" %s", month.c_str());
  std::printf(
      ": the key they were wrapped with is not in reach of this command\n"
      "           → give the server the systemd credential audit-key or the audit.key_file of that "
      "time: it\n             does not start without\n");
}

}  // namespace

int backup_make(const Config& config) {
  BackupTried failed;
  const auto made = make_backup(config, [&failed](const char* step) {
    failed.failed_at = step;
    say_step(step);
  });
  if (!made) {
    fail(made.error());
    if (const auto recorded = record_backup(config, failed); !recorded) fail(recorded.error());
    return 1;
  }
  const BackupTried tried{true,         made->records, made->root,
                          made->digest, made->bytes,   made->restore};
  const auto recorded = record_backup(config, tried);
  std::printf("Backup     %s (%.1f MB)\nHolds      %" PRIu64
              " audit records, root %s\nRestored   in %.1f s, as a trial\n",
              made->file.c_str(), static_cast<double>(made->bytes) / kMegabyte, made->records,
              made->root.c_str(), std::chrono::duration<double>(made->restore).count());
  if (made->removed > 0) std::printf("Removed    %zu older ones\n", made->removed);
  if (recorded) return 0;
  return fail("the backup is good, but could not be recorded: " + recorded.error());
}

int backup_key(const BackupKeyWish& wish) {
  const auto key = BackupKey::generate();
  if (!key) return fail(key.error());
  if (auto saved = key->save(wish.private_file, wish.public_file, wish.passphrase); !saved) {
    return fail(saved.error());
  }
  std::printf(
      "Private key  %s\n             Keep it off the server, in two places: without it no backup "
      "can "
      "be restored.\nPublic key   %s\n             Copy it to the server: [backup] public_key\n"
      "Key id       %s\n",
      wish.private_file.c_str(), wish.public_file.c_str(), key->id().c_str());
  return 0;
}

int open_archive(const OpenArchiveWish& wish) {
  const auto key = BackupKey::load_private(wish.private_key);
  if (!key) return fail(key.error());
  auto box = BoxReader::open(wish.archive);
  if (!box) return fail(box.error());
  if (auto opened = box->unlock(*key); !opened) return fail(opened.error());
  auto out = store::FileSink::create(wish.out);
  if (!out) return fail(out.error());
  while (true) {
    const auto piece = box->next();
    if (!piece) return fail(piece.error());
    if (piece->empty()) break;
    if (!(*out)->append(*piece)) return fail(wish.out + " cannot be written");
  }
  if (auto done = (*out)->finish(); !done) return fail(done.error());
  std::printf("%s\nCheck it: bedside audit verify --bundle %s\n", wish.out.c_str(),
              wish.out.c_str());
  return 0;
}

int restore(const Config& config, const RestoreWish& wish) {
  const auto done = restore_backup(config, wish, say_step);
  if (!done) return fail(done.error());
  std::printf("Restored   the backup of %s (Bedside %s), %" PRIu64 " audit records\n",
              spoken_time(done->made).c_str(), done->version.c_str(), done->records);
  print_loss(done->gap.gap);
  std::printf("First key  %s\nNew log    %s\nNew key    %s\n", store::to_hex(done->genesis).c_str(),
              done->gap.origin.c_str(), store::to_hex(done->gap.key).c_str());
  if (!done->closed_months.empty()) print_closed(done->closed_months);
  if (!done->replaced.empty())
    std::printf("Moved      the old data to %s\n", done->replaced.c_str());
  if (!done->anchor.empty())
    std::printf("Moved      the old anchor file to %s\n", done->anchor.c_str());
  std::printf(
      "\nNow:\n"
      "  Compare the first key with your note of it: whoever forges a whole backup has another "
      "one.\n"
      "  Note the new key off this machine: `bedside audit verify --restored-key` takes it.\n"
      "  Start the server. Links and accounts are those of the backup; issue lost links again.\n"
      "  Servers that witness this log need its new key: `bedside witness key`.\n");
  return 0;
}

}  // namespace bedside::server
