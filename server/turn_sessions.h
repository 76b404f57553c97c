// The TURN sessions of a shard and who among them has still to prove itself.
#pragma once

#include <cstddef>
#include <memory>
#include <unordered_map>

#include "server/arrivals.h"
#include "server/turn_session.h"

namespace bedside::server {

// Owns the sessions of one shard, within TurnSessionLimits. Shard's thread.
class TurnSessions {
 public:
  explicit TurnSessions(const TurnSessionLimits& limits) : limits_(limits) {}

  const TurnSessionLimits& limits() const { return limits_; }
  std::size_t size() const { return sessions_.size(); }

  // Takes a newcomer in. The oldest unproven session of a source that has too many is closed; it
  // has no allocation, so nobody else needs to hear of it.
  void add(std::unique_ptr<TurnSession> session) {
    TurnSession* const oldest =
        unproven_.oldest_beyond(session->tuple().client.address, limits_.unproven_per_source);
    if (oldest != nullptr) {
      ++evicted_;
      remove(*oldest);
    }
    TurnSession& added = *session;
    sessions_.emplace(&added, std::move(session));
    added.place = unproven_.enter(added.tuple().client.address, added);
  }
  bool contains(const TurnSession& session) const { return sessions_.count(&session) != 0; }
  void prove(TurnSession& session) {
    if (session.place) unproven_.leave(*session.place);
    session.place.reset();
  }
  void remove(TurnSession& session) {
    prove(session);
    sessions_.erase(&session);
  }
  void clear() {
    unproven_.clear();
    sessions_.clear();
  }
  std::uint64_t evicted() const { return evicted_; }

 private:
  const TurnSessionLimits limits_;
  Arrivals<TurnSession> unproven_;
  std::unordered_map<const TurnSession*, std::unique_ptr<TurnSession>> sessions_;
  std::uint64_t evicted_ = 0;
};

}  // namespace bedside::server
