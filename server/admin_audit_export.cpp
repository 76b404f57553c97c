#include "server/admin_audit_export.h"

#include <algorithm>
#include <iterator>
#include <memory>
#include <string_view>
#include <utility>

#include "server/admin_audit_list.h"
#include "server/room_filter.h"

namespace bedside::server {
namespace {

constexpr std::size_t kMaxPersonChars = 128;
constexpr std::string_view kAdminRole = "admin";

class MemorySink final : public store::ByteSink {
 public:
  bool append(std::string_view bytes) override {
    content_ += bytes;
    return true;
  }
  bool replace(std::uint64_t offset, std::string_view bytes) override {
    content_.replace(static_cast<std::size_t>(offset), bytes.size(), bytes);
    return true;
  }
  std::string take() { return std::move(content_); }

 private:
  std::string content_;
};

// "ip,display"; false: there is no such field.
bool split_fields(std::string_view list, std::vector<std::string>& fields) {
  while (!list.empty()) {
    const std::string_view field = list.substr(0, list.find(','));
    if (std::find(std::begin(kPersonalFields), std::end(kPersonalFields), field) ==
        std::end(kPersonalFields)) {
      return false;
    }
    fields.emplace_back(field);
    list.remove_prefix(std::min(list.size(), field.size() + 1));
  }
  return true;
}

std::optional<AuditExportWish> wish_from(const net::HttpRequest& request,
                                         const AuditQuestion& question) {
  const auto format = export_format_from(request.query_value("format").value_or("ndjson"));
  const std::string disclose = request.query_value("disclose").value_or("");
  AuditExportWish wish;
  wish.filter.person = request.query_value("person").value_or("");
  const bool known = split_fields(disclose, wish.disclosed);
  if (!question.complaint.empty() || !format || !known ||
      wish.filter.person.size() > kMaxPersonChars) {
    return std::nullopt;
  }
  wish.filter.from = question.query.from;
  wish.filter.to = question.query.to;
  wish.format = *format;
  return wish;
}

}  // namespace

struct AdminAuditExport::Job {
  AuditExportWish wish;
  std::string room;  // as it was typed
  AuditStaff staff;
  AuditSource source;
  Respond respond;
  store::ExportOptions options;
  store::ExportSurvey survey;
  std::string problem;
};

AdminAuditExport::AdminAuditExport(std::string database, AuditTrail& trail, Recorder& recorder,
                                   WorkerPool& workers)
    : database_(std::move(database)), trail_(trail), recorder_(recorder), workers_(workers) {}

void AdminAuditExport::refuse(const Job& job, int status, std::string_view code,
                              std::string_view why) {
  busy_ = false;
  job.respond(admin_refusal(status, code, why));
}

void AdminAuditExport::download(const net::HttpRequest& request, const AuditStaff& staff,
                                const RequestContext& context, const Respond& respond) {
  if (staff.role != kAdminRole) {
    return respond(admin_refusal(403, "not-allowed", "Only administrators export the log."));
  }
  AuditQuestion question = parse_audit_question(request);
  auto wish = wish_from(request, question);
  if (!wish) return respond(admin_refusal(400, "bad-filter", "This export cannot be made."));
  const auto busy = [] {
    return admin_refusal(503, "busy", "Another export is being made. Please try again.",
                         std::chrono::seconds(5));
  };
  if (busy_) return respond(busy());
  Job job;
  job.wish = std::move(*wish);
  job.room = std::move(question.room);
  job.staff = staff;
  job.source = {context.request_id, context.listener, context.client.address};
  job.respond = respond;
  const auto survey = [this, job]() mutable {
    const auto reader = store::Reader::open(database_);
    if (!reader) {
      job.problem = reader.error();
      return job;
    }
    job.wish.filter.room = room_filter(trail_, *reader, job.room);
    auto options = export_options(database_, job.wish);
    if (!options) {
      job.problem = options.error();
      return job;
    }
    job.options = std::move(*options);
    job.options.most_records = kMaxDownloadRecords;
    auto surveyed = store::survey_export(job.options);
    if (surveyed) {
      job.survey = std::move(*surveyed);
    } else {
      job.problem = surveyed.error();
    }
    return job;
  };
  busy_ = workers_.run(survey, [this](Job done) { record(std::move(done)); });
  if (!busy_) respond(busy());
}

// Durable before the first byte leaves.
void AdminAuditExport::record(Job job) {
  if (!job.problem.empty()) {
    return refuse(job, 409, "no-export", "The export could not be made: " + job.problem + ".");
  }
  store::Commit commit = trail_.commit(
      AdminAction{AuditExported{job.staff, export_detail(job.survey, job.wish)}}, job.source);
  recorder_.record_at(std::move(commit), [this,
                                          job = std::move(job)](const store::CommitResult& result) {
    if (result.ok()) return write(job, result.first_seq);
    busy_ = false;
    job.respond(admin_not_recorded("The export cannot be recorded right now, so nothing leaves."));
  });
}

void AdminAuditExport::write(Job job, std::uint64_t seq) {
  const Job waiting = job;
  const auto make = [this, job = std::move(job), seq]() mutable {
    MemorySink sink;
    const auto written =
        store::write_bundle(job.options, job.survey, seq, disclosure(trail_, job.wish), sink);
    return written ? sink.take() : std::string();
  };
  const auto send = [this, waiting](std::string bundle) {
    if (bundle.empty()) {
      return refuse(waiting, 503, "unavailable", "The export could not be made. Please try again.");
    }
    busy_ = false;
    net::HttpResponse response;
    response.status = 200;
    response.set("Content-Type", "application/x-tar");
    response.set("Content-Disposition", "attachment; filename=\"bedside-audit.tar\"");
    response.body = std::move(bundle);
    waiting.respond(std::move(response));
  };
  if (!workers_.run(make, send)) {
    refuse(waiting, 503, "busy", "The server is busy. Please try again.");
  }
}

}  // namespace bedside::server
