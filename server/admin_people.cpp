#include "server/admin_people.h"

#include <utility>

#include "server/admin_accounts.h"
#include "server/admin_retention_json.h"
#include "server/invitation.h"

namespace bedside::server {
namespace {

std::chrono::milliseconds people_now() {
  return std::chrono::duration_cast<std::chrono::milliseconds>(
      std::chrono::system_clock::now().time_since_epoch());
}

net::HttpResponse bad_name() {
  return admin_refusal(400, "account-name",
                       "The account name needs 1 to 64 letters, digits or . _ - @");
}

struct PeopleFound {
  bool readable = false;
  std::vector<store::AccountRow> accounts;
  std::vector<store::InvitationRow> invitations;
};

}  // namespace

AdminPeople::AdminPeople(std::string database, AdminSessions& sessions, AuditTrail& trail,
                         Recorder& recorder, WorkerPool& workers)
    : database_(std::move(database)),
      sessions_(sessions),
      trail_(trail),
      recorder_(recorder),
      workers_(workers) {}

void AdminPeople::show(const SessionView& view, const Respond& respond) {
  const auto read = [database = database_] {
    PeopleFound found;
    const auto reader = store::Reader::open(database);
    if (!reader) return found;
    auto accounts = reader->accounts();
    auto invitations = reader->invitations();
    if (!accounts || !invitations) return found;
    return PeopleFound{true, std::move(*accounts), std::move(*invitations)};
  };
  const auto answer = [view, respond](const PeopleFound& found) {
    if (!found.readable) {
      return respond(admin_refusal(503, "unavailable", "The accounts cannot be read right now."));
    }
    respond(admin_people(found.accounts, found.invitations, people_now(), view));
  };
  if (!workers_.run(read, answer)) {
    respond(admin_refusal(503, "busy", "The server is busy. Please try again."));
  }
}

void AdminPeople::invite(std::string_view body, const AuditStaff& staff, const SessionView& view,
                         const RequestContext& context, const Respond& respond) {
  const auto name = parse_account_name(body);
  if (!name || !is_account_name(*name)) return respond(bad_name());
  const auto made = make_invitation(*name, staff.account, people_now());
  if (!made) return respond(admin_refusal(503, "busy", "Please try again in a moment."));
  const UserInvited invited{staff, {made->row, people_now()}};
  store::Commit commit = trail_.commit(AdminAction{invited}, audit_source(context));
  commit.receipt = true;
  recorder_.record_at(
      std::move(commit), [view, respond, invitation = *made](const store::CommitResult& result) {
        if (result.status == store::CommitStatus::conflict) {
          return respond(admin_refusal(409, "name-taken",
                                       "There is an account of this name (disabled ones keep "
                                       "theirs), or too many invitations wait."));
        }
        if (result.status != store::CommitStatus::committed) return respond(admin_not_recorded());
        respond(admin_invited(invitation.row, invitation_link(invitation), view, result.receipt));
      });
}

void AdminPeople::disable(std::string_view body, const AuditStaff& staff, const SessionView& view,
                          const RequestContext& context, const Respond& respond) {
  const auto name = parse_account_name(body);
  if (!name || !is_account_name(*name)) return respond(bad_name());
  if (*name == staff.account) {
    return respond(admin_refusal(409, "own-account",
                                 "Nobody disables their own account: another administrator does."));
  }
  const UserDisabled disabled{staff, {*name, people_now()}};
  store::Commit commit = trail_.commit(AdminAction{disabled}, audit_source(context));
  commit.receipt = true;
  recorder_.record_at(
      std::move(commit), [this, view, respond, account = *name](const store::CommitResult& result) {
        if (result.status == store::CommitStatus::conflict) {
          return respond(admin_refusal(409, "no-account",
                                       "There is no such account, or it is disabled already."));
        }
        if (result.status != store::CommitStatus::committed) return respond(admin_not_recorded());
        sessions_.end_all(account);
        respond(admin_done(view, result.receipt));
      });
}

}  // namespace bedside::server
