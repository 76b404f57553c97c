#pragma once

// AdminAction → its change and its record, without where it came from: AuditTrail adds that. Any
// thread.

#include "server/audit_privacy.h"
#include "server/audit_trail.h"
#include "store/store.h"

namespace bedside::server {

store::Commit map_admin_action(const AdminAction& action, const AuditPrivacy& privacy,
                               const AuditSource& source);

}  // namespace bedside::server
