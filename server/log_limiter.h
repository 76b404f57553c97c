#pragma once

// How often one kind of log line may be written, so that nobody can fill the disk or hide a line
// behind thousands of others (checklist A.15). A kind is a message's literal.

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>

namespace bedside::server::log {

// Not thread-safe: its owner locks. A fixed table; kinds that find no room in it share one row.
class LineLimiter {
 public:
  using Time = std::chrono::steady_clock::time_point;

  static constexpr std::size_t kKinds = 64;
  static constexpr std::uint32_t kLines = 30;  // of a kind in a window
  static constexpr std::chrono::seconds kWindow{60};

  // `kind`: the address of the literal. Nothing: the line must not be written. Otherwise how many
  // lines of this kind were held back since the last one that was written.
  [[nodiscard]] std::optional<std::uint64_t> admit(const void* kind, Time now) noexcept;

 private:
  struct Row {
    const void* kind = nullptr;
    Time since{};
    std::uint32_t written = 0;
    std::uint64_t held_back = 0;
  };
  Row& row_of(const void* kind) noexcept;

  std::array<Row, kKinds> rows_{};
  Row others_;
};

}  // namespace bedside::server::log
