#include "server/log.h"

#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include <charconv>
#include <memory>
#include <mutex>

#include "server/log_limiter.h"

namespace bedside::server::log {
namespace {

spdlog::level::level_enum to_spdlog(Level level) {
  switch (level) {
    case Level::debug:
      return spdlog::level::debug;
    case Level::info:
      return spdlog::level::info;
    case Level::warning:
      return spdlog::level::warn;
    case Level::error:
      return spdlog::level::err;
  }
  return spdlog::level::info;
}

spdlog::logger& logger() {
  static spdlog::logger instance = [] {
    spdlog::logger made("bedside", std::make_shared<spdlog::sinks::stderr_sink_mt>());
    made.set_pattern("%Y-%m-%dT%H:%M:%S.%e%z %l %v");
    // A full pipe or a closed standard error must not end calls.
    made.set_error_handler([](const std::string&) {});
    return made;
  }();
  return instance;
}

// How many lines of this kind were held back; nothing when this one is to be held back, too.
std::optional<std::uint64_t> admitted(Literal message) {
  static std::mutex mutex;
  static LineLimiter limiter;
  const std::scoped_lock lock(mutex);
  return limiter.admit(message.view().data(), std::chrono::steady_clock::now());
}

template <typename T>
void append_number(std::string& line, T number) {
  char digits[24];
  const auto end = std::to_chars(digits, digits + sizeof digits, number).ptr;
  line.append(digits, end);
}

// One line stays one line, whatever an operator wrote into a path.
void append_quoted(std::string& line, std::string_view text) {
  line += '"';
  for (const char c : text) {
    const bool control = static_cast<unsigned char>(c) < 0x20 || c == 0x7f;
    if (c == '"' || c == '\\') line += '\\';
    line += control ? '?' : c;
  }
  line += '"';
}

}  // namespace

std::string_view name(Level level) {
  switch (level) {
    case Level::debug:
      return "debug";
    case Level::info:
      return "info";
    case Level::warning:
      return "warning";
    case Level::error:
      return "error";
  }
  return "info";
}

std::optional<Level> level_from(std::string_view text) {
  for (const Level level : {Level::debug, Level::info, Level::warning, Level::error}) {
    if (name(level) == text) return level;
  }
  return std::nullopt;
}

void Value::append_to(std::string& line) const {
  if (const auto* number = std::get_if<std::int64_t>(&content_)) {
    append_number(line, *number);
  } else if (const auto* count = std::get_if<std::uint64_t>(&content_)) {
    append_number(line, *count);
  } else if (const auto* word = std::get_if<Word>(&content_)) {
    line += word->text;
  } else if (const auto* quoted = std::get_if<Quoted>(&content_)) {
    append_quoted(line, quoted->text);
  } else if (const auto* hidden = std::get_if<Redacted>(&content_)) {
    line += "<redacted ";
    append_number(line, static_cast<std::uint64_t>(hidden->size));
    line += " bytes>";
  }
}

void set_level(Level level) { logger().set_level(to_spdlog(level)); }

std::string format(Literal message, Fields fields) {
  std::string line(message.view());
  for (const Field& field : fields) {
    line += ' ';
    line += field.key.view();
    line += '=';
    field.value.append_to(line);
  }
  return line;
}

void write(Level level, Literal message, Fields fields) {
  spdlog::logger& out = logger();
  if (!out.should_log(to_spdlog(level))) return;
  const auto held_back = admitted(message);
  if (!held_back) return;
  std::string line = format(message, fields);
  if (*held_back > 0) line += " held_back=" + std::to_string(*held_back);
  // As a string view: the text is never taken for a format string.
  out.log(to_spdlog(level), spdlog::string_view_t(line.data(), line.size()));
}

}  // namespace bedside::server::log
