#include "server/start_record.h"

#include <utility>

#include "server/build_identity.h"
#include "server/clock_watch.h"
#include "server/config_record.h"

namespace bedside::server {

tl::expected<store::Commit, std::string> start_record(const AuditTrail& trail,
                                                      const store::Reader& reader,
                                                      const Config& config, std::size_t rooms) {
  store::AuditQuery query;
  query.limit = 64;
  const auto newest = reader.audit(query);
  if (!newest) return tl::unexpected(newest.error());
  ServiceStarted started;
  started.build = running_build();
  started.rooms = rooms;
  started.after_crash = ended_by_a_crash(*newest);
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
