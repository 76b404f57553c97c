#include "server/data_key_turn.h"

#include <utility>
#include <variant>

namespace bedside::server {

tl::expected<void, std::string> adopt_data_keys(AuditTrail& trail,
                                                const store::LoadedState& state) {
  for (const store::DataKeyRow& key : state.data_keys) {
    if (trail.adopt(key)) continue;
    return tl::unexpected(
        "the audit log's key of " + key.month +
        " does not open with the key that is here\n    → give back the systemd credential "
        "audit-key, audit.key_file or keys/field.key it was wrapped with; a new one cannot read "
        "what the old one wrote");
  }
  return {};
}

bool make_due_data_key(AuditTrail& trail, std::chrono::milliseconds wall,
                       const std::function<bool(store::Commit)>& written) {
  auto due = trail.data_key_due(wall);
  if (!due) return true;
  const store::DataKeyRow key = std::get<store::DataKeyCreated>(due->changes.front()).key;
  if (key.wrapped.empty() || !written(std::move(*due)) || !trail.adopt(key)) return false;
  return !trail.data_key_due(wall);
}

}  // namespace bedside::server
