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
  allocation.slot = slot;
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
  deadlines_.set(allocation.slot, allocation.deadline());
}

void AllocationTable::forget_port(RelayPortId port) {
  if (port.value < by_port_.size()) by_port_[port.value] = kNobody;
}

void AllocationTable::erase(const Allocation& allocation) {
  const Slot slot = allocation.slot;
  detach(allocation);
  deadlines_.clear(slot);
  slots_[slot].reset();
  free_slots_.push_back(slot);
}

Allocation* AllocationTable::pop_due(std::chrono::nanoseconds now) {
  const auto slot = deadlines_.pop_due(now);
  return slot ? &*slots_[*slot] : nullptr;
}

Allocation* AllocationTable::at(std::uint32_t slot) {
  return slot < slots_.size() && slots_[slot] ? &*slots_[slot] : nullptr;
}

void AllocationTable::rebind(Allocation& allocation, const FiveTuple& client) {
  detach(allocation);
  allocation.client = client;
  by_client_.emplace(client, allocation.slot);
}

void AllocationTable::detach(const Allocation& allocation) {
  // After it was left behind, somebody else may be at the same five-tuple.
  const auto found = by_client_.find(allocation.client);
  if (found != by_client_.end() && found->second == allocation.slot) by_client_.erase(found);
}

}  // namespace bedside::turn
