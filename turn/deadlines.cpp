#include "turn/deadlines.h"

namespace bedside::turn {

void Deadlines::set(std::uint32_t slot, Instant when) {
  if (slot >= position_of_.size()) position_of_.resize(std::size_t{slot} + 1, kAbsent);
  const std::uint32_t position = position_of_[slot];
  if (position == kAbsent) {
    heap_.push_back(Entry{when, slot});
    sift_up(heap_.size() - 1, Entry{when, slot});
  } else if (when < heap_[position].when) {
    sift_up(position, Entry{when, slot});
  } else {
    sift_down(position, Entry{when, slot});
  }
}

void Deadlines::clear(std::uint32_t slot) {
  if (slot >= position_of_.size() || position_of_[slot] == kAbsent) return;
  const std::size_t hole = position_of_[slot];
  position_of_[slot] = kAbsent;
  const Entry last = heap_.back();
  heap_.pop_back();
  if (hole == heap_.size()) return;  // it was the last one
  const bool up = hole > 0 && last.when < heap_[(hole - 1) / 2].when;
  if (up) {
    sift_up(hole, last);
  } else {
    sift_down(hole, last);
  }
}

std::optional<Deadlines::Instant> Deadlines::earliest() const {
  if (heap_.empty()) return std::nullopt;
  return heap_.front().when;
}

std::optional<std::uint32_t> Deadlines::pop_due(Instant now) {
  if (heap_.empty() || heap_.front().when > now) return std::nullopt;
  const std::uint32_t slot = heap_.front().slot;
  clear(slot);
  return slot;
}

void Deadlines::place(std::size_t position, Entry entry) {
  heap_[position] = entry;
  position_of_[entry.slot] = static_cast<std::uint32_t>(position);
}

void Deadlines::sift_up(std::size_t position, Entry entry) {
  while (position > 0) {
    const std::size_t parent = (position - 1) / 2;
    if (heap_[parent].when <= entry.when) break;
    place(position, heap_[parent]);
    position = parent;
  }
  place(position, entry);
}

void Deadlines::sift_down(std::size_t position, Entry entry) {
  for (;;) {
    std::size_t child = 2 * position + 1;
    if (child >= heap_.size()) break;
    if (child + 1 < heap_.size() && heap_[child + 1].when < heap_[child].when) ++child;
    if (entry.when <= heap_[child].when) break;
    place(position, heap_[child]);
    position = child;
  }
  place(position, entry);
}

}  // namespace bedside::turn
