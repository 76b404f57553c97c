#include "server/live_relay_table.h"

namespace bedside::server {
namespace {

std::int64_t whole_seconds(std::chrono::nanoseconds mono) {
  return std::chrono::duration_cast<std::chrono::seconds>(mono).count();
}

}  // namespace

LiveRelayTable::LiveRelayTable(const RelayAddresses& addresses)
    : addresses_(addresses), reservations_(turn::limits::kMaxReservations) {
  for (const stun::Family family : {stun::Family::ipv4, stun::Family::ipv6}) {
    if (addresses_.of(family)) ports_[index(family)].rests_until.resize(kPorts);
  }
}

bool LiveRelayTable::alive(stun::Family family, std::uint16_t port) const noexcept {
  const std::uint64_t word =
      ports_[index(family)].alive[port / 64U].load(std::memory_order_acquire);
  return ((word >> (port % 64U)) & 1U) != 0;
}

bool LiveRelayTable::contains(const stun::Endpoint& relayed) const noexcept {
  const auto& address = addresses_.of(relayed.address.family());
  return address && address->advertised == relayed.address &&
         alive(relayed.address.family(), relayed.port);
}

bool LiveRelayTable::take(stun::Family family, std::uint16_t port, const turn::Now& now) {
  if (!addresses_.of(family)) return false;
  const std::lock_guard lock(mutex_);
  Ports& ports = ports_[index(family)];
  if (alive(family, port) || whole_seconds(now.mono) < ports.rests_until[port] ||
      reservations_.holds(family, port, now)) {
    return false;
  }
  ports.alive[port / 64U].fetch_or(std::uint64_t{1} << (port % 64U), std::memory_order_release);
  return true;
}

void LiveRelayTable::release(stun::Family family, std::uint16_t port, Rest rest,
                             const turn::Now& now) {
  const std::lock_guard lock(mutex_);
  Ports& ports = ports_[index(family)];
  ports.alive[port / 64U].fetch_and(~(std::uint64_t{1} << (port % 64U)), std::memory_order_release);
  if (rest == Rest::yes) {
    // Rounded up: a port never rests for less than promised.
    ports.rests_until[port] = whole_seconds(now.mono + turn::limits::kRelayPortRest) + 1;
  }
}

bool LiveRelayTable::reserve(const turn::Reservation& reservation, const turn::Now& now) {
  const stun::Family family = reservation.family;
  if (!addresses_.of(family)) return false;
  const std::lock_guard lock(mutex_);
  if (alive(family, reservation.port) ||
      whole_seconds(now.mono) < ports_[index(family)].rests_until[reservation.port]) {
    return false;
  }
  return reservations_.add(reservation, now);
}

std::optional<turn::Reservation> LiveRelayTable::claim(const turn::ReservationToken& token,
                                                       const turn::Now& now) {
  const std::lock_guard lock(mutex_);
  return reservations_.claim(token, now);
}

stun::Endpoint LiveRelayTable::as_local(const stun::Endpoint& relayed) const noexcept {
  const auto& address = addresses_.of(relayed.address.family());
  if (!address || address->advertised == address->bind || !contains(relayed)) return relayed;
  return {address->bind, relayed.port};
}

stun::Endpoint LiveRelayTable::as_relayed(const stun::Endpoint& local) const noexcept {
  const auto& address = addresses_.of(local.address.family());
  if (!address || address->advertised == address->bind || local.address != address->bind) {
    return local;
  }
  const stun::Endpoint relayed{address->advertised, local.port};
  return contains(relayed) ? relayed : local;
}

}  // namespace bedside::server
