#pragma once

// What an export of the audit log is asked for, in one place for the command line and the admin
// page; store/audit_bundle.h makes it. Pure functions and values; any thread.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <tl/expected.hpp>
#include <vector>

#include "server/audit_trail.h"
#include "store/audit_bundle.h"

namespace bedside::server {

enum class ExportFormat : std::uint8_t { ndjson, csv, fhir };
std::optional<ExportFormat> export_format_from(std::string_view text);

struct AuditExportWish {
  store::ExportFilter filter;
  ExportFormat format = ExportFormat::ndjson;
  std::vector<std::string> disclosed;  // personal fields in clear, e.g. "ip"; each is recorded
};

// The personal fields of records that can be opened.
inline constexpr std::string_view kPersonalFields[] = {"ip", "display", "patient_ref", "reference"};

// Everything but limits and progress. An error: the log cannot be read or was never sealed.
tl::expected<store::ExportOptions, std::string> export_options(const std::string& database,
                                                               const AuditExportWish& wish);
// The survey's detail with the format and the fields that are opened: what the record says.
store::JsonObject export_detail(const store::ExportSurvey& survey, const AuditExportWish& wish);
// Empty when nothing is to be opened. The trail outlives the result.
store::DiscloseField disclosure(const AuditTrail& trail, const AuditExportWish& wish);

}  // namespace bedside::server
