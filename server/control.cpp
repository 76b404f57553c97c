#include "server/control.h"

#include <chrono>
#include <utility>

#include "server/acme_webroot.h"
#include "server/control_impl.h"
#include "server/log.h"
#include "server/public_api.h"

namespace bedside::server {
namespace {

constexpr std::size_t kMaxArrivals = 1024;  // connections handed over but not yet looked at
constexpr std::size_t kMaxCommits = 4096;   // under way at once; more are refused with 503

net::HttpResponse redirect(int status, std::string_view location) {
  net::HttpResponse response = net::HttpResponse::text(status, "");
  if (!response.set("Location", location)) return net::HttpResponse::text(400, "Bad request\n");
  return response;
}

signaling::Caller caller_of(const RequestContext& context) {
  signaling::Caller caller;
  caller.request_id = context.request_id;
  caller.listener = context.listener;
  caller.address = context.client.address.to_string();
  caller.actor_kind = "anonymous";
  caller.actor_auth = "open";
  return caller;
}

signaling::Caller caller_of(const signaling::Action& action, const RequestContext& context) {
  signaling::Caller caller = caller_of(context);
  std::visit(
      [&caller](const auto& what) {
        if constexpr (requires { what.speaker; }) {
          caller.actor_kind = "participant";
          caller.actor_id = what.speaker.participant;
          if (!what.speaker.token.empty()) caller.actor_auth = "token";
        }
      },
      action);
  return caller;
}

bool is_read(const net::HttpRequest& request) {
  return request.method == "GET" || request.method == "HEAD";
}

}  // namespace

Control::Impl::Impl(net::Loop& loop, ControlOptions options, ControlSeams seams)
    : loop_(loop),
      options_(std::move(options)),
      seams_(std::move(seams)),
      hub_(options_.limits, options_.access, seams_.issuer),
      recorder_(loop, seams_.store, kMaxCommits),
      sources_(options_.max_connections_per_source),
      entries_(options_.entries),
      hub_timer_(loop, [this] { on_hub_time(); }),
      second_timer_(loop, [this] { on_second(); }),
      revoke_timer_(loop, [this] { retry_revocations(); }),
      drain_timer_(loop,
                   [this] {
                     idle_.clear();
                     guests_.clear();
                     undecided_commits_ = 0;
                     finish_drain_when_empty();
                   }),
      arrivals_(loop, kMaxArrivals, [this](Arrival arrival) { welcome(std::move(arrival)); }) {
  second_timer_.arm(std::chrono::seconds{1});
}

bool Control::Impl::adopt(net::DetachedConnection connection, std::string listener) {
  return arrivals_.post({std::move(connection), std::move(listener)});
}

void Control::Impl::welcome(Arrival arrival) {
  if (draining_) return;  // closed with the arrival
  const stun::IpAddress client = arrival.connection.peer.address;
  if (!make_room(client)) {
    turned_away_.fetch_add(1, std::memory_order_relaxed);
    return;
  }
  const ConnectionId id = ++next_connection_;
  Guest& guest = guests_[id];
  guest.listener = std::move(arrival.listener);
  net::HttpHandler& handler = *this;
  guest.connection = std::make_unique<net::HttpConnection>(loop_, std::move(arrival.connection), id,
                                                           handler, options_.timeouts);
  connections_ = guests_.size();
  set_idle(guest);
}

// As at the front door, the longest idle one makes room: who holds connections without using them
// would keep everybody else out. First within the newcomer's own source, so that others do not pay
// for it.
bool Control::Impl::make_room(const stun::IpAddress& client) {
  if (!sources_.take(client)) {
    count(Abuse::rate_limited, client);
    Guest* idle = idle_.oldest_beyond(client, 1);
    if (idle == nullptr) return false;
    dismiss(*idle);
    if (!sources_.take(client)) return false;
  }
  if (guests_.size() < options_.max_connections) return true;
  if (Guest* idle = idle_.oldest()) {
    dismiss(*idle);
    return true;
  }
  sources_.give_back(client);
  log::warning("a connection was turned away: all others are in use",
               {{"connections", guests_.size()}});
  return false;
}

void Control::Impl::dismiss(Guest& guest) {
  made_room_.fetch_add(1, std::memory_order_relaxed);
  forget(guest.connection->id());
}

void Control::Impl::forget(ConnectionId id) {
  const auto gone = guests_.extract(id);
  if (gone.empty()) return;
  Guest& guest = gone.mapped();
  set_busy(guest);
  connections_ = guests_.size();
  sources_.give_back(guest.connection->peer().address);
  if (guest.socket) hub_.socket_closed(id, now());
  if (guest.request != 0) {
    hub_.request_gone(guest.request, now());
    answers_.erase(guest.request);
  }
  pump();
  finish_drain_when_empty();
}

void Control::Impl::set_idle(Guest& guest) {
  set_busy(guest);
  guest.idle = idle_.enter(guest.connection->peer().address, guest);
}

void Control::Impl::set_busy(Guest& guest) {
  if (const auto place = std::exchange(guest.idle, std::nullopt)) idle_.leave(*place);
}

RequestContext Control::Impl::context_of(const Guest& guest, const net::HttpRequest& request) {
  RequestContext context;
  context.request_id = ++next_request_;
  context.listener = guest.listener;
  context.client = guest.connection->peer();
  context.tls = guest.connection->tls();
  context.origin = own_origin(options_.origins, request, context.tls);
  return context;
}

// An answer finds its connection by name, and only while this request is the one it owes.
Respond Control::Impl::respond_to(ConnectionId id, const RequestContext& context) {
  return [this, id, context](net::HttpResponse response) {
    const auto it = guests_.find(id);
    if (it == guests_.end() || it->second.request != context.request_id) return;
    it->second.request = 0;
    add_security_headers(options_.origins, context, response);
    it->second.connection->respond(response);
    set_idle(it->second);
  };
}

void Control::Impl::on_request(net::HttpConnection& connection, net::HttpRequest request) {
  const auto it = guests_.find(connection.id());
  if (it == guests_.end()) return;
  requests_.fetch_add(1, std::memory_order_relaxed);
  const RequestContext context = context_of(it->second, request);
  it->second.request = context.request_id;
  set_busy(it->second);
  dispatch(it->second, request, context, respond_to(connection.id(), context));
}

void Control::Impl::dispatch(Guest& guest, const net::HttpRequest& request,
                             const RequestContext& context, const Respond& respond) {
  if (context.listener == "http" && is_read(request)) {
    if (auto challenge = AcmeWebroot(options_.acme_webroot).find(request.path)) {
      net::HttpResponse response = net::HttpResponse::text(200, std::move(*challenge));
      response.set("Content-Type", "application/octet-stream");  // RFC 8555 §8.3
      return respond(std::move(response));
    }
  }
  if (context.listener == "http" && !options_.redirect_http_to.empty()) {
    // 308 keeps the method; what is not a page says so instead of sending secrets twice.
    if (!is_read(request)) return respond(signaling_refusal(403, "HTTPS is required"));
    return respond(redirect(308, options_.redirect_http_to + request.target));
  }
  const Route& route = find_route(request.path);
  if (!allows(route, request.method)) {
    net::HttpResponse refused = net::HttpResponse::text(405, "Method not allowed\n");
    refused.set("Allow", route.methods);
    return respond(std::move(refused));
  }
  const auto not_found = [&] { respond(net::HttpResponse::text(404, "Not found\n")); };
  switch (route.target) {
    case Target::signaling:
      return signaling(request, context, respond);
    case Target::socket:
      return open_socket(guest, request, context, respond);
    case Target::root:
      if (net::wants_websocket(request)) return open_socket(guest, request, context, respond);
      return page(request.path, request, respond);
    case Target::page:
      return page(request.path, request, respond);
    case Target::admin_home:
      return admin_is_visible(context) ? respond(redirect(308, "/admin/")) : not_found();
    case Target::admin_page:
      return admin_is_visible(context) ? page(request.path, request, respond) : not_found();
    case Target::admin_api:
      return admin_ != nullptr ? admin_->handle(request, context, respond) : not_found();
    case Target::witness:
      return witness_ != nullptr ? witness_->handle(request, context, respond) : not_found();
    case Target::nothing:
      return not_found();
  }
}

void Control::Impl::signaling(const net::HttpRequest& request, const RequestContext& context,
                              const Respond& respond) {
  const OriginVerdict verdict = judge_origin(options_.origins, request, context);
  const Respond with_cors =
      [verdict, respond, preflight = request.method == "OPTIONS",
       origin = std::string(request.header("origin").value_or(""))](net::HttpResponse response) {
        add_cors_headers(verdict, origin, preflight, response);
        respond(std::move(response));
      };
  if (verdict == OriginVerdict::refused && request.method != "OPTIONS") {
    count(Abuse::origin_rejected, context.client.address);
    return with_cors(signaling_refusal(403, "Origin not allowed"));
  }
  auto action = read_signaling_request(request);
  if (!action) {
    if (action.error().status == 400) count(Abuse::malformed_request, context.client.address);
    return with_cors(std::move(action.error()));
  }
  signaling::Caller caller = caller_of(*action, context);
  if (options_.access == signaling::Access::invite && caller.actor_auth == "open") {
    caller.actor_auth = "link";
  }
  if (auto may = check_rights(*action, request, context, caller); !may) {
    return with_cors(std::move(may.error()));
  }
  if (!may_enter(*action, request, context, caller)) {
    rate_limited_.fetch_add(1, std::memory_order_relaxed);
    count(Abuse::rate_limited, context.client.address);
    net::HttpResponse refused =
        signaling_refusal(429, "Too many requests from your network. Please try again.");
    refused.set("Retry-After", std::to_string(EntryLimiter::kRetryAfter.count()));
    return with_cors(std::move(refused));
  }
  ask_hub(std::move(*action), caller, context.request_id,
          [with_cors](const signaling::Answer& answer, const std::string& receipt) {
            with_cors(signaling_response(answer, receipt));
          });
}

void Control::Impl::open_socket(Guest& guest, const net::HttpRequest& request,
                                const RequestContext& context, const Respond& respond) {
  if (!net::wants_websocket(request)) {
    net::HttpResponse refused = net::HttpResponse::text(426, "This address is for WebSockets\n");
    refused.set("Upgrade", "websocket");
    return respond(std::move(refused));
  }
  if (judge_origin(options_.origins, request, context) == OriginVerdict::refused) {
    count(Abuse::origin_rejected, context.client.address);
    return respond(signaling_refusal(403, "Origin not allowed"));
  }
  if (draining_ || !hub_.accepts_sockets()) {
    return respond(signaling_refusal(503, "Too many connections"));
  }
  guest.request = 0;  // upgrade() answers in any case
  set_idle(guest);    // until it joins
  if (!guest.connection->upgrade(request)) return;
  signaling::Caller caller = caller_of(context);
  caller.actor_kind = "participant";  // the hub adds which one, at its join
  guest.socket = hub_.socket_opened(guest.connection->id(), caller, now());
  pump();
}

void Control::Impl::page(std::string_view path, const net::HttpRequest& request,
                         const Respond& respond) {
  const auto asset = seams_.assets.find(path);
  if (!asset) return respond(net::HttpResponse::text(404, "Not found\n"));
  net::HttpResponse response;
  response.set("ETag", asset->etag);
  response.set("Cache-Control", "no-cache");  // kept, but checked: pages fit the server's version
  if (matches_etag(request.header("if-none-match").value_or(""), asset->etag)) {
    response.status = 304;
  } else {
    response.body = asset->body;
  }
  response.set("Content-Type", asset->content_type);
  respond(std::move(response));
}

bool Control::Impl::admin_is_visible(const RequestContext& context) const {
  return admin_ != nullptr && admin_->visible_to(context.client.address);
}

void Control::Impl::on_socket_message(net::HttpConnection& connection, std::string_view text) {
  const auto it = guests_.find(connection.id());
  if (it == guests_.end() || !it->second.socket) return;
  hub_.socket_message(connection.id(), text, now());
  // Not for its messages: those of a socket that never joins are no reason to keep it.
  if (it->second.idle && hub_.has_joined(connection.id())) set_busy(it->second);
}

void Control::Impl::on_socket_burst_end(net::HttpConnection& /*connection*/) { pump(); }

void Control::Impl::on_closed(net::HttpConnection& connection, std::uint16_t /*code*/) {
  forget(connection.id());
}

void Control::Impl::on_refused(net::HttpConnection& connection, const net::HttpRequest* head,
                               net::HttpResponse& answer) {
  on_upgraded(connection, answer);
  // A listed portal may read why its request was refused, as it may read the API's own answers.
  OriginVerdict verdict = OriginVerdict::absent;
  std::string_view origin;
  if (head != nullptr && find_route(head->path).target == Target::signaling) {
    RequestContext context;
    context.origin = own_origin(options_.origins, *head, connection.tls());
    verdict = judge_origin(options_.origins, *head, context);
    origin = head->header("origin").value_or("");
  }
  add_cors_headers(verdict, origin, false, answer);
  count(Abuse::malformed, connection.peer().address);
}

void Control::Impl::on_upgraded(net::HttpConnection& connection, net::HttpResponse& answer) {
  RequestContext context;  // of a request that could not be read, only this much is known
  context.tls = connection.tls();
  add_security_headers(options_.origins, context, answer);
}

void Control::Impl::drain(std::chrono::milliseconds patience, std::function<void()> done) {
  draining_ = true;
  on_drained_ = std::move(done);
  drain_timer_.arm(patience);
  hub_.release_polls(now());
  pump();
  std::vector<ConnectionId> ids;
  for (const auto& [id, guest] : guests_) ids.push_back(id);
  for (const ConnectionId id : ids) {
    const auto it = guests_.find(id);
    if (it != guests_.end()) it->second.connection->stop();
  }
  finish_drain_when_empty();
}

void Control::Impl::finish_drain_when_empty() {
  if (!draining_ || !on_drained_ || !guests_.empty() || undecided_commits_ > 0) return;
  drain_timer_.cancel();
  std::exchange(on_drained_, nullptr)();
}

ControlStats Control::Impl::stats() const {
  ControlStats stats;
  stats.connections = connections_;
  stats.sockets = sockets_;
  stats.rooms = active_rooms_;
  stats.participants = participants_;
  stats.requests = requests_;
  stats.rate_limited = rate_limited_;
  stats.made_room = made_room_;
  stats.turned_away = turned_away_;
  stats.messages = messages_;
  stats.forwarded = forwarded_;
  stats.lost_records = lost_records_;
  return stats;
}

// ---- the public face

Control::Control(net::Loop& loop, ControlOptions options, ControlSeams seams)
    : impl_(std::make_unique<Impl>(loop, std::move(options), std::move(seams))) {}
Control::~Control() = default;
void Control::set_admin(AdminApi* admin) { impl_->set_admin(admin); }
void Control::set_witness(WitnessApi* witness) { impl_->set_witness(witness); }
void Control::restore(const store::LoadedState& state) { impl_->restore(state); }
bool Control::adopt(net::DetachedConnection connection, std::string listener) {
  return impl_->adopt(std::move(connection), std::move(listener));
}
void Control::on_relay_event(const turn::Event& event) { impl_->on_relay_event(event); }
void Control::drain(std::chrono::milliseconds patience, std::function<void()> done) {
  impl_->drain(patience, std::move(done));
}
std::vector<store::Commit> Control::take_unrecorded() { return impl_->take_unrecorded(); }
ControlStats Control::stats() const { return impl_->stats(); }
std::vector<AdminRoom> Control::rooms() { return impl_->rooms(); }
RelayFigures Control::relay() { return impl_->relay(); }
const std::vector<store::ApiTokenRow>& Control::tokens() const { return impl_->tokens(); }
void Control::create_token(const ApiTokenWish& wish, const LocalUser& by, TokenMade done) {
  impl_->create_token(wish, by, std::move(done));
}
void Control::record(const AdminAction& action, const LocalUser& by, Recorded done) {
  impl_->record(action, by, std::move(done));
}
const AuditTrail& Control::trail() const { return impl_->trail(); }
void Control::revoke_token(const std::string& token_id, const LocalUser& by, Ended done) {
  impl_->revoke_token(token_id, by, std::move(done));
}
void Control::create_room(const RoomWish& wish, const AdminActor& by, const RequestContext& context,
                          Created done) {
  impl_->create_room(wish, by, context, std::move(done));
}
void Control::end_room(const std::string& room, const AdminActor& by, const RequestContext& context,
                       Ended done) {
  impl_->end_room(room, by, context, std::move(done));
}

}  // namespace bedside::server
