// How long it takes to check a long audit log and to export it: builds one of N records in a
// folder, then measures the time on a core.
//
//   audit_log_bench FOLDER [N [SECONDS]]
//
// Exits with 1 when the log takes longer to verify than SECONDS.

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <filesystem>
#include <future>
#include <memory>
#include <string>
#include <utility>

#include "store/audit_bundle.h"
#include "store/file_sink.h"
#include "store/store.h"
#include "store/verify.h"

namespace {

using bedside::store::AuditRecord;
using bedside::store::Commit;
using bedside::store::CommitResult;
using bedside::store::Store;

constexpr std::uint64_t kPerCommit = 200;

AuditRecord join(std::uint64_t i) {
  AuditRecord record;
  record.type = i % 3 == 0 ? "room.join" : "cred.issued";
  record.actor = {"participant", "participant-" + std::to_string(i), "guest", "token"};
  record.where.listener = "https";
  record.where.ip_class = "public";
  record.where.ip_prefix = "203.0.113.0/24";
  record.where.ip_commitment = std::string(64, 'a');
  record.where.ip_enc.assign(58, 1);
  if (i % 3 == 0) {
    record.detail.set("display", std::string(64, 'b'));
    record.private_fields.push_back({"display", std::vector<std::uint8_t>(60, 2)});
  }
  record.room = "0123456789abcdef0123456789abcdef";
  record.object = "participant-" + std::to_string(i);
  record.request_id = i + 1;
  record.detail.set("expires_ms", 1'700'000'000'000 + i);
  return record;
}

CommitResult commit(Store& store, Commit made) {
  std::promise<CommitResult> answer;
  if (!store.submit(std::move(made), [&](const CommitResult& r) { answer.set_value(r); }))
    return {};
  return answer.get_future().get();
}

// Of this process's time on a core, whatever else the machine does.
template <typename Work>
double seconds_of(Work work) {
  const std::clock_t begin = std::clock();
  work();
  return static_cast<double>(std::clock() - begin) / CLOCKS_PER_SEC;
}

int complain(const std::string& what) {
  std::fprintf(stderr, "%s\n", what.c_str());
  return 1;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2) return complain("audit_log_bench FOLDER [RECORDS [SECONDS]]");
  const std::string folder = argv[1];
  const std::uint64_t records = argc > 2 ? std::strtoull(argv[2], nullptr, 10) : 1'000'000;
  const double most = argc > 3 ? std::strtod(argv[3], nullptr) : 0;
  bedside::store::Options options;
  options.path = folder + "/data/bedside.db";
  options.keys = folder + "/keys";
  options.build = "bench";
  std::filesystem::create_directories(options.keys);
  auto store = Store::open(options);
  if (!store) return complain(store.error().text);
  const double writing = seconds_of([&] {
    for (std::uint64_t i = 0; i < records; i += kPerCommit) {
      Commit made;
      for (std::uint64_t j = i; j < std::min(i + kPerCommit, records); ++j) {
        made.records.push_back(join(j));
      }
      if (!commit(**store, std::move(made)).ok()) std::abort();
    }
  });
  std::printf("written   %8.2f s\n", writing);

  bedside::store::VerifyOptions check;
  check.path = options.path;
  bedside::store::VerifyReport report;
  const double verifying = seconds_of([&] { report = verify_log(check).value(); });
  if (!report.ok()) return complain(report.problem);
  std::printf("verified  %8.2f s for %llu records\n", verifying,
              static_cast<unsigned long long>(report.records));

  bedside::store::ExportOptions exporting;
  exporting.database = options.path;
  bedside::store::ExportSurvey survey;
  const double surveying = seconds_of([&] { survey = survey_export(exporting).value(); });
  Commit made;
  made.records.emplace_back().type = bedside::store::kExportRecord;
  made.records.back().detail = survey.detail;
  const std::uint64_t seq = commit(**store, std::move(made)).first_seq;
  const std::string file = folder + "/export.tar";
  auto sink = bedside::store::FileSink::create(file);
  if (!sink) return complain(sink.error());
  const double exported = seconds_of([&] {
    if (!write_bundle(exporting, survey, seq, {}, **sink) || !(*sink)->finish()) std::abort();
  });
  std::printf("exported  %8.2f s and %.2f s for its survey, %ju bytes\n", exported, surveying,
              static_cast<std::uintmax_t>(std::filesystem::file_size(file)));
  check.path = file;
  const double bundle = seconds_of([&] { report = verify_bundle(check).value(); });
  if (!report.ok()) return complain(report.problem);
  std::printf("and its check %.2f s\n", bundle);
  if (most > 0 && verifying > most) {
    return complain("it took longer to verify than " + std::string(argv[3]) + " s");
  }
  return 0;
}
