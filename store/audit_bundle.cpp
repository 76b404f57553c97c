#include "store/audit_bundle.h"

#include <algorithm>
#include <utility>

#include "store/canonical_reader.h"
#include "store/database.h"
#include "store/digest.h"
#include "store/log_proofs.h"
#include "store/purge.h"
#include "store/seal.h"

namespace bedside::store {
namespace {

constexpr std::string_view kBundleFolder = "bedside-audit";
constexpr std::uint64_t kBundleProgressEvery = 5'000;

using Done = tl::expected<void, std::string>;
tl::unexpected<std::string> failed(const SqlError& error) { return tl::unexpected(error.text); }

// The records of an export in their order, as often as they are needed. Chosen by their bodies:
// with an index or a column that was tampered with, records would be left out, and nobody who has
// only the export could tell.
class Selection {
 public:
  static tl::expected<Selection, std::string> prepare(const Database& database,
                                                      const ExportFilter& filter,
                                                      std::uint64_t size) {
    Selection made(filter);
    auto rows = database.prepare("SELECT seq, body FROM audit WHERE seq <= ?1 ORDER BY seq");
    if (!rows) return failed(rows.error());
    made.rows_ = std::move(*rows);
    made.size_ = filter.through == 0 ? size : std::min(size, filter.through);
    return made;
  }

  // Calls `each` with the number and the body; it may stop by returning an error.
  template <typename Each>
  Done walk(Each each) {
    rows_.reset();
    rows_.bind(1, size_);
    while (true) {
      const auto more = rows_.step();
      if (!more) return failed(more.error());
      if (!*more) return {};
      const std::string_view body = rows_.view(1);
      if (restricts_ && !matches(body)) continue;
      if (auto done = each(static_cast<std::uint64_t>(rows_.integer(0)), body); !done) return done;
    }
  }

 private:
  explicit Selection(ExportFilter filter)
      : filter_(std::move(filter)),
        restricts_(filter_.from || filter_.to || !filter_.room.empty() || !filter_.person.empty()) {
  }

  bool matches(std::string_view body) const {
    const auto read = CanonicalObject::parse(body);
    if (!read) return false;
    const std::chrono::microseconds wall(read->integer("t_wall_us").value_or(0));
    if ((filter_.from && wall < *filter_.from) || (filter_.to && wall >= *filter_.to)) return false;
    if (!filter_.room.empty() && read->text("room") != filter_.room) return false;
    if (filter_.person.empty()) return true;
    const auto actor = read->object("actor");
    return (actor && actor->text("id") == filter_.person) || read->text("object") == filter_.person;
  }

  ExportFilter filter_;
  bool restricts_;
  std::uint64_t size_ = 0;
  Statement rows_;
};

tl::expected<Database, std::string> open_snapshot(const std::string& path) {
  auto opened = Database::open(path, Database::Mode::read_only, {});
  if (!opened) return failed(opened.error());
  if (auto begun = opened->run("BEGIN"); !begun) return failed(begun.error());
  return std::move(*opened);
}

JsonObject filter_detail(const ExportFilter& filter) {
  JsonObject made;
  if (filter.from) made.set("from_us", filter.from->count());
  if (filter.to) made.set("to_us", filter.to->count());
  made.set_if("room", filter.room).set_if("person", filter.person);
  if (filter.through != 0) made.set("through", filter.through);
  return made;
}

// One bundle on its way into its archive.
class BundleWriter {
 public:
  BundleWriter(const ExportOptions& options, const ExportSurvey& survey, Selection selection,
               LogProofs& proofs, ByteSink& sink)
      : options_(options),
        survey_(survey),
        selection_(std::move(selection)),
        proofs_(proofs),
        tar_(sink, std::string(kBundleFolder), proofs.checkpoint().time_us / 1'000'000) {}

  Done write(const Database& database, std::uint64_t seq, const DiscloseField& disclose);

 private:
  static Done no_room() { return tl::unexpected(std::string("there is no space for it")); }
  Done whole_file(std::string_view name, std::string_view content) {
    return tar_.begin(name) && tar_.add(content) && tar_.end() ? Done() : no_room();
  }
  template <typename Lines>
  Done file_of(std::string_view name, Lines lines) {
    if (!tar_.begin(name)) return no_room();
    if (auto done = lines(); !done) return done;
    return tar_.end() ? Done() : no_room();
  }
  Done line(const JsonObject& object) {
    return tar_.add(object.text() + "\n") ? Done() : no_room();
  }
  Done proven(JsonObject& object, std::uint64_t seq);
  Done epochs(const Database& database);
  Done checkpoints(const Database& database);
  Done purges(const Database& database);
  Done exported(const Database& database, std::uint64_t seq);
  Done disclosed(const Database& database, const DiscloseField& disclose);
  void progress() {
    if (options_.progress && ++done_ % kBundleProgressEvery == 0) {
      options_.progress(done_, (2 + options_.renderings.size()) * survey_.records);
    }
  }

  const ExportOptions& options_;
  const ExportSurvey& survey_;
  Selection selection_;
  LogProofs& proofs_;
  TarWriter tar_;
  std::uint64_t done_ = 0;
};

Done BundleWriter::proven(JsonObject& object, std::uint64_t seq) {
  const auto proof = proofs_.inclusion(seq - 1);
  if (!proof) {
    return tl::unexpected("record " + std::to_string(seq) + " cannot be proven any more");
  }
  object.set("index", seq - 1).set("proof", spell_proof(*proof));
  return {};
}

Done BundleWriter::epochs(const Database& database) {
  auto rows = database.prepare("SELECT seq, body FROM audit WHERE type = ?1 ORDER BY seq");
  if (!rows) return failed(rows.error());
  rows->bind(1, kEpochRecord);
  while (true) {
    const auto more = rows->step();
    if (!more) return failed(more.error());
    if (!*more) return {};
    const auto seq = static_cast<std::uint64_t>(rows->integer(0));
    JsonObject object;
    object.set("body", rows->view(1));
    if (auto done = proven(object, seq); !done) return done;
    const auto before = proofs_.root_of_first(seq - 1);
    const auto consistency = proofs_.consistency(seq - 1);
    if (!before || !consistency) return tl::unexpected(std::string("an epoch cannot be proven"));
    object.set("before", base64(*before)).set("consistency", spell_proof(*consistency));
    if (auto done = line(object); !done) return done;
  }
}

// The last one of each epoch, and what the caller keeps: for whoever kept one of them elsewhere.
Done BundleWriter::checkpoints(const Database& database) {
  auto rows = database.prepare(
      "SELECT size, note FROM audit_checkpoint WHERE size < ?1 AND size IN"
      " (SELECT seq FROM audit WHERE type = ?2) ORDER BY size");
  if (!rows) return failed(rows.error());
  rows->bind(1, proofs_.checkpoint().size);
  rows->bind(2, kEpochRecord);
  while (true) {
    const auto more = rows->step();
    if (!more) return failed(more.error());
    if (!*more) return {};
    const auto consistency = proofs_.consistency(static_cast<std::uint64_t>(rows->integer(0)));
    if (!consistency) return tl::unexpected(std::string("a checkpoint cannot be proven"));
    JsonObject object;
    object.set("note", rows->view(1)).set("proof", spell_proof(*consistency));
    if (auto done = line(object); !done) return done;
  }
}

Done BundleWriter::purges(const Database& database) {
  auto rows =
      database.prepare("SELECT seq, body FROM audit WHERE type = ?1 AND seq <= ?2 ORDER BY seq");
  if (!rows) return failed(rows.error());
  rows->bind(1, kPurgeRecord);
  rows->bind(2, survey_.size);
  while (true) {
    const auto more = rows->step();
    if (!more) return failed(more.error());
    if (!*more) return {};
    JsonObject object;
    object.set("body", rows->view(1));
    if (auto done = proven(object, static_cast<std::uint64_t>(rows->integer(0))); !done) {
      return done;
    }
    if (auto done = line(object); !done) return done;
  }
}

Done BundleWriter::exported(const Database& database, std::uint64_t seq) {
  auto row = database.prepare("SELECT body FROM audit WHERE seq = ?1");
  if (!row) return failed(row.error());
  row->bind(1, seq);
  const auto there = row->step();
  if (!there) return failed(there.error());
  if (!*there) return tl::unexpected(std::string("the record of this export is not there"));
  JsonObject object;
  object.set("body", row->view(0));
  if (auto done = proven(object, seq); !done) return done;
  return line(object);
}

Done BundleWriter::disclosed(const Database& database, const DiscloseField& disclose) {
  auto fields =
      database.prepare("SELECT field, ciphertext FROM audit_private WHERE seq = ?1 ORDER BY field");
  if (!fields) return failed(fields.error());
  return selection_.walk([&](std::uint64_t seq, std::string_view) -> Done {
    fields->reset();
    fields->bind(1, seq);
    while (true) {
      const auto more = fields->step();
      if (!more) return failed(more.error());
      if (!*more) return {};
      const std::string field = fields->text(0);
      const auto opened = disclose(seq, field, fields->blob(1));
      if (!opened) continue;
      JsonObject object;
      object.set("seq", seq).set("field", field);
      object.set("salt", to_hex(opened->salt)).set("value", opened->value);
      if (auto done = line(object); !done) return done;
    }
  });
}

Done BundleWriter::write(const Database& database, std::uint64_t seq,
                         const DiscloseField& disclose) {
  const auto records = [this] {
    return selection_.walk([this](std::uint64_t, std::string_view body) {
      progress();
      return tar_.add(body) && tar_.add("\n") ? Done() : no_room();
    });
  };
  const auto proofs = [this] {
    return selection_.walk([this](std::uint64_t number, std::string_view) -> Done {
      progress();
      JsonObject object;
      if (auto done = proven(object, number); !done) return done;
      return line(object);
    });
  };
  Done done = whole_file(bundle_file::kReadme, options_.readme);
  if (done) done = whole_file(bundle_file::kVerifier, options_.verifier);
  if (done) done = whole_file(bundle_file::kCheckpoint, proofs_.note());
  if (done) done = file_of(bundle_file::kEpochs, [&] { return epochs(database); });
  if (done) done = file_of(bundle_file::kCheckpoints, [&] { return checkpoints(database); });
  if (done && survey_.purged_through > 0) {
    done = file_of(bundle_file::kPurges, [&] { return purges(database); });
  }
  if (done) done = file_of(bundle_file::kExport, [&] { return exported(database, seq); });
  if (done) done = file_of(bundle_file::kRecords, records);
  if (done) done = file_of(bundle_file::kProofs, proofs);
  if (done && disclose) {
    done = file_of(bundle_file::kDisclosed, [&] { return disclosed(database, disclose); });
  }
  for (const Rendering& rendering : options_.renderings) {
    if (!done) break;
    done = file_of(rendering.file, [&]() -> Done {
      if (!tar_.add(rendering.heading)) return no_room();
      return selection_.walk([&](std::uint64_t, std::string_view body) {
        progress();
        return tar_.add(rendering.line(body)) ? Done() : no_room();
      });
    });
  }
  if (done && !tar_.finish()) done = no_room();
  return done;
}

std::string sha256_of(std::string_view content) { return to_hex(Sha256().add(content).finish()); }

}  // namespace

tl::expected<ExportSurvey, std::string> survey_export(const ExportOptions& options) {
  auto database = open_snapshot(options.database);
  if (!database) return tl::unexpected(database.error());
  const auto proofs = LogProofs::open(*database);
  if (!proofs) return tl::unexpected(proofs.error());
  ExportSurvey survey;
  survey.size = proofs->checkpoint().size;
  auto selection = Selection::prepare(*database, options.filter, survey.size);
  if (!selection) return tl::unexpected(selection.error());
  Sha256 records;
  std::vector<Sha256> renderings(options.renderings.size());
  for (std::size_t i = 0; i < renderings.size(); ++i) {
    renderings[i].add(options.renderings[i].heading);
  }
  auto walked = selection->walk([&](std::uint64_t, std::string_view body) -> Done {
    if (++survey.records > options.most_records && options.most_records != 0) {
      return tl::unexpected("more than " + std::to_string(options.most_records) +
                            " records match; take a shorter time, or `bedside audit export`");
    }
    records.add(body).add("\n");
    for (std::size_t i = 0; i < renderings.size(); ++i) {
      renderings[i].add(options.renderings[i].line(body));
    }
    return {};
  });
  if (!walked) return tl::unexpected(walked.error());
  // The record of an export has its filter: a name that somebody typed here must not get into it.
  if (!options.filter.person.empty() && survey.records == 0) {
    return tl::unexpected(std::string("no record is by or about this id"));
  }
  JsonObject files;
  files.set(bundle_file::kReadme, sha256_of(options.readme));
  files.set(bundle_file::kVerifier, sha256_of(options.verifier));
  files.set(bundle_file::kRecords, to_hex(records.finish()));
  for (std::size_t i = 0; i < renderings.size(); ++i) {
    files.set(options.renderings[i].file, to_hex(renderings[i].finish()));
  }
  survey.detail.set("origin", proofs->checkpoint().origin).set("size", survey.size);
  survey.detail.set("root", to_hex(proofs->checkpoint().root)).set("records", survey.records);
  survey.detail.set("filter", filter_detail(options.filter)).set("files", files);
  const auto purge = newest_purge(*database);
  if (!purge) return failed(purge.error());
  if (*purge) survey.purged_through = (*purge)->through;
  if (*purge) survey.detail.set("purged_through", survey.purged_through);
  return survey;
}

tl::expected<void, std::string> write_bundle(const ExportOptions& options,
                                             const ExportSurvey& survey, std::uint64_t seq,
                                             const DiscloseField& disclose, ByteSink& sink) {
  auto database = open_snapshot(options.database);
  if (!database) return tl::unexpected(database.error());
  auto proofs = LogProofs::open(*database);
  if (!proofs) return tl::unexpected(proofs.error());
  auto selection = Selection::prepare(*database, options.filter, survey.size);
  if (!selection) return tl::unexpected(selection.error());
  BundleWriter writer(options, survey, std::move(*selection), *proofs, sink);
  return writer.write(*database, seq, disclose);
}

}  // namespace bedside::store
