#include "store/clock_check.h"

#include <algorithm>

#include "store/seal.h"

namespace bedside::store {
namespace {

// What the server looks for is a second; reading two clocks takes a moment, and so does a look.
constexpr std::int64_t kStepUs = 1'500'000;
constexpr std::int64_t kUntoldUs = 2'000'000;
// A log of a machine that is started every hour for ten years has fewer.
constexpr std::size_t kMaxBoots = 100'000;
constexpr std::int64_t kMostTold = 1'000'000'000'000;  // ms

// Whatever somebody wrote into a log: nothing overflows.
std::int64_t difference(std::int64_t a, std::int64_t b) {
  return static_cast<std::int64_t>(static_cast<std::uint64_t>(a) - static_cast<std::uint64_t>(b));
}
bool at_least(std::int64_t value, std::int64_t limit) { return value >= limit || value <= -limit; }

}  // namespace

bool ClockCheck::follow(std::uint64_t seq, const CanonicalObject& body) {
  const auto boot_us = body.integer("t_boot_us");
  const auto wall_us = body.integer("t_wall_us");
  if (!boot_us || !wall_us) return true;
  const std::string boot_id = body.text("boot_id").value_or("");
  const std::string type = body.text("type").value_or("");
  follow_offset(seq, boot_id, difference(*wall_us, *boot_us));
  if (type == "time.step" && boot_ != nullptr) {
    const auto detail = body.object("detail");
    const std::int64_t by_ms = detail ? detail->integer("by_ms").value_or(0) : 0;
    boot_->told_us += 1'000 * std::clamp(by_ms, -kMostTold, kMostTold);
  }
  // The store's own records are stamped when they are written, all others when they are submitted.
  const bool own = type == kEpochRecord || type == "storage.recovered";
  if (own || body.integer("late") == 1) return true;
  const bool backwards = boot_id == ordered_boot_id_ && *boot_us < ordered_boot_us_;
  ordered_boot_id_ = boot_id;
  ordered_boot_us_ = *boot_us;
  return !backwards;
}

void ClockCheck::follow_offset(std::uint64_t seq, const std::string& boot_id, std::int64_t offset) {
  if (boot_ == nullptr || boot_id != boot_id_) {
    boot_id_ = boot_id;
    const auto known = boots_.find(boot_id);
    const bool more = known == boots_.end() && boots_.size() < kMaxBoots;
    boot_ = known != boots_.end() ? &known->second
            : more                ? &boots_.emplace(boot_id, Boot{offset, offset}).first->second
                                  : nullptr;
  }
  if (boot_ == nullptr) return;
  if (boot_->stepped == 0 && at_least(difference(offset, boot_->last_us), kStepUs)) {
    boot_->stepped = seq;
  }
  boot_->last_us = offset;
}

std::optional<UntoldClockStep> ClockCheck::untold() const {
  std::optional<UntoldClockStep> first;
  for (const auto& [id, boot] : boots_) {
    const std::int64_t untold = difference(difference(boot.last_us, boot.offset_us), boot.told_us);
    if (boot.stepped == 0 || !at_least(untold, kUntoldUs)) continue;
    if (!first || boot.stepped < first->seq) first = UntoldClockStep{boot.stepped, untold};
  }
  return first;
}

}  // namespace bedside::store
