#include "turn/reservations.h"

#include <algorithm>

namespace bedside::turn {

bool Reservations::add(const Reservation& reservation, const Now& now) {
  std::erase_if(entries_, [&](const Reservation& r) { return r.expires <= now.mono; });
  if (entries_.size() >= limit_ || holds(reservation.family, reservation.port, now)) return false;
  entries_.push_back(reservation);
  return true;
}

std::optional<Reservation> Reservations::claim(const ReservationToken& token, const Now& now) {
  const auto found = std::find_if(entries_.begin(), entries_.end(), [&](const Reservation& r) {
    return r.token == token && r.expires > now.mono;
  });
  if (found == entries_.end()) return std::nullopt;
  const Reservation claimed = *found;
  entries_.erase(found);
  return claimed;
}

bool Reservations::holds(stun::Family family, std::uint16_t port, const Now& now) const {
  return std::any_of(entries_.begin(), entries_.end(), [&](const Reservation& r) {
    return r.port == port && r.family == family && r.expires > now.mono;
  });
}

}  // namespace bedside::turn
