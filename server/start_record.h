#pragma once

// What the log says about a start: what was started, on what, and after what. Any thread; reads the
// database.

#include <string>
#include <tl/expected.hpp>

#include "server/audit_trail.h"
#include "server/config.h"
#include "store/reader.h"
#include "store/store.h"

namespace bedside::server {

// `service.start`, and `service.upgrade` when the last start was of something else, and
// `config.changed` when the configuration is another one than when the last run ended. Call before
// anything else of this run is recorded but the epoch of its seal. The error is a sentence.
tl::expected<store::Commit, std::string> start_record(const AuditTrail& trail,
                                                      const store::Reader& reader,
                                                      const Config& config, std::size_t rooms);

}  // namespace bedside::server
