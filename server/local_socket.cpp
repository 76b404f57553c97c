#include "server/local_socket.h"

#include <httplib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <future>
#include <nlohmann/json.hpp>
#include <thread>
#include <utility>

#include "server/admin_accounts.h"
#include "server/admin_retention_json.h"
#include "server/control.h"
#include "server/invitation.h"
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

// Who acts, in the audit log. Account names have no blanks: it cannot be taken for one.
AdminActor local_actor() { return {"command line", "operator", ""}; }

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
  try {
    BackupTried tried;
    tried.ok = body.at("ok").get<bool>();
    if (!tried.ok) return tried;
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
  Control& control;
  OnControl on_control;

  Running(std::filesystem::path file, Control& owner, OnControl run)
      : path(std::move(file)), control(owner), on_control(std::move(run)) {}

  using Answered = std::function<void(Reply)>;
  // `ask` runs on the control thread, where every request is answered exactly once while it runs.
  void serve(httplib::Response& response, const std::function<void(const Answered&)>& ask) {
    std::promise<Reply> promise;
    const bool taken =
        on_control([&] { ask([&](Reply reply) { promise.set_value(std::move(reply)); }); });
    if (!taken) return write({503, {{"error", "the server is busy; try again"}}}, response);
    write(promise.get_future().get(), response);
  }
  void record(const AdminAction& action, httplib::Response& response) {
    serve(response, [&](const Answered& done) {
      control.record(action, [done](tl::expected<Control::Written, AdminRefusal> written) {
        done(written ? Reply{200, json_of(*written)} : refused(written.error()));
      });
    });
  }
  void add_token_routes();
  void add_room_routes();
  void add_audit_routes();
  void add_hold_routes();
  void add_account_routes();
};

void LocalSocket::Running::add_token_routes() {
  server.Get("/tokens", [this](const httplib::Request&, httplib::Response& response) {
    serve(response, [this](const Answered& done) { done({200, list_of(control.tokens())}); });
  });
  server.Post("/tokens", [this](const httplib::Request& request, httplib::Response& response) {
    const auto wish = token_wish(LocalJson::parse(request.body, nullptr, false));
    if (!wish) return write({400, {{"error", "the request is not understood"}}}, response);
    serve(response, [&](const Answered& done) {
      control.create_token(*wish, [done](tl::expected<NewApiToken, AdminRefusal> made) {
        if (!made) return done(refused(made.error()));
        LocalJson body = receipt_of(made->receipt);
        body["token"] = made->secret;
        body["id"] = made->row.token_id;
        done({200, std::move(body)});
      });
    });
  });
  server.Delete("/tokens", [this](const httplib::Request& request, httplib::Response& response) {
    serve(response, [&](const Answered& done) {
      control.revoke_token(request.get_param_value("id"),
                           [done](tl::expected<std::string, AdminRefusal> gone) {
                             done(gone ? Reply{200, receipt_of(*gone)} : refused(gone.error()));
                           });
    });
  });
}

void LocalSocket::Running::add_room_routes() {
  server.Get("/rooms", [this](const httplib::Request&, httplib::Response& response) {
    serve(response, [this](const Answered& done) { done({200, list_of(control.rooms())}); });
  });
  server.Post("/rooms", [this](const httplib::Request& request, httplib::Response& response) {
    const LocalJson body = LocalJson::parse(request.body, nullptr, false);
    const std::string appointment = body.is_object() ? field_of(body, "appointmentId") : "";
    if (appointment.empty())
      return write({400, {{"error", "appointmentId is required"}}}, response);
    const RoomWish wish{LocalJson(appointment).dump(), field_of(body, "roomName")};
    serve(response, [&](const Answered& done) {
      control.create_room(wish, local_actor(), RequestContext{},
                          [done](tl::expected<CreatedRoom, AdminRefusal> made) {
                            done(made ? Reply{200, json_of(*made)} : refused(made.error()));
                          });
    });
  });
  server.Delete("/rooms", [this](const httplib::Request& request, httplib::Response& response) {
    serve(response, [&](const Answered& done) {
      control.end_room(request.get_param_value("roomId"), local_actor(), RequestContext{},
                       [done](tl::expected<std::string, AdminRefusal> ended) {
                         done(ended ? Reply{200, receipt_of(*ended)} : refused(ended.error()));
                       });
    });
  });
}

void LocalSocket::Running::add_audit_routes() {
  server.Post("/audit/exported",
              [this](const httplib::Request& request, httplib::Response& response) {
                const auto detail = store::read_json_object(request.body);
                if (!detail)
                  return write({400, {{"error", "the detail is not canonical"}}}, response);
                record(AdminAction{AuditExported{std::nullopt, *detail}}, response);
              });
  server.Post("/audit/verified",
              [this](const httplib::Request& request, httplib::Response& response) {
                const auto check = check_from(LocalJson::parse(request.body, nullptr, false));
                if (!check) return write({400, {{"error", "this tells of no check"}}}, response);
                record(AdminAction{*check}, response);
              });
  server.Post("/backups", [this](const httplib::Request& request, httplib::Response& response) {
    const LocalJson body = LocalJson::parse(request.body, nullptr, false);
    const auto tried = backup_from(body);
    if (!tried) return write({400, {{"error", "this tells of no backup"}}}, response);
    record(AdminAction{*tried}, response);
  });
}

void LocalSocket::Running::add_hold_routes() {
  server.Post("/audit/holds", [this](const httplib::Request& request, httplib::Response& response) {
    const auto hold = hold_from_json(request.body, control.trail());
    if (!hold) return write({400, {{"error", hold.error()}}}, response);
    const std::string id = hold->change.hold.hold_id;
    serve(response, [&](const Answered& done) {
      control.record(AdminAction{RetentionChange{std::nullopt, *hold}},
                     [done, id](tl::expected<Control::Written, AdminRefusal> written) {
                       if (!written) return done(refused(written.error()));
                       LocalJson body = json_of(*written);
                       body["id"] = id;
                       done({200, std::move(body)});
                     });
    });
  });
  server.Post("/audit/holds/cleared",
              [this](const httplib::Request& request, httplib::Response& response) {
                const auto cleared = clearing_from_json(request.body);
                if (!cleared) return write({400, {{"error", cleared.error()}}}, response);
                record(AdminAction{RetentionChange{std::nullopt, *cleared}}, response);
              });
}

void LocalSocket::Running::add_account_routes() {
  server.Post("/accounts/invited",
              [this](const httplib::Request& request, httplib::Response& response) {
                const auto row = invitation_from(LocalJson::parse(request.body, nullptr, false));
                if (!row) return write({400, {{"error", "this invites nobody"}}}, response);
                record(AdminAction{UserInvited{std::nullopt, {*row, local_now()}}}, response);
              });
  server.Post("/accounts/disabled",
              [this](const httplib::Request& request, httplib::Response& response) {
                const auto name = parse_account_name(request.body);
                if (!name) return write({400, {{"error", "name is required"}}}, response);
                record(AdminAction{UserDisabled{std::nullopt, {*name, local_now()}}}, response);
              });
}

std::filesystem::path local_socket_path(const Config& config) {
  return config.data_dir / "bedside.sock";
}

LocalSocket::LocalSocket(std::unique_ptr<Running> running) : running_(std::move(running)) {}

tl::expected<std::unique_ptr<LocalSocket>, std::string> LocalSocket::open(
    const std::filesystem::path& path, Control& control, OnControl on_control) {
  if (path.string().size() >= sizeof(sockaddr_un::sun_path)) {
    return tl::unexpected("the path of " + path.string() +
                          " is too long for a Unix socket\n    → choose a shorter data_dir");
  }
  std::error_code ignored;
  std::filesystem::remove(path, ignored);
  auto running = std::make_unique<Running>(path, control, std::move(on_control));
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
