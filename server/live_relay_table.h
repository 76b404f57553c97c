#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <mutex>
#include <optional>
#include <vector>

#include "server/relay_addresses.h"
#include "stun/endpoint.h"
#include "turn/allocation_ledger.h"
#include "turn/live_relays.h"
#include "turn/now.h"
#include "turn/relay_ports.h"
#include "turn/reservations.h"

namespace bedside::server {

// The relay ports of all shards: which are alive and where, which rest after their last owner,
// which are reserved. Asking for a live address is lock-free (shards ask for each packet to a
// peer); taking and giving back a port takes a lock for a few instructions.
class LiveRelayTable final : public turn::LiveRelayAddresses {
 public:
  explicit LiveRelayTable(const RelayAddresses& addresses);

  // From any thread, lock-free. `relayed` is an advertised address.
  [[nodiscard]] std::optional<turn::LiveRelay> locate(
      const stun::Endpoint& relayed) const noexcept override;

  [[nodiscard]] bool listens(const stun::Endpoint& relayed) const noexcept override;

  // False when the port is alive, reserved, or still resting. Otherwise it is alive and served by
  // `owner` until release().
  [[nodiscard]] bool take(stun::Family family, std::uint16_t port, const turn::LiveRelay& owner,
                          const turn::Now& now,
                          turn::PeerTransport transport = turn::PeerTransport::udp);
  // After use the port rests for limits::kRelayPortRest; one that could not be bound does not.
  enum class Rest : bool { no, yes };
  void release(stun::Family family, std::uint16_t port, Rest rest, const turn::Now& now);

  [[nodiscard]] bool reserve(const turn::Reservation& reservation, const turn::Now& now);
  [[nodiscard]] std::optional<turn::Reservation> claim(const turn::ReservationToken& token,
                                                       const turn::Now& now);

  // Ports that are opened from now on are advertised at these addresses; those that are open keep
  // theirs. Any one thread. False after kMaxChanges: nothing was changed.
  static constexpr std::size_t kMaxChanges = 64;
  [[nodiscard]] bool advertise(const RelayAddresses& addresses);
  // Whether advertise() would do it. From the same thread: for who may only do what is recorded
  // already, and must not record what then fails.
  [[nodiscard]] bool can_advertise(const RelayAddresses& addresses) const noexcept;

  // The ones of now. From any thread; the reference stays good.
  const RelayAddresses& addresses() const noexcept {
    return addresses_[latest_.load(std::memory_order_acquire)];
  }

 private:
  static constexpr std::size_t kPorts = 65536;
  struct Ports {
    // By port: 0, or who serves it. Sized, like the other, when the family exists.
    std::vector<std::atomic<std::uint32_t>> served_by;
    std::vector<std::int64_t> rests_until;  // mono seconds
  };
  static std::size_t index(stun::Family family) { return family == stun::Family::ipv4 ? 0 : 1; }
  bool was_advertised(const stun::IpAddress& address) const noexcept;
  std::uint32_t entry(const stun::Endpoint& relayed) const noexcept;
  bool alive(stun::Family family, std::uint16_t port) const noexcept;

  // Written once each, before `latest_` says so. All of them are asked for a live address: a port
  // opened long ago still has the one of its time.
  std::array<RelayAddresses, kMaxChanges + 1> addresses_;
  std::atomic<std::size_t> latest_ = 0;
  std::array<Ports, 2> ports_;
  std::mutex mutex_;
  turn::Reservations reservations_;  // under mutex_, like rests_until
};

// The allocation quotas of users and sources, over all shards.
class SharedLedger final : public turn::AllocationLedger {
 public:
  explicit SharedLedger(const turn::Quotas& quotas) : ledger_(quotas) {}
  Answer acquire(std::string_view subject, const stun::IpAddress& client,
                 std::chrono::nanoseconds mono) override {
    const std::lock_guard lock(mutex_);
    return ledger_.acquire(subject, client, mono);
  }
  void release(std::string_view subject, const stun::IpAddress& client) override {
    const std::lock_guard lock(mutex_);
    ledger_.release(subject, client);
  }
  void set_quotas(const turn::Quotas& quotas) {
    const std::lock_guard lock(mutex_);
    ledger_.set_quotas(quotas);
  }

 private:
  std::mutex mutex_;
  turn::LocalLedger ledger_;
};

}  // namespace bedside::server
