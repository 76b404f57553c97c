#include "server/local_retention.h"

#include <cinttypes>
#include <cstdio>
#include <limits>

#include "server/admin_retention_json.h"
#include "server/audit_instant.h"
#include "server/keys.h"
#include "server/local_access.h"
#include "server/purge_archive.h"
#include "store/reader.h"

namespace bedside::server {
namespace {

using Millis = std::chrono::milliseconds;

std::string date_of(std::int64_t wall_us) {
  return local_date(std::chrono::duration_cast<Millis>(std::chrono::microseconds(wall_us)));
}

// False: it is no time, and that was said.
bool put_time(LocalBody& body, const char* key, const std::string& text) {
  if (text.empty()) return true;
  const auto instant = parse_instant(text);
  if (!instant) {
    complain("--" + std::string(key) + " takes 2026-11-23 or 2026-11-23T06:12:31Z (UTC)");
    return false;
  }
  body[key] = std::chrono::duration_cast<Millis>(*instant).count();
  return true;
}

void print_plan(const store::PurgePlan& plan) {
  std::printf("           records %" PRIu64 " to %" PRIu64 ", of %s to %s\n           %" PRIu64
              " would go, %" PRIu64 " stay because of holds\n",
              plan.from, plan.through, date_of(plan.oldest_us).c_str(),
              date_of(plan.newest_us).c_str(), plan.records, plan.held);
}

}  // namespace

int hold_set(const Config& config, const HoldCommand& command) {
  LocalBody body{{"room", command.room},
                 {"person", command.person},
                 {"reason", command.reason},
                 {"reference", command.reference}};
  if (!put_time(body, "from", command.from) || !put_time(body, "to", command.to)) return 2;
  const auto told = [](const std::string& id) { return std::printf("%s\n", id.c_str()), 0; };
  const auto asked = post_local(config, "/audit/holds", spelled(body));
  if (asked) return told(asked->value("id", ""));
  if (!asked.error().no_server) return complain(asked.error().what);
  auto stopped = open_stopped(config);
  if (!stopped) return complain(stopped.error());
  auto wish = hold_from_json(spelled(body));
  if (!wish) return complain(wish.error());
  const auto hold = checked_hold(std::move(*wish), *stopped->trail, config.database().string());
  if (!hold) return complain(hold.error());
  const AdminAction action{RetentionChange{std::nullopt, *hold}};
  const auto recorded = commit_stopped(*stopped, action);
  if (!recorded) return complain(recorded.error());
  if (!recorded->ok()) {
    return complain("the hold cannot be recorded; free space on the disk, or clear other holds");
  }
  return told(hold->change.hold.hold_id);
}

int hold_clear(const Config& config, const HoldCommand& command) {
  const LocalBody body{
      {"id", command.id}, {"reason", command.reason}, {"reference", command.reference}};
  const auto cleared = clearing_from_json(spelled(body));
  if (!cleared) return complain(cleared.error());
  const auto recorded = record_action(config, "/audit/holds/cleared", spelled(body),
                                      AdminAction{RetentionChange{std::nullopt, *cleared}});
  if (recorded) return std::printf("Cleared.\n"), 0;
  return complain(recorded.error().conflict ? "there is no hold with this id"
                                            : recorded.error().what);
}

int hold_list(const Config& config) {
  const auto reader = store::Reader::open(config.database().string());
  if (!reader) return complain(reader.error());
  const auto retention = reader->retention();
  if (!retention) return complain(retention.error());
  std::printf("%-18s %-22s %-22s %-34s %s\n", "ID", "FROM", "TO", "ROOM", "PERSON");
  for (const store::HoldRow& hold : retention->holds) {
    const auto date = [](const auto& instant) {
      return instant ? date_of(instant->count()) : std::string("-");
    };
    std::printf("%-18s %-22s %-22s %-34s %s\n", hold.hold_id.c_str(), date(hold.from).c_str(),
                date(hold.to).c_str(), hold.room.empty() ? "any" : hold.room.c_str(),
                hold.person.empty() ? "anybody" : hold.person.c_str());
  }
  return 0;
}

int purge_status(const Config& config) {
  const auto reader = store::Reader::open(config.database().string());
  if (!reader) return complain(reader.error());
  const auto retention = reader->retention();
  if (!retention) return complain(retention.error());
  const auto now = std::chrono::duration_cast<std::chrono::microseconds>(
      std::chrono::system_clock::now().time_since_epoch());
  constexpr std::uint64_t kAll = std::numeric_limits<std::int64_t>::max();
  const int keep_years = static_cast<int>(config.audit.keep_years);
  const auto plan = reader->plan_purge(kAll, keep_years, now, kAll);
  if (!plan) return complain(plan.error());
  std::printf("Kept       for %d years\nHolds      %zu\n", keep_years, retention->holds.size());
  for (const store::DeclaredPurge& purge : retention->purges) {
    std::printf("Purged     records %" PRIu64 " to %" PRIu64
                " on %s, proposed by %s, approved by %s\n",
                purge.from, purge.through, date_of(purge.wall_us).c_str(),
                purge.proposed_by.c_str(), purge.approved_by.c_str());
  }
  if (plan->through < plan->from) {
    std::printf("Next       nothing is old enough (records go by whole blocks of 256)\n");
  } else {
    std::printf("Next       what is old enough:\n");
    print_plan(*plan);
  }
  if (const auto& proposal = retention->proposal) {
    const bool expired = now - proposal->proposed_at > store::kProposalLasts;
    std::printf("Proposed   up to record %" PRIu64 " by %s on %s%s\n", proposal->through,
                proposal->proposed_by.c_str(), date_of(proposal->proposed_at.count()).c_str(),
                expired ? "; too long ago" : "; another administrator approves on the admin page");
  }
  if (const auto problem = no_archive(config.backup))
    std::printf("Archive    %s\n", problem->c_str());
  return 0;
}

int give_up_keys(const Config& config, const GiveUpKeys& command) {
  const auto own_key = open_wrapping_key(config.audit.key_file);
  if (!own_key) return complain(own_key.error().message);
  auto stopped = open_stopped(config);
  if (!stopped) return complain(stopped.error());
  const auto state = stopped->store->load();
  if (!state) return complain(state.error());
  DataKeysGivenUp action;
  for (const store::DataKeyRow& key : state->data_keys) {
    if (!stopped->trail->adopt(key)) action.months.push_back(key.month);
  }
  if (action.months.empty()) return std::printf("Every key opens; nothing is to be given up.\n"), 0;
  std::printf("These months' keys do not open with the key that is here:");
  for (const std::string& month : action.months) std::printf(" %s", month.c_str());
  std::printf(
      "\nAddresses, names and appointment numbers of these months can never be read again once "
      "they are\ngiven up. Records and proofs stay whole.\n");
  // A shell has not what systemd gives the service: there, good keys look like lost ones.
  if (!*own_key && !command.key_is_lost) {
    return complain(
        "nothing was changed: no key of your own is in reach of this command, neither "
        "audit.key_file\nnor the systemd credential audit-key. With the credential:\n"
        "    → systemd-run --pipe --wait -p User=bedside \\\n"
        "        -p LoadCredentialEncrypted=audit-key:/etc/bedside/audit-key.cred \\\n"
        "        bedside audit keys give-up --config FILE\n"
        "    → or say --key-is-lost, when nobody has it any more");
  }
  if (!command.yes) {
    return complain(
        "nothing was changed. Give back the key they were wrapped with if there is a copy, or say "
        "--yes");
  }
  const auto recorded = commit_stopped(*stopped, AdminAction{action});
  if (!recorded) return complain(recorded.error());
  if (!recorded->ok()) return complain("this cannot be recorded; free disk space");
  return std::printf("Given up.\n"), 0;
}

}  // namespace bedside::server
