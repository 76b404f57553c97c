#include "store/retention_ledger.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include "store/checkpoint.h"
#include "store/digest.h"
#include "store/holds.h"

namespace bedside::store {
namespace {

std::string actor_of(const CanonicalObject& body) {
  const auto actor = body.object("actor");
  return actor ? actor->text("id").value_or("") : std::string();
}

}  // namespace

std::optional<std::string> RetentionLedger::follow(const CanonicalObject& body,
                                                   std::string_view text) {
  // Almost every record is about something else; this costs nothing.
  if (!body.spelled("type").starts_with("\"audit.")) return std::nullopt;
  const std::string type = body.text("type").value_or("");
  if (type == kPurgeRecord) return purge(body, text);
  if (body.text("outcome") != "ok") return std::nullopt;
  if (type == kHoldSetRecord) return set_hold(body);
  if (type == kHoldClearedRecord) return clear_hold(body);
  if (type == kPurgeProposedRecord) propose(body);
  if (type == kPurgeWithdrawnRecord) proposal_.reset();
  return std::nullopt;
}

std::optional<std::string> RetentionLedger::set_hold(const CanonicalObject& body) {
  const auto detail = body.object("detail");
  const auto hold = detail ? detail->object("hold") : std::nullopt;
  const auto id = hold ? hold->text("id") : std::nullopt;
  if (!id || id != body.text("object")) return "it sets a hold and does not say which";
  if (!holds_.emplace(*id, detail->spelled("hold")).second) return "it sets a hold that is there";
  return std::nullopt;
}

std::optional<std::string> RetentionLedger::clear_hold(const CanonicalObject& body) {
  if (holds_.erase(body.text("object").value_or("")) == 1) return std::nullopt;
  return "it clears a hold that is not there";
}

void RetentionLedger::propose(const CanonicalObject& body) {
  const auto detail = body.object("detail");
  if (!detail) return;
  const std::int64_t through = std::max<std::int64_t>(detail->integer("through").value_or(0), 0);
  proposal_ = Proposal{static_cast<std::uint64_t>(through),
                       detail->integer("keep_years").value_or(0), actor_of(body)};
}

std::optional<std::string> RetentionLedger::purge(const CanonicalObject& body,
                                                  std::string_view text) {
  const auto declared = read_purge(text);
  if (!declared) return "it declares a purge as none can be";
  if (dated_in_future(*declared, std::chrono::system_clock::now())) {
    return "it declares a purge, and its time is in the future";
  }
  if (!proposal_ || proposal_->by != declared->proposed_by ||
      proposal_->keep_years != declared->keep_years || proposal_->through < declared->through) {
    return "it declares a purge that was not proposed like that";
  }
  if (declared->approved_by != actor_of(body)) return "it was written by another than it says";
  if (declared->from != (purges_.empty() ? 0 : purges_.back().through) + 1) {
    return "it does not go on where the purge before ended";
  }
  if (declared->holds != holds_.size() || declared->holds_digest != digest_of_holds()) {
    return "other holds were in force than the purge of this record honoured";
  }
  removed_ += declared->removed;
  purges_.push_back(*declared);
  return std::nullopt;
}

std::optional<std::string> RetentionLedger::objection(std::uint64_t kept,
                                                      const std::string& digest_in_table) const {
  if (digest_in_table != digest_of_holds())
    return "holds were set or cleared, and no record tells of it";
  if (!purges_.empty() && removed_ != purges_.back().through - kept) {
    return "the purges declare another number of records than are gone";
  }
  return std::nullopt;
}

std::string RetentionLedger::digest_of_holds() const {
  Sha256 digest;
  for (const auto& [id, hold] : holds_) digest.add(hold + "\n");
  return to_hex(digest.finish());
}

}  // namespace bedside::store
