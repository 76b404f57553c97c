#pragma once

// The words of the admin API about accounts, holds and purges; admin_json.h has the rest. Pure
// functions; any thread.

#include <chrono>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <tl/expected.hpp>

#include "server/admin_json.h"
#include "server/audit_trail.h"
#include "store/reader.h"

namespace bedside::server {

std::optional<std::string> parse_account_name(std::string_view body);
net::HttpResponse admin_people(std::span<const store::AccountRow> accounts,
                               std::span<const store::InvitationRow> invitations,
                               std::chrono::milliseconds now, const SessionView& session);
net::HttpResponse admin_invited(const store::InvitationRow& invitation, std::string_view link,
                                const SessionView& session, std::string_view receipt);

// {room?, person?, from?, to?, reason, reference?}: times in ms since 1970. The hold gets a new id.
// The error is a sentence.
tl::expected<HoldWish, std::string> hold_from_json(std::string_view body);
// {id, reason, reference?}
tl::expected<HoldCleared, std::string> clearing_from_json(std::string_view body);
// {through}: what was seen and is approved.
std::optional<std::uint64_t> parse_through(std::string_view body);

struct RetentionView {
  int keep_years = 0;
  std::string no_archive;  // why none can be made; empty: one can
  store::Retention retention;
  store::PurgePlan plan;                     // of everything that is old enough
  std::optional<store::PurgePlan> proposed;  // what the proposal would take
  std::vector<std::string> young_accounts;   // made since it was proposed: they cannot approve it
  bool expired = false;                      // the proposal
  std::size_t accounts = 0;                  // that can log in
};
net::HttpResponse admin_retention(const RetentionView& view, const SessionView& session);
net::HttpResponse admin_hold_set(const std::string& id, const SessionView& session,
                                 const std::string& receipt);
net::HttpResponse admin_purged(std::uint64_t removed, std::uint64_t through,
                               const std::string& archive, bool more, const SessionView& session,
                               const std::string& receipt);

}  // namespace bedside::server
