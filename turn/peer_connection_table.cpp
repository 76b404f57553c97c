#include "turn/peer_connection_table.h"

#include <cassert>

#include "turn/limits.h"

namespace bedside::turn {
namespace {

// From the low end: place, random, shard.
constexpr unsigned kPlaceBits = 12;
constexpr unsigned kRandomBits = 14;
static_assert(kPlaceBits + kRandomBits == kConnectionShardShift);
static_assert(limits::kMaxPeerConnections <= std::size_t{1} << kPlaceBits);

std::uint32_t place_in(ConnectionId id) { return id.value & ((1U << kPlaceBits) - 1); }

}  // namespace

bool PeerConnectionTable::full() const {
  return free_.empty() && slots_.size() >= limits::kMaxPeerConnections;
}

PeerConnection& PeerConnectionTable::insert(PeerConnection connection, std::uint32_t salt,
                                            std::chrono::nanoseconds deadline) {
  assert(!full());
  if (free_.empty()) {
    free_.push_back(static_cast<std::uint32_t>(slots_.size()));
    slots_.emplace_back();
  }
  const std::uint32_t place = free_.back();
  free_.pop_back();
  const std::uint32_t random = salt & ((1U << kRandomBits) - 1);
  connection.id = {std::uint32_t{shard_} << (kPlaceBits + kRandomBits) | random << kPlaceBits |
                   place};
  deadlines_.set(place, deadline);
  return slots_[place].emplace(connection);
}

PeerConnection* PeerConnectionTable::find(ConnectionId id) {
  const std::uint32_t place = place_in(id);
  if (place >= slots_.size() || !slots_[place] || slots_[place]->id != id) return nullptr;
  return &*slots_[place];
}

void PeerConnectionTable::set_deadline(ConnectionId id, std::chrono::nanoseconds deadline) {
  deadlines_.set(place_in(id), deadline);
}

void PeerConnectionTable::clear_deadline(ConnectionId id) { deadlines_.clear(place_in(id)); }

void PeerConnectionTable::erase(ConnectionId id) {
  const std::uint32_t place = place_in(id);
  deadlines_.clear(place);
  slots_[place].reset();
  free_.push_back(place);
}

PeerConnection* PeerConnectionTable::pop_due(std::chrono::nanoseconds now) {
  const auto place = deadlines_.pop_due(now);
  return place ? &*slots_[*place] : nullptr;
}

}  // namespace bedside::turn
