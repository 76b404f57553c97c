#pragma once

#include <cstddef>
#include <map>
#include <string>
#include <string_view>

namespace bedside::turn {

// Counts the allocations of each user over all shards of a server, so that the quota holds however
// the kernel spreads a user's connections. Asked once per Allocate, never per packet.
class AllocationLedger {
 public:
  virtual ~AllocationLedger() = default;
  // False: the user has reached the quota.
  virtual bool acquire(std::string_view subject) = 0;
  // Once for every granted acquire.
  virtual void release(std::string_view subject) = 0;
};

// The counting itself, for one thread.
class LocalLedger final : public AllocationLedger {
 public:
  explicit LocalLedger(std::size_t per_user) : per_user_(per_user) {}

  bool acquire(std::string_view subject) override;
  void release(std::string_view subject) override;
  std::size_t in_use() const { return in_use_; }

 private:
  std::size_t per_user_;
  std::size_t in_use_ = 0;
  std::map<std::string, std::size_t, std::less<>> by_subject_;
};

}  // namespace bedside::turn
