#include "server/relay_lanes.h"

#include <chrono>
#include <cstdint>
#include <thread>
#include <utility>

namespace bedside::server {
namespace {

template <typename Attempt>
void insist(Attempt attempt) {
  while (!attempt()) std::this_thread::sleep_for(std::chrono::milliseconds(1));
}

}  // namespace

tl::expected<std::unique_ptr<RelayLanes>, std::string> RelayLanes::open(
    const Config& config, const RelaySetup& setup, const RelayShardShared& shared,
    const net::TlsContext* tls) {
  auto opened = std::make_unique<RelayLanes>();
  const std::vector<ListenerSpec> listeners = listener_specs(config);
  RelayShardSettings settings;
  settings.relay = setup.settings;
  settings.listen = endpoints_to_bind(config.turn.listen);
  for (unsigned i = 0; i < relay_threads(config); ++i) {
    settings.relay.shard = static_cast<std::uint16_t>(i);
    settings.first = i == 0;
    auto shard = RelayShard::open(settings, shared);
    if (!shard) return tl::unexpected(shard.error().message);
    auto door = FrontDoor::open((*shard)->loop(), listeners, tls, {}, settings.first);
    if (!door) return tl::unexpected(door.error().message);
    Lane lane;
    lane.shard = std::move(*shard);
    lane.door = std::move(*door);
    FrontDoor* to_close = lane.door.get();
    lane.close_door =
        std::make_unique<net::Wakeup>(lane.shard->loop(), [to_close] { to_close->stop(); });
    opened->lanes_.push_back(std::move(lane));
  }
  return opened;
}

void RelayLanes::start(const FrontDoor::OnConnection& on_http) {
  for (Lane& lane : lanes_) {
    RelayShard* shard = lane.shard.get();
    lane.door->start([shard](net::DetachedConnection connection,
                             const ListenerSpec&) { shard->adopt(std::move(connection)); },
                     on_http);
    shard->start();
  }
}

void RelayLanes::close_doors() {
  for (Lane& lane : lanes_) lane.close_door->signal();
}

void RelayLanes::stop() {
  for (Lane& lane : lanes_) lane.shard->stop();
}

std::vector<const RelayStats*> RelayLanes::stats() const {
  std::vector<const RelayStats*> stats;
  for (const Lane& lane : lanes_) stats.push_back(&lane.shard->stats());
  return stats;
}

bool RelayLanes::set_accepting(bool accepting) {
  const std::lock_guard lock(accepting_mutex_);
  accepting_ = accepting;
  return tell_all();
}

bool RelayLanes::set_draining(bool draining) {
  const std::lock_guard lock(accepting_mutex_);
  draining_ = draining;
  return tell_all();
}

// Under accepting_mutex_: the control thread and the operator's may have opposite wishes.
bool RelayLanes::tell_all() {
  bool all_told = true;
  for (Lane& lane : lanes_) all_told &= lane.shard->set_draining(draining_ || !accepting_);
  return all_told;
}

bool RelayLanes::revoke_participant(const std::string& participant) {
  bool all_told = true;
  for (Lane& lane : lanes_) all_told &= lane.shard->revoke_participant(participant);
  return all_told;
}

void RelayLanes::use(const RelaySetup& setup) {
  for (Lane& lane : lanes_) {
    insist([&] { return lane.shard->set_credentials(setup.credentials); });
    insist([&] { return lane.shard->set_peer_policy(setup.peers); });
    insist([&] { return lane.shard->set_quotas(setup.settings.quotas); });
  }
}

void RelayLanes::revoke_user(const std::string& name) {
  for (Lane& lane : lanes_) {
    insist([&] { return lane.shard->revoke_user(name); });
  }
}

}  // namespace bedside::server
