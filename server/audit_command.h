#pragma once

// `bedside audit verify`: the offline check of an audit log, for the command line. Runs in a
// process of its own, beside a serving one or without it; reads only.

#include <string>
#include <vector>

#include "server/config.h"

namespace bedside::server {

struct AuditVerifyRequest {
  std::string database;               // the file
  const Config* server = nullptr;     // whose database it is: its anchor file is compared, too, and
                                      // it is told of the result when it runs
  std::string bundle;                 // or an export
  std::string genesis;                // 64 hex digits, or empty
  std::vector<std::string> anchors;   // files that hold a checkpoint that was kept elsewhere
  std::vector<std::string> receipts;  // files as the API gave them
  std::vector<std::string> restored;  // 64 hex digits each: keys noted at restores
};

// Progress to standard error (on a terminal), the result to standard output. 0: the log is whole;
// 1: something is wrong; 2: nothing was examined, because a file cannot be read or is not what it
// is given for; 3: whole, but a backup was restored and no key was given to confirm that, or what
// was kept elsewhere cannot be compared with an export.
int audit_verify(const AuditVerifyRequest& request);

}  // namespace bedside::server
