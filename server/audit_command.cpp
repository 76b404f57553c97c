#include "server/audit_command.h"

#include <cinttypes>
#include <cstdio>

#include "server/audit_progress.h"
#include "server/private_file.h"
#include "store/audit_bundle.h"
#include "store/receipt.h"
#include "store/verify.h"

namespace bedside::server {
namespace {

constexpr int kUnconfirmedRestore = 3;

bool read_all_files(const std::vector<std::string>& files, std::size_t most,
                    std::vector<std::string>& texts) {
  for (const std::string& file : files) {
    auto text = read_file(file, most);
    if (!text) {
      std::fprintf(stderr, "bedside: %s; %s\n", text.error().what.c_str(),
                   text.error().remedy.c_str());
      return false;
    }
    texts.push_back(std::move(*text));
  }
  return true;
}

bool fill(const AuditVerifyRequest& request, store::VerifyOptions& options) {
  options.path = request.bundle.empty() ? request.database : request.bundle;
  if (!request.genesis.empty() && !store::from_hex(request.genesis, options.genesis.emplace())) {
    std::fprintf(stderr,
                 "bedside: --genesis takes the 64 hex digits (0-9, a-f) of the first key\n");
    return false;
  }
  for (const std::string& key : request.restored) {
    if (!store::from_hex(key, options.restored.emplace_back())) {
      std::fprintf(stderr, "bedside: --restored-key takes the 64 hex digits (0-9, a-f) of a key\n");
      return false;
    }
  }
  return read_all_files(request.anchors, store::kMaxNote, options.anchors) &&
         read_all_files(request.receipts, store::kMaxReceipt, options.receipts);
}

void print_gap(const store::DeclaredGap& declared) {
  if (declared.gap.to) {
    std::printf("restored   records from %" PRIu64 " to %" PRIu64 " are lost", declared.gap.from,
                *declared.gap.to);
  } else {
    std::printf("restored   records from %" PRIu64 " on may be lost", declared.gap.from);
  }
  std::printf("; log from then on %s, key %s\n", declared.origin.c_str(),
              store::to_hex(declared.key).c_str());
}

void print_whole(const store::VerifyReport& report, bool pinned) {
  std::printf("PASS%s: %" PRIu64 " records, %" PRIu64 " epochs, %" PRIu64 " checkpoints",
              report.gaps.empty() ? "" : " WITH A DECLARED GAP", report.records, report.epochs,
              report.checkpoints);
  if (report.anchors > 0) std::printf(", %" PRIu64 " of them kept elsewhere", report.anchors);
  if (report.receipts > 0) std::printf(", %" PRIu64 " receipts", report.receipts);
  if (report.lost_anchors > 0) {
    std::printf("\n%" PRIu64
                " of those kept elsewhere are of records that a restore declares as lost",
                report.lost_anchors);
  }
  std::printf("\nlog        %s\nroot       %s\nfirst key  %s\n", report.origin.c_str(),
              store::to_hex(report.root).c_str(), store::to_hex(report.genesis).c_str());
  for (const store::DeclaredGap& gap : report.gaps) print_gap(gap);
  if (!pinned) {
    std::printf(
        "Compare the first key with the one you noted off this machine, or give it as "
        "--genesis:\nwhoever rewrites a whole log has to make a new one.\n");
  }
}

}  // namespace

int audit_verify(const AuditVerifyRequest& request) {
  store::VerifyOptions options;
  if (!fill(request, options)) return 2;
  AuditProgress progress;
  options.progress = [&](std::uint64_t done, std::uint64_t all) { progress.show(done, all); };
  const auto report =
      request.bundle.empty() ? store::verify_log(options) : store::verify_bundle(options);
  progress.clear();
  if (!report) {
    std::fprintf(stderr, "bedside: cannot read %s: %s\n", options.path.c_str(),
                 report.error().c_str());
    return 1;
  }
  if (report->ok()) {
    print_whole(*report, options.genesis.has_value());
    if (report->gaps.empty() || !options.restored.empty()) return 0;
    std::printf(
        "Somebody restored a backup and declared it. If it was the practice, compare the key with "
        "the\none that was noted then, or give it as --restored-key.\n");
    return kUnconfirmedRestore;
  }
  if (report->first_bad_seq == 0) {
    std::printf("FAIL: %s\n", report->problem.c_str());
  } else {
    std::printf("FAIL at record %" PRIu64 ": %s\n", report->first_bad_seq, report->problem.c_str());
  }
  std::printf("%" PRIu64
              " records before it are as they were sealed. Keep a copy of the file as it "
              "is.\n",
              report->first_bad_seq == 0 ? report->records : report->first_bad_seq - 1);
  return 1;
}

}  // namespace bedside::server
