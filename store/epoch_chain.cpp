#include "store/epoch_chain.h"

#include <algorithm>

namespace bedside::store {

std::optional<std::string> EpochChain::announce(const Epoch& epoch, std::uint64_t seq,
                                                const Hash& before) {
  if (epoch.number != links_.size() + 1) {
    return "it announces epoch " + std::to_string(epoch.number) + " after epoch " +
           std::to_string(links_.size());
  }
  if (links_.empty()) {
    if (genesis_ && *genesis_ != epoch.key) {
      return "the first key is not the one that was noted: the log was written anew";
    }
  } else if (epoch.gap) {
    if (auto wrong = begin_after_restore(epoch, seq)) return wrong;
  } else {
    const Link& last = links_.back();
    const std::string message =
        epoch_message(last.epoch.origin, epoch.number, epoch.key, seq - 1, before);
    if (seq <= last.seq || epoch.origin != last.epoch.origin || !epoch.voucher ||
        !verify(last.epoch.key, message, *epoch.voucher)) {
      return "the key of the epoch before does not vouch for this one and the records before it";
    }
  }
  links_.push_back({epoch, seq});
  return std::nullopt;
}

// Nobody vouches for this key: the key of the epoch before was lost with the machine.
std::optional<std::string> EpochChain::begin_after_restore(const Epoch& epoch, std::uint64_t seq) {
  const Link& last = links_.back();
  const bool same_name = std::any_of(links_.begin(), links_.end(), [&](const Link& each) {
    return each.epoch.origin == epoch.origin;
  });
  if (seq <= last.seq || epoch.gap->from != seq || same_name) {
    return "it declares a restore that does not fit its place in the log";
  }
  const bool noted = std::find(restored_.begin(), restored_.end(), epoch.key) != restored_.end();
  if (!restored_.empty() && !noted) {
    return "its key is none of those that were noted at restores: whoever restored this log "
           "replaced its end";
  }
  return std::nullopt;
}

EpochChain::Lost EpochChain::lost(const Checkpoint& checkpoint) const {
  for (std::size_t i = 1; i < links_.size(); ++i) {
    const auto& gap = links_[i].epoch.gap;
    if (!gap || links_[i - 1].epoch.origin != checkpoint.origin || checkpoint.size < gap->from) {
      continue;
    }
    return gap->to && checkpoint.size > *gap->to ? Lost::undeclared : Lost::declared;
  }
  return Lost::no;
}

bool EpochChain::had_name(std::string_view origin) const {
  return std::any_of(links_.begin(), links_.end(),
                     [&](const Link& link) { return link.epoch.origin == origin; });
}

std::vector<DeclaredGap> EpochChain::gaps() const {
  std::vector<DeclaredGap> found;
  for (const Link& link : links_) {
    if (link.epoch.gap) found.push_back({*link.epoch.gap, link.epoch.origin, link.epoch.key});
  }
  return found;
}

std::optional<std::string> EpochChain::objection(const Note& note,
                                                 const Checkpoint& checkpoint) const {
  if (checkpoint.epoch == 0 || checkpoint.epoch > links_.size()) {
    return "is of an epoch that was never announced";
  }
  // An epoch signs from its announcement to that of the next one, which it signs too.
  const Link& signer = links_[checkpoint.epoch - 1];
  const bool over =
      checkpoint.epoch < links_.size() && checkpoint.size > links_[checkpoint.epoch].seq;
  if (over || checkpoint.size < signer.seq || checkpoint.origin != signer.epoch.origin) {
    return "is of an epoch that was over or had not begun, or of another log";
  }
  if (!is_signed_by(note, checkpoint.origin, signer.epoch.key)) {
    return "is not signed by the key of its epoch";
  }
  return std::nullopt;
}

}  // namespace bedside::store
