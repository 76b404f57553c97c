#include "turn/allocation_ledger.h"

#include <algorithm>
#include <array>

namespace bedside::turn {
namespace {

stun::IpAddress source_of(const stun::IpAddress& client) {
  const stun::IpAddress address = client.unmapped();
  if (address.is_v4()) return address;
  std::array<std::uint8_t, 16> prefix{};
  std::copy_n(address.bytes().begin(), 8, prefix.begin());
  return stun::IpAddress::v6(prefix);
}

template <typename Map, typename Key>
std::size_t held(const Map& counts, const Key& key) {
  const auto known = counts.find(key);
  return known == counts.end() ? 0 : known->second;
}

template <typename Map, typename Key>
void take_one(Map& counts, const Key& key) {
  const auto known = counts.find(key);
  if (known != counts.end() && --known->second == 0) counts.erase(known);
}

}  // namespace

void LocalLedger::set_quotas(const Quotas& quotas) {
  per_user_ = quotas.allocations_per_user;
  per_source_ = quotas.allocations_per_source;
  total_ = quotas.allocations_total;
}

AllocationLedger::Answer LocalLedger::acquire(std::string_view subject,
                                              const stun::IpAddress& client) {
  const stun::IpAddress source = source_of(client);
  if (held(by_subject_, subject) >= per_user_) return Answer::user_full;
  if (held(by_source_, source) >= per_source_) return Answer::source_full;
  if (in_use_ >= total_) return Answer::server_full;
  ++by_subject_[std::string(subject)];
  ++by_source_[source];
  ++in_use_;
  return Answer::granted;
}

void LocalLedger::release(std::string_view subject, const stun::IpAddress& client) {
  if (held(by_subject_, subject) == 0) return;
  take_one(by_subject_, subject);
  take_one(by_source_, source_of(client));
  --in_use_;
}

}  // namespace bedside::turn
