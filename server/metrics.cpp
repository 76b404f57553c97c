#include "server/metrics.h"

#include <dirent.h>
#include <sys/resource.h>
#include <unistd.h>

#include <charconv>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <sstream>

namespace bedside::server {
namespace {

std::string decimal(double value) {
  char digits[64];
  return {digits, std::to_chars(digits, digits + sizeof digits, value).ptr};
}

// One metric family: HELP, TYPE and its samples.
class Family {
 public:
  Family(std::string& out, std::string_view name, std::string_view type, std::string_view help)
      : out_(out), name_(name) {
    out_.append("# HELP ").append(name).append(" ").append(help).append("\n");
    out_.append("# TYPE ").append(name).append(" ").append(type).append("\n");
  }

  // `labels` is complete: `shard="0",reason="x"`.
  void sample(std::string_view labels, std::string_view value) {
    out_.append(name_);
    if (!labels.empty()) out_.append("{").append(labels).append("}");
    out_.append(" ").append(value).append("\n");
  }
  void sample(std::string_view labels, std::uint64_t value) {
    sample(labels, std::to_string(value));
  }

 private:
  std::string& out_;
  std::string_view name_;
};

void single(std::string& out, std::string_view name, std::string_view type, std::string_view help,
            std::uint64_t value) {
  Family(out, name, type, help).sample("", value);
}

std::string shard_label(std::size_t shard) { return "shard=\"" + std::to_string(shard) + "\""; }

void render_relays(std::string& out, const std::vector<RelayMetrics>& relays) {
  struct Column {
    std::string_view name, type, help;
    std::uint64_t RelayMetrics::*value;
  };
  static constexpr Column kColumns[] = {
      {"bedside_turn_allocations", "gauge", "TURN allocations now.", &RelayMetrics::allocations},
      {"bedside_turn_allocations_opened_total", "counter", "TURN allocations made.",
       &RelayMetrics::allocations_opened},
      {"bedside_turn_packets_to_peer_total", "counter", "Packets relayed from clients to peers.",
       &RelayMetrics::packets_to_peer},
      {"bedside_turn_packets_to_client_total", "counter", "Packets relayed from peers to clients.",
       &RelayMetrics::packets_to_client},
      {"bedside_turn_bytes_to_peer_total", "counter", "Payload bytes relayed to peers.",
       &RelayMetrics::bytes_to_peer},
      {"bedside_turn_bytes_to_client_total", "counter", "Payload bytes relayed to clients.",
       &RelayMetrics::bytes_to_client},
      {"bedside_turn_streams", "gauge", "TURN clients connected over TCP now.",
       &RelayMetrics::streams},
      {"bedside_turn_dtls_associations", "gauge", "TURN clients connected over DTLS now.",
       &RelayMetrics::associations},
      {"bedside_turn_moved_total", "counter", "Allocations that followed their client.",
       &RelayMetrics::moved},
      {"bedside_turn_peer_connections", "gauge",
       "Connections of TCP allocations with peers now, those being opened included.",
       &RelayMetrics::peer_connections},
      {"bedside_turn_peer_connections_opened_total", "counter",
       "Connections with peers that were begun.", &RelayMetrics::peer_connections_opened},
      {"bedside_stun_bindings_total", "counter", "STUN Binding requests.", &RelayMetrics::bindings},
      {"bedside_turn_auth_failures_total", "counter", "TURN requests with a wrong credential.",
       &RelayMetrics::auth_failures},
      {"bedside_turn_packets_inside_total", "counter",
       "Packets to a peer that is a relay port of this server, handed over inside the process.",
       &RelayMetrics::packets_inside},
      {"bedside_turn_icmp_errors_total", "counter", "ICMP errors passed on to clients.",
       &RelayMetrics::icmp_to_client},
      {"bedside_turn_redirects_total", "counter", "Allocations answered with the alternate server.",
       &RelayMetrics::redirects},
  };
  for (const Column& column : kColumns) {
    Family family(out, column.name, column.type, column.help);
    for (std::size_t shard = 0; shard < relays.size(); ++shard) {
      family.sample(shard_label(shard), relays[shard].*column.value);
    }
  }
  Family drops(out, "bedside_turn_drops_total", "counter", "Packets dropped, by reason.");
  for (std::size_t shard = 0; shard < relays.size(); ++shard) {
    for (const LabelledCount& drop : relays[shard].drops) {
      drops.sample(shard_label(shard) + ",reason=\"" + std::string(drop.label) + "\"", drop.count);
    }
  }
}

void render_signaling(std::string& out, const SignalingMetrics& signaling) {
  single(out, "bedside_rooms", "gauge", "Rooms that are open now.", signaling.rooms);
  single(out, "bedside_participants", "gauge", "Participants in rooms now.",
         signaling.participants);
  single(out, "bedside_websockets", "gauge", "WebSocket connections now.", signaling.sockets);
  single(out, "bedside_http_connections", "gauge", "HTTP connections now, WebSockets included.",
         signaling.connections);
  single(out, "bedside_http_requests_total", "counter", "HTTP requests answered.",
         signaling.requests);
  single(out, "bedside_http_rate_limited_total", "counter",
         "Requests to create or join a room that were refused because their network sent too many.",
         signaling.rate_limited);
  single(out, "bedside_http_made_room_total", "counter",
         "Idle HTTP connections that were closed for newcomers, because of a limit.",
         signaling.made_room);
  single(out, "bedside_http_turned_away_total", "counter",
         "HTTP connections that were closed unanswered: a limit was reached and none was idle.",
         signaling.turned_away);
}

void render_store(std::string& out, const StoreMetrics& store) {
  single(out, "bedside_store_commits_total", "counter", "Commits written durably.", store.commits);
  single(out, "bedside_store_failed_commits_total", "counter", "Commits that were not written.",
         store.failed_commits);
  single(out, "bedside_audit_records_total", "counter", "Audit records written durably.",
         store.audit_records);
  single(out, "bedside_audit_records_lost_total", "counter",
         "Audit records that could neither be written nor kept for later.", store.lost_records);
  single(out, "bedside_store_queue", "gauge", "Commits waiting for the store.", store.queued);
  single(out, "bedside_store_full", "gauge", "1 while the database's disk takes nothing.",
         std::uint64_t{store.full ? 1U : 0U});
  single(out, "bedside_store_journaled", "gauge", "Commits in the emergency journal.",
         store.journaled);
  single(out, "bedside_audit_epoch_problem", "gauge",
         "1: the audit log's next key cannot be made, and the old one signs on.",
         std::uint64_t{store.epoch_overdue ? 1U : 0U});
}

void render_process(std::string& out, const ProcessMetrics& process) {
  Family(out, "process_cpu_seconds_total", "counter", "User and system CPU time.")
      .sample("", decimal(process.cpu_seconds));
  single(out, "process_resident_memory_bytes", "gauge", "Resident memory.", process.resident_bytes);
  single(out, "process_open_fds", "gauge", "Open file descriptors.", process.open_files);
  Family(out, "process_start_time_seconds", "gauge", "Start of the process, Unix time.")
      .sample("", decimal(process.start_time_seconds));
}

// A name from the configuration as a label's value.
std::string place_label(std::string_view place) {
  std::string label = "place=\"";
  for (const char c : place) {
    if (c == '\\' || c == '"') label += '\\';
    label += c;
  }
  return label + "\"";
}

void render_anchors(std::string& out, const std::vector<AnchorMetrics>& anchors) {
  Family records(out, "bedside_audit_anchored_records", "gauge",
                 "Audit records covered by the newest checkpoint kept at this place.");
  for (const AnchorMetrics& anchor : anchors) {
    records.sample(place_label(anchor.place), anchor.records);
  }
  Family time(out, "bedside_audit_anchored_timestamp_seconds", "gauge",
              "When that checkpoint was kept, Unix time; 0: not yet.");
  for (const AnchorMetrics& anchor : anchors) {
    time.sample(place_label(anchor.place), decimal(anchor.kept_at));
  }
  Family problem(out, "bedside_audit_anchor_problem", "gauge",
                 "1: this place could not be reached, or contradicts the log.");
  for (const AnchorMetrics& anchor : anchors) {
    problem.sample(place_label(anchor.place), std::uint64_t{anchor.problem});
  }
}

void render_certificate(std::string& out, const CertificateMetrics& certificate) {
  Family(out, "bedside_certificate_expiry_timestamp_seconds", "gauge",
         "When the certificate that is served expires, Unix time.")
      .sample("", decimal(certificate.expires));
  single(out, "bedside_certificate_renewals_total", "counter",
         "Certificates taken from their files while running.", certificate.renewals);
  single(out, "bedside_certificate_problem", "gauge",
         "1: the certificate's files changed and cannot be used; the old one is served.",
         certificate.problem ? 1 : 0);
}

double seconds(const timeval& value) {
  return static_cast<double>(value.tv_sec) + static_cast<double>(value.tv_usec) / 1e6;
}

std::uint64_t count_open_files() {
  DIR* folder = ::opendir("/proc/self/fd");
  if (folder == nullptr) return 0;
  std::uint64_t entries = 0;
  while (::readdir(folder) != nullptr) ++entries;
  ::closedir(folder);
  return entries > 3 ? entries - 3 : 0;  // ".", ".." and the folder itself
}

// proc(5): field 22 of /proc/self/stat is the start in clock ticks since boot, "btime" of
// /proc/stat the boot in Unix seconds. The name in field 2 may hold spaces, so counting starts
// after its ')'.
double start_time() {
  std::ifstream stat("/proc/self/stat");
  const std::string line{std::istreambuf_iterator<char>(stat), {}};
  const auto name_end = line.rfind(')');
  if (name_end == std::string::npos) return 0;
  std::istringstream fields(line.substr(name_end + 1));
  std::string field;
  for (int number = 3; number <= 22; ++number) fields >> field;
  const double ticks = std::strtod(field.c_str(), nullptr);

  std::ifstream system("/proc/stat");
  double boot = 0;
  for (std::string word; system >> word;) {
    if (word == "btime") {
      system >> boot;
      break;
    }
  }
  return boot == 0 ? 0 : boot + ticks / static_cast<double>(::sysconf(_SC_CLK_TCK));
}

}  // namespace

std::string render_prometheus(const Metrics& metrics) {
  std::string out;
  out.reserve(8192);
  Family(out, "bedside_build_info", "gauge", "Always 1; the version is a label.")
      .sample("version=\"" + std::string(metrics.version) + "\"", 1);
  render_relays(out, metrics.relays);
  render_signaling(out, metrics.signaling);
  render_store(out, metrics.store);
  single(out, "bedside_disk_free_bytes", "gauge", "Free space on the disk of the database.",
         metrics.disk_free_bytes);
  render_process(out, metrics.process);
  if (metrics.certificate) render_certificate(out, *metrics.certificate);
  if (!metrics.anchors.empty()) render_anchors(out, metrics.anchors);
  return out;
}

ProcessMetrics measure_process() {
  ProcessMetrics process;
  rusage usage{};
  if (::getrusage(RUSAGE_SELF, &usage) == 0) {
    process.cpu_seconds = seconds(usage.ru_utime) + seconds(usage.ru_stime);
  }
  std::ifstream statm("/proc/self/statm");
  std::uint64_t total_pages = 0;
  std::uint64_t resident_pages = 0;
  if (statm >> total_pages >> resident_pages) {
    process.resident_bytes = resident_pages * static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
  }
  process.open_files = count_open_files();
  process.start_time_seconds = start_time();
  return process;
}

}  // namespace bedside::server
