#include "server/visit_index.h"

#include <variant>

namespace bedside::server {
namespace {

const std::string& participant_of(const turn::Event& event) {
  static const std::string kNobody;
  return std::visit(
      [](const auto& what) -> const std::string& {
        if constexpr (requires { what.party; }) {
          return what.party.participant;
        } else {
          return kNobody;
        }
      },
      event);
}

}  // namespace

void VisitIndex::live(const std::string& participant, const std::string& room) {
  Person& person = people_[participant];
  person.room = room;
  person.live = true;
}

void VisitIndex::gone(const std::string& participant) {
  const auto it = people_.find(participant);
  if (it == people_.end() || !it->second.live) return;
  it->second.live = false;
  forget_if_over(participant);
}

std::string VisitIndex::note(const turn::Event& event) {
  const std::string& participant = participant_of(event);
  const auto it = participant.empty() ? people_.end() : people_.find(participant);
  if (it == people_.end()) return {};
  std::string room = it->second.room;
  if (std::holds_alternative<turn::AllocationOpened>(event)) ++it->second.allocations;
  if (std::holds_alternative<turn::AllocationClosed>(event)) {
    --it->second.allocations;
    forget_if_over(participant);
  }
  return room;
}

bool VisitIndex::relayed(const std::string& participant) const {
  const auto it = people_.find(participant);
  return it != people_.end() && it->second.allocations > 0;
}

void VisitIndex::forget_if_over(const std::string& participant) {
  const auto is_over = [this](const std::string& id) {
    const auto it = people_.find(id);
    return it != people_.end() && !it->second.live && it->second.allocations <= 0;
  };
  if (!is_over(participant)) return;
  over_.push_back(participant);
  while (over_.size() > kRemembered) {
    const std::string oldest = std::move(over_.front());
    over_.pop_front();
    if (is_over(oldest)) people_.erase(oldest);
  }
}

}  // namespace bedside::server
