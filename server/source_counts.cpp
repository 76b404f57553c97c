#include "server/source_counts.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <random>

namespace bedside::server {

std::uint64_t random_seed() {
  std::random_device device;
  return (std::uint64_t{device()} << 32) | device();
}

stun::IpAddress source_of(const stun::IpAddress& address) {
  if (address.is_v4()) return address;
  std::array<std::uint8_t, 16> prefix{};
  std::copy_n(address.bytes().begin(), 8, prefix.begin());
  return stun::IpAddress::v6(prefix);
}

// Clients choose their IPv6 prefixes: the seed keeps them from choosing our buckets.
SourceCounts::SourceCounts(std::size_t limit)
    : limit_(limit), counts_(0, stun::EndpointHash{random_seed()}) {}

bool SourceCounts::take(const stun::IpAddress& address) {
  if (limit_ == 0) return false;
  std::size_t& count = counts_[source_of(address)];
  if (count >= limit_) return false;
  ++count;
  return true;
}

void SourceCounts::give_back(const stun::IpAddress& address) {
  const auto it = counts_.find(source_of(address));
  if (it == counts_.end()) return;
  if (--it->second == 0) counts_.erase(it);
}

}  // namespace bedside::server
