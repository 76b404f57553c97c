#include "server/local_accounts.h"

#include <cstdio>

#include "server/admin_accounts.h"
#include "server/invitation.h"
#include "server/links.h"
#include "server/local_access.h"
#include "store/checkpoint.h"
#include "store/reader.h"

namespace bedside::server {
namespace {

std::chrono::milliseconds accounts_now() {
  return std::chrono::duration_cast<std::chrono::milliseconds>(
      std::chrono::system_clock::now().time_since_epoch());
}

}  // namespace

int admin_add(const Config& config, const std::string& name) {
  if (!is_account_name(name)) {
    return complain("the account name needs 1 to 64 letters, digits or . _ - @");
  }
  const auto invitation = make_invitation(name, "", accounts_now());
  if (!invitation) return complain("the system has no randomness");
  const store::InvitationRow& row = invitation->row;
  const LocalBody body{{"name", row.name},
                       {"codeHash", store::to_hex(row.code_hash)},
                       {"expiresAt", row.expires_at.count()}};
  const auto recorded =
      record_action(config, "/accounts/invited", spelled(body),
                    AdminAction{UserInvited{std::nullopt, {row, accounts_now()}}});
  if (!recorded) {
    if (!recorded.error().conflict) return complain(recorded.error().what);
    return complain("there is an account of this name (disabled ones keep theirs), or " +
                    std::to_string(store::kMaxInvitations) + " invitations wait");
  }
  std::printf("%s%s\n", best_origin(config).c_str(), invitation_link(*invitation).c_str());
  std::fprintf(stderr,
               "Hand this link to the person whose account it is: it lets them choose a password, "
               "once,\nuntil %s. It is shown only now.\n",
               local_date(row.expires_at).c_str());
  return 0;
}

int admin_list(const Config& config) {
  const auto reader = store::Reader::open(config.database().string());
  if (!reader) return complain(reader.error());
  const auto accounts = reader->accounts();
  if (!accounts) return complain(accounts.error());
  const auto invitations = reader->invitations();
  if (!invitations) return complain(invitations.error());
  std::printf("%-22s %-32s %s\n", "CREATED", "STATE", "NAME");
  for (const store::AccountRow& row : *accounts) {
    const std::string state =
        row.disabled_at ? "disabled " + local_date(*row.disabled_at) : "can log in";
    std::printf("%-22s %-32s %s\n", local_date(row.created_at).c_str(), state.c_str(),
                row.name.c_str());
  }
  for (const store::InvitationRow& row : *invitations) {
    if (row.expires_at <= accounts_now()) continue;
    std::printf("%-22s %-32s %s\n", "-", ("invited until " + local_date(row.expires_at)).c_str(),
                row.name.c_str());
  }
  return 0;
}

int admin_disable(const Config& config, const std::string& name) {
  const auto recorded =
      record_action(config, "/accounts/disabled", spelled({{"name", name}}),
                    AdminAction{UserDisabled{std::nullopt, {name, accounts_now()}}});
  if (recorded) return std::printf("Disabled.\n"), 0;
  if (!recorded.error().conflict) return complain(recorded.error().what);
  return complain(
      "there is no such account, it is disabled already, or it is the last one that can log in");
}

}  // namespace bedside::server
