#pragma once

// Holds and purges of the audit log as records tell of them; audit_trail.h has who did it.
// Values; any thread.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <tl/expected.hpp>
#include <variant>

#include "server/audit_privacy.h"
#include "store/audit_record.h"
#include "store/store.h"

namespace bedside::server {

class AuditTrail;

// Why, in a word of ours, and the practice's own reference (a case number).
struct RetentionReason {
  std::string word;
  std::string reference;  // a commitment in the record, encrypted beside it
};
// "litigation", "investigation", "complaint", "other" to set a hold; "closed", "mistake", "other"
// to clear it.
bool is_reason_to_hold(std::string_view word);
bool is_reason_to_clear(std::string_view word);
// Letters, digits and . _ - /, at most 64, or nothing.
bool is_reference(std::string_view text);

struct HoldSet {
  store::HoldSet change;
  RetentionReason reason;
};
struct HoldCleared {
  store::HoldCleared change;
  RetentionReason reason;
};
struct PurgeProposed {
  store::PurgeProposed change;
  std::uint64_t records = 0;  // that would go
  std::uint64_t held = 0;     // that would stay because of holds
};
struct PurgeWithdrawn {};
struct LogPurged {
  store::PurgeOrder order;
  std::string archive;  // the name of its file
};
using RetentionAction =
    std::variant<HoldSet, HoldCleared, PurgeProposed, PurgeWithdrawn, LogPurged>;

std::string_view type_of(const RetentionAction& action);
// Everything but the actor; with the change, in one transaction.
void describe(const RetentionAction& action, const AuditPrivacy& privacy,
              store::AuditRecord& record, store::Commit& commit);

// A hold as somebody asks for it. Its room is not in it yet: the log has to be asked about that.
struct HoldWish {
  HoldSet hold;
  std::string room;  // by its name or its pseudonym; empty: any
};
// The hold that is meant. Whom it names stands in the sealed record in clear, so it must be an id
// that the log has already, and no name; and a hold on a room that was mistyped would keep nothing.
// The error is a sentence; reads the whole log: not for the control thread.
tl::expected<HoldSet, std::string> checked_hold(HoldWish wish, const AuditTrail& trail,
                                                const std::string& database);

}  // namespace bedside::server
