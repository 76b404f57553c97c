#pragma once

// Making an account (the first, or an invited one) and logging in: the order of throttle, password
// check on a worker, record and answer.
//
// Control thread only, except the password checks.

#include <cstdint>
#include <functional>
#include <optional>
#include <string>

#include "server/admin_api.h"
#include "server/admin_json.h"
#include "server/audit_trail.h"
#include "server/daily_budget.h"
#include "server/recorder.h"
#include "server/set_up_code.h"
#include "server/worker_pool.h"

namespace bedside::server {

// Letters, digits and . _ - @, 1 to kMaxAccountName of them: names stand in records.
bool is_account_name(std::string_view name);

AuditSource audit_source(const RequestContext& context);
AuditStaff audit_staff(const AdminSession& session);

class AdminAccounts {
 public:
  using Now = std::function<std::chrono::milliseconds()>;

  AdminAccounts(const AdminApiOptions& options, Now now, AdminSessions& sessions, AuditTrail& trail,
                Recorder& recorder, WorkerPool& workers);

  bool set_up_needed() const { return !has_account_; }
  std::string open_set_up();

  // With the set-up code while there is no account, later with the code of an invitation to that
  // name. `cookies`: the request's Cookie header, whose session a new one replaces.
  void set_up(SetUpRequest request, const std::string& cookies, const RequestContext& context,
              Respond respond);
  void log_in(LoginRequest request, const std::string& cookies, const RequestContext& context,
              Respond respond);

 private:
  struct Attempt;  // what an attempt needs until its answer
  struct Checked;  // what a worker found out
  enum class Invited : std::uint8_t { unreadable, no, yes };
  // Failed logins a day that name nobody of ours and get a record each. The throttle slows sources
  // and names, of which a stranger may have as many as they like; what is more is only counted.
  static constexpr std::size_t kRecordedStrangersADay = 500;

  void accept_invitation(SetUpRequest request, Attempt attempt);
  void make_account(const Attempt& attempt, SetUpRequest request);
  bool admit(const Attempt& attempt);
  bool take_check();
  bool worth_a_record(const LoginTried& tried);
  void refuse_locked(const Attempt& attempt, std::chrono::seconds wait);
  void refuse_after_record(const Attempt& attempt, LoginTried tried, net::HttpResponse response);
  void checked(const Attempt& attempt, const Checked& found);
  void hashed(const Attempt& attempt, const tl::expected<std::string, PasswordError>& line);
  void enter(const Attempt& attempt, std::string role, store::Commit commit);

  Now now_;
  std::string database_;
  ScryptCost cost_;
  AdminSessions& sessions_;
  AuditTrail& trail_;
  Recorder& recorder_;
  WorkerPool& workers_;
  LoginThrottle throttle_;
  std::string decoy_;
  std::optional<SetUpCode> code_;
  bool has_account_;
  std::size_t checks_ = 0;  // password checks under way
  DailyBudget strangers_{kRecordedStrangersADay};
};

}  // namespace bedside::server
