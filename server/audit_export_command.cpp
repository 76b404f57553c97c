#include "server/audit_export_command.h"

#include <algorithm>
#include <cinttypes>
#include <cstdio>
#include <optional>

#include "server/audit_export.h"
#include "server/audit_instant.h"
#include "server/audit_progress.h"
#include "server/data_key_turn.h"
#include "server/keys.h"
#include "server/local_client.h"
#include "server/room_filter.h"
#include "store/file_sink.h"
#include "store/reader.h"

namespace bedside::server {
namespace {

int refuse(const std::string& what, int code = 1) {
  std::fprintf(stderr, "bedside: %s\n", what.c_str());
  return code;
}

// Everything but the room, which the log has to be asked about. Nothing: it makes no sense, and why
// was printed.
std::optional<AuditExportWish> wish_of(const AuditExportRequest& request) {
  AuditExportWish wish;
  const auto instant = [](const char* name, const std::string& text, auto& out) {
    if (text.empty()) return true;
    out = parse_instant(text);
    if (!out) {
      refuse("--" + std::string(name) + " takes 2026-11-23 or 2026-11-23T06:12:31Z (UTC)");
    }
    return out.has_value();
  };
  if (!instant("from", request.from, wish.filter.from)) return std::nullopt;
  if (!instant("to", request.to, wish.filter.to)) return std::nullopt;
  const auto format = export_format_from(request.format);
  if (!format) {
    refuse("--format is ndjson, csv or fhir");
    return std::nullopt;
  }
  wish.format = *format;
  wish.filter.person = request.person;
  for (const std::string& field : request.redacted) {
    if (std::find(std::begin(kPersonalFields), std::end(kPersonalFields), field) ==
        std::end(kPersonalFields)) {
      refuse("there is no personal field \"" + field +
             "\"; --redact takes: ip, display, patient_ref, reference");
      return std::nullopt;
    }
  }
  for (const std::string_view field : kPersonalFields) {
    const bool kept = std::find(request.redacted.begin(), request.redacted.end(), field) ==
                      request.redacted.end();
    if (request.disclose && kept) wish.disclosed.emplace_back(field);
  }
  return wish;
}

// Only who opens personal values needs the keys of their months.
std::optional<std::string> personal_values_stay_closed(const Config& config,
                                                       const AuditExportWish& wish,
                                                       AuditTrail& trail) {
  if (wish.disclosed.empty()) return std::nullopt;
  const auto reader = store::Reader::open(config.database().string());
  if (!reader) return reader.error();
  const auto state = reader->state();
  if (!state) return state.error();
  const auto adopted = adopt_data_keys(trail, *state);
  return adopted ? std::nullopt : std::optional(adopted.error());
}

}  // namespace

int audit_export(const Config& config, const AuditExportRequest& request) {
  const auto keys = open_keys(config.keys_dir(), MissingKeys::refuse);
  if (!keys) return refuse(keys.error().message);
  auto wrapping = open_wrapping_key(config.audit.key_file);
  if (!wrapping) return refuse(wrapping.error().message);
  AuditTrail trail(keys->pseudonym, keys->field, wrapping->value_or(keys->field));
  auto wish = wish_of(request);
  if (!wish) return 2;
  {
    const auto reader = store::Reader::open(config.database().string());
    if (!reader) return refuse(reader.error());
    wish->filter.room = room_filter(trail, *reader, request.room);
  }
  if (const auto problem = personal_values_stay_closed(config, *wish, trail)) {
    return refuse(*problem);
  }
  auto sink = store::FileSink::create(request.out);
  if (!sink) return refuse(sink.error());
  auto options = export_options(config.database().string(), *wish);
  if (!options) return refuse(options.error());
  const auto survey = store::survey_export(*options);
  if (!survey) return refuse(survey.error());
  // Durable before anything leaves; then nothing but the disk can go wrong.
  const auto recorded = record_export(config, export_detail(*survey, *wish));
  if (!recorded) return refuse(recorded.error());
  AuditProgress progress;
  options->progress = [&](std::uint64_t done, std::uint64_t all) { progress.show(done, all); };
  const auto written =
      store::write_bundle(*options, *survey, *recorded, disclosure(trail, *wish), **sink);
  if (!written) return refuse(written.error());
  if (auto finished = (*sink)->finish(); !finished) return refuse(finished.error());
  store::VerifyOptions check;
  check.path = request.out;
  check.progress = options->progress;
  const auto report = store::verify_bundle(check);
  progress.clear();
  if (!report) return refuse(request.out + ": " + report.error());
  if (!report->ok()) return refuse("what was written does not pass: " + report->problem);
  std::printf("%" PRIu64 " records in %s, checked. Recorded as number %" PRIu64 ".\n",
              report->records, request.out.c_str(), *recorded);
  return 0;
}

}  // namespace bedside::server
