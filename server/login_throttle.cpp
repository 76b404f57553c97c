#include "server/login_throttle.h"

#include <algorithm>
#include <span>
#include <utility>

namespace bedside::server {
namespace {

constexpr unsigned kMaxDoublings = 20;  // beyond, every rule's max_pause is long reached

// Mixing with a secret seed: an outsider cannot choose names or addresses that share an entry.
class Mixer {
 public:
  explicit Mixer(std::uint64_t seed) : state_(seed ^ 0x9E3779B97F4A7C15U) {}
  void add(std::uint8_t byte) {
    state_ = (state_ ^ byte) * 0xFF51AFD7ED558CCDU;
    state_ ^= state_ >> 32U;
  }
  std::uint64_t value() const { return state_; }

 private:
  std::uint64_t state_;
};

}  // namespace

LoginThrottle::LoginThrottle(std::uint64_t seed, ThrottleRules rules)
    : seed_(seed), rules_(rules) {}

LoginThrottle::Admission LoginThrottle::admit(const stun::IpAddress& source,
                                              std::string_view account, Time now) {
  const std::uint64_t from = source_key(source);
  const std::uint64_t name = account_key(account);
  Admission admission;
  for (Entry* entry : {paused(sources_, from, now), paused(accounts_, name, now)}) {
    if (entry == nullptr) continue;
    admission.wait = std::max(admission.wait, entry->open_at - now);
    admission.first_refusal |= !std::exchange(entry->told, true);
  }
  if (!admission.granted()) return admission;
  count(sources_, rules_.source, from, now);
  count(accounts_, rules_.account, name, now);
  return admission;
}

void LoginThrottle::succeeded(const stun::IpAddress& source, std::string_view account) {
  sources_.erase(source_key(source));
  accounts_.erase(account_key(account));
}

void LoginThrottle::taken_back(const stun::IpAddress& source, std::string_view account) {
  const auto uncount = [](Table& table, std::uint64_t key) {
    const auto it = table.find(key);
    if (it == table.end()) return;
    it->second.open_at = it->second.last;
    if (--it->second.failures == 0) table.erase(it);
  };
  uncount(sources_, source_key(source));
  uncount(accounts_, account_key(account));
}

// A household or an office guesses together: IPv4 addresses count alone, IPv6 by /56, the smallest
// block a subscriber is usually given.
std::uint64_t LoginThrottle::source_key(const stun::IpAddress& source) const {
  constexpr std::size_t kIpv6PrefixBytes = 7;
  Mixer mixer(seed_);
  const stun::IpAddress address = source.unmapped();
  std::span<const std::uint8_t> bytes = address.bytes();
  if (bytes.size() > 4) bytes = bytes.first(kIpv6PrefixBytes);
  for (const std::uint8_t byte : bytes) mixer.add(byte);
  return mixer.value();
}

std::uint64_t LoginThrottle::account_key(std::string_view account) const {
  Mixer mixer(~seed_);
  for (const char c : account) mixer.add(static_cast<std::uint8_t>(c));
  return mixer.value();
}

LoginThrottle::Entry* LoginThrottle::paused(Table& table, std::uint64_t key, Time now) {
  const auto it = table.find(key);
  return it == table.end() || it->second.open_at <= now ? nullptr : &it->second;
}

void LoginThrottle::count(Table& table, const ThrottleRule& rule, std::uint64_t key, Time now) {
  auto it = table.find(key);
  if (it != table.end() && now - it->second.last >= rules_.forget_after) it->second.failures = 0;
  if (it == table.end()) {
    if (table.size() >= rule.entries) make_room(table, rule.entries, now);
    it = table.emplace(key, Entry{}).first;
  }
  Entry& entry = it->second;
  ++entry.failures;
  entry.last = now;
  entry.open_at = now;
  entry.told = false;
  if (entry.failures >= rule.free_attempts) {
    const unsigned doublings = std::min(entry.failures - rule.free_attempts, kMaxDoublings);
    entry.open_at += std::min(std::chrono::seconds(1) * (1U << doublings), rule.max_pause);
  }
}

// Forgets what has lapsed; if that is not enough, the entry with the fewest failures, the oldest of
// them. So nobody clears their own history by inventing names.
void LoginThrottle::make_room(Table& table, std::size_t limit, Time now) const {
  std::erase_if(table,
                [&](const auto& row) { return now - row.second.last >= rules_.forget_after; });
  if (table.size() < limit || table.empty()) return;
  const auto least = std::min_element(table.begin(), table.end(), [](const auto& a, const auto& b) {
    if (a.second.failures != b.second.failures) return a.second.failures < b.second.failures;
    return a.second.last < b.second.last;
  });
  table.erase(least);
}

}  // namespace bedside::server
