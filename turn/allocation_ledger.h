#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>

#include "stun/endpoint.h"
#include "turn/limits.h"

namespace bedside::turn {

// Counts the allocations of each user and of each source over all shards of a server, so that the
// quotas hold however the kernel spreads a client's connections: those that are there, and those
// that were opened lately. A source is an IPv4 address or an IPv6 /64, what one household or one
// machine usually has. Asked once per Allocate, never per packet. Its size is bounded by
// Quotas::allocations_total and limits::kMaxCountedParties.
class AllocationLedger {
 public:
  enum class Answer : std::uint8_t { granted, user_full, source_full, server_full };

  virtual ~AllocationLedger() = default;
  // `mono` as in Now.
  virtual Answer acquire(std::string_view subject, const stun::IpAddress& client,
                         std::chrono::nanoseconds mono) = 0;
  // Once for every granted acquire, with the same two.
  virtual void release(std::string_view subject, const stun::IpAddress& client) = 0;
};

// The counting itself, for one thread.
class LocalLedger final : public AllocationLedger {
 public:
  explicit LocalLedger(const Quotas& quotas) { set_quotas(quotas); }

  // What exists is not touched; nothing new is granted while there is too much of it.
  void set_quotas(const Quotas& quotas);

  Answer acquire(std::string_view subject, const stun::IpAddress& client,
                 std::chrono::nanoseconds mono) override;
  void release(std::string_view subject, const stun::IpAddress& client) override;
  std::size_t in_use() const { return in_use_; }

 private:
  struct Counted {
    std::size_t held = 0;
    std::size_t opened = 0;  // since window_
  };
  void begin_window_if_due(std::chrono::nanoseconds mono);

  std::size_t per_user_ = 0;
  std::size_t per_source_ = 0;
  std::size_t opened_per_user_ = 0;
  std::size_t opened_per_source_ = 0;
  std::size_t total_ = 0;
  std::size_t in_use_ = 0;
  // Ordered maps: neither names nor addresses can be chosen to make a look-up slow.
  std::map<std::string, Counted, std::less<>> by_subject_;
  std::map<stun::IpAddress, Counted> by_source_;
  std::chrono::nanoseconds window_{0};
};

}  // namespace bedside::turn
