#include "server/purge_archive.h"

#include <fstream>
#include <utility>

#include "server/audit_export.h"
#include "server/audit_instant.h"
#include "server/backup_box.h"
#include "server/backup_key.h"
#include "server/draft.h"
#include "store/file_sink.h"

namespace bedside::server {
namespace {

namespace fs = std::filesystem;

using ArchiveFailure = tl::unexpected<std::string>;

tl::expected<void, std::string> write_tar(const fs::path& tar, const store::ExportOptions& options,
                                          const store::ExportSurvey& survey, std::uint64_t seq) {
  auto sink = store::FileSink::create(tar.string());
  if (!sink) return ArchiveFailure(sink.error());
  if (auto done = store::write_bundle(options, survey, seq, {}, **sink); !done) return done;
  return (*sink)->finish();
}

tl::expected<store::VerifyReport, std::string> check_tar(const fs::path& tar,
                                                         const store::ExportSurvey& survey) {
  store::VerifyOptions check;
  check.path = tar.string();
  auto report = store::verify_bundle(check);
  if (!report || (report->ok() && report->records == survey.records)) return report;
  return ArchiveFailure("the archive does not pass, at record " +
                        std::to_string(report->first_bad_seq) + ": " + report->problem);
}

tl::expected<ContentKey, std::string> encrypt(const fs::path& tar, const fs::path& file,
                                              const BackupKey& to) {
  std::ifstream in(tar, std::ios::binary);
  auto sink = store::FileSink::create(file.string());
  if (!sink) return ArchiveFailure(sink.error());
  auto box = BoxWriter::begin(to, **sink);
  if (!box) return ArchiveFailure(box.error());
  std::string piece(kBoxPiece, '\0');
  while (in.read(piece.data(), static_cast<std::streamsize>(piece.size())) || in.gcount() > 0) {
    if (!box->add(std::string_view(piece).substr(0, static_cast<std::size_t>(in.gcount())))) break;
  }
  if (!in.eof() || !box->finish()) return ArchiveFailure(file.string() + " cannot be written");
  if (auto done = (*sink)->finish(); !done) return ArchiveFailure(done.error());
  return box->key();
}

// What somebody with the private key will get.
tl::expected<void, std::string> decrypt(const fs::path& file, const ContentKey& key,
                                        const fs::path& tar) {
  auto box = BoxReader::open(file.string());
  if (!box) return ArchiveFailure(box.error());
  box->unlock(key);
  std::ofstream out(tar, std::ios::binary);
  while (true) {
    const auto piece = box->next();
    if (!piece) return ArchiveFailure(piece.error());
    if (piece->empty()) break;
    out << *piece;
  }
  out.close();
  if (!out) return ArchiveFailure("there is no space in " + tar.parent_path().string());
  return {};
}

}  // namespace

std::optional<std::string> no_archive(const BackupConfig& backup) {
  if (backup.folder.empty() || backup.public_key.empty()) {
    return "Records are purged only after an encrypted archive of them was written, and there is "
           "no key for one. Run `bedside backup key` on another machine, and set folder and "
           "public_key under [backup] in the configuration.";
  }
  if (const auto key = BackupKey::load_public(backup.public_key); !key) return key.error();
  return std::nullopt;
}

tl::expected<store::ExportOptions, std::string> archive_options(const std::string& database,
                                                                std::uint64_t through) {
  AuditExportWish wish;
  wish.filter.through = through;
  return export_options(database, wish);
}

tl::expected<ArchiveMade, std::string> make_archive(const BackupConfig& backup,
                                                    const fs::path& scratch,
                                                    const store::ExportOptions& options,
                                                    const store::ExportSurvey& survey,
                                                    std::uint64_t seq, std::chrono::seconds now) {
  const auto key = BackupKey::load_public(backup.public_key);
  if (!key) return ArchiveFailure(key.error());
  auto folder = ScratchSpace::make(scratch);
  if (!folder) return ArchiveFailure(folder.error());
  const fs::path plain = folder->path() / "archive.tar";
  const fs::path again = folder->path() / "again.tar";
  if (auto done = write_tar(plain, options, survey, seq); !done)
    return ArchiveFailure(done.error());
  ArchiveMade made;
  made.name = "bedside-audit-through-" + std::to_string(options.filter.through) + "-" +
              utc_stamp(now) + ".archive";
  const fs::path name = backup.folder / made.name;
  Draft draft(name.string() + ".unproven");
  std::error_code error;
  fs::remove(draft.path(), error);
  const auto content = encrypt(plain, draft.path(), *key);
  if (!content) return ArchiveFailure(content.error());
  fs::remove(plain, error);
  if (auto done = decrypt(draft.path(), *content, again); !done) {
    return ArchiveFailure(done.error());
  }
  const auto verified = check_tar(again, survey);
  if (!verified) return ArchiveFailure(verified.error());
  auto digest = digest_of_file(draft.path());
  if (!digest) return ArchiveFailure(digest.error());
  if (auto kept = draft.keep_as(name); !kept) return ArchiveFailure(kept.error());
  made.digest = std::move(*digest);
  made.bytes = fs::file_size(name, error);
  made.records = verified->records;
  made.root = store::to_hex(verified->root);
  return made;
}

}  // namespace bedside::server
