#pragma once

// What an audit record is, and its body. Values and pure functions: any thread.

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "store/canonical_json.h"

namespace bedside::store {

enum class Outcome : std::uint8_t { ok, denied, failed, aborted };
std::string_view to_string(Outcome outcome);

// Who did it. `id` is an account name of the practice's staff, a participant id or a pseudonym;
// never a display name. kind: "staff", "participant", "client", "service".
struct Actor {
  std::string kind;
  std::string id;
  std::string role;
  std::string auth;  // "session", "token", "open", "turn" …
};

// From where. The clear fields are already truncated. The full address is a commitment in the body
// and ciphertext in a table beside it, so that it can be erased later while the body stays as
// sealed.
struct Where {
  std::string listener;
  std::string ip_class;              // "loopback", "private", "public"
  std::string ip_prefix;             // "203.0.113.0/24", "2001:db8:1::/48"
  std::string ip_commitment;         // hex SHA-256(salt16 || address text)
  std::vector<std::uint8_t> ip_enc;  // AES-256-GCM of salt16 || address text
};

// A personal value beside the record, whose commitment is in the body (detail) under the same name.
struct PrivateField {
  std::string field;
  std::vector<std::uint8_t> ciphertext;
};

// What a caller says about an event. seq, instants, boot, build are added by the store at submit
// and write. Empty fields are left out of the body.
struct AuditRecord {
  std::string type;  // dotted, lower case, e.g. "room.created"
  Outcome outcome = Outcome::ok;
  std::string reason;  // a code, not a sentence
  Actor actor;
  std::string session;  // hash of a session id
  Where where;
  std::string room;    // pseudonym
  std::string object;  // id or pseudonym of what was acted on
  std::string purpose;
  std::uint64_t request_id = 0;  // 0: none
  JsonObject detail;
  std::vector<PrivateField> private_fields;
};

// What the store knows about a record at the moment it was submitted and written.
struct Stamp {
  std::uint64_t seq = 0;
  std::chrono::microseconds wall{};  // since the Unix epoch
  std::chrono::microseconds boot{};  // CLOCK_BOOTTIME: does not jump when the wall clock is set
  std::string_view boot_id;
  std::string_view build;
  bool late = false;  // written later than acknowledged: storage was full in between
};

// A body larger than this is a bug of the caller; the commit is refused as invalid.
inline constexpr std::size_t kMaxAuditBody = std::size_t{16} * 1024;

// The canonical JSON body: the truth of the record. The columns of the table are derived from it.
std::string audit_body(const AuditRecord& record, const Stamp& stamp);

}  // namespace bedside::store
