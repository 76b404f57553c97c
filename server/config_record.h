#pragma once

// The configuration as the audit log has it: a keyed digest of each value. Whoever knows a value
// can recognise it, nobody else learns it. Any thread; reads the database.

#include <string>
#include <tl/expected.hpp>
#include <vector>

#include "server/audit_trail.h"
#include "server/config.h"
#include "store/reader.h"

namespace bedside::server {

// Of every key, in a fixed order.
std::vector<ConfigDigest> config_digests(const AuditTrail& trail, const Config& config);

// What is different from the configuration that ran before, however it came to be: the file may
// have been edited while nothing ran. Nothing at the first start. A key that was not known then has
// no digest before. The error is a sentence.
tl::expected<std::vector<ConfigChange>, std::string> changed_since(
    const store::Reader& reader, const std::vector<ConfigDigest>& now);

}  // namespace bedside::server
