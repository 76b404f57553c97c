#include "turn/allocation_table.h"

#include <utility>

namespace bedside::turn {

Allocation* AllocationTable::find(const FiveTuple& client) {
  const auto found = by_client_.find(client);
  return found == by_client_.end() ? nullptr : &*slots_[found->second];
}

Allocation* AllocationTable::find(RelayPortId port) {
  if (port.value >= by_port_.size() || by_port_[port.value] == kNobody) return nullptr;
  return &*slots_[by_port_[port.value]];
}

Allocation& AllocationTable::insert(Allocation allocation) {
  Slot slot;
  if (free_slots_.empty()) {
    slot = static_cast<Slot>(slots_.size());
    slots_.emplace_back();
  } else {
    slot = free_slots_.back();
    free_slots_.pop_back();
  }
  by_client_.emplace(allocation.client, slot);
  Allocation& placed = slots_[slot].emplace(std::move(allocation));
  for (const auto& half : placed.halves) {
    if (!half) continue;
    const std::uint32_t id = half->port.id.value;
    if (id >= by_port_.size()) by_port_.resize(std::size_t{id} + 1, kNobody);
    by_port_[id] = slot;
  }
  deadlines_.set(slot, placed.deadline());
  return placed;
}

void AllocationTable::reschedule(const Allocation& allocation) {
  deadlines_.set(slot_of(allocation), allocation.deadline());
}

void AllocationTable::forget_port(RelayPortId port) {
  if (port.value < by_port_.size()) by_port_[port.value] = kNobody;
}

void AllocationTable::erase(const Allocation& allocation) {
  const auto found = by_client_.find(allocation.client);
  const Slot slot = found->second;
  by_client_.erase(found);
  deadlines_.clear(slot);
  slots_[slot].reset();
  free_slots_.push_back(slot);
}

Allocation* AllocationTable::pop_due(std::chrono::nanoseconds now) {
  const auto slot = deadlines_.pop_due(now);
  return slot ? &*slots_[*slot] : nullptr;
}

AllocationTable::Slot AllocationTable::slot_of(const Allocation& allocation) const {
  return by_client_.at(allocation.client);
}

}  // namespace bedside::turn
