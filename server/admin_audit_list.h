#pragma once

// The audit list of the admin page: reads on a worker, records the look, then shows the rows.
//
// Control thread only, except the reading.

#include <string>

#include "server/admin_json.h"
#include "server/audit_trail.h"
#include "server/net/http_message.h"
#include "server/recorder.h"
#include "server/request_context.h"
#include "server/worker_pool.h"
#include "store/reader.h"

namespace bedside::server {

struct AuditQuestion {
  store::AuditQuery query;
  std::string room;       // as it was typed: room_filter() says which one of `query` it is
  std::string complaint;  // not empty: which parameter is wrong
};

// ?from&to (Unix milliseconds, from ≤ t < to) &type (a type, or a group such as "room.") &room (a
// room's name or its pseudonym) &outcome &before (key of the last row shown) &limit (at most
// kMaxAuditPage).
AuditQuestion parse_audit_question(const net::HttpRequest& request);

class AdminAuditList {
 public:
  AdminAuditList(std::string database, AuditTrail& trail, Recorder& recorder, WorkerPool& workers);

  void show(const net::HttpRequest& request, const AuditStaff& staff, const SessionView& session,
            const RequestContext& context, const Respond& respond);

 private:
  std::string database_;
  AuditTrail& trail_;
  Recorder& recorder_;
  WorkerPool& workers_;
};

}  // namespace bedside::server
