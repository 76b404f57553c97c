#pragma once

// What the admin page's browser remembers of the audit log from visit to visit: the newest
// checkpoint, and the proof that the log of the size it saw last is the beginning of today's. It
// shows no record, so looking at it is none.
//
// Control thread only, except the reading.

#include <string>

#include "server/admin_backend.h"
#include "server/admin_json.h"
#include "server/net/http_message.h"
#include "server/request_context.h"
#include "server/worker_pool.h"

namespace bedside::server {

class AdminCheckpoint {
 public:
  AdminCheckpoint(std::string database, AdminBackend& backend, WorkerPool& workers)
      : database_(std::move(database)), backend_(backend), workers_(workers) {}

  // ?size (of the log as this browser saw it last; absent: it has not seen it)
  void show(const net::HttpRequest& request, const SessionView& session, const Respond& respond);

 private:
  std::string database_;
  AdminBackend& backend_;
  WorkerPool& workers_;
};

}  // namespace bedside::server
