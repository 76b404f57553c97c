#include "server/admin_api.h"

#include <algorithm>
#include <array>
#include <optional>
#include <utility>

#include "server/admin_accounts.h"
#include "server/admin_audit_export.h"
#include "server/admin_audit_list.h"
#include "server/admin_checkpoint.h"
#include "server/admin_json.h"
#include "server/admin_people.h"
#include "server/admin_retention.h"
#include "server/audit_trail.h"
#include "server/recorder.h"
#include "server/worker_pool.h"
#include "store/store.h"

namespace bedside::server {
namespace {

constexpr std::string_view kPrefix = "/admin/api/";
constexpr std::size_t kMaxCommits = 128;  // records under way at once; beyond, 503

enum class Action : std::uint8_t {
  state,
  set_up,
  login,
  logout,
  rooms,
  create_room,
  end_room,
  audit,
  audit_export,
  checkpoint,
  relay,
  people,
  invite,
  disable,
  retention,
  set_hold,
  clear_hold,
  propose,
  withdraw,
  approve
};

struct Endpoint {
  std::string_view name;
  std::string_view method;
  Action action;
  bool needs_session;
  std::string_view record;  // the types that a success leaves in the audit log, in order
};

constexpr std::string_view kNothing;           // it grants and changes nothing
constexpr std::string_view kByHub = "by hub";  // as for the same wish from elsewhere

constexpr std::array kEndpoints = {
    Endpoint{"state", "GET", Action::state, false, kNothing},
    Endpoint{"setup", "POST", Action::set_up, false, "user.created auth.login"},
    Endpoint{"login", "POST", Action::login, false, "auth.login"},
    Endpoint{"logout", "POST", Action::logout, false, "auth.logout"},
    Endpoint{"rooms", "GET", Action::rooms, true, kNothing},
    Endpoint{"rooms/create", "POST", Action::create_room, true, kByHub},
    Endpoint{"rooms/end", "POST", Action::end_room, true, kByHub},
    Endpoint{"audit", "GET", Action::audit, true, "audit.viewed"},
    Endpoint{"audit/export", "POST", Action::audit_export, true, "audit.exported"},
    Endpoint{"audit/checkpoint", "GET", Action::checkpoint, true, kNothing},
    Endpoint{"relay", "GET", Action::relay, true, kNothing},
    Endpoint{"people", "GET", Action::people, true, kNothing},
    Endpoint{"people/invite", "POST", Action::invite, true, "user.invited"},
    Endpoint{"people/disable", "POST", Action::disable, true, "user.disabled"},
    Endpoint{"retention", "GET", Action::retention, true, kNothing},
    Endpoint{"retention/hold", "POST", Action::set_hold, true, "audit.hold_set"},
    Endpoint{"retention/clear", "POST", Action::clear_hold, true, "audit.hold_cleared"},
    Endpoint{"retention/propose", "POST", Action::propose, true, "audit.purge_proposed"},
    Endpoint{"retention/withdraw", "POST", Action::withdraw, true, "audit.purge_withdrawn"},
    Endpoint{"retention/approve", "POST", Action::approve, true, "audit.exported audit.purged"},
};

net::HttpResponse not_found() { return admin_refusal(404, "not-found", "Not found"); }

net::HttpResponse bad_body() {
  return admin_refusal(400, "bad-request", "The request is not understood.");
}

std::string_view header(const net::HttpRequest& request, std::string_view name) {
  return request.header(name).value_or(std::string_view());
}

// All Cookie fields as one (HTTP/1.1 allows only one, but nothing is lost by reading more).
std::string cookies_of(const net::HttpRequest& request) {
  std::string all;
  for (const auto& [name, value] : request.headers) {
    if (name == "cookie") all += (all.empty() ? "" : "; ") + value;
  }
  return all;
}

// Whether a script of our own page sent this. Another site can send neither the custom header nor
// JSON without asking first (CORS), and we never say yes; Origin and Sec-Fetch-Site are set by the
// browser itself. A Host that is not ours leaves context.origin empty: then nothing is.
bool from_our_page(const net::HttpRequest& request, const RequestContext& context) {
  if (header(request, "x-bedside-admin") != "1" || context.origin.empty()) return false;
  const auto origin = request.header("origin");
  const auto site = request.header("sec-fetch-site");
  if (origin && *origin != context.origin) return false;
  if (site && *site != "same-origin") return false;
  return request.method == "GET" || origin || site;
}

bool is_json(std::string_view content_type) {
  constexpr std::string_view kJson = "application/json";
  const std::string_view type = content_type.substr(0, content_type.find(';'));
  return std::equal(type.begin(), type.end(), kJson.begin(), kJson.end(),
                    [](char a, char b) { return (a >= 'A' && a <= 'Z' ? a + 32 : a) == b; });
}

std::string_view code_of(int status) {
  switch (status) {
    case 400:
      return "bad-request";
    case 404:
      return "not-found";
    case 409:
      return "conflict";
    case 410:
      return "gone";
    default:
      return "unavailable";
  }
}

net::HttpResponse passed_on(const AdminRefusal& refused) {
  return admin_refusal(refused.status, code_of(refused.status), refused.error, refused.retry_after);
}

std::chrono::milliseconds wall_now() {
  return std::chrono::duration_cast<std::chrono::milliseconds>(
      std::chrono::system_clock::now().time_since_epoch());
}

AdminActor as_actor(const AdminSession& session) {
  return {session.account, session.role, session.audit_id};
}

}  // namespace

class AdminApi::Impl {
 public:
  Impl(net::Loop& loop, AdminApiOptions options, AdminBackend& backend, AuditTrail& trail,
       store::Store& store, WorkerPool& workers)
      : options_(std::move(options)),
        backend_(backend),
        trail_(trail),
        store_(store),
        sessions_(options_.sessions),
        recorder_(loop, store, kMaxCommits),
        accounts_(
            options_, [this] { return now(); }, sessions_, trail, recorder_, workers),
        audit_list_(options_.database, trail, recorder_, workers),
        audit_export_(options_.database, trail, recorder_, workers),
        checkpoint_(options_.database, backend, workers),
        people_(options_.database, sessions_, trail, recorder_, workers),
        retention_({options_.database, static_cast<int>(options_.keep_years), options_.backup,
                    options_.scratch},
                   trail, recorder_, workers) {}

  void account_disabled(const std::string& account) { sessions_.end_all(account); }
  void use_backup(BackupConfig backup) { retention_.use_backup(std::move(backup)); }

  std::vector<store::Commit> take_timeouts() {
    std::vector<store::Commit> commits;
    for (const AdminSessions::Over& over : sessions_.take_over(now())) {
      const SessionTimedOut ended{audit_staff(over.session), over.reason};
      commits.push_back(trail_.commit(AdminAction{ended}, AuditSource{}));
    }
    return commits;
  }

  std::string open_set_up() { return accounts_.open_set_up(); }

  bool visible_to(const stun::IpAddress& client) const {
    const stun::IpAddress address = client.unmapped();
    return options_.allow_from.empty() ||
           std::any_of(options_.allow_from.begin(), options_.allow_from.end(),
                       [&](const AddressBlock& block) { return block.contains(address); });
  }

  std::optional<AdminActor> actor_of(const net::HttpRequest& request,
                                     const RequestContext& context) {
    if (!visible_to(context.client.address) || !from_our_page(request, context)) return {};
    const AdminSession* session =
        sessions_.find(cookies_of(request), context.tls, AdminSessions::Use::person, now());
    if (session == nullptr) return {};
    return as_actor(*session);
  }

  void handle(const net::HttpRequest& request, const RequestContext& context, Respond respond);

 private:
  std::chrono::milliseconds now() const {
    if (options_.steady_clock) return options_.steady_clock();
    return std::chrono::duration_cast<std::chrono::milliseconds>(
        std::chrono::steady_clock::now().time_since_epoch());
  }

  std::optional<net::HttpResponse> refusal(const Endpoint& endpoint,
                                           const net::HttpRequest& request,
                                           const RequestContext& context);
  SessionView view(const AdminSession& session) const {
    SessionView shown{session.account, std::chrono::floor<std::chrono::seconds>(
                                           sessions_.time_left(session, now()))};
    if (const auto certificate = backend_.relay().certificate) {
      const auto left = certificate->expires - std::chrono::floor<std::chrono::seconds>(wall_now());
      shown.certificate = CertificateView{certificate->expires, left, certificate->problem};
    }
    return shown;
  }
  void before_session(Action action, const net::HttpRequest& request, const std::string& cookies,
                      const AdminSession* session, const RequestContext& context, Respond respond);
  void in_session(Action action, const net::HttpRequest& request, const AdminSession& session,
                  const RequestContext& context, Respond respond);
  void retain(Action action, std::string_view body, const AdminRetention::Asked& asked);
  void log_out(const std::string& cookies, const RequestContext& context, Respond respond);
  void create_room(const net::HttpRequest& request, const AdminSession& session,
                   const RequestContext& context, Respond respond);
  void end_room(const net::HttpRequest& request, const AdminSession& session,
                const RequestContext& context, Respond respond);

  AdminApiOptions options_;
  AdminBackend& backend_;
  AuditTrail& trail_;
  store::Store& store_;
  AdminSessions sessions_;
  Recorder recorder_;
  AdminAccounts accounts_;
  AdminAuditList audit_list_;
  AdminAuditExport audit_export_;
  AdminCheckpoint checkpoint_;
  AdminPeople people_;
  AdminRetention retention_;
};

void AdminApi::Impl::handle(const net::HttpRequest& request, const RequestContext& context,
                            Respond respond) {
  const std::string_view path = request.path;
  if (!visible_to(context.client.address) || !path.starts_with(kPrefix))
    return respond(not_found());
  const auto endpoint =
      std::find_if(kEndpoints.begin(), kEndpoints.end(),
                   [&](const Endpoint& each) { return each.name == path.substr(kPrefix.size()); });
  if (endpoint == kEndpoints.end()) return respond(not_found());
  if (auto refused = refusal(*endpoint, request, context)) return respond(std::move(*refused));
  const std::string cookies = cookies_of(request);
  const auto use = header(request, "x-bedside-refresh") == "automatic"
                       ? AdminSessions::Use::automatic
                       : AdminSessions::Use::person;
  const AdminSession* session = sessions_.find(cookies, context.tls, use, now());
  if (!endpoint->needs_session) {
    return before_session(endpoint->action, request, cookies, session, context, std::move(respond));
  }
  if (session == nullptr) {
    return respond(admin_refusal(401, "login-required", "Please log in."));
  }
  // What is only looked at leaves no record; while none can be written there is no looking either.
  const store::Stats log = store_.stats();
  if (endpoint->record.empty() && (log.full || log.fatal)) return respond(admin_not_recorded());
  in_session(endpoint->action, request, *session, context, std::move(respond));
}

std::optional<net::HttpResponse> AdminApi::Impl::refusal(const Endpoint& endpoint,
                                                         const net::HttpRequest& request,
                                                         const RequestContext& context) {
  if (request.method != endpoint.method) {
    net::HttpResponse response = admin_refusal(405, "method", "Method not allowed");
    response.set("Allow", endpoint.method);
    return response;
  }
  if (!from_our_page(request, context)) {
    trail_.count(Abuse::csrf_rejected, context.client.address, now());
    return admin_refusal(403, "foreign-page", "This request did not come from the admin page.");
  }
  if (request.method == "POST" && !is_json(header(request, "content-type"))) {
    return admin_refusal(415, "content-type", "Content-Type must be application/json.");
  }
  return std::nullopt;
}

void AdminApi::Impl::before_session(Action action, const net::HttpRequest& request,
                                    const std::string& cookies, const AdminSession* session,
                                    const RequestContext& context, Respond respond) {
  if (action == Action::logout) return log_out(cookies, context, std::move(respond));
  if (action == Action::state) {
    std::optional<SessionView> shown;
    if (session != nullptr) shown = view(*session);
    return respond(admin_state(accounts_.set_up_needed(), shown));
  }
  if (action == Action::set_up) {
    auto wish = parse_set_up(request.body);
    if (!wish) return respond(bad_body());
    return accounts_.set_up(std::move(*wish), cookies, context, std::move(respond));
  }
  auto wish = parse_login(request.body);
  if (!wish) return respond(bad_body());
  accounts_.log_in(std::move(*wish), cookies, context, std::move(respond));
}

void AdminApi::Impl::in_session(Action action, const net::HttpRequest& request,
                                const AdminSession& session, const RequestContext& context,
                                Respond respond) {
  switch (action) {
    case Action::rooms:
      return respond(
          admin_rooms(backend_.rooms(), wall_now(), view(session), options_.open_to_all));
    case Action::relay:
      return respond(admin_relay(backend_.relay(), wall_now(), view(session)));
    case Action::audit:
      return audit_list_.show(request, audit_staff(session), view(session), context, respond);
    case Action::audit_export:
      return audit_export_.download(request, audit_staff(session), context, respond);
    case Action::checkpoint:
      return checkpoint_.show(request, view(session), respond);
    case Action::people:
      return people_.show(view(session), respond);
    case Action::invite:
      return people_.invite(request.body, audit_staff(session), view(session), context, respond);
    case Action::disable:
      return people_.disable(request.body, audit_staff(session), view(session), context, respond);
    case Action::retention:
    case Action::set_hold:
    case Action::clear_hold:
    case Action::propose:
    case Action::withdraw:
    case Action::approve:
      return retain(action, request.body,
                    {audit_staff(session), audit_source(context), view(session), respond});
    case Action::create_room:
      return create_room(request, session, context, std::move(respond));
    case Action::end_room:
      return end_room(request, session, context, std::move(respond));
    case Action::state:
    case Action::set_up:
    case Action::login:
    case Action::logout:
      break;  // answered before a session is looked at
  }
  respond(not_found());
}

void AdminApi::Impl::retain(Action action, std::string_view body,
                            const AdminRetention::Asked& asked) {
  switch (action) {
    case Action::set_hold:
      return retention_.set_hold(body, asked);
    case Action::clear_hold:
      return retention_.clear_hold(body, asked);
    case Action::propose:
      return retention_.propose(asked);
    case Action::withdraw:
      return retention_.withdraw(asked);
    case Action::approve:
      return retention_.approve(body, asked);
    default:
      return retention_.show(asked);
  }
}

// The session ends at once, whatever becomes of the record.
void AdminApi::Impl::log_out(const std::string& cookies, const RequestContext& context,
                             Respond respond) {
  const std::string clear = AdminSessions::clear_cookie(context.tls);
  const AdminSession ended = sessions_.end(cookies, context.tls);
  const auto answer = [respond = std::move(respond), clear](store::CommitStatus status) {
    // Deferred: the disk is full, the record waits in memory until there is space.
    const bool kept = status == store::CommitStatus::committed ||
                      status == store::CommitStatus::journaled ||
                      status == store::CommitStatus::deferred;
    net::HttpResponse response =
        kept
            ? admin_left()
            : admin_refusal(503, "not-recorded",
                            "You are logged out, but this could not be recorded in the audit log.");
    response.add("Set-Cookie", clear);
    respond(std::move(response));
  };
  if (ended.account.empty()) return answer(store::CommitStatus::committed);
  const LoggedOut left{audit_staff(ended), LogoutReason::requested};
  recorder_.record(trail_.commit(AdminAction{left}, audit_source(context)), answer);
}

void AdminApi::Impl::create_room(const net::HttpRequest& request, const AdminSession& session,
                                 const RequestContext& context, Respond respond) {
  const auto wish = parse_room_wish(request.body);
  if (!wish) return respond(bad_body());
  if (wish->appointment_json.empty()) {
    return respond(admin_refusal(400, "bad-request", "appointmentId is required"));
  }
  backend_.create_room(*wish, as_actor(session), context,
                       [respond = std::move(respond), shown = view(session)](
                           const tl::expected<CreatedRoom, AdminRefusal>& result) {
                         if (result) return respond(admin_room_created(*result, shown));
                         respond(passed_on(result.error()));
                       });
}

void AdminApi::Impl::end_room(const net::HttpRequest& request, const AdminSession& session,
                              const RequestContext& context, Respond respond) {
  const auto room = parse_room_id(request.body);
  if (!room || room->empty()) {
    return respond(admin_refusal(400, "bad-request", "roomId is required"));
  }
  backend_.end_room(*room, as_actor(session), context,
                    [respond = std::move(respond),
                     shown = view(session)](const tl::expected<std::string, AdminRefusal>& result) {
                      if (result) return respond(admin_done(shown, *result));
                      respond(passed_on(result.error()));
                    });
}

AdminApi::AdminApi(net::Loop& loop, AdminApiOptions options, AdminBackend& backend,
                   AuditTrail& trail, store::Store& store, WorkerPool& workers)
    : impl_(std::make_unique<Impl>(loop, std::move(options), backend, trail, store, workers)) {}

AdminApi::~AdminApi() = default;

std::string AdminApi::open_set_up() { return impl_->open_set_up(); }

void AdminApi::use_backup(BackupConfig backup) { impl_->use_backup(std::move(backup)); }

void AdminApi::account_disabled(const std::string& account) { impl_->account_disabled(account); }

std::vector<store::Commit> AdminApi::take_timeouts() { return impl_->take_timeouts(); }

bool AdminApi::visible_to(const stun::IpAddress& client) const { return impl_->visible_to(client); }

std::optional<AdminActor> AdminApi::actor_of(const net::HttpRequest& request,
                                             const RequestContext& context) {
  return impl_->actor_of(request, context);
}

void AdminApi::handle(const net::HttpRequest& request, const RequestContext& context,
                      Respond respond) {
  impl_->handle(request, context, std::move(respond));
}

std::vector<AdminRoute> admin_routes() {
  std::vector<AdminRoute> routes;
  routes.reserve(kEndpoints.size());
  for (const Endpoint& each : kEndpoints) {
    routes.push_back({each.name, each.method, each.needs_session, each.record});
  }
  return routes;
}

}  // namespace bedside::server
