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
#include "turn/now.h"
#include "turn/peer_policy.h"
#include "turn/relay_ports.h"
#include "turn/reservations.h"

namespace bedside::server {

// The relay ports of all shards: which are alive, which rest after their last owner, which are
// reserved. Asking whether an address is alive is lock-free (shards ask for packets between two of
// our own relay ports); taking and giving back a port takes a lock for a few instructions.
class LiveRelayTable final : public turn::LiveRelayAddresses {
 public:
  explicit LiveRelayTable(const RelayAddresses& addresses);

  // From any thread, lock-free. `relayed` is an advertised address.
  [[nodiscard]] bool contains(const stun::Endpoint& relayed) const noexcept override;

  // False when the port is alive, reserved, or still resting. The caller owns it until release().
  [[nodiscard]] bool take(stun::Family family, std::uint16_t port, const turn::Now& now);
  // After use the port rests for limits::kRelayPortRest; one that could not be bound does not.
  enum class Rest : bool { no, yes };
  void release(stun::Family family, std::uint16_t port, Rest rest, const turn::Now& now);

  [[nodiscard]] bool reserve(const turn::Reservation& reservation, const turn::Now& now);
  [[nodiscard]] std::optional<turn::Reservation> claim(const turn::ReservationToken& token,
                                                       const turn::Now& now);

  // Behind a 1:1 NAT our own advertised address cannot be reached from here: what one relay port
  // sends to another goes to the bound address, and arrives as if from the advertised one.
  [[nodiscard]] stun::Endpoint as_local(const stun::Endpoint& relayed) const noexcept;
  [[nodiscard]] stun::Endpoint as_relayed(const stun::Endpoint& local) const noexcept;

  const RelayAddresses& addresses() const { return addresses_; }

 private:
  static constexpr std::size_t kPorts = 65536;
  struct Ports {
    std::array<std::atomic<std::uint64_t>, kPorts / 64> alive{};
    std::vector<std::int64_t> rests_until;  // mono seconds; sized when the family exists
  };
  static std::size_t index(stun::Family family) { return family == stun::Family::ipv4 ? 0 : 1; }
  bool alive(stun::Family family, std::uint16_t port) const noexcept;

  const RelayAddresses addresses_;
  std::array<Ports, 2> ports_;
  std::mutex mutex_;
  turn::Reservations reservations_;  // under mutex_, like rests_until
};

// The allocation quota of users, over all shards.
class SharedLedger final : public turn::AllocationLedger {
 public:
  explicit SharedLedger(std::size_t per_user) : ledger_(per_user) {}
  bool acquire(std::string_view subject) override {
    const std::lock_guard lock(mutex_);
    return ledger_.acquire(subject);
  }
  void release(std::string_view subject) override {
    const std::lock_guard lock(mutex_);
    ledger_.release(subject);
  }

 private:
  std::mutex mutex_;
  turn::LocalLedger ledger_;
};

}  // namespace bedside::server
