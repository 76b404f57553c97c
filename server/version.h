#pragma once

namespace bedside::server {

// Of the build: in --version, audit records, metrics and the log.
inline constexpr const char* kVersion = BEDSIDE_VERSION;

}  // namespace bedside::server
