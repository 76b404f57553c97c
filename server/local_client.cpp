#include "server/local_client.h"

#include <httplib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <ctime>
#include <future>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <utility>

#include "server/anchors.h"
#include "server/audit_trail.h"
#include "server/data_key_turn.h"
#include "server/keys.h"
#include "server/links.h"
#include "server/local_access.h"
#include "server/local_socket.h"
#include "server/version.h"
#include "store/store.h"

namespace bedside::server {
namespace {

using LocalJson = LocalBody;
using Asked = tl::expected<LocalJson, LocalFailure>;

// Seconds. Some questions take a look at the whole log.
constexpr time_t kPatience = 120;

// A database and keys made by the wrong user would keep the server from starting.
std::optional<std::string> wrong_user(const Config& config) {
  struct stat folder {};
  if (::stat(config.data_dir.c_str(), &folder) != 0) {
    return "there is no " + config.data_dir.string() + " yet\n    → start the server once";
  }
  if (folder.st_uid == ::geteuid()) return std::nullopt;
  return config.data_dir.string() + " belongs to user id " + std::to_string(folder.st_uid) +
         ", and no server runs that could do this\n    → start the server, or run this command as "
         "that "
         "user";
}

template <typename Send>
Asked ask(const Config& config, Send send) {
  httplib::Client client(local_socket_path(config).string());
  client.set_address_family(AF_UNIX);
  client.set_default_headers({{kLocalUserField, spelled(this_user())}});
  client.set_read_timeout(kPatience);
  const httplib::Result result = send(client);
  if (!result && result.error() != httplib::Error::Connection) {
    return tl::unexpected(LocalFailure{
        "the server took this and did not answer in time\n    → look into the audit log whether it "
        "was done before you try again"});
  }
  if (!result) {
    return tl::unexpected(LocalFailure{"no server answers on " +
                                           local_socket_path(config).string() +
                                           "\n    → start it, and run this as its user or as root",
                                       true});
  }
  LocalJson body = LocalJson::parse(result->body, nullptr, false);
  if (!body.is_object()) body = LocalJson::object();
  if (result->status == 200) return body;
  std::string what = body.value("error", "the server could not do this");
  if (result->status == 503)
    what += "\n    → free space on the disk of data_dir; the log says more";
  return tl::unexpected(LocalFailure{std::move(what), false, result->status == 409});
}

std::chrono::milliseconds system_wall() {
  return std::chrono::duration_cast<std::chrono::milliseconds>(
      std::chrono::system_clock::now().time_since_epoch());
}

tl::expected<std::uint64_t, std::string> told(
    const tl::expected<std::uint64_t, LocalFailure>& recorded) {
  if (recorded) return *recorded;
  return tl::unexpected(recorded.error().what);
}

store::CommitResult write_stopped(StoppedServer& stopped, store::Commit commit) {
  std::promise<store::CommitResult> written;
  const bool taken = stopped.store->submit(
      std::move(commit), [&](const store::CommitResult& result) { written.set_value(result); });
  return taken ? written.get_future().get() : store::CommitResult{};
}

// Not for what holds no personal values: the operator's own key may be one that only the service is
// given.
tl::expected<void, std::string> open_data_keys(StoppedServer& stopped) {
  const auto state = stopped.store->load();
  if (!state) return tl::unexpected(state.error());
  if (auto adopted = adopt_data_keys(*stopped.trail, *state); !adopted) {
    return tl::unexpected(adopted.error() + ". Or start the server and do this again");
  }
  const bool made = make_due_data_key(*stopped.trail, system_wall(), [&](store::Commit commit) {
    return write_stopped(stopped, std::move(commit)).ok();
  });
  if (!made)
    return tl::unexpected(
        std::string("this month's key cannot be written; free space on the disk"));
  return {};
}

bool commit(StoppedServer& stopped, const AdminAction& action) {
  const auto result = commit_stopped(stopped, action);
  return result && result->ok();
}

std::string date_of(const LocalJson& milliseconds) {
  if (!milliseconds.is_number()) return "never";
  return local_date(std::chrono::milliseconds(milliseconds.get<std::int64_t>()));
}

int print_token(const std::string& id, const std::string& secret) {
  // The token alone on standard output: `bedside token create … > file` keeps it off the screen.
  std::printf("%s\n", secret.c_str());
  std::fprintf(
      stderr,
      "This token is shown only now; the server keeps a hash of it. Its id, for `bedside token "
      "revoke`, is %s\n",
      id.c_str());
  return 0;
}

void print_tokens(const LocalJson& tokens) {
  std::printf("%-24s %-36s %-22s %s\n", "ID", "SCOPES", "EXPIRES", "NAME");
  for (const LocalJson& token : tokens) {
    std::printf("%-24s %-36s %-22s %s\n", token.value("id", "").c_str(),
                token.value("scopes", "").c_str(), date_of(token["expiresAt"]).c_str(),
                token.value("name", "").c_str());
  }
}

}  // namespace

int complain(const std::string& what) {
  std::fprintf(stderr, "bedside: %s\n", what.c_str());
  return 1;
}

std::string spelled(const LocalBody& body) {
  return body.dump(-1, ' ', false, LocalBody::error_handler_t::replace);
}

std::string local_date(std::chrono::milliseconds wall) {
  const std::time_t seconds = wall.count() / 1000;
  std::tm utc{};
  ::gmtime_r(&seconds, &utc);
  char text[32];
  std::strftime(text, sizeof text, "%Y-%m-%d %H:%M UTC", &utc);
  return text;
}

tl::expected<LocalBody, LocalFailure> post_local(const Config& config, const char* path,
                                                 const std::string& body) {
  return ask(config,
             [&](httplib::Client& client) { return client.Post(path, body, "application/json"); });
}

tl::expected<StoppedServer, std::string> open_stopped(const Config& config) {
  if (const auto wrong = wrong_user(config)) return tl::unexpected(*wrong);
  if (auto checked = check_anchor_file(config); !checked) return tl::unexpected(checked.error());
  const auto keys = open_keys(config.keys_dir(), MissingKeys::refuse);
  if (!keys) return tl::unexpected(keys.error().message);
  store::Options options;
  options.keys = config.keys_dir().string();
  options.path = config.database().string();
  options.build = kVersion;
  auto opened = store::Store::open(std::move(options));
  if (!opened) return tl::unexpected(opened.error().text);
  auto wrapping = open_wrapping_key(config.audit.key_file);
  if (!wrapping) return tl::unexpected(wrapping.error().message);
  return StoppedServer{
      std::move(*opened),
      std::make_unique<AuditTrail>(keys->pseudonym, keys->field, wrapping->value_or(keys->field))};
}

tl::expected<store::CommitResult, std::string> commit_stopped(StoppedServer& stopped,
                                                              const AdminAction& action) {
  AuditSource source;
  source.local = this_user();
  store::Commit commit = stopped.trail->commit(action, source);
  const bool personal =
      std::any_of(commit.records.begin(), commit.records.end(),
                  [](const store::AuditRecord& record) { return !record.private_fields.empty(); });
  if (personal) {
    if (auto opened = open_data_keys(stopped); !opened) return tl::unexpected(opened.error());
    commit = stopped.trail->commit(action, source);
  }
  return write_stopped(stopped, std::move(commit));
}

tl::expected<std::uint64_t, LocalFailure> record_action(const Config& config, const char* path,
                                                        const std::string& body,
                                                        const AdminAction& action) {
  const Asked asked = post_local(config, path, body);
  if (asked) return asked->value("seq", std::uint64_t{0});
  if (!asked.error().no_server) return tl::unexpected(asked.error());
  auto stopped = open_stopped(config);
  if (!stopped) return tl::unexpected(LocalFailure{stopped.error()});
  const auto result = commit_stopped(*stopped, action);
  if (!result) return tl::unexpected(LocalFailure{result.error()});
  if (result->ok()) return result->first_seq;
  return tl::unexpected(LocalFailure{"this cannot be recorded; free disk space", false,
                                     result->status == store::CommitStatus::conflict});
}

int token_create(const Config& config, const ApiTokenWish& wish) {
  const LocalJson body{{"name", wish.name}, {"scopes", wish.scopes}, {"days", wish.days}};
  const Asked asked = ask(config, [&](httplib::Client& client) {
    return client.Post("/tokens", body.dump(-1, ' ', false, LocalJson::error_handler_t::replace),
                       "application/json");
  });
  if (asked) return print_token(asked->value("id", ""), asked->value("token", ""));
  if (!asked.error().no_server) return complain(asked.error().what);
  const auto made = make_api_token(wish, system_wall());
  if (!made) return complain(made.error());
  auto stopped = open_stopped(config);
  if (!stopped) return complain(stopped.error());
  const auto state = stopped->store->load();
  if (!state) return complain(state.error());
  if (state->tokens.size() >= kMaxApiTokens)
    return complain("there are 256 tokens already; revoke some");
  if (!commit(*stopped, AdminAction{ApiTokenCreated{{made->row}}})) {
    return complain("the token cannot be written; free space on the disk");
  }
  return print_token(made->row.token_id, made->secret);
}

int token_list(const Config& config) {
  const Asked asked = ask(config, [](httplib::Client& client) { return client.Get("/tokens"); });
  if (asked) return print_tokens((*asked)["tokens"]), 0;
  if (!asked.error().no_server) return complain(asked.error().what);
  const auto stopped = open_stopped(config);
  if (!stopped) return complain(stopped.error());
  const auto state = stopped->store->load();
  if (!state) return complain(state.error());
  LocalJson tokens = LocalJson::array();
  for (const store::ApiTokenRow& row : state->tokens) {
    tokens.push_back(
        {{"id", row.token_id},
         {"name", row.name},
         {"scopes", row.scopes},
         {"expiresAt", row.expires_at ? LocalJson(row.expires_at->count()) : LocalJson()}});
  }
  return print_tokens(tokens), 0;
}

int token_revoke(const Config& config, const std::string& token_id) {
  const Asked asked = ask(config, [&](httplib::Client& client) {
    return client.Delete("/tokens?id=" + httplib::detail::encode_query_param(token_id));
  });
  if (asked) return std::printf("Revoked.\n"), 0;
  if (!asked.error().no_server) return complain(asked.error().what);
  auto stopped = open_stopped(config);
  if (!stopped) return complain(stopped.error());
  if (!commit(*stopped, AdminAction{ApiTokenRevoked{{token_id}}})) {
    return complain("there is no token with this id");
  }
  return std::printf("Revoked.\n"), 0;
}

tl::expected<std::uint64_t, std::string> record_export(const Config& config,
                                                       const store::JsonObject& detail) {
  return told(record_action(config, "/audit/exported", detail.text(),
                            AdminAction{AuditExported{std::nullopt, detail}}));
}

tl::expected<std::uint64_t, std::string> record_backup(const Config& config,
                                                       const BackupTried& tried) {
  const LocalJson body{{"ok", tried.ok},
                       {"records", tried.records},
                       {"root", tried.root},
                       {"digest", tried.digest},
                       {"bytes", tried.bytes},
                       {"restoreMs", tried.restore.count()},
                       {"failedAt", tried.failed_at}};
  return told(record_action(config, "/backups", spelled(body), AdminAction{tried}));
}

tl::expected<std::uint64_t, std::string> record_turn_credential(
    const Config& config, const TurnCredentialIssued& issued) {
  const LocalJson body{{"subject", issued.subject}, {"expiresAt", issued.expires_at.count()}};
  return told(record_action(config, "/credentials", spelled(body), AdminAction{issued}));
}

std::optional<std::string> record_check(const Config& config, const AuditVerified& check) {
  const LocalJson body{{"ok", check.ok},
                       {"records", check.records},
                       {"root", check.root},
                       {"firstBad", check.first_bad_seq},
                       {"intact", check.intact}};
  const Asked asked = post_local(config, "/audit/verified", spelled(body));
  if (asked || asked.error().no_server) return std::nullopt;
  return asked.error().what;
}

int room_create(const Config& config, const std::string& appointment, const std::string& name) {
  LocalJson body{{"appointmentId", appointment}};
  if (!name.empty()) body["roomName"] = name;
  const Asked asked = ask(config, [&](httplib::Client& client) {
    return client.Post("/rooms", body.dump(-1, ' ', false, LocalJson::error_handler_t::replace),
                       "application/json");
  });
  if (!asked) return complain(asked.error().what);
  const std::string origin = best_origin(config);
  const std::string link = origin + asked->value("link", "");
  if (!asked->contains("hostLink")) return std::printf("Visit      %s\n", link.c_str()), 0;
  std::printf("Patient    %s\n", link.c_str());
  std::printf("Clinician  %s\n", (origin + asked->value("hostLink", "")).c_str());
  std::printf("Both are good until %s and shown only now.\n",
              date_of((*asked)["expiresAt"]).c_str());
  return 0;
}

int room_list(const Config& config) {
  const Asked asked = ask(config, [](httplib::Client& client) { return client.Get("/rooms"); });
  if (!asked) return complain(asked.error().what);
  std::printf("%-22s %-7s %s\n", "CREATED", "PEOPLE", "ROOM");
  for (const LocalJson& room : (*asked)["rooms"]) {
    std::printf("%-22s %-7d %s\n", date_of(room["createdAt"]).c_str(), room.value("people", 0),
                room.value("roomId", "").c_str());
  }
  return 0;
}

int room_end(const Config& config, const std::string& room) {
  const Asked asked = ask(config, [&](httplib::Client& client) {
    return client.Delete("/rooms?roomId=" + httplib::detail::encode_query_param(room));
  });
  if (!asked) return complain(asked.error().what);
  return std::printf("Ended.\n"), 0;
}

}  // namespace bedside::server
