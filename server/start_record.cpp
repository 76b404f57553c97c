#include "server/start_record.h"

#include <utility>

#include "server/audit_types.h"
#include "server/build_identity.h"
#include "server/clock_watch.h"
#include "server/config_record.h"

namespace bedside::server {
namespace {

// 0: there is none.
tl::expected<std::uint64_t, std::string> newest_of(const store::Reader& reader,
                                                   std::string_view type) {
  store::AuditQuery query;
  query.type_prefix = type;
  query.limit = 1;
  const auto rows = reader.audit(query);
  if (!rows) return tl::unexpected(rows.error());
  return rows->empty() ? 0 : rows->front().seq;
}

// Other records tell nothing of it: the command line makes some while no server runs, and what had
// to wait for space on the disk comes after the stop.
tl::expected<bool, std::string> ended_by_a_crash(const store::Reader& reader) {
  const auto start = newest_of(reader, audit_type::kServiceStart);
  if (!start) return tl::unexpected(start.error());
  const auto stop = newest_of(reader, audit_type::kServiceStop);
  if (!stop) return tl::unexpected(stop.error());
  return *start > *stop;
}

}  // namespace

tl::expected<store::Commit, std::string> start_record(const AuditTrail& trail,
                                                      const store::Reader& reader,
                                                      const Config& config, std::size_t rooms) {
  const auto crashed = ended_by_a_crash(reader);
  if (!crashed) return tl::unexpected(crashed.error());
  ServiceStarted started;
  started.build = running_build();
  started.rooms = rooms;
  started.after_crash = *crashed;
  started.clock_unsynced = read_clocks().synchronized == false;
  started.config = config_digests(trail, config);
  auto changed = changed_since(reader, started.config);
  if (!changed) return tl::unexpected(std::move(changed.error()));
  store::Commit commit = trail.commit(AdminAction{started}, AuditSource{});
  if (const auto before = last_build(reader); before && *before != started.build) {
    store::Commit upgrade = trail.commit(AdminAction{ServiceUpgraded{*before, started.build}}, {});
    commit.records.push_back(std::move(upgrade.records.front()));
  }
  if (!changed->empty()) {
    store::Commit other = trail.commit(AdminAction{ConfigChanged{std::move(*changed)}}, {});
    commit.records.push_back(std::move(other.records.front()));
  }
  return commit;
}

}  // namespace bedside::server
