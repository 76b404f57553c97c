#pragma once

// Who may log in: the list of accounts, inviting another one, disabling one. Control thread only,
// except reading.

#include <functional>
#include <string>

#include "server/admin_json.h"
#include "server/admin_sessions.h"
#include "server/audit_trail.h"
#include "server/recorder.h"
#include "server/request_context.h"
#include "server/worker_pool.h"

namespace bedside::server {

class AdminPeople {
 public:
  AdminPeople(std::string database, AdminSessions& sessions, AuditTrail& trail, Recorder& recorder,
              WorkerPool& workers);

  void show(const SessionView& view, const Respond& respond);
  // {name}: answers with a link that is good once.
  void invite(std::string_view body, const AuditStaff& staff, const SessionView& view,
              const RequestContext& context, const Respond& respond);
  // {name}: nobody logs in with it any more, and its sessions end. Never the last one, nor one's
  // own.
  void disable(std::string_view body, const AuditStaff& staff, const SessionView& view,
               const RequestContext& context, const Respond& respond);

 private:
  std::string database_;
  AdminSessions& sessions_;
  AuditTrail& trail_;
  Recorder& recorder_;
  WorkerPool& workers_;
};

}  // namespace bedside::server
