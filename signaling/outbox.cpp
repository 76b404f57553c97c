#include "signaling/outbox.h"

#include <cstddef>
#include <utility>

#include "signaling/limits.h"
#include "signaling/message.h"

namespace bedside::signaling {

void Outbox::push(std::string_view object) {
  // What is pushed after a loss is part of what the coming resync says.
  if (lost_) return;
  std::string text = with_seq(object, next_);
  while (size() >= kOutboxMessages || bytes_ + text.size() > kOutboxBytes) {
    if (size() == 0 || front().seq > sent_) {
      drop_all();
      lost_ = true;
      return;
    }
    drop_front();
  }
  bytes_ += text.size();
  kept_.push_back({next_, std::move(text)});
  ++next_;
}

bool Outbox::can_resume(std::uint64_t after) const {
  if (lost_ || after >= next_) return false;
  const std::uint64_t first_kept = next_ - size();
  return after + 1 >= first_kept;
}

void Outbox::resume(std::uint64_t after) {
  while (size() > 0 && front().seq <= after) drop_front();
  sent_ = after;
  acknowledged_ = after;
}

void Outbox::restart(std::string_view object) {
  drop_all();
  lost_ = false;
  restarted_ = next_;
  sent_ = next_ - 1;
  push(object);
}

std::vector<std::string> Outbox::take(std::size_t max_bytes) {
  std::vector<std::string> texts;
  std::size_t taken = 0;
  while (has_unsent() && (texts.empty() || taken < max_bytes)) {
    const std::uint64_t first_kept = next_ - size();
    const Kept& kept = kept_[dropped_ + static_cast<std::size_t>(sent_ + 1 - first_kept)];
    taken += kept.text.size();
    texts.push_back(kept.text);
    ++sent_;
  }
  return texts;
}

void Outbox::drop_front() {
  bytes_ -= front().text.size();
  std::string().swap(kept_[dropped_].text);
  ++dropped_;
  // Moving the rest only when it is the smaller half keeps the cost linear.
  if (dropped_ <= kept_.size() / 2) return;
  kept_.erase(kept_.begin(), kept_.begin() + static_cast<std::ptrdiff_t>(dropped_));
  dropped_ = 0;
}

void Outbox::drop_all() {
  kept_.clear();
  dropped_ = 0;
  bytes_ = 0;
}

}  // namespace bedside::signaling
