#pragma once

// Checks an audit log without trusting the server that wrote it: a database file, read-only, while
// the server runs or not. Any thread; blocks. What it proves and what it cannot is in README.md.

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <tl/expected.hpp>
#include <vector>

#include "store/checkpoint.h"
#include "store/clock_check.h"
#include "store/purge.h"
#include "store/seal.h"

namespace bedside::store {

struct VerifyOptions {
  std::string path;
  // The key of the first epoch as it was noted off the host. Without it a log that somebody wrote
  // anew from its first record, keys included, is consistent in itself.
  std::optional<PublicKey> genesis;
  // The keys that were noted when backups were restored. Without them a restore is reported, with
  // its key, and left to the reader to judge.
  std::vector<PublicKey> restored;
  // Checkpoints that were kept elsewhere, as notes: the log must contain each of them, apart from
  // those of records that a restore declares as lost.
  std::vector<std::string> anchors;
  // Receipts as the API gave them (receipt.h): the log must contain each of these records.
  std::vector<std::string> receipts;
  // Called now and then with the records seen and the number of all.
  std::function<void(std::uint64_t done, std::uint64_t all)> progress;
  // Of a database: true ends it early, with an error. Asked often.
  std::function<bool()> stop;
};

// A restore that the log declares.
struct DeclaredGap {
  Gap gap;
  std::string origin;  // the log's name from then on
  PublicKey key{};     // as it was shown at the restore
};

struct VerifyReport {
  std::uint64_t records = 0;
  std::uint64_t epochs = 0;
  std::uint64_t checkpoints = 0;  // whose root and signature were checked
  std::uint64_t anchors = 0;
  std::uint64_t receipts = 0;
  std::uint64_t lost_anchors = 0;  // kept elsewhere, of records that a restore declares as lost
  // Of an export: kept elsewhere, well signed, and nothing in the export to compare them with.
  std::uint64_t unproven_anchors = 0;
  std::uint64_t unproven_receipts = 0;
  std::uint64_t purged_anchors = 0;   // kept elsewhere, of records that were purged: signature only
  std::vector<DeclaredPurge> purges;  // oldest first; all of them are in the log
  std::vector<DeclaredGap> gaps;
  std::optional<UntoldClockStep> untold_step;  // of a database; for people to judge
  std::string origin;
  PublicKey genesis{};
  Hash root{};
  // The first thing that is wrong, as a sentence; empty: nothing is.
  std::string problem;
  // The first bad record; 0: not about one record. Of a record that was changed with its leaf hash,
  // or has none (record_columns.h), the place where it was noticed: the next root that was stored
  // or signed. It lies behind `intact`.
  std::uint64_t first_bad_seq = 0;
  std::uint64_t intact = 0;  // of a database: up to this record a signed checkpoint says what was

  bool ok() const { return problem.empty(); }
};

// An error: the file could not be read at all (a sentence). Everything that is read and wrong is in
// the report.
tl::expected<VerifyReport, std::string> verify_log(const VerifyOptions& options);

}  // namespace bedside::store
