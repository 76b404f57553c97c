#pragma once

// The only way to the log: standard error, one line each, no personal data.
//
// Messages and field names are string literals, checked at compile time; values are integers,
// booleans, enums with a name(), own addresses and configured names. There is no overload for
// std::string, so a name, a room or a credential cannot get into a line by mistake. What must be
// mentioned without its content is Redacted.
//
//   log::info("relay thread started", {{"shard", 0}, {"sockets", 4}});
//
// Any thread. A line that cannot be written is dropped. So are lines of one message beyond 30 a
// minute; the next one that is written tells how many (log_limiter.h).

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <variant>

namespace bedside::server::log {

enum class Level : std::uint8_t { debug, info, warning, error };

std::string_view name(Level level);
std::optional<Level> level_from(std::string_view name);

// Text known at compile time.
class Literal {
 public:
  template <std::size_t N>
  // NOLINTNEXTLINE(google-explicit-constructor): a literal is meant to convert
  consteval Literal(const char (&text)[N]) : text_(text, N - 1) {}
  constexpr std::string_view view() const { return text_; }

 private:
  std::string_view text_;
};

// Something the operator wrote (a path, a listening address, a host name) or this build is (its
// version). Never something a visitor sent. Borrowed for the duration of the call.
class Configured {
 public:
  explicit Configured(std::string_view text) : text_(text) {}
  std::string_view view() const { return text_; }

 private:
  std::string_view text_;
};

// Stands for content that must not be written; only its size shows.
struct Redacted {
  std::size_t size = 0;
};

template <typename E>
concept NamedEnum = std::is_enum_v<E> && requires(E e) {
  { name(e) } -> std::convertible_to<std::string_view>;
};

class Value {
 public:
  template <std::signed_integral T>
  // NOLINTNEXTLINE(google-explicit-constructor)
  Value(T number) : content_(static_cast<std::int64_t>(number)) {}
  template <std::unsigned_integral T>
  requires(!std::same_as<T, bool>)
      // NOLINTNEXTLINE(google-explicit-constructor)
      Value(T number)
      : content_(static_cast<std::uint64_t>(number)) {}
  template <std::same_as<bool> T>  // a plain bool would take pointers, and so text, too
  // NOLINTNEXTLINE(google-explicit-constructor)
  Value(T truth) : content_(Word{truth ? "yes" : "no"}) {}
  template <NamedEnum E>
  // NOLINTNEXTLINE(google-explicit-constructor)
  Value(E e) : content_(Word{name(e)}) {}
  // NOLINTNEXTLINE(google-explicit-constructor)
  Value(Literal text) : content_(Word{text.view()}) {}
  // NOLINTNEXTLINE(google-explicit-constructor)
  Value(Configured text) : content_(Quoted{text.view()}) {}
  // NOLINTNEXTLINE(google-explicit-constructor)
  Value(Redacted hidden) : content_(hidden) {}

  void append_to(std::string& line) const;

 private:
  struct Word {
    std::string_view text;
  };
  struct Quoted {
    std::string_view text;
  };
  std::variant<std::int64_t, std::uint64_t, Word, Quoted, Redacted> content_;
};

struct Field {
  Literal key;
  Value value;
};

using Fields = std::initializer_list<Field>;

// Lines below this level are not written. Default: info.
void set_level(Level level);

void write(Level level, Literal message, Fields fields = {});
inline void debug(Literal message, Fields fields = {}) { write(Level::debug, message, fields); }
inline void info(Literal message, Fields fields = {}) { write(Level::info, message, fields); }
inline void warning(Literal message, Fields fields = {}) { write(Level::warning, message, fields); }
inline void error(Literal message, Fields fields = {}) { write(Level::error, message, fields); }

// The text of a line without time and level, as tests want to see it.
std::string format(Literal message, Fields fields);

}  // namespace bedside::server::log
