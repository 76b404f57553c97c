#include "server/live_relay_table.h"

namespace bedside::server {
namespace {

std::int64_t whole_seconds(std::chrono::nanoseconds mono) {
  return std::chrono::duration_cast<std::chrono::seconds>(mono).count();
}

// A port is served by one of at most 64 shards, under one of at most 2 × 65536 ids.
constexpr std::uint32_t kAlive = 1U << 31U;
constexpr std::uint32_t kTcp = 1U << 30U;
constexpr unsigned kIdBits = 17;

std::uint32_t pack(const turn::LiveRelay& relay, turn::PeerTransport transport) {
  const std::uint32_t kind = transport == turn::PeerTransport::tcp ? kAlive | kTcp : kAlive;
  return kind | std::uint32_t{relay.shard} << kIdBits | relay.port.value;
}

turn::LiveRelay unpack(std::uint32_t packed) {
  return {static_cast<std::uint16_t>((packed & ~kAlive) >> kIdBits),
          {packed & ((1U << kIdBits) - 1)}};
}

// Only what clients are told: where sockets are bound, and for which families, was decided at the
// start.
RelayAddresses told_anew(RelayAddresses addresses, const RelayAddresses& wanted) {
  for (std::size_t i = 0; i < addresses.by_family.size(); ++i) {
    auto& address = addresses.by_family[i];
    if (address && wanted.by_family[i]) address->advertised = wanted.by_family[i]->advertised;
  }
  return addresses;
}

}  // namespace

LiveRelayTable::LiveRelayTable(const RelayAddresses& addresses)
    : addresses_{addresses}, reservations_(turn::limits::kMaxReservations) {
  for (const stun::Family family : {stun::Family::ipv4, stun::Family::ipv6}) {
    if (!addresses.of(family)) continue;
    ports_[index(family)].served_by = std::vector<std::atomic<std::uint32_t>>(kPorts);
    ports_[index(family)].rests_until.resize(kPorts);
  }
}

bool LiveRelayTable::can_advertise(const RelayAddresses& addresses) const noexcept {
  const std::size_t latest = latest_.load(std::memory_order_acquire);
  return latest < kMaxChanges || told_anew(addresses_[latest], addresses) == addresses_[latest];
}

bool LiveRelayTable::advertise(const RelayAddresses& addresses) {
  if (!can_advertise(addresses)) return false;
  const std::size_t latest = latest_.load(std::memory_order_acquire);
  const RelayAddresses next = told_anew(addresses_[latest], addresses);
  if (next == addresses_[latest]) return true;
  addresses_[latest + 1] = next;
  latest_.store(latest + 1, std::memory_order_release);
  return true;
}

bool LiveRelayTable::was_advertised(const stun::IpAddress& address) const noexcept {
  const std::size_t latest = latest_.load(std::memory_order_acquire);
  for (std::size_t i = 0; i <= latest; ++i) {
    const auto& known = addresses_[i].of(address.family());
    if (known && known->advertised == address) return true;
  }
  return false;
}

bool LiveRelayTable::alive(stun::Family family, std::uint16_t port) const noexcept {
  return ports_[index(family)].served_by[port].load(std::memory_order_acquire) != 0;
}

// 0: nobody serves it.
std::uint32_t LiveRelayTable::entry(const stun::Endpoint& relayed) const noexcept {
  if (!was_advertised(relayed.address)) return 0;
  const Ports& ports = ports_[index(relayed.address.family())];
  return ports.served_by[relayed.port].load(std::memory_order_acquire);
}

std::optional<turn::LiveRelay> LiveRelayTable::locate(
    const stun::Endpoint& relayed) const noexcept {
  const std::uint32_t packed = entry(relayed);
  if (packed == 0 || (packed & kTcp) != 0) return std::nullopt;
  return unpack(packed);
}

bool LiveRelayTable::listens(const stun::Endpoint& relayed) const noexcept {
  return (entry(relayed) & kTcp) != 0;
}

bool LiveRelayTable::take(stun::Family family, std::uint16_t port, const turn::LiveRelay& owner,
                          const turn::Now& now, turn::PeerTransport transport) {
  if (!addresses().of(family)) return false;
  const std::lock_guard lock(mutex_);
  Ports& ports = ports_[index(family)];
  if (alive(family, port) || whole_seconds(now.mono) < ports.rests_until[port] ||
      reservations_.holds(family, port, now)) {
    return false;
  }
  ports.served_by[port].store(pack(owner, transport), std::memory_order_release);
  return true;
}

void LiveRelayTable::release(stun::Family family, std::uint16_t port, Rest rest,
                             const turn::Now& now) {
  const std::lock_guard lock(mutex_);
  Ports& ports = ports_[index(family)];
  ports.served_by[port].store(0, std::memory_order_release);
  if (rest == Rest::yes) {
    // Rounded up: a port never rests for less than promised.
    ports.rests_until[port] = whole_seconds(now.mono + turn::limits::kRelayPortRest) + 1;
  }
}

bool LiveRelayTable::reserve(const turn::Reservation& reservation, const turn::Now& now) {
  const stun::Family family = reservation.family;
  if (!addresses().of(family)) return false;
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

}  // namespace bedside::server
