#pragma once

#include <chrono>
#include <cstddef>
#include <deque>
#include <map>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <string_view>

#include "stun/integrity.h"
#include "turn/credentials.h"

namespace bedside::server {

// The participants that are admitted right now, as the relays see them. The control thread adds and
// removes; relay threads ask, once for each TURN request and never for a packet, so a lock held for
// one look-up is cheaper than publishing copies of the whole set on every join.
//
// Remove a participant here first and revoke its allocations on every shard afterwards: then no
// request that comes in between can make a new one.
//
// It also remembers the TURN usernames that were issued, so that a client may hide its own behind
// USERHASH (RFC 8489 §14.4). Only memory: after a restart clients with a hidden name are refused
// until they are given their next credential.
class LiveParticipantSet final : public turn::LiveParticipants {
 public:
  void add(std::string_view participant);
  void remove(std::string_view participant);
  [[nodiscard]] bool contains(std::string_view participant) const noexcept override;
  [[nodiscard]] std::size_t size() const;

  // Names that can be found by their hash at a time. Beyond it the oldest is forgotten; its owner
  // can still be named in plain, and has a newer one soon.
  static constexpr std::size_t kMaxNames = 16384;
  // Remembers the name of a credential until it expires. A participant need not be live yet: the
  // credential is made before the join is on disk.
  void remember(const turn::IssuedCredential& issued, std::string_view realm,
                std::chrono::seconds now_wall);
  [[nodiscard]] std::optional<std::string> name_of(
      const stun::Sha256Digest& userhash) const override;

 private:
  struct Age {
    std::chrono::seconds expires_wall{};
    stun::Sha256Digest userhash{};
  };

  mutable std::mutex mutex_;
  std::set<std::string, std::less<>> live_;
  std::map<stun::Sha256Digest, std::string> names_;
  std::deque<Age> ages_;  // of names_, oldest first
};

}  // namespace bedside::server
