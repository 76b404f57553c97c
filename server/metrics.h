#pragma once

// What /metrics tells: plain values, gathered when somebody asks, rendered as the Prometheus text
// format (version 0.0.4). No registry and no global counters: every part counts for itself and
// the service copies the figures in here. No labels that identify a person or a room.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace bedside::server {

// A counter split by one label, e.g. drops by reason.
struct LabelledCount {
  std::string_view label;
  std::uint64_t count = 0;
};

struct RelayMetrics {
  std::uint64_t allocations = 0;  // now
  std::uint64_t allocations_opened = 0;
  std::uint64_t packets_to_peer = 0;
  std::uint64_t packets_to_client = 0;
  std::uint64_t bytes_to_peer = 0;
  std::uint64_t bytes_to_client = 0;
  std::uint64_t bindings = 0;
  std::uint64_t auth_failures = 0;
  std::uint64_t packets_inside = 0;  // of packets_to_peer: from one relay port to another
  std::uint64_t icmp_to_client = 0;
  std::uint64_t redirects = 0;
  std::uint64_t moved = 0;             // allocations that followed their client (RFC 8016)
  std::uint64_t streams = 0;           // TCP and TLS clients now
  std::uint64_t associations = 0;      // DTLS clients now
  std::uint64_t peer_connections = 0;  // of TCP allocations, now
  std::uint64_t peer_connections_opened = 0;
  std::vector<LabelledCount> drops;
};

struct SignalingMetrics {
  std::uint64_t rooms = 0;         // active now
  std::uint64_t participants = 0;  // attached or joined with a live lease, now
  std::uint64_t sockets = 0;       // WebSockets now
  std::uint64_t connections = 0;   // HTTP connections now, sockets included
  std::uint64_t requests = 0;
  std::uint64_t rate_limited = 0;
  std::uint64_t made_room = 0;    // connections, closed idle for newcomers
  std::uint64_t turned_away = 0;  // connections
};

struct StoreMetrics {
  std::uint64_t commits = 0;
  std::uint64_t failed_commits = 0;
  std::uint64_t audit_records = 0;
  std::uint64_t lost_records = 0;  // of what had happened, and could not be kept until space came
  std::uint64_t queued = 0;        // now
  bool full = false;               // the disk takes nothing
  std::uint64_t journaled = 0;     // now in the journal, until the disk takes them
  bool epoch_overdue = false;      // the audit log's next key cannot be made
};

struct ProcessMetrics {
  double cpu_seconds = 0;
  std::uint64_t resident_bytes = 0;
  std::uint64_t open_files = 0;
  double start_time_seconds = 0;  // Unix
};

struct CertificateMetrics {
  double expires = 0;  // Unix time
  std::uint64_t renewals = 0;
  bool problem = false;  // a new one cannot be used
};

// A place that keeps checkpoints of the audit log.
struct AnchorMetrics {
  std::string place;
  std::uint64_t records = 0;  // covered by the newest checkpoint kept there
  double kept_at = 0;         // Unix time; 0: not yet
  bool problem = false;
};

struct Metrics {
  std::string_view version;
  std::vector<RelayMetrics> relays;  // by shard
  SignalingMetrics signaling;
  StoreMetrics store;
  ProcessMetrics process;
  std::uint64_t disk_free_bytes = 0;              // of the database's disk
  std::optional<CertificateMetrics> certificate;  // nothing without TLS
  std::vector<AnchorMetrics> anchors;
};

std::string render_prometheus(const Metrics& metrics);

// Reads /proc/self; figures that cannot be read are 0.
ProcessMetrics measure_process();

}  // namespace bedside::server
