#include "server/admin_retention_json.h"

#include <openssl/rand.h>

#include <array>
#include <nlohmann/json.hpp>
#include <utility>

#include "server/admin_answer.h"
#include "store/checkpoint.h"

namespace bedside::server {
namespace {

using RetentionJson = nlohmann::json;
using Micros = std::chrono::microseconds;

constexpr std::size_t kMaxHeldRoom = 255;
constexpr std::size_t kMaxHeldPerson = 128;
constexpr std::int64_t kMaxHeldMs = 253'402'300'800'000;  // the year 10000
constexpr std::int64_t kMicrosInMs = 1000;

std::string text_of(const RetentionJson& from, const char* key) {
  const auto it = from.find(key);
  return it != from.end() && it->is_string() ? it->get<std::string>() : std::string();
}

// False: it is there and no time.
bool time_of(const RetentionJson& from, const char* key, std::optional<Micros>& out) {
  const auto it = from.find(key);
  if (it == from.end() || it->is_null()) return true;
  if (!it->is_number_unsigned() || it->get<std::uint64_t>() > kMaxHeldMs) return false;
  out = std::chrono::milliseconds(it->get<std::int64_t>());
  return true;
}

// What is no id stays out of the log; a name could not be taken out of it again.
bool is_id(std::string_view text) {
  return text.find_first_not_of(
             "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-@") ==
         std::string_view::npos;
}

std::string fresh_hold_id() {
  std::array<std::uint8_t, 5> random{};
  RAND_bytes(random.data(), static_cast<int>(random.size()));
  return "hold-" + store::to_hex(random);
}

RetentionJson plan_json(const store::PurgePlan& plan) {
  if (plan.through < plan.from) return nullptr;
  return {{"from", plan.from},
          {"through", plan.through},
          {"records", plan.records},
          {"held", plan.held},
          {"oldestAt", plan.oldest_us / kMicrosInMs},
          {"newestAt", plan.newest_us / kMicrosInMs}};
}

RetentionJson hold_row(const store::HoldRow& hold) {
  RetentionJson row = {{"id", hold.hold_id}, {"room", hold.room}, {"person", hold.person}};
  row["from"] = hold.from ? RetentionJson(hold.from->count() / kMicrosInMs) : RetentionJson();
  row["to"] = hold.to ? RetentionJson(hold.to->count() / kMicrosInMs) : RetentionJson();
  return row;
}

RetentionJson purge_row(const store::DeclaredPurge& purge) {
  return {{"from", purge.from},
          {"through", purge.through},
          {"removed", purge.removed},
          {"at", purge.wall_us / kMicrosInMs},
          {"keepYears", purge.keep_years},
          {"proposedBy", purge.proposed_by},
          {"approvedBy", purge.approved_by},
          {"archive", purge.archive_digest}};
}

}  // namespace

std::optional<std::string> parse_account_name(std::string_view body) {
  const RetentionJson json = RetentionJson::parse(body, nullptr, false);
  if (!json.is_object() || !json.contains("name")) return std::nullopt;
  return text_of(json, "name");
}

net::HttpResponse admin_people(std::span<const store::AccountRow> accounts,
                               std::span<const store::InvitationRow> invitations,
                               std::chrono::milliseconds now, const SessionView& session) {
  RetentionJson body = admin_success(session);
  body["accounts"] = RetentionJson::array();
  for (const store::AccountRow& row : accounts) {
    body["accounts"].push_back(
        {{"name", row.name},
         {"createdAt", row.created_at.count()},
         {"disabledAt", row.disabled_at ? RetentionJson(row.disabled_at->count()) : nullptr}});
  }
  body["invitations"] = RetentionJson::array();
  for (const store::InvitationRow& row : invitations) {
    if (row.expires_at <= now) continue;
    body["invitations"].push_back(
        {{"name", row.name}, {"invitedBy", row.invited_by}, {"expiresAt", row.expires_at.count()}});
  }
  return admin_answer(200, body);
}

net::HttpResponse admin_invited(const store::InvitationRow& invitation, std::string_view link,
                                const SessionView& session, std::string_view receipt) {
  RetentionJson body = admin_success(session);
  body["name"] = invitation.name;
  body["link"] = link;
  body["expiresAt"] = invitation.expires_at.count();
  if (!receipt.empty()) body["receipt"] = receipt;
  return admin_answer(200, body);
}

tl::expected<HoldWish, std::string> hold_from_json(std::string_view body) {
  const RetentionJson json = RetentionJson::parse(body, nullptr, false);
  if (!json.is_object()) return tl::unexpected(std::string("The request is not understood."));
  HoldWish made;
  store::HoldRow& hold = made.hold.change.hold;
  made.room = text_of(json, "room");
  hold.person = text_of(json, "person");
  if (made.room.size() > kMaxHeldRoom || hold.person.size() > kMaxHeldPerson ||
      !time_of(json, "from", hold.from) || !time_of(json, "to", hold.to)) {
    return tl::unexpected(std::string("The request is not understood."));
  }
  if (!is_id(hold.person)) {
    return tl::unexpected(std::string(
        "A person is the id that records have, not a name: letters, digits and . _ - @"));
  }
  if (made.room.empty() && hold.person.empty() && !hold.from && !hold.to) {
    return tl::unexpected(std::string("Say what to hold: a room, a person or a time."));
  }
  if (hold.from && hold.to && *hold.from >= *hold.to) {
    return tl::unexpected(std::string("The time ends before it begins."));
  }
  made.hold.reason = {text_of(json, "reason"), text_of(json, "reference")};
  if (!is_reason_to_hold(made.hold.reason.word)) {
    return tl::unexpected(
        std::string("The reason is one of litigation, investigation, complaint, other."));
  }
  if (!is_reference(made.hold.reason.reference)) {
    return tl::unexpected(std::string(
        "The reference takes up to 64 letters, digits and . _ - / only, and no name: it "
        "stays in the log."));
  }
  hold.hold_id = fresh_hold_id();
  return made;
}

tl::expected<HoldCleared, std::string> clearing_from_json(std::string_view body) {
  const RetentionJson json = RetentionJson::parse(body, nullptr, false);
  if (!json.is_object()) return tl::unexpected(std::string("The request is not understood."));
  HoldCleared made;
  made.change.hold_id = text_of(json, "id");
  made.reason = {text_of(json, "reason"), text_of(json, "reference")};
  if (!is_reason_to_clear(made.reason.word)) {
    return tl::unexpected(std::string("The reason is one of closed, mistake, other."));
  }
  if (!is_reference(made.reason.reference)) {
    return tl::unexpected(
        std::string("The reference takes up to 64 letters, digits and . _ - / only."));
  }
  return made;
}

std::optional<std::uint64_t> parse_through(std::string_view body) {
  const RetentionJson json = RetentionJson::parse(body, nullptr, false);
  if (!json.is_object()) return std::nullopt;
  const auto it = json.find("through");
  if (it == json.end() || !it->is_number_unsigned()) return std::nullopt;
  return it->get<std::uint64_t>();
}

net::HttpResponse admin_retention(const RetentionView& view, const SessionView& session) {
  RetentionJson body = admin_success(session);
  body["keepYears"] = view.keep_years;
  body["noArchive"] = view.no_archive;
  body["accounts"] = view.accounts;
  body["plan"] = plan_json(view.plan);
  body["proposal"] = nullptr;
  if (const auto& proposal = view.retention.proposal) {
    const auto end =
        proposal->proposed_at + std::chrono::duration_cast<Micros>(store::kProposalLasts);
    body["proposal"] = {{"through", proposal->through},
                        {"keepYears", proposal->keep_years},
                        {"by", proposal->proposed_by},
                        {"at", proposal->proposed_at.count() / kMicrosInMs},
                        {"endsAt", end.count() / kMicrosInMs},
                        {"expired", view.expired},
                        {"plan", view.proposed ? plan_json(*view.proposed) : RetentionJson()}};
  }
  body["holds"] = RetentionJson::array();
  for (const store::HoldRow& hold : view.retention.holds) body["holds"].push_back(hold_row(hold));
  body["purges"] = RetentionJson::array();
  for (const store::DeclaredPurge& purge : view.retention.purges) {
    body["purges"].push_back(purge_row(purge));
  }
  return admin_answer(200, body);
}

net::HttpResponse admin_hold_set(const std::string& id, const SessionView& session,
                                 const std::string& receipt) {
  RetentionJson body = admin_success(session);
  body["id"] = id;
  body["receipt"] = receipt;
  return admin_answer(200, body);
}

net::HttpResponse admin_purged(std::uint64_t removed, std::uint64_t through,
                               const std::string& archive, bool more, const SessionView& session,
                               const std::string& receipt) {
  RetentionJson body = admin_success(session);
  body["removed"] = removed;
  body["through"] = through;
  body["archive"] = archive;
  body["more"] = more;
  body["receipt"] = receipt;
  return admin_answer(200, body);
}

}  // namespace bedside::server
