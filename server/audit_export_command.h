#pragma once

// `bedside audit export`: records the export through the running server (or, while none runs, in
// the database itself), then writes it from a reading connection and checks what it wrote.

#include <string>
#include <vector>

#include "server/config.h"

namespace bedside::server {

struct AuditExportRequest {
  std::string from;  // "2026-11-23" or "2026-11-23T06:12:31Z"; empty: from the first record
  std::string to;    // likewise, exclusive
  std::string room;  // name or pseudonym
  std::string person;
  std::string format = "ndjson";
  std::string out;                    // a file that does not exist yet
  bool disclose = false;              // personal fields in clear
  std::vector<std::string> redacted;  // but not these
};

// What it does goes to standard error, progress too. 0: exported; 1: not, and why; 2: the request
// makes no sense.
int audit_export(const Config& config, const AuditExportRequest& request);

}  // namespace bedside::server
