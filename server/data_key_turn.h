#pragma once

// The months' keys of the audit log (audit_data_keys.h) and the database they are kept in.

#include <chrono>
#include <functional>
#include <string>
#include <tl/expected.hpp>

#include "server/audit_trail.h"
#include "store/change.h"
#include "store/store.h"

namespace bedside::server {

// At start: unwraps what there is. An error (a sentence with its remedy) when one was wrapped with
// a key that is not here: going on would write values nobody can open.
tl::expected<void, std::string> adopt_data_keys(AuditTrail& trail, const store::LoadedState& state);

// At start and about every minute, on the main thread: makes this month's key when it is missing.
// `written` submits and waits; false: not on the disk. Then the old key goes on, until the next
// call succeeds; false, too, when the system gives no random numbers.
bool make_due_data_key(AuditTrail& trail, std::chrono::milliseconds wall,
                       const std::function<bool(store::Commit)>& written);

}  // namespace bedside::server
