#pragma once

// The JSON API of the admin page, everything under /admin/api/. One door for all of it: allow_from,
// method, content type, origin and the custom header are checked before any handler runs.
//
//   GET  state         needs set-up? logged in? how long still?
//   POST setup         {code, name, password}: the first account, or one that was invited
//   POST login         {name, password}      POST logout
//   GET  rooms         who is in a visit now
//   POST rooms/create  {appointmentId, roomName?}     POST rooms/end  {roomId}
//   GET  audit         ?from&to&type&room&outcome&before&limit: newest first, `before` is the key
//   POST audit/export  ?from&to&room&person&format&disclose: a tar archive (store/README.md)
//   GET  relay         live figures
//   GET  people        who may log in, who is invited
//   POST people/invite {name}: a link that is good once     POST people/disable {name}
//   GET  retention     what could be purged, what is proposed, holds, purges
//   POST retention/propose   retention/withdraw   retention/approve {through}
//   POST retention/hold {room?, person?, from?, to?, reason, reference?}
//   POST retention/clear {id, reason, reference?}
//
// Every answer is {"success":true, …} or {"success":false, "code":"…", "error":"…"}. What is
// recorded in the audit log is recorded before the answer leaves; when that is impossible the
// answer is 503.
//
// Control thread only, except that blocking work runs on the worker pool inside.

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "server/admin_backend.h"
#include "server/admin_sessions.h"
#include "server/config.h"
#include "server/login_throttle.h"
#include "server/net/http_message.h"
#include "server/net/loop.h"
#include "server/password.h"
#include "server/request_context.h"

namespace bedside::store {
class Store;
struct Commit;
}  // namespace bedside::store

namespace bedside::server {

class AuditTrail;
class WorkerPool;

struct AdminApiOptions {
  std::string database;  // the file's path: worker threads open read-only connections
  std::vector<AddressBlock> allow_from;  // empty: every address
  bool has_account = false;              // the store had an account at start
  bool open_to_all = false;              // the page warns: strangers can make and enter rooms
  unsigned keep_years = 10;              // younger records are not purged
  BackupConfig backup;                   // archives of what is purged: where, and to whose key
  std::filesystem::path scratch;         // for a plain copy of an archive while it is made
  ScryptCost cost;
  SessionLimits sessions;
  ThrottleRules throttle;
  std::function<std::chrono::milliseconds()> steady_clock;  // empty: the system's
};

// A password check holds 128 MiB. Beyond this many at once, queued ones included, the answer is 503
// with Retry-After; a guess that meets it is not counted against anybody.
inline constexpr std::size_t kMaxPasswordChecks = 8;
// Account names: letters, digits and . _ - @, because they are written into audit records.
inline constexpr std::size_t kMaxAccountName = 64;
inline constexpr std::size_t kDefaultAuditPage = 50;

// One of the endpoints above.
struct AdminRoute {
  std::string_view name;
  std::string_view method;
  bool needs_session = true;
  // The types of the records of a success, with a space between; empty: none; "by hub": those of
  // the room's change.
  std::string_view record;
};
std::vector<AdminRoute> admin_routes();

class AdminApi {
 public:
  // All borrowed; they outlive this object. The worker pool is stopped and the store closed before
  // it is destroyed.
  AdminApi(net::Loop& loop, AdminApiOptions options, AdminBackend& backend, AuditTrail& trail,
           store::Store& store, WorkerPool& workers);
  AdminApi(const AdminApi&) = delete;
  AdminApi& operator=(const AdminApi&) = delete;
  ~AdminApi();

  // The one-time set-up code for the banner, made here and kept only as a hash; empty when an
  // account exists. Call once, before the first request.
  std::string open_set_up();

  // Whether this address may see anything under /admin (page files included). Others get 404.
  bool visible_to(const stun::IpAddress& client) const;

  // Whose session a request to another API of this server carries: of a script of our own pages
  // only.
  std::optional<AdminActor> actor_of(const net::HttpRequest& request,
                                     const RequestContext& context);

  // The configuration was read again: archives of purges go there from now on.
  void use_backup(BackupConfig backup);

  // Somebody disabled it without this API: its sessions end.
  void account_disabled(const std::string& account);

  // Records of sessions that ended by themselves; about every second.
  std::vector<store::Commit> take_timeouts();

  // `request.path` starts with "/admin/api/". Answers through `respond`, at once or later.
  void handle(const net::HttpRequest& request, const RequestContext& context, Respond respond);

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace bedside::server
