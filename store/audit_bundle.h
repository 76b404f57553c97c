#pragma once

// An export of the audit log that proves itself: a tar archive with the bodies as they were sealed,
// a proof for each, and what is needed to check them offline. README.md says what is in it.
// Any thread; blocks. Memory: 64 bytes for each 256 records of the log, whatever is exported.

#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <tl/expected.hpp>
#include <vector>

#include "store/canonical_json.h"
#include "store/merkle.h"
#include "store/tar.h"
#include "store/verify.h"

namespace bedside::store {

// The record that says that something was exported. Its detail has what a bundle must contain.
inline constexpr std::string_view kExportRecord = "audit.exported";

// The files of a bundle.
namespace bundle_file {
inline constexpr std::string_view kReadme = "README.txt";
inline constexpr std::string_view kVerifier = "verify_audit_log.py";
inline constexpr std::string_view kCheckpoint = "checkpoint";
inline constexpr std::string_view kEpochs = "epochs.ndjson";
inline constexpr std::string_view kCheckpoints = "checkpoints.ndjson";
inline constexpr std::string_view kPurges = "purges.ndjson";  // when there were any
inline constexpr std::string_view kExport = "export.json";
inline constexpr std::string_view kRecords = "records.ndjson";
inline constexpr std::string_view kProofs = "proofs.ndjson";
inline constexpr std::string_view kDisclosed = "disclosed.ndjson";
}  // namespace bundle_file

// Which records; all conditions hold.
struct ExportFilter {
  std::optional<std::chrono::microseconds> from;  // wall clock, inclusive
  std::optional<std::chrono::microseconds> to;    // wall clock, exclusive
  std::string room;                               // pseudonym
  std::string person;                             // id of the actor, or the object
  std::uint64_t through = 0;                      // the last record; 0: of the log
};

// The records once more, in words for another program: a file beside them.
struct Rendering {
  std::string file;
  std::string heading;                                     // with its line break, or empty
  std::function<std::string(std::string_view body)> line;  // with its line break
};

// A personal value, opened: SHA-256(salt || value) is the commitment in the body.
struct DisclosedField {
  std::vector<std::uint8_t> salt;
  std::string value;
};

struct ExportOptions {
  std::string database;
  ExportFilter filter;
  std::vector<Rendering> renderings;
  std::string readme;
  std::string verifier;
  // More matching records: no export. 0: no limit.
  std::uint64_t most_records = 0;
  std::function<void(std::uint64_t done, std::uint64_t all)> progress;
};

// What is about to leave, for its record: the caller commits that and then writes.
struct ExportSurvey {
  std::uint64_t size = 0;  // of the log at that moment
  std::uint64_t records = 0;
  std::uint64_t purged_through = 0;  // of the log; 0: nothing was purged
  // origin, size, root, filter, number of records, up to where records were purged, and SHA-256 of
  // each file: what the record's detail must contain. More may be added.
  JsonObject detail;
};
tl::expected<ExportSurvey, std::string> survey_export(const ExportOptions& options);

// Opens the personal fields of a record; nothing for those that stay closed.
using DiscloseField = std::function<std::optional<DisclosedField>(
    std::uint64_t seq, std::string_view field, std::span<const std::uint8_t> ciphertext)>;

// `seq`: the record of this export, which is durable. The same options as for the survey.
tl::expected<void, std::string> write_bundle(const ExportOptions& options,
                                             const ExportSurvey& survey, std::uint64_t seq,
                                             const DiscloseField& disclose, ByteSink& sink);

// As verify_log, of an export; `path` is a bundle. Anchors must be among its checkpoints.
tl::expected<VerifyReport, std::string> verify_bundle(const VerifyOptions& options);

}  // namespace bedside::store
