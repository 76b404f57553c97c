#include "server/local_socket.h"

#include <httplib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <future>
#include <nlohmann/json.hpp>
#include <thread>
#include <utility>

#include "server/admin_accounts.h"
#include "server/admin_retention_json.h"
#include "server/audit_retention.h"
#include "server/control.h"
#include "server/invitation.h"
#include "server/local_user.h"
#include "server/set_up_code.h"
#include "store/canonical_reader.h"
#include "store/checkpoint.h"

namespace bedside::server {
namespace {

using LocalJson = nlohmann::ordered_json;

constexpr std::size_t kLocalThreads = 2;
constexpr time_t kLocalTimeoutSeconds = 1;
constexpr std::size_t kMaxLocalBody = std::size_t{16} * 1024;

struct Reply {
  int status = 200;
  LocalJson body = LocalJson::object();
};

Reply refused(const AdminRefusal& refusal) { return {refusal.status, {{"error", refusal.error}}}; }

std::string field_of(const LocalJson& body, const char* key) {
  const auto it = body.find(key);
  return it != body.end() && it->is_string() ? it->get<std::string>() : std::string();
}

constexpr std::array kLocalRoutes = {
    LocalRoute{"POST", "/tokens", "token.created"},
    LocalRoute{"GET", "/tokens", ""},
    LocalRoute{"DELETE", "/tokens", "token.revoked"},
    LocalRoute{"POST", "/rooms", "room.created link.issued link.issued"},
    LocalRoute{"GET", "/rooms", ""},
    LocalRoute{"DELETE", "/rooms", "room.ended"},
    LocalRoute{"POST", "/audit/exported", "audit.exported"},
    LocalRoute{"POST", "/audit/verified", "audit.verified"},
    LocalRoute{"POST", "/audit/holds", "audit.hold_set"},
    LocalRoute{"POST", "/audit/holds/cleared", "audit.hold_cleared"},
    LocalRoute{"POST", "/accounts/invited", "user.invited"},
    LocalRoute{"POST", "/accounts/disabled", "user.disabled"},
    LocalRoute{"POST", "/backups", "backup.verified"},
    LocalRoute{"POST", "/credentials", "cred.issued"},
};

AdminActor actor_of(const LocalUser& user) { return {user.login, user.runs_as, "", true}; }

std::optional<ApiTokenWish> token_wish(const LocalJson& body) {
  if (!body.is_object()) return std::nullopt;
  ApiTokenWish wish;
  wish.name = field_of(body, "name");
  const auto scopes = body.find("scopes");
  if (scopes != body.end() && scopes->is_array()) {
    for (const LocalJson& scope : *scopes) {
      if (scope.is_string()) wish.scopes.push_back(scope.get<std::string>());
    }
  }
  const auto days = body.find("days");
  if (days != body.end() && days->is_number_unsigned()) {
    wish.days = static_cast<unsigned>(
        std::min<std::uint64_t>(days->get<std::uint64_t>(), kMaxApiTokenDays + std::uint64_t{1}));
  }
  return wish;
}

LocalJson list_of(const std::vector<store::ApiTokenRow>& tokens) {
  LocalJson list = LocalJson::array();
  for (const store::ApiTokenRow& token : tokens) {
    list.push_back(
        {{"id", token.token_id},
         {"name", token.name},
         {"scopes", token.scopes},
         {"createdAt", token.created_at.count()},
         {"expiresAt", token.expires_at ? LocalJson(token.expires_at->count()) : LocalJson()}});
  }
  return {{"tokens", std::move(list)}};
}

LocalJson list_of(const std::vector<AdminRoom>& rooms) {
  LocalJson list = LocalJson::array();
  for (const AdminRoom& room : rooms) {
    list.push_back({{"roomId", room.room},
                    {"createdAt", room.created.count()},
                    {"people", room.people.size()}});
  }
  return {{"rooms", std::move(list)}};
}

LocalJson receipt_of(const std::string& receipt) {
  return receipt.empty() ? LocalJson::object() : LocalJson{{"receipt", receipt}};
}

LocalJson json_of(const CreatedRoom& room) {
  LocalJson body = receipt_of(room.receipt);
  body["roomId"] = room.room;
  body["link"] = room.link;
  if (!room.host_link.empty()) {
    body["hostLink"] = room.host_link;
    body["expiresAt"] = room.expires.count();
  }
  return body;
}

LocalJson json_of(const Control::Written& written) {
  LocalJson body = receipt_of(written.receipt);
  body["seq"] = written.seq;
  return body;
}

std::optional<BackupTried> backup_from(const LocalJson& body) {
  constexpr std::size_t kHexOfHash = 64;
  constexpr std::size_t kMaxStep = 64;
  try {
    BackupTried tried;
    tried.ok = body.at("ok").get<bool>();
    if (!tried.ok) {
      tried.failed_at = field_of(body, "failedAt").substr(0, kMaxStep);
      return tried;
    }
    tried.records = body.at("records").get<std::uint64_t>();
    tried.root = body.at("root").get<std::string>();
    tried.digest = body.at("digest").get<std::string>();
    tried.bytes = body.at("bytes").get<std::uint64_t>();
    tried.restore = std::chrono::milliseconds(body.at("restoreMs").get<std::int64_t>());
    if (tried.root.size() != kHexOfHash || tried.digest.size() != kHexOfHash) return std::nullopt;
    return tried;
  } catch (const LocalJson::exception&) {
    return std::nullopt;
  }
}

std::optional<TurnCredentialIssued> credential_from(const LocalJson& body) {
  try {
    TurnCredentialIssued issued;
    issued.subject = body.at("subject").get<std::string>();
    issued.expires_at = std::chrono::milliseconds(body.at("expiresAt").get<std::int64_t>());
    if (issued.subject.empty()) return std::nullopt;
    return issued;
  } catch (const LocalJson::exception&) {
    return std::nullopt;
  }
}

std::optional<AuditVerified> check_from(const LocalJson& body) {
  constexpr std::size_t kHexOfHash = 64;
  try {
    AuditVerified check;
    check.ok = body.at("ok").get<bool>();
    check.records = body.at("records").get<std::uint64_t>();
    check.first_bad_seq = body.at("firstBad").get<std::uint64_t>();
    check.intact = body.at("intact").get<std::uint64_t>();
    if (!check.ok) return check;
    check.root = body.at("root").get<std::string>();
    store::Hash root{};
    if (check.root.size() != kHexOfHash || !store::from_hex(check.root, root)) return std::nullopt;
    return check;
  } catch (const LocalJson::exception&) {
    return std::nullopt;
  }
}

std::chrono::milliseconds local_now() {
  return std::chrono::duration_cast<std::chrono::milliseconds>(
      std::chrono::system_clock::now().time_since_epoch());
}

std::optional<store::InvitationRow> invitation_from(const LocalJson& body) {
  if (!body.is_object()) return std::nullopt;
  store::InvitationRow row;
  row.name = field_of(body, "name");
  row.code_hash.resize(SetUpCode::Digest().size());
  const auto expires = body.find("expiresAt");
  if (!is_account_name(row.name) || !store::from_hex(field_of(body, "codeHash"), row.code_hash) ||
      expires == body.end() || !expires->is_number_integer()) {
    return std::nullopt;
  }
  row.expires_at = std::min(
      std::chrono::milliseconds(expires->get<std::int64_t>()),
      local_now() + std::chrono::duration_cast<std::chrono::milliseconds>(kInvitationLasts));
  return row;
}

void write(const Reply& reply, httplib::Response& response) {
  response.status = reply.status;
  response.set_content(reply.body.dump(-1, ' ', false, LocalJson::error_handler_t::replace),
                       "application/json");
}

}  // namespace

struct LocalSocket::Running {
  httplib::Server server;
  std::thread thread;
  std::filesystem::path path;
  std::filesystem::path database;
  Control& control;
  OnControl on_control;

  Running(std::filesystem::path file, std::filesystem::path log, Control& owner, OnControl run)
      : path(std::move(file)),
        database(std::move(log)),
        control(owner),
        on_control(std::move(run)) {}

  // A request whose sender is known, and its answer.
  struct Asked {
    const httplib::Request& request;
    httplib::Response& response;
    LocalUser user;

    LocalJson json() const { return LocalJson::parse(request.body, nullptr, false); }
    std::string parameter(const char* key) const { return request.get_param_value(key); }
    void refuse(const std::string& why) const { write({400, {{"error", why}}}, response); }
  };
  using Handler = std::function<void(const Asked&)>;
  void on(std::string_view method, const std::string& route, Handler handler);

  using Answered = std::function<void(Reply)>;
  // `ask` runs on the control thread, where every request is answered exactly once while it runs.
  void serve(const Asked& asked, const std::function<void(const Answered&)>& ask) {
    std::promise<Reply> promise;
    const bool taken =
        on_control([&] { ask([&](Reply reply) { promise.set_value(std::move(reply)); }); });
    if (!taken) return write({503, {{"error", "the server is busy; try again"}}}, asked.response);
    write(promise.get_future().get(), asked.response);
  }
  // `more` is part of the answer.
  void record(const AdminAction& action, const Asked& asked, const LocalJson& more = {}) {
    serve(asked, [&](const Answered& done) {
      control.record(action, asked.user,
                     [done, more](tl::expected<Control::Written, AdminRefusal> written) {
                       if (!written) return done(refused(written.error()));
                       LocalJson body = json_of(*written);
                       if (more.is_object()) body.update(more);
                       done({200, std::move(body)});
                     });
    });
  }
  void add_token_routes();
  void add_room_routes();
  void add_audit_routes();
  void add_hold_routes();
  void add_account_routes();
};

// Our bug, found at the first start: an endpoint that the table does not have.
void LocalSocket::Running::on(std::string_view method, const std::string& route, Handler handler) {
  const bool declared = std::any_of(
      kLocalRoutes.begin(), kLocalRoutes.end(),
      [&](const LocalRoute& each) { return each.method == method && each.path == route; });
  if (!declared) std::abort();
  const auto serve_known = [handler = std::move(handler)](const httplib::Request& request,
                                                          httplib::Response& response) {
    auto user = parse_local_user(request.get_header_value(kLocalUserField));
    if (!user) return write({400, {{"error", "Bedside-User is missing"}}}, response);
    handler({request, response, std::move(*user)});
  };
  if (method == "GET") server.Get(route, serve_known);
  if (method == "POST") server.Post(route, serve_known);
  if (method == "DELETE") server.Delete(route, serve_known);
}

void LocalSocket::Running::add_token_routes() {
  on("GET", "/tokens", [this](const Asked& asked) {
    serve(asked, [this](const Answered& done) { done({200, list_of(control.tokens())}); });
  });
  on("POST", "/tokens", [this](const Asked& asked) {
    const auto wish = token_wish(asked.json());
    if (!wish) return asked.refuse("the request is not understood");
    serve(asked, [&](const Answered& done) {
      control.create_token(*wish, asked.user, [done](tl::expected<NewApiToken, AdminRefusal> made) {
        if (!made) return done(refused(made.error()));
        LocalJson body = receipt_of(made->receipt);
        body["token"] = made->secret;
        body["id"] = made->row.token_id;
        done({200, std::move(body)});
      });
    });
  });
  on("DELETE", "/tokens", [this](const Asked& asked) {
    serve(asked, [&](const Answered& done) {
      control.revoke_token(asked.parameter("id"), asked.user,
                           [done](tl::expected<std::string, AdminRefusal> gone) {
                             done(gone ? Reply{200, receipt_of(*gone)} : refused(gone.error()));
                           });
    });
  });
}

void LocalSocket::Running::add_room_routes() {
  on("GET", "/rooms", [this](const Asked& asked) {
    serve(asked, [this](const Answered& done) { done({200, list_of(control.rooms())}); });
  });
  on("POST", "/rooms", [this](const Asked& asked) {
    const LocalJson body = asked.json();
    const std::string appointment = body.is_object() ? field_of(body, "appointmentId") : "";
    if (appointment.empty()) return asked.refuse("appointmentId is required");
    const RoomWish wish{LocalJson(appointment).dump(), field_of(body, "roomName")};
    serve(asked, [&](const Answered& done) {
      control.create_room(wish, actor_of(asked.user), RequestContext{},
                          [done](tl::expected<CreatedRoom, AdminRefusal> made) {
                            done(made ? Reply{200, json_of(*made)} : refused(made.error()));
                          });
    });
  });
  on("DELETE", "/rooms", [this](const Asked& asked) {
    serve(asked, [&](const Answered& done) {
      control.end_room(asked.parameter("roomId"), actor_of(asked.user), RequestContext{},
                       [done](tl::expected<std::string, AdminRefusal> ended) {
                         done(ended ? Reply{200, receipt_of(*ended)} : refused(ended.error()));
                       });
    });
  });
}

void LocalSocket::Running::add_audit_routes() {
  on("POST", "/audit/exported", [this](const Asked& asked) {
    const auto detail = store::read_json_object(asked.request.body);
    if (!detail) return asked.refuse("the detail is not canonical");
    record(AdminAction{AuditExported{std::nullopt, *detail}}, asked);
  });
  on("POST", "/audit/verified", [this](const Asked& asked) {
    const auto check = check_from(asked.json());
    if (!check) return asked.refuse("this tells of no check");
    record(AdminAction{*check}, asked);
  });
  on("POST", "/backups", [this](const Asked& asked) {
    const auto tried = backup_from(asked.json());
    if (!tried) return asked.refuse("this tells of no backup");
    record(AdminAction{*tried}, asked);
  });
  on("POST", "/credentials", [this](const Asked& asked) {
    const auto issued = credential_from(asked.json());
    if (!issued) return asked.refuse("this tells of no credential");
    record(AdminAction{*issued}, asked);
  });
}

void LocalSocket::Running::add_hold_routes() {
  on("POST", "/audit/holds", [this](const Asked& asked) {
    auto wish = hold_from_json(asked.request.body);
    if (!wish) return asked.refuse(wish.error());
    const auto hold = checked_hold(std::move(*wish), control.trail(), database.string());
    if (!hold) return asked.refuse(hold.error());
    record(AdminAction{RetentionChange{std::nullopt, *hold}}, asked,
           {{"id", hold->change.hold.hold_id}});
  });
  on("POST", "/audit/holds/cleared", [this](const Asked& asked) {
    const auto cleared = clearing_from_json(asked.request.body);
    if (!cleared) return asked.refuse(cleared.error());
    record(AdminAction{RetentionChange{std::nullopt, *cleared}}, asked);
  });
}

void LocalSocket::Running::add_account_routes() {
  on("POST", "/accounts/invited", [this](const Asked& asked) {
    const auto row = invitation_from(asked.json());
    if (!row) return asked.refuse("this invites nobody");
    record(AdminAction{UserInvited{std::nullopt, {*row, local_now()}}}, asked);
  });
  on("POST", "/accounts/disabled", [this](const Asked& asked) {
    const auto name = parse_account_name(asked.request.body);
    if (!name) return asked.refuse("name is required");
    record(AdminAction{UserDisabled{std::nullopt, {*name, local_now()}}}, asked);
  });
}

std::span<const LocalRoute> local_routes() { return kLocalRoutes; }

std::filesystem::path local_socket_path(const Config& config) {
  return config.data_dir / "bedside.sock";
}

LocalSocket::LocalSocket(std::unique_ptr<Running> running) : running_(std::move(running)) {}

tl::expected<std::unique_ptr<LocalSocket>, std::string> LocalSocket::open(
    const std::filesystem::path& path, const std::filesystem::path& database, Control& control,
    OnControl on_control) {
  if (path.string().size() >= sizeof(sockaddr_un::sun_path)) {
    return tl::unexpected("the path of " + path.string() +
                          " is too long for a Unix socket\n    → choose a shorter data_dir");
  }
  std::error_code ignored;
  std::filesystem::remove(path, ignored);
  auto running = std::make_unique<Running>(path, database, control, std::move(on_control));
  httplib::Server& server = running->server;
  server.set_address_family(AF_UNIX);
  server.new_task_queue = [] {
    return std::make_unique<httplib::ThreadPool>(kLocalThreads).release();
  };
  server.set_socket_options([](int) {});
  server.set_keep_alive_max_count(1);
  server.set_read_timeout(kLocalTimeoutSeconds);
  server.set_write_timeout(kLocalTimeoutSeconds);
  server.set_payload_max_length(kMaxLocalBody);
  running->add_token_routes();
  running->add_room_routes();
  running->add_audit_routes();
  running->add_hold_routes();
  running->add_account_routes();
  // From the first moment: nobody else may connect between bind and chmod.
  const mode_t before = ::umask(0177);
  const bool bound = server.bind_to_port(path.string(), 80);
  ::umask(before);
  if (!bound) {
    return tl::unexpected("cannot make the socket " + path.string() +
                          "\n    → check that this user may write into its folder");
  }
  return std::unique_ptr<LocalSocket>(new LocalSocket(std::move(running)));
}

void LocalSocket::start() {
  running_->thread = std::thread([this] { running_->server.listen_after_bind(); });
  // A stop() before its loop runs would be lost.
  while (!running_->server.is_running()) std::this_thread::yield();
}

LocalSocket::~LocalSocket() {
  running_->server.stop();
  if (running_->thread.joinable()) running_->thread.join();
  std::error_code ignored;
  std::filesystem::remove(running_->path, ignored);
}

}  // namespace bedside::server
