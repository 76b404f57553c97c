#pragma once

// The keys of [turn.quotas], once: what they are called, what they set, and what is sensible.

#include <array>
#include <cstdint>
#include <limits>
#include <string_view>
#include <type_traits>

#include "turn/limits.h"

namespace bedside::server {

struct QuotaKey {
  std::string_view name;
  std::uint64_t least;
  std::uint64_t most;
  std::uint64_t (*get)(const turn::Quotas& quotas);
  void (*set)(turn::Quotas& quotas, std::uint64_t value);
};

template <auto Member>
constexpr QuotaKey quota_key(std::string_view name, std::uint64_t least, std::uint64_t most) {
  using Value = std::remove_reference_t<decltype(std::declval<turn::Quotas&>().*Member)>;
  return {name, least, most,
          [](const turn::Quotas& quotas) { return std::uint64_t{quotas.*Member}; },
          [](turn::Quotas& quotas, std::uint64_t value) {
            quotas.*Member = static_cast<Value>(value);
          }};
}

// `most` keeps tables within memory and rates within what fits their types.
inline constexpr std::array kQuotaKeys{
    quota_key<&turn::Quotas::allocations_per_user>("allocations_per_user", 1, 65'536),
    quota_key<&turn::Quotas::allocations_per_source>("allocations_per_source", 1, 65'536),
    quota_key<&turn::Quotas::new_allocations_per_user>("new_allocations_per_user", 1, 1'000'000),
    quota_key<&turn::Quotas::new_allocations_per_source>("new_allocations_per_source", 1,
                                                         1'000'000),
    quota_key<&turn::Quotas::allocations_total>("allocations_total", 1, 65'536),
    quota_key<&turn::Quotas::allocations_per_shard>("allocations_per_shard", 1, 65'536),
    quota_key<&turn::Quotas::permissions_per_allocation>("permissions_per_allocation", 1, 1024),
    quota_key<&turn::Quotas::channels_per_allocation>("channels_per_allocation", 1, 1024),
    quota_key<&turn::Quotas::peer_connections_per_allocation>("peer_connections_per_allocation", 1,
                                                              1024),
    quota_key<&turn::Quotas::new_peers_per_second>("new_peers_per_second", 1, 10'000),
    quota_key<&turn::Quotas::new_peers_burst>("new_peers_burst", 1, 10'000),
    quota_key<&turn::Quotas::packets_per_second>("packets_per_second", 50, 10'000'000),
    quota_key<&turn::Quotas::bits_per_second>("bits_per_second", 64'000, 100'000'000'000),
    quota_key<&turn::Quotas::shard_bits_per_second>("shard_bits_per_second", 0, 1'000'000'000'000),
};

}  // namespace bedside::server
