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

void LiveParticipantSet::remember(const turn::IssuedCredential& issued, std::string_view realm,
                                  std::chrono::seconds now_wall) {
  const stun::Sha256Digest userhash = stun::userhash(issued.username, realm);
  const std::lock_guard lock(mutex_);
  while (!ages_.empty() && (ages_.front().expires_wall <= now_wall || ages_.size() >= kMaxNames)) {
    names_.erase(ages_.front().userhash);
    ages_.pop_front();
  }
  // The same name again when a credential was asked for twice in one second.
  if (names_.emplace(userhash, issued.username).second) {
    ages_.push_back({issued.expires_wall, userhash});
  }
}

std::optional<std::string> LiveParticipantSet::name_of(const stun::Sha256Digest& userhash) const {
  const std::lock_guard lock(mutex_);
  const auto found = names_.find(userhash);
  return found == names_.end() ? std::nullopt : std::optional(found->second);
}

}  // namespace bedside::server
