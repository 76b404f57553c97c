#pragma once

// `bedside token` and `bedside room`: asks the running server through its socket (local_socket.h).
// While none runs, tokens are written into the database directly: its lock sees to it that there is
// one writer. Rooms need the server.
//
// Each call prints what it found on standard output, or why not on standard error, and returns the
// exit code.

#include <cstdint>
#include <optional>
#include <string>
#include <tl/expected.hpp>
#include <vector>

#include "server/api_tokens.h"
#include "server/audit_trail.h"
#include "server/config.h"
#include "store/canonical_json.h"

namespace bedside::server {

int token_create(const Config& config, const ApiTokenWish& wish);
int token_list(const Config& config);
int token_revoke(const Config& config, const std::string& token_id);

// The number of the record of an export of the audit log, durable; an error is a sentence.
tl::expected<std::uint64_t, std::string> record_export(const Config& config,
                                                       const store::JsonObject& detail);
// The same for a backup.
tl::expected<std::uint64_t, std::string> record_backup(const Config& config,
                                                       const BackupTried& tried);

// The same for a credential that `bedside turn-credential` is about to show.
tl::expected<std::uint64_t, std::string> record_turn_credential(const Config& config,
                                                                const TurnCredentialIssued& issued);

// Tells the running server of a check of its log. A sentence when one runs and does not record it.
std::optional<std::string> record_check(const Config& config, const AuditVerified& check);

int room_create(const Config& config, const std::string& appointment, const std::string& name);
int room_list(const Config& config);
int room_end(const Config& config, const std::string& room);

}  // namespace bedside::server
