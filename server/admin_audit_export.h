#pragma once

// The download button of the audit page: surveys on a worker, records the export, then makes it on
// a worker and sends it. Control thread only, except that work.

#include <string>

#include "server/admin_json.h"
#include "server/audit_export.h"
#include "server/net/http_message.h"
#include "server/recorder.h"
#include "server/request_context.h"
#include "server/worker_pool.h"

namespace bedside::server {

// The answer is made in memory; the command line has no limit.
inline constexpr std::uint64_t kMaxDownloadRecords = 10'000;

class AdminAuditExport {
 public:
  AdminAuditExport(std::string database, AuditTrail& trail, Recorder& recorder,
                   WorkerPool& workers);

  // ?from&to&room as the list has them, &person (the id of who acted or was acted on), &format
  // (ndjson, csv, fhir), &disclose=ip,display,patient_ref,reference. One at a time; others get 503.
  void download(const net::HttpRequest& request, const AuditStaff& staff,
                const RequestContext& context, const Respond& respond);

 private:
  struct Job;
  void record(Job job);
  void write(Job job, std::uint64_t seq);
  void refuse(const Job& job, int status, std::string_view code, std::string_view why);

  std::string database_;
  AuditTrail& trail_;
  Recorder& recorder_;
  WorkerPool& workers_;
  bool busy_ = false;
};

}  // namespace bedside::server
