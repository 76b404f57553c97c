#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <unordered_map>
#include <vector>

#include "turn/allocation.h"
#include "turn/deadlines.h"
#include "turn/five_tuple.h"
#include "turn/relay_ports.h"

namespace bedside::turn {

// The allocations of one relay with their three ways in: by client five-tuple (one hash look-up a
// packet), by relay port (plain indexing) and by deadline. Its size is bounded by the caller, who
// asks the AllocationLedger first. Allocations do not move while they live.
class AllocationTable {
 public:
  explicit AllocationTable(std::uint64_t hash_seed) : by_client_(16, FiveTupleHash{hash_seed}) {}

  Allocation* find(const FiveTuple& client);
  // The allocation that owns the port, or null.
  Allocation* find(RelayPortId port);

  // Precondition: no allocation has this five-tuple, and at least one half is present.
  Allocation& insert(Allocation allocation);
  // By its place (Allocation::slot), or null.
  Allocation* at(std::uint32_t slot);
  // The client is at another five-tuple now, which has no allocation yet.
  void rebind(Allocation& allocation, const FiveTuple& client);
  // Nobody is at its five-tuple any more.
  void detach(const Allocation& allocation);
  // To be called after a half of an allocation was added, refreshed or removed.
  void reschedule(const Allocation& allocation);
  // A port that no longer belongs to anybody.
  void forget_port(RelayPortId port);
  // Precondition: its ports were forgotten. Invalidates the reference.
  void erase(const Allocation& allocation);

  std::optional<std::chrono::nanoseconds> next_deadline() const { return deadlines_.earliest(); }
  // An allocation of which at least one half has ended by now. Reschedule or erase it.
  Allocation* pop_due(std::chrono::nanoseconds now);
  std::size_t size() const { return slots_.size() - free_slots_.size(); }

  // Visits every allocation; the visitor must not insert or erase.
  template <typename Visitor>
  void for_each(Visitor visit) {
    for (auto& slot : slots_) {
      if (slot) visit(*slot);
    }
  }

 private:
  using Slot = std::uint32_t;
  static constexpr Slot kNobody = UINT32_MAX;

  std::deque<std::optional<Allocation>> slots_;  // a deque: growing does not move the others
  std::vector<Slot> free_slots_;
  std::unordered_map<FiveTuple, Slot, FiveTupleHash> by_client_;
  std::vector<Slot> by_port_;
  Deadlines deadlines_;
};

}  // namespace bedside::turn
