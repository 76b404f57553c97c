#include "server/audit_retention.h"

#include <algorithm>
#include <array>

#include "server/audit_trail.h"
#include "server/audit_types.h"
#include "server/room_filter.h"
#include "store/holds.h"
#include "store/reader.h"

namespace bedside::server {
namespace {

constexpr std::size_t kMaxReference = 64;
constexpr std::array<std::string_view, 4> kToHold = {"litigation", "investigation", "complaint",
                                                     "other"};
constexpr std::array<std::string_view, 3> kToClear = {"closed", "mistake", "other"};

// No catch-all: a new kind of action does not compile without its lines here.
struct TypeOf {
  std::string_view operator()(const HoldSet&) { return audit_type::kHoldSet; }
  std::string_view operator()(const HoldCleared&) { return audit_type::kHoldCleared; }
  std::string_view operator()(const PurgeProposed&) { return audit_type::kPurgeProposed; }
  std::string_view operator()(const PurgeWithdrawn&) { return audit_type::kPurgeWithdrawn; }
  std::string_view operator()(const LogPurged&) { return audit_type::kPurged; }
};

struct Describe {
  const AuditPrivacy& privacy;
  store::AuditRecord& record;
  store::Commit& commit;

  void because(const RetentionReason& reason) {
    record.reason = reason.word;
    seal_into(record, privacy, "reference", reason.reference);
  }
  void operator()(const HoldSet& action) {
    record.object = action.change.hold.hold_id;
    record.detail.set("hold", store::hold_json(action.change.hold));
    because(action.reason);
    commit.changes.emplace_back(action.change);
  }
  void operator()(const HoldCleared& action) {
    record.object = action.change.hold_id;
    because(action.reason);
    commit.changes.emplace_back(action.change);
  }
  void operator()(const PurgeProposed& action) {
    const store::PurgeProposalRow& proposal = action.change.proposal;
    record.detail.set("through", proposal.through).set("keep_years", proposal.keep_years);
    record.detail.set("records", action.records).set("held", action.held);
    commit.changes.emplace_back(action.change);
  }
  void operator()(const PurgeWithdrawn&) { commit.changes.emplace_back(store::PurgeWithdrawn{}); }
  void operator()(const LogPurged& action) {
    record.detail.set("archive", action.archive);  // detail.purge: by the store
    commit.purge = action.order;
  }
};

}  // namespace

bool is_reason_to_hold(std::string_view word) {
  return std::find(kToHold.begin(), kToHold.end(), word) != kToHold.end();
}

bool is_reason_to_clear(std::string_view word) {
  return std::find(kToClear.begin(), kToClear.end(), word) != kToClear.end();
}

bool is_reference(std::string_view text) {
  constexpr std::string_view kAllowed =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-/";
  return text.size() <= kMaxReference && text.find_first_not_of(kAllowed) == std::string_view::npos;
}

std::string_view type_of(const RetentionAction& action) { return std::visit(TypeOf{}, action); }

void describe(const RetentionAction& action, const AuditPrivacy& privacy,
              store::AuditRecord& record, store::Commit& commit) {
  std::visit(Describe{privacy, record, commit}, action);
}

tl::expected<HoldSet, std::string> checked_hold(HoldWish wish, const AuditTrail& trail,
                                                const std::string& database) {
  const auto unreadable = [](const std::string& why) {
    return tl::unexpected("The log cannot be read: " + why);
  };
  const auto reader = store::Reader::open(database);
  if (!reader) return unreadable(reader.error());
  store::HoldRow& hold = wish.hold.change.hold;
  hold.room = room_filter(trail, *reader, wish.room);
  if (!hold.person.empty()) {
    const auto known = reader->knows(hold.person);
    if (!known) return unreadable(known.error());
    if (!*known) {
      return tl::unexpected(std::string(
          "No record is by or about this id. Records have account names and participant ids."));
    }
  }
  if (!hold.room.empty()) {
    const auto known = reader->knows_room(hold.room);
    if (!known) return unreadable(known.error());
    if (!*known) {
      return tl::unexpected(
          std::string("No record is about this room. Type its name as the room was made with."));
    }
  }
  return std::move(wish.hold);
}

}  // namespace bedside::server
