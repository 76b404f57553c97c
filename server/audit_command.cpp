#include "server/audit_command.h"

#include <cinttypes>
#include <cstdio>
#include <ctime>
#include <string>

#include "server/anchor_places.h"
#include "server/audit_progress.h"
#include "server/local_client.h"
#include "server/private_file.h"
#include "store/audit_bundle.h"
#include "store/receipt.h"
#include "store/verify.h"

namespace bedside::server {
namespace {

constexpr int kToBeJudged = 3;  // whole, and somebody has to look at something

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

// A file may have many checkpoints, as an anchor file has them; false: it has none.
bool add_anchors(std::string text, std::vector<std::string>& anchors) {
  const auto is_checkpoint = [](const std::string& each) {
    const auto note = store::parse_note(each);
    return note && store::Checkpoint::parse(note->text);
  };
  const std::size_t before = anchors.size();
  for (std::string& each : notes_in(text)) {
    if (is_checkpoint(each)) anchors.push_back(std::move(each));
  }
  if (anchors.size() == before && is_checkpoint(text)) anchors.push_back(std::move(text));
  return anchors.size() > before;
}

bool add_anchor_files(const std::vector<std::string>& files, std::vector<std::string>& anchors) {
  std::vector<std::string> texts;
  if (!read_all_files(files, kMaxAnchorFile, texts)) return false;
  for (std::size_t i = 0; i < files.size(); ++i) {
    if (add_anchors(std::move(texts[i]), anchors)) continue;
    std::fprintf(stderr,
                 "bedside: there is no checkpoint in %s\n    → give the anchor file, what the "
                 "webhook was sent, or `bedside witness list --log NAME` of a witness, unchanged\n",
                 files[i].c_str());
    return false;
  }
  return true;
}

// The server's own anchor file. It is read before the log, so that it is never ahead of it.
bool add_own_anchors(const Config& server, std::vector<std::string>& anchors) {
  const auto& file = server.audit.anchor_file;
  if (file.empty()) return true;
  std::vector<std::string> texts;
  std::error_code ignored;
  if (std::filesystem::exists(file, ignored) &&
      !read_all_files({file.string()}, kMaxAnchorFile, texts)) {
    return false;
  }
  if (texts.empty() || !add_anchors(std::move(texts[0]), anchors)) {
    std::fprintf(stderr, "bedside: nothing is compared with the anchor file: %s has none yet\n",
                 file.c_str());
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
  if (!add_anchor_files(request.anchors, options.anchors)) return false;
  if (request.server != nullptr && !add_own_anchors(*request.server, options.anchors)) return false;
  return read_all_files(request.receipts, store::kMaxReceipt, options.receipts);
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

std::string day_of(std::int64_t wall_us) {
  const std::time_t seconds = wall_us / 1'000'000;
  std::tm day{};
  gmtime_r(&seconds, &day);
  char text[16];
  std::strftime(text, sizeof text, "%Y-%m-%d", &day);
  return text;
}

void print_purges(const store::VerifyReport& report, bool bundle) {
  for (const store::DeclaredPurge& purge : report.purges) {
    std::printf("purged     records %" PRIu64 " to %" PRIu64
                " on %s, proposed by %s, approved by "
                "%s;\n           older than %" PRId64 " years; %" PRIu64 " removed, archive %s\n",
                purge.from, purge.through, day_of(purge.wall_us).c_str(), purge.proposed_by.c_str(),
                purge.approved_by.c_str(), purge.keep_years, purge.removed,
                purge.archive_digest.c_str());
  }
  if (!report.purges.empty() && bundle) {
    std::printf(
        "           of these records an export has only what was kept: epochs, purges, holds\n");
  }
  if (report.purged_anchors > 0) {
    std::printf("           %" PRIu64
                " checkpoints kept elsewhere are of these: their signatures are good\n",
                report.purged_anchors);
  }
}

std::string counted(std::uint64_t count, const char* noun) {
  return std::to_string(count) + " " + noun + (count == 1 ? "" : "s");
}

void print_clock(const store::UntoldClockStep& step) {
  std::printf("clock      was set by %+.1f s before record %" PRIu64
              " without a record that tells of it: by\n           whom, and why? (While the server "
              "is stopped nothing tells.)\n",
              static_cast<double>(step.by_us) / 1e6, step.seq);
}

// What the log cannot show by itself.
void print_not_shown(const store::VerifyReport& report) {
  if (report.anchors + report.lost_anchors + report.purged_anchors + report.unproven_anchors > 0) {
    return;
  }
  std::printf(
      "Not shown without a checkpoint that was kept elsewhere (--anchor): an end that was cut off, "
      "an "
      "older\ncopy of the log, or records written anew since the last key began.\n");
}

void print_whole(const store::VerifyReport& report, bool pinned, bool bundle) {
  std::printf("PASS%s: %s, %s, %s", report.gaps.empty() ? "" : " WITH A DECLARED GAP",
              counted(report.records, "record").c_str(), counted(report.epochs, "epoch").c_str(),
              counted(report.checkpoints, "checkpoint").c_str());
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
  print_purges(report, bundle);
  if (report.untold_step) print_clock(*report.untold_step);
  if (!pinned) {
    std::printf(
        "Compare the first key with the one you noted off this machine, or give it as "
        "--genesis:\nwhoever rewrites a whole log has to make a new one.\n");
  }
  print_not_shown(report);
}

// Whole as it is: true when somebody has to look at something all the same.
bool judgement_needed(const store::VerifyReport& report, bool restores_noted) {
  const std::uint64_t unproven = report.unproven_anchors + report.unproven_receipts;
  if (unproven > 0) {
    std::printf("NOT COMPARED: %" PRIu64
                " kept elsewhere; the signatures are good, and nothing in this export shows that "
                "the log\nstill has what they promise. Ask the database: `bedside audit verify "
                "--anchor` or `--receipt`.\n",
                unproven);
  }
  const bool restored = !report.gaps.empty() && !restores_noted;
  if (restored) {
    std::printf(
        "Somebody restored a backup and declared it. If it was the practice, compare the key with "
        "the\none that was noted then, or give it as --restored-key.\n");
  }
  return unproven > 0 || restored;
}

// What a database is proven to be in spite of what is wrong with it.
void print_broken(const store::VerifyReport& report, bool bundle) {
  if (report.first_bad_seq == 0) {
    std::printf("FAIL: %s\n", report.problem.c_str());
  } else {
    std::printf("FAIL at record %" PRIu64 ": %s\n", report.first_bad_seq, report.problem.c_str());
  }
  if (!bundle && report.intact > 0) {
    std::printf("Records 1 to %" PRIu64
                " are as they were sealed; a change behind them is noticed at the next root.\n",
                report.intact);
  } else if (!bundle) {
    std::printf("Of none of its records it is proven that it is as it was sealed.\n");
  }
  std::printf("Keep a copy of the file as it is.\n");
}

// Who checked the log, and with what result, is in the log as well. It is no less checked when
// nobody can be told.
void tell_server(const Config& config, const store::VerifyReport& report) {
  AuditVerified told;
  told.records = report.records;
  told.ok = report.ok();
  told.first_bad_seq = report.first_bad_seq;
  told.intact = report.intact;
  if (told.ok) told.root = store::to_hex(report.root);
  if (const auto problem = record_check(config, told)) {
    std::fprintf(stderr, "bedside: this check is not in the audit log: %s\n", problem->c_str());
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
    return 2;
  }
  if (request.server != nullptr) tell_server(*request.server, *report);
  if (report->ok()) {
    print_whole(*report, options.genesis.has_value(), !request.bundle.empty());
    return judgement_needed(*report, !options.restored.empty()) ? kToBeJudged : 0;
  }
  print_broken(*report, !request.bundle.empty());
  return 1;
}

}  // namespace bedside::server
