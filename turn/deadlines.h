#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

namespace bedside::turn {

// A binary heap of instants keyed by small dense numbers (slots), at most one instant a slot. Every
// slot knows its place, so that moving or removing a deadline is O(log n) and leaves no dead entry
// behind: the heap is never larger than the number of live slots, however often they are refreshed.
class Deadlines {
 public:
  using Instant = std::chrono::nanoseconds;  // mono

  void set(std::uint32_t slot, Instant when);
  void clear(std::uint32_t slot);  // no effect when there is none

  std::optional<Instant> earliest() const;
  // Removes and returns the slot of the earliest deadline that is not after `now`.
  std::optional<std::uint32_t> pop_due(Instant now);
  std::size_t size() const { return heap_.size(); }

 private:
  struct Entry {
    Instant when;
    std::uint32_t slot;
  };
  static constexpr std::uint32_t kAbsent = UINT32_MAX;

  void place(std::size_t position, Entry entry);
  void sift_up(std::size_t position, Entry entry);
  void sift_down(std::size_t position, Entry entry);

  std::vector<Entry> heap_;
  std::vector<std::uint32_t> position_of_;  // by slot; kAbsent: none
};

}  // namespace bedside::turn
