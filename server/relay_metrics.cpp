#include "server/relay_metrics.h"

#include "turn/relay_counters.h"

namespace bedside::server {

RelayMetrics relay_metrics(const RelayStats& shard) {
  const turn::RelayCounters counters = shard.read();
  RelayMetrics metrics;
  metrics.allocations = counters.allocations;
  metrics.allocations_opened = counters.allocations_opened;
  metrics.packets_to_peer = counters.packets_to_peer;
  metrics.packets_to_client = counters.packets_to_client;
  metrics.bytes_to_peer = counters.bytes_to_peer;
  metrics.bytes_to_client = counters.bytes_to_client;
  metrics.bindings = counters.bindings;
  metrics.auth_failures = counters.auth_failures;
  metrics.packets_inside = counters.packets_inside;
  metrics.icmp_to_client = counters.icmp_to_client;
  metrics.redirects = counters.redirects;
  metrics.moved = counters.moved;
  metrics.peer_connections = counters.peer_connections;
  metrics.peer_connections_opened = counters.peer_connections_opened;
  metrics.streams = shard.streams.load(std::memory_order_relaxed);
  metrics.associations = shard.associations.load(std::memory_order_relaxed);
  for (std::size_t i = 0; i < turn::kDropReasons; ++i) {
    metrics.drops.push_back({turn::to_string(static_cast<turn::DropReason>(i)), counters.drops[i]});
  }
  metrics.drops.push_back({"kernel_send", shard.udp_send_drops.load(std::memory_order_relaxed)});
  metrics.drops.push_back(
      {"kernel_receive", shard.udp_receive_drops.load(std::memory_order_relaxed)});
  metrics.drops.push_back({"handover", shard.handover_drops.load(std::memory_order_relaxed)});
  metrics.drops.push_back({"slow_reader", shard.slow_reader_drops.load(std::memory_order_relaxed)});
  return metrics;
}

RelayFigures relay_figures(const std::vector<const RelayStats*>& shards) {
  RelayFigures total;
  for (const RelayStats* shard : shards) {
    const turn::RelayCounters counters = shard->read();
    total.allocations += counters.allocations;
    total.allocations_opened += counters.allocations_opened;
    total.packets_to_peers += counters.packets_to_peer;
    total.packets_to_clients += counters.packets_to_client;
    total.bytes_to_peers += counters.bytes_to_peer;
    total.bytes_to_clients += counters.bytes_to_client;
    for (const std::uint64_t drops : counters.drops) total.packets_dropped += drops;
  }
  return total;
}

}  // namespace bedside::server
