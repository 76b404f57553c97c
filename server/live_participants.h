#pragma once

#include <mutex>
#include <set>
#include <string>
#include <string_view>

#include "turn/credentials.h"

namespace bedside::server {

// The participants that are admitted right now, as the relays see them. The control thread adds and
// removes; relay threads ask, once for each TURN request and never for a packet, so a lock held for
// one look-up is cheaper than publishing copies of the whole set on every join.
//
// Remove a participant here first and revoke its allocations on every shard afterwards: then no
// request that comes in between can make a new one.
class LiveParticipantSet final : public turn::LiveParticipants {
 public:
  void add(std::string_view participant);
  void remove(std::string_view participant);
  [[nodiscard]] bool contains(std::string_view participant) const noexcept override;
  [[nodiscard]] std::size_t size() const;

 private:
  mutable std::mutex mutex_;
  std::set<std::string, std::less<>> live_;
};

}  // namespace bedside::server
