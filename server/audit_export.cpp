#include "server/audit_export.h"

#include <algorithm>

#include "server/audit_csv.h"
#include "server/audit_fhir.h"
#include "server/offline_verifier.h"
#include "store/reader.h"

namespace bedside::server {
namespace {

constexpr std::string_view kExportReadme =
    "This is an export of a Bedside audit log. It proves itself: nobody, not even whoever made "
    "it,\n"
    "can change, remove or add a record without the check noticing.\n"
    "\n"
    "To check it you need Python 3, openssl, and the first key of the log, as it was noted when "
    "the\n"
    "server was set up:\n"
    "\n"
    "  python3 verify_audit_log.py --genesis FIRST_KEY EXPORT.tar\n"
    "\n"
    "(or, with Bedside: bedside audit verify --bundle EXPORT.tar --genesis FIRST_KEY)\n"
    "\n"
    "Take verify_audit_log.py from a source you trust rather than from an archive you do not.\n"
    "\n"
    "records.ndjson      the records, byte for byte as they were sealed\n"
    "proofs.ndjson       line by line why each of them is in the log (RFC 6962)\n"
    "checkpoint          what the log promised when this was made, signed\n"
    "epochs.ndjson       the signing keys, each vouched for by the one before\n"
    "checkpoints.ndjson  older checkpoints of the same log\n"
    "export.json         the log's own record of this export\n"
    "disclosed.ndjson    personal values that were opened on request, if any; you may take out "
    "any\n"
    "                    of its lines before you pass this on, and all proofs stay valid\n"
    "records.csv, audit-events.ndjson\n"
    "                    the same records for spreadsheets, or as FHIR R4 AuditEvents, if asked "
    "for\n"
    "\n"
    "Rooms and appointments are pseudonyms: only the practice can tell whose they are.\n";

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
  options.readme = kExportReadme;
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
