// How many of something each client address holds: the table behind every limit per source.
#pragma once

#include <cstddef>
#include <cstdint>
#include <unordered_map>

#include "stun/endpoint.h"

namespace bedside::server {

// Whom a limit is counted against: an IPv4 address, or the /64 a household or server usually has.
stun::IpAddress source_of(const stun::IpAddress& address);

// For hash tables whose keys clients choose: which buckets these are, they cannot know. Any thread.
std::uint64_t random_seed();

// Bounded by what is counted: an entry exists only while its count is above 0. One thread.
class SourceCounts {
 public:
  explicit SourceCounts(std::size_t limit);

  // False: this source holds its limit already, and nothing was counted.
  [[nodiscard]] bool take(const stun::IpAddress& address);
  // Gives back what take() counted.
  void give_back(const stun::IpAddress& address);
  std::size_t sources() const { return counts_.size(); }

 private:
  const std::size_t limit_;
  std::unordered_map<stun::IpAddress, std::size_t, stun::EndpointHash> counts_;
};

}  // namespace bedside::server
