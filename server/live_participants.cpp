#include "server/live_participants.h"

namespace bedside::server {

void LiveParticipantSet::add(std::string_view participant) {
  const std::lock_guard lock(mutex_);
  live_.emplace(participant);
}

void LiveParticipantSet::remove(std::string_view participant) {
  const std::lock_guard lock(mutex_);
  if (const auto found = live_.find(participant); found != live_.end()) live_.erase(found);
}

bool LiveParticipantSet::contains(std::string_view participant) const noexcept {
  const std::lock_guard lock(mutex_);
  return live_.find(participant) != live_.end();
}

std::size_t LiveParticipantSet::size() const {
  const std::lock_guard lock(mutex_);
  return live_.size();
}

}  // namespace bedside::server
