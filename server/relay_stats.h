#pragma once

#include <array>
#include <atomic>
#include <cstdint>

#include "turn/relay_counters.h"

namespace bedside::server {

// The counters of one shard for everybody else: written by the shard after each batch, read from
// any thread. Relaxed: each figure is right, together they may be a few packets apart.
class RelayStats {
 public:
  void publish(const turn::RelayCounters& counters) noexcept {
    for_each(counters, [](std::atomic<std::uint64_t>& shown, std::uint64_t value) {
      shown.store(value, std::memory_order_relaxed);
    });
  }

  [[nodiscard]] turn::RelayCounters read() const noexcept {
    turn::RelayCounters counters;
    for_each(counters, [](const std::atomic<std::uint64_t>& shown, std::uint64_t& value) {
      value = shown.load(std::memory_order_relaxed);
    });
    return counters;
  }

  // Of the sockets, not of the relay.
  std::atomic<std::uint64_t> udp_send_drops{0};     // the kernel did not take a datagram
  std::atomic<std::uint64_t> udp_receive_drops{0};  // truncated or without a usable source
  // Between relay ports of ours: too large, the other shard too busy, or the port just closed.
  std::atomic<std::uint64_t> handover_drops{0};
  std::atomic<std::uint64_t> slow_reader_drops{0};  // media a client's connection had no room for
  std::atomic<std::uint64_t> streams{0};            // TCP and TLS clients now
  std::atomic<std::uint64_t> associations{0};       // DTLS clients now

 private:
  static constexpr std::size_t kPlain = 16;

  // One list of the fields, for both directions.
  template <typename Self, typename Counters, typename Visit>
  static void visit_all(Self& self, Counters& c, Visit visit) {
    std::size_t i = 0;
    for (auto* field : {&c.allocations, &c.allocations_opened, &c.packets_to_peer, &c.bytes_to_peer,
                        &c.packets_to_client, &c.bytes_to_client, &c.bindings, &c.requests,
                        &c.auth_failures, &c.events_lost, &c.packets_inside, &c.icmp_to_client,
                        &c.redirects, &c.peer_connections, &c.peer_connections_opened, &c.moved}) {
      visit(self.plain_[i++], *field);
    }
    for (std::size_t d = 0; d < turn::kDropReasons; ++d) visit(self.drops_[d], c.drops[d]);
  }
  template <typename Visit>
  void for_each(const turn::RelayCounters& counters, Visit visit) {
    visit_all(*this, counters, visit);
  }
  template <typename Visit>
  void for_each(turn::RelayCounters& counters, Visit visit) const {
    visit_all(*this, counters, visit);
  }

  std::array<std::atomic<std::uint64_t>, kPlain> plain_{};
  std::array<std::atomic<std::uint64_t>, turn::kDropReasons> drops_{};
};

}  // namespace bedside::server
