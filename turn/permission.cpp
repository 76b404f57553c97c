#include "turn/permission.h"

#include <algorithm>

namespace bedside::turn {

bool PermissionTable::has_room_for(std::span<const stun::IpAddress> peers, std::size_t limit,
                                   const Now& now) const {
  std::size_t needed = live(now);
  for (std::size_t i = 0; i < peers.size(); ++i) {
    const auto earlier = peers.first(i);
    const bool repeated = std::find(earlier.begin(), earlier.end(), peers[i]) != earlier.end();
    if (!repeated && !allows(peers[i], now)) ++needed;
  }
  return needed <= limit;
}

void PermissionTable::install(const stun::IpAddress& peer, const Now& now,
                              std::chrono::nanoseconds lifetime) {
  const auto found = std::find_if(entries_.begin(), entries_.end(),
                                  [&](const Permission& p) { return p.peer == peer; });
  if (found != entries_.end()) {
    found->expires = now.mono + lifetime;
    return;
  }
  std::erase_if(entries_, [&](const Permission& p) { return p.expires <= now.mono; });
  entries_.push_back(Permission{peer, now.mono + lifetime});
}

bool PermissionTable::allows(const stun::IpAddress& peer, const Now& now) const {
  return std::any_of(entries_.begin(), entries_.end(),
                     [&](const Permission& p) { return p.peer == peer && now.mono < p.expires; });
}

void PermissionTable::remove_family(stun::Family family) {
  remove_if([&](const stun::IpAddress& peer) { return peer.family() == family; });
}

std::size_t PermissionTable::live(const Now& now) const {
  return static_cast<std::size_t>(std::count_if(
      entries_.begin(), entries_.end(), [&](const Permission& p) { return now.mono < p.expires; }));
}

}  // namespace bedside::turn
