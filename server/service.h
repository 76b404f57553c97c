#pragma once

// The whole server as one object: owns every part and knows the order in which they start and stop.
//
// Start: keys → store → control → relay shards → front doors → operator listener → banner.
// Stop is the reverse, with the clients told first and the last records written last.
//
// Main thread only.

#include <filesystem>
#include <optional>

#include "server/config.h"
#include "server/log.h"

namespace bedside::server {

struct ServeOptions {
  std::optional<std::filesystem::path> config_file;  // read again on SIGHUP; absent: the demo
  std::optional<std::filesystem::path> assets;       // a source tree to read pages from
  std::optional<log::Level> log_level;               // goes before the configuration's
};

// Serves until SIGTERM or SIGINT and returns the exit code: 0 after an orderly stop, 1 when the
// start failed (every reason is printed). A second signal exits at once. SIGHUP reads the
// configuration again (config_reload.h); the demo has none, and ends with its terminal.
int serve(Config config, const ServeOptions& options);

}  // namespace bedside::server
