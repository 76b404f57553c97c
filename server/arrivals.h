// Newcomers by the source they come from, oldest first.
#pragma once

#include <cstddef>
#include <list>
#include <unordered_map>

#include "server/source_counts.h"
#include "stun/endpoint.h"

namespace bedside::server {

// Those of whom we know too little to let one source have many. Borrows its members; whoever limits
// their number also bounds this. One thread.
template <typename Member>
class Arrivals {
 public:
  struct Place {
    stun::IpAddress source;
    typename std::list<Member*>::iterator at;
    typename std::list<Member*>::iterator in_all;
  };

  // Clients choose their IPv6 prefixes: the seed keeps them from choosing our buckets.
  Arrivals() : by_source_(0, stun::EndpointHash{random_seed()}) {}

  Place enter(const stun::IpAddress& client, Member& member) {
    const stun::IpAddress source = source_of(client);
    std::list<Member*>& line = by_source_[source];
    return {source, line.insert(line.end(), &member), all_.insert(all_.end(), &member)};
  }
  void leave(const Place& place) {
    const auto line = by_source_.find(place.source);
    line->second.erase(place.at);
    if (line->second.empty()) by_source_.erase(line);
    all_.erase(place.in_all);
  }
  // The oldest of the client's source when there are `limit` of it, otherwise null: who means it
  // decides within milliseconds, so the oldest is the likeliest to stay silent and makes room.
  Member* oldest_beyond(const stun::IpAddress& client, std::size_t limit) const {
    const auto line = by_source_.find(source_of(client));
    return line != by_source_.end() && line->second.size() >= limit ? line->second.front()
                                                                    : nullptr;
  }
  // The oldest of all, null when there is nobody.
  Member* oldest() const { return all_.empty() ? nullptr : all_.front(); }
  void clear() {
    by_source_.clear();
    all_.clear();
  }

 private:
  // Never empty lists.
  std::unordered_map<stun::IpAddress, std::list<Member*>, stun::EndpointHash> by_source_;
  std::list<Member*> all_;
};

}  // namespace bedside::server
