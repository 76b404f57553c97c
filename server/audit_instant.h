#pragma once

// Instants as exports, files' names and commands spell them. Pure functions; any thread.

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace bedside::server {

// "2026-11-23T06:12:31.000123Z" (RFC 3339, FHIR's instant).
std::string utc_instant(std::int64_t microseconds);

// "2026-11-23T061231Z": for names of files, whose order is then that of time.
std::string utc_stamp(std::chrono::seconds unix_time);

// A day ("2026-11-23": its beginning in UTC) or an instant in UTC ("2026-11-23T06:12:31Z").
std::optional<std::chrono::microseconds> parse_instant(std::string_view text);

}  // namespace bedside::server
