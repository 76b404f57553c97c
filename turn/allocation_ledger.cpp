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
auto counted(const Map& counts, const Key& key) {
  const auto known = counts.find(key);
  return known == counts.end() ? typename Map::mapped_type{} : known->second;
}

template <typename Counted>
void add_one(Counted& count) {
  ++count.held;
  ++count.opened;
}

// What was opened stays counted until the window ends.
template <typename Map, typename Key>
void take_one(Map& counts, const Key& key) {
  const auto known = counts.find(key);
  if (known != counts.end() && known->second.held > 0) --known->second.held;
}

template <typename Map>
void forget_opened(Map& counts) {
  std::erase_if(counts, [](const auto& entry) { return entry.second.held == 0; });
  for (auto& [key, count] : counts) count.opened = 0;
}

}  // namespace

void LocalLedger::set_quotas(const Quotas& quotas) {
  per_user_ = quotas.allocations_per_user;
  per_source_ = quotas.allocations_per_source;
  opened_per_user_ = quotas.new_allocations_per_user;
  opened_per_source_ = quotas.new_allocations_per_source;
  total_ = quotas.allocations_total;
}

void LocalLedger::begin_window_if_due(std::chrono::nanoseconds mono) {
  const bool crowded =
      std::max(by_subject_.size(), by_source_.size()) >= limits::kMaxCountedParties;
  if (mono - window_ < limits::kNewAllocationsWindow && !crowded) return;
  window_ = mono;
  forget_opened(by_subject_);
  forget_opened(by_source_);
}

AllocationLedger::Answer LocalLedger::acquire(std::string_view subject,
                                              const stun::IpAddress& client,
                                              std::chrono::nanoseconds mono) {
  begin_window_if_due(mono);
  const stun::IpAddress source = source_of(client);
  const Counted user = counted(by_subject_, subject);
  if (user.held >= per_user_ || user.opened >= opened_per_user_) return Answer::user_full;
  const Counted from = counted(by_source_, source);
  if (from.held >= per_source_ || from.opened >= opened_per_source_) return Answer::source_full;
  if (in_use_ >= total_) return Answer::server_full;
  add_one(by_subject_[std::string(subject)]);
  add_one(by_source_[source]);
  ++in_use_;
  return Answer::granted;
}

void LocalLedger::release(std::string_view subject, const stun::IpAddress& client) {
  if (counted(by_subject_, subject).held == 0) return;
  take_one(by_subject_, subject);
  take_one(by_source_, source_of(client));
  --in_use_;
}

}  // namespace bedside::turn
