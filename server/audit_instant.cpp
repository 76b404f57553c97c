#include "server/audit_instant.h"

#include <cstdio>
#include <ctime>

namespace bedside::server {

std::string utc_instant(std::int64_t microseconds) {
  const std::chrono::microseconds all(microseconds);
  const auto whole = std::chrono::floor<std::chrono::seconds>(all);
  const auto seconds = static_cast<std::time_t>(whole.count());
  std::tm utc{};
  ::gmtime_r(&seconds, &utc);
  char text[40];
  const std::size_t size = std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &utc);
  std::snprintf(text + size, sizeof text - size, ".%06dZ", static_cast<int>((all - whole).count()));
  return text;
}

std::string utc_stamp(std::chrono::seconds unix_time) {
  const std::time_t seconds = unix_time.count();
  std::tm utc{};
  ::gmtime_r(&seconds, &utc);
  char text[32];
  std::strftime(text, sizeof text, "%Y-%m-%dT%H%M%SZ", &utc);
  return text;
}

std::optional<std::chrono::microseconds> parse_instant(std::string_view text) {
  const std::string whole(text);
  const bool day = whole.size() == 10;
  std::tm utc{};
  const char* end = ::strptime(whole.c_str(), day ? "%Y-%m-%d" : "%Y-%m-%dT%H:%M:%SZ", &utc);
  if (end == nullptr || *end != '\0') return std::nullopt;
  return std::chrono::seconds(::timegm(&utc));
}

}  // namespace bedside::server
