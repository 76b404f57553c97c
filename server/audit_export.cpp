#include "server/audit_export.h"

#include <algorithm>

#include "server/audit_csv.h"
#include "server/audit_fhir.h"
#include "server/export_texts.h"
#include "store/reader.h"

namespace bedside::server {
namespace {

std::string_view word(ExportFormat format) {
  switch (format) {
    case ExportFormat::ndjson:
      return "ndjson";
    case ExportFormat::csv:
      return "csv";
    case ExportFormat::fhir:
      return "fhir";
  }
  return "ndjson";
}

tl::expected<std::string, std::string> origin_of(const std::string& database) {
  const auto reader = store::Reader::open(database);
  if (!reader) return tl::unexpected(reader.error());
  const auto newest = reader->newest_checkpoint();
  if (!newest) return tl::unexpected(newest.error());
  const auto note = *newest ? store::parse_note(**newest) : std::nullopt;
  const auto checkpoint = note ? store::Checkpoint::parse(note->text) : std::nullopt;
  if (!checkpoint) return tl::unexpected(std::string("the log was never sealed"));
  return checkpoint->origin;
}

}  // namespace

std::optional<ExportFormat> export_format_from(std::string_view text) {
  for (const ExportFormat format : {ExportFormat::ndjson, ExportFormat::csv, ExportFormat::fhir}) {
    if (word(format) == text) return format;
  }
  return std::nullopt;
}

tl::expected<store::ExportOptions, std::string> export_options(const std::string& database,
                                                               const AuditExportWish& wish) {
  auto origin = origin_of(database);
  if (!origin) return tl::unexpected(std::move(origin.error()));
  store::ExportOptions options;
  options.database = database;
  options.filter = wish.filter;
  options.readme = export_readme();
  options.verifier = offline_verifier();
  if (wish.format == ExportFormat::csv) options.renderings.push_back(audit_csv());
  if (wish.format == ExportFormat::fhir) {
    options.renderings.push_back(audit_fhir(std::move(*origin)));
  }
  return options;
}

store::JsonObject export_detail(const store::ExportSurvey& survey, const AuditExportWish& wish) {
  store::JsonObject detail = survey.detail;
  std::string fields;
  for (const std::string& field : wish.disclosed) fields += (fields.empty() ? "" : " ") + field;
  detail.set("format", word(wish.format)).set_if("disclosed", fields);
  return detail;
}

store::DiscloseField disclosure(const AuditTrail& trail, const AuditExportWish& wish) {
  if (wish.disclosed.empty()) return {};
  return [&trail, fields = wish.disclosed](
             std::uint64_t, std::string_view field,
             std::span<const std::uint8_t> ciphertext) -> std::optional<store::DisclosedField> {
    if (std::find(fields.begin(), fields.end(), field) == fields.end()) return std::nullopt;
    return trail.open_field(ciphertext);
  };
}

}  // namespace bedside::server
