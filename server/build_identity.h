#pragma once

// What is running, so that a start of something else is in the log. Any thread.

#include <optional>
#include <string>

#include "store/reader.h"

namespace bedside::server {

struct BuildIdentity {
  std::string version;
  std::string binary;  // SHA-256 of the executable file, hexadecimal; empty: it cannot be read
  std::string assets;  // digest of the pages in it
  bool operator==(const BuildIdentity&) const = default;
};

BuildIdentity running_build();

// Of the last start in this log; nothing when there was none, or its record was purged.
std::optional<BuildIdentity> last_build(const store::Reader& reader);

}  // namespace bedside::server
