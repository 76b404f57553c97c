#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>

#include "stun/endpoint.h"
#include "turn/limits.h"

namespace bedside::turn {

// Counts the allocations of each user and of each source over all shards of a server, so that the
// quotas hold however the kernel spreads a client's connections. A source is an IPv4 address or an
// IPv6 /64, what one household or one machine usually has. Asked once per Allocate, never per
// packet. Its size is bounded by Quotas::allocations_total.
class AllocationLedger {
 public:
  enum class Answer : std::uint8_t { granted, user_full, source_full, server_full };

  virtual ~AllocationLedger() = default;
  virtual Answer acquire(std::string_view subject, const stun::IpAddress& client) = 0;
  // Once for every granted acquire, with the same two.
  virtual void release(std::string_view subject, const stun::IpAddress& client) = 0;
};

// The counting itself, for one thread.
class LocalLedger final : public AllocationLedger {
 public:
  explicit LocalLedger(const Quotas& quotas) { set_quotas(quotas); }

  // What exists is not touched; nothing new is granted while there is too much of it.
  void set_quotas(const Quotas& quotas);

  Answer acquire(std::string_view subject, const stun::IpAddress& client) override;
  void release(std::string_view subject, const stun::IpAddress& client) override;
  std::size_t in_use() const { return in_use_; }

 private:
  std::size_t per_user_ = 0;
  std::size_t per_source_ = 0;
  std::size_t total_ = 0;
  std::size_t in_use_ = 0;
  // Ordered maps: neither names nor addresses can be chosen to make a look-up slow.
  std::map<std::string, std::size_t, std::less<>> by_subject_;
  std::map<stun::IpAddress, std::size_t> by_source_;
};

}  // namespace bedside::turn
