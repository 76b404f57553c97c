#pragma once

// Which room somebody means who names one to filter by, or to hold: by its name, or by the
// pseudonym that records have. A name may look like a pseudonym, and no name may get into a record.

#include <string>
#include <string_view>

#include "server/audit_trail.h"
#include "store/reader.h"

namespace bedside::server {

// The pseudonym; empty when nothing is named. Any thread; reads the database.
std::string room_filter(const AuditTrail& trail, const store::Reader& reader,
                        std::string_view named);

}  // namespace bedside::server
