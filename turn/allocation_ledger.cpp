#include "turn/allocation_ledger.h"

namespace bedside::turn {

bool LocalLedger::acquire(std::string_view subject) {
  const auto known = by_subject_.find(subject);
  const std::size_t held = known == by_subject_.end() ? 0 : known->second;
  if (held >= per_user_) return false;
  if (known == by_subject_.end()) {
    by_subject_.emplace(std::string(subject), 1);
  } else {
    ++known->second;
  }
  ++in_use_;
  return true;
}

void LocalLedger::release(std::string_view subject) {
  const auto known = by_subject_.find(subject);
  if (known == by_subject_.end()) return;
  --in_use_;
  if (--known->second == 0) by_subject_.erase(known);
}

}  // namespace bedside::turn
