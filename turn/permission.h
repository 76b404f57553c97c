#pragma once

#include <chrono>
#include <cstddef>
#include <span>
#include <vector>

#include "stun/endpoint.h"
#include "turn/now.h"

namespace bedside::turn {

// One peer address an allocation may exchange data with (RFC 8656 §9). The port does not matter.
struct Permission {
  stun::IpAddress peer;
  std::chrono::nanoseconds expires{};  // mono; dead from this instant on
};

// The permissions of one allocation: a short array, because a call has a handful of peers and a
// scan of one cache line or two beats any tree. Expiry is decided at use; expired entries make room
// for new ones. Nothing but `install` ever prolongs an entry: traffic does not (RFC 8656 §9).
class PermissionTable {
 public:
  // Whether `install` for all of these peers would stay within `limit` live entries.
  bool has_room_for(std::span<const stun::IpAddress> peers, std::size_t limit,
                    const Now& now) const;
  // Installs or refreshes; the caller has asked has_room_for.
  void install(const stun::IpAddress& peer, const Now& now, std::chrono::nanoseconds lifetime);
  bool allows(const stun::IpAddress& peer, const Now& now) const;

  // Removes the entries for which `is_refused(address)` holds (a changed peer policy).
  template <typename Predicate>
  void remove_if(Predicate is_refused) {
    std::erase_if(entries_, [&](const Permission& p) { return is_refused(p.peer); });
  }
  void remove_family(stun::Family family);
  std::size_t live(const Now& now) const;
  std::size_t size() const { return entries_.size(); }

 private:
  std::vector<Permission> entries_;
};

}  // namespace bedside::turn
