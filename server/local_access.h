#pragma once

// How commands reach the running server, or, while none runs, what it left: what local_client.cpp,
// local_accounts.cpp and local_retention.cpp share. Only those include it: it is full of JSON.

#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <tl/expected.hpp>

#include "server/audit_trail.h"
#include "server/config.h"
#include "store/store.h"

namespace bedside::server {

using LocalBody = nlohmann::ordered_json;

struct LocalFailure {
  std::string what;
  bool no_server = false;
  bool conflict = false;  // it contradicts what is there
};

// Whatever was typed: bytes that are not UTF-8 are replaced.
std::string spelled(const LocalBody& body);
tl::expected<LocalBody, LocalFailure> post_local(const Config& config, const char* path,
                                                 const std::string& body);

// What a stopped server left; the lock keeps everybody else out meanwhile.
struct StoppedServer {
  std::unique_ptr<store::Store> store;
  std::unique_ptr<AuditTrail> trail;
};
tl::expected<StoppedServer, std::string> open_stopped(const Config& config);
// Of somebody at the server; durable. Personal values are encrypted with this month's key, as the
// server does it; an error (a sentence) when the keys of the months do not open.
tl::expected<store::CommitResult, std::string> commit_stopped(StoppedServer& stopped,
                                                              const AdminAction& action);

// By the running server, or while none runs by ourselves: the number of the record, durable.
tl::expected<std::uint64_t, LocalFailure> record_action(const Config& config, const char* path,
                                                        const std::string& body,
                                                        const AdminAction& action);

// On standard error; the exit code.
int complain(const std::string& what);
std::string local_date(std::chrono::milliseconds wall);

}  // namespace bedside::server
