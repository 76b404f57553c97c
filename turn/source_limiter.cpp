#include "turn/source_limiter.h"

#include <algorithm>
#include <bit>
#include <cassert>

namespace bedside::turn {
namespace {

constexpr std::uint32_t kToken =
    1000;  // a rate of n per second gives back n thousandths a millisecond

// The address with everything below the prefix cleared, as words for the hash.
std::uint64_t top_bits(stun::Bytes address, unsigned prefix_bits) noexcept {
  if (address.size() == 4) return stun::load_u32(address, 0) >> (32 - prefix_bits);
  const std::uint64_t top =
      (std::uint64_t{stun::load_u32(address, 0)} << 32) | stun::load_u32(address, 4);
  return top >> (64 - prefix_bits);
}

}  // namespace

SourceLimiter::SourceLimiter(std::uint64_t seed, SourceRate narrow, SourceRate wide,
                             std::size_t buckets)
    : seed_(seed), narrow_rate_(narrow), wide_rate_(wide), narrow_(buckets), wide_(buckets) {
  assert(std::has_single_bit(buckets));
}

bool SourceLimiter::admit(const stun::IpAddress& source, const Now& now) noexcept {
  const stun::IpAddress address = source.unmapped();
  Bucket& narrow = narrow_[slot(address, address.is_v4() ? 32 : 64)];
  Bucket& wide = wide_[slot(address, address.is_v4() ? 24 : 56)];
  const auto now_ms = static_cast<std::uint32_t>(
      std::chrono::duration_cast<std::chrono::milliseconds>(now.mono).count());
  give_back(narrow, narrow_rate_, now_ms);
  give_back(wide, wide_rate_, now_ms);
  // Both or none: a refused reply must not use up the neighbours' tokens.
  if (!has_token(narrow, narrow_rate_) || !has_token(wide, wide_rate_)) return false;
  narrow.used += kToken;
  wide.used += kToken;
  return true;
}

std::size_t SourceLimiter::slot(const stun::IpAddress& source,
                                unsigned prefix_bits) const noexcept {
  // The prefix length keeps IPv4 and IPv6, narrow and wide apart.
  const std::uint64_t hash =
      stun::SeededMix(seed_).add(prefix_bits).add(top_bits(source.bytes(), prefix_bits)).value();
  return hash & (narrow_.size() - 1);
}

void SourceLimiter::give_back(Bucket& bucket, const SourceRate& rate,
                              std::uint32_t now_ms) noexcept {
  const std::uint64_t elapsed = now_ms - bucket.updated_ms;
  bucket.used -=
      static_cast<std::uint32_t>(std::min<std::uint64_t>(bucket.used, elapsed * rate.per_second));
  bucket.updated_ms = now_ms;
}

bool SourceLimiter::has_token(const Bucket& bucket, const SourceRate& rate) noexcept {
  return std::uint64_t{bucket.used} + kToken <= std::uint64_t{rate.burst} * kToken;
}

}  // namespace bedside::turn
