#include "server/admin_accounts.h"

#include <openssl/crypto.h>
#include <openssl/rand.h>

#include <algorithm>
#include <span>
#include <utility>

#include "server/invitation.h"

namespace bedside::server {
namespace {

constexpr std::string_view kRole = "admin";
// No account can have this name, so guesses of the code and of passwords do not mix.
constexpr std::string_view kSetUpKey = ":set-up";
constexpr std::chrono::seconds kBusyRetry{3};

std::uint64_t random_seed() {
  std::uint64_t seed = 0;
  std::array<std::uint8_t, sizeof seed> bytes{};
  RAND_bytes(bytes.data(), static_cast<int>(bytes.size()));
  for (const std::uint8_t byte : bytes) seed = seed << 8U | byte;
  return seed;
}

bool fill_secret(std::span<std::uint8_t> bytes) {
  return RAND_priv_bytes(bytes.data(), static_cast<int>(bytes.size())) == 1;
}

net::HttpResponse busy() {
  return admin_refusal(503, "busy", "The server is busy. Please try again in a moment.",
                       kBusyRetry);
}

net::HttpResponse wrong_credentials() {
  return admin_refusal(401, "wrong-credentials", "The name or the password is not right.");
}

net::HttpResponse set_up_done() {
  return admin_refusal(409, "already-set-up",
                       "An administrator account exists already. Please log in.");
}

std::string_view password_complaint(PasswordRule rule) {
  switch (rule) {
    case PasswordRule::too_short:
      return "The password needs at least 12 characters.";
    case PasswordRule::too_long:
      return "The password is too long: 256 bytes at most.";
    case PasswordRule::not_text:
      return "The password contains characters that cannot be typed again reliably.";
    case PasswordRule::too_plain:
      return "This password is too easy to guess: it is one repeated character or the account "
             "name.";
    case PasswordRule::fine:
      break;
  }
  return {};
}

std::chrono::seconds whole_seconds(std::chrono::milliseconds wait) {
  return std::chrono::ceil<std::chrono::seconds>(wait);
}

std::chrono::milliseconds wall_clock_now() {
  return std::chrono::duration_cast<std::chrono::milliseconds>(
      std::chrono::system_clock::now().time_since_epoch());
}

std::string_view wrong_code(bool has_account) {
  return has_account ? "This code is not good: it was used, it has ended, or it is for another "
                       "name. Ask for a new one."
                     : "This set-up code is not right. It was printed when Bedside started; a "
                       "restart prints a new one.";
}

void wipe(std::string& secret) { OPENSSL_cleanse(secret.data(), secret.size()); }

}  // namespace

bool is_account_name(std::string_view name) {
  constexpr std::string_view kAllowed =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-@";
  return !name.empty() && name.size() <= kMaxAccountName &&
         name.find_first_not_of(kAllowed) == std::string_view::npos;
}

AuditSource audit_source(const RequestContext& context) {
  return {context.request_id, context.listener, context.client.address};
}

AuditStaff audit_staff(const AdminSession& session) {
  return {session.account, session.role, session.audit_id};
}

struct AdminAccounts::Attempt {
  std::string key;   // of the throttle: the account's name, or kSetUpKey
  std::string name;  // of the account
  std::string cookies;
  RequestContext context;
  Respond respond;
  bool invited = false;
  std::vector<std::uint8_t> code_hash = {};  // of the invitation
};

struct AdminAccounts::Checked {
  bool readable = false;  // the account table could be read
  bool known = false;
  PasswordMatch match = PasswordMatch::no;
  std::string role;
};

AdminAccounts::AdminAccounts(const AdminApiOptions& options, Now now, AdminSessions& sessions,
                             AuditTrail& trail, Recorder& recorder, WorkerPool& workers)
    : now_(std::move(now)),
      database_(options.database),
      cost_(options.cost),
      sessions_(sessions),
      trail_(trail),
      recorder_(recorder),
      workers_(workers),
      throttle_(random_seed(), options.throttle),
      decoy_(decoy_password_line(options.cost)),
      has_account_(options.has_account) {}

std::string AdminAccounts::open_set_up() {
  SetUpEntropy entropy{};
  if (has_account_ || !fill_secret(entropy)) return {};
  std::string code = make_set_up_code(entropy);
  code_.emplace(code);
  return code;
}

void AdminAccounts::set_up(SetUpRequest request, const std::string& cookies,
                           const RequestContext& context, Respond respond) {
  Attempt attempt{std::string(kSetUpKey), request.name, cookies, context, std::move(respond)};
  if (!admit(attempt)) return;
  if (has_account_ || !code_ || !code_->matches(request.code)) {
    return accept_invitation(std::move(request), std::move(attempt));
  }
  throttle_.succeeded(context.client.address, kSetUpKey);
  make_account(attempt, std::move(request));
}

// The code is for one name, so both have to be right.
void AdminAccounts::accept_invitation(SetUpRequest request, Attempt attempt) {
  attempt.invited = true;
  const SetUpCode::Digest digest = SetUpCode(request.code).digest();
  attempt.code_hash.assign(digest.begin(), digest.end());
  const auto work = [database = database_, name = request.name, code = request.code] {
    const auto reader = store::Reader::open(database);
    const auto rows = reader ? reader->invitations() : tl::unexpected(std::string());
    if (!rows) return Invited::unreadable;
    const bool good = std::any_of(rows->begin(), rows->end(), [&](const auto& row) {
      return row.name == name && opens(row, code, wall_clock_now());
    });
    return good ? Invited::yes : Invited::no;
  };
  auto done = [this, attempt, request = std::move(request)](Invited found) mutable {
    const stun::IpAddress& source = attempt.context.client.address;
    if (found == Invited::unreadable) {
      throttle_.taken_back(source, kSetUpKey);
      return attempt.respond(busy());
    }
    if (found == Invited::no) {
      return refuse_after_record(attempt, LoginTried{},
                                 admin_refusal(401, "wrong-code", wrong_code(has_account_)));
    }
    throttle_.succeeded(source, kSetUpKey);
    make_account(attempt, std::move(request));
  };
  if (workers_.run(work, std::move(done))) return;
  throttle_.taken_back(attempt.context.client.address, kSetUpKey);
  attempt.respond(busy());
}

void AdminAccounts::make_account(const Attempt& attempt, SetUpRequest request) {
  if (!is_account_name(request.name)) {
    return attempt.respond(admin_refusal(
        400, "account-name", "The account name needs 1 to 64 letters, digits or . _ - @"));
  }
  const PasswordRule rule = check_password_rules(request.password, request.name);
  if (rule != PasswordRule::fine) {
    return attempt.respond(admin_refusal(400, "password-rule", password_complaint(rule)));
  }
  PasswordSalt salt{};
  if (!fill_secret(salt) || !take_check()) return attempt.respond(busy());
  auto work = [password = std::move(request.password), salt, cost = cost_]() mutable {
    auto line = hash_password(password, salt, cost);
    wipe(password);
    return line;
  };
  const auto done = [this, attempt](const auto& line) { hashed(attempt, line); };
  if (workers_.run(std::move(work), done)) return;
  --checks_;
  attempt.respond(busy());
}

void AdminAccounts::log_in(LoginRequest request, const std::string& cookies,
                           const RequestContext& context, Respond respond) {
  // What cannot be a name takes the same way as an unknown one, and all of it shares one counter.
  const std::string name = is_account_name(request.name) ? request.name : std::string();
  Attempt attempt{name, name, cookies, context, std::move(respond)};
  if (!admit(attempt)) return;
  if (request.password.size() > kMaxPasswordBytes) request.password.resize(kMaxPasswordBytes + 1);
  if (!take_check()) {
    throttle_.taken_back(context.client.address, attempt.key);
    return attempt.respond(busy());
  }
  auto work = [database = database_, name, decoy = decoy_,
               password = std::move(request.password)]() mutable {
    Checked found;
    std::string line = decoy;
    if (const auto reader = store::Reader::open(database)) {
      const auto row = reader->account(name);
      found.readable = row.has_value();
      if (row && *row) {
        found.known = true;
        found.role = (*row)->role;
        if (!(*row)->disabled_at) line = (*row)->password_hash;
      }
    }
    found.match = verify_password(password, line);
    wipe(password);
    return found;
  };
  const auto done = [this, attempt](const Checked& found) { checked(attempt, found); };
  if (workers_.run(std::move(work), done)) return;
  --checks_;
  throttle_.taken_back(context.client.address, attempt.key);
  attempt.respond(busy());
}

// Answers when the attempt comes too early.
bool AdminAccounts::admit(const Attempt& attempt) {
  const stun::IpAddress& source = attempt.context.client.address;
  const auto admission = throttle_.admit(source, attempt.key, now_());
  if (admission.granted()) return true;
  const std::chrono::seconds wait = whole_seconds(admission.wait);
  if (admission.first_refusal) {
    refuse_locked(attempt, wait);
  } else {
    trail_.count(Abuse::login_throttled, source, now_());
    attempt.respond(
        admin_refusal(429, "too-many-attempts", "Too many attempts. Please wait.", wait));
  }
  return false;
}

bool AdminAccounts::take_check() {
  if (checks_ >= kMaxPasswordChecks) return false;
  ++checks_;
  return true;
}

// The first refusal of a pause is recorded, with the name only when it is one of ours.
void AdminAccounts::refuse_locked(const Attempt& attempt, std::chrono::seconds wait) {
  const auto work = [database = database_, name = attempt.name] {
    const auto reader = store::Reader::open(database);
    if (!reader) return false;
    const auto row = reader->account(name);
    return row && row->has_value();
  };
  net::HttpResponse response =
      admin_refusal(429, "too-many-attempts", "Too many attempts. Please wait.", wait);
  const auto done = [this, attempt, response](bool known) {
    LoginTried tried;
    tried.staff.account = known ? attempt.name : std::string();
    tried.account_known = known;
    tried.result = LoginResult::locked;
    refuse_after_record(attempt, std::move(tried), response);
  };
  if (workers_.run(work, done)) return;
  trail_.count(Abuse::login_throttled, attempt.context.client.address, now_());
  attempt.respond(response);
}

// Somebody who tries the names we have is slowed down by each, so those always are.
bool AdminAccounts::worth_a_record(const LoginTried& tried) {
  if (tried.account_known) return true;
  if (!strangers_.left(now_())) return false;
  strangers_.spend();
  return true;
}

void AdminAccounts::refuse_after_record(const Attempt& attempt, LoginTried tried,
                                        net::HttpResponse response) {
  if (!worth_a_record(tried)) {
    trail_.count(Abuse::login_denied, attempt.context.client.address, now_());
    return attempt.respond(std::move(response));
  }
  recorder_.record(
      trail_.commit(AdminAction{std::move(tried)}, audit_source(attempt.context)),
      [respond = attempt.respond, response = std::move(response)](store::CommitStatus status) {
        respond(status == store::CommitStatus::committed ? response : admin_not_recorded());
      });
}

void AdminAccounts::checked(const Attempt& attempt, const Checked& found) {
  --checks_;
  const bool undecided = !found.readable || found.match == PasswordMatch::failed ||
                         found.match == PasswordMatch::unreadable;
  if (undecided) {
    throttle_.taken_back(attempt.context.client.address, attempt.key);
    return attempt.respond(busy());
  }
  LoginTried tried;
  tried.account_known = found.known;
  if (found.known) tried.staff = {attempt.name, found.role, {}};
  if (!found.known || found.match != PasswordMatch::yes) {
    return refuse_after_record(attempt, std::move(tried), wrong_credentials());
  }
  throttle_.succeeded(attempt.context.client.address, attempt.key);
  // Somebody may have disabled the account while its password was checked.
  store::Commit commit;
  commit.changes.emplace_back(store::AccountEntered{attempt.name});
  enter(attempt, found.role, std::move(commit));
}

void AdminAccounts::hashed(const Attempt& attempt,
                           const tl::expected<std::string, PasswordError>& line) {
  --checks_;
  if (!line) return attempt.respond(busy());
  if (has_account_ && !attempt.invited) return attempt.respond(set_up_done());
  UserCreated created;
  created.change.only_first = !attempt.invited;
  created.change.invited = attempt.invited;
  created.change.code_hash = attempt.code_hash;
  created.change.account.name = attempt.name;
  created.change.account.password_hash = *line;
  created.change.account.role = kRole;
  created.change.account.created_at = wall_clock_now();
  store::Commit commit =
      trail_.commit(AdminAction{std::move(created)}, audit_source(attempt.context));
  enter(attempt, std::string(kRole), std::move(commit));
}

// The session starts when the record of the login (and of the set-up, in `commit`) is durable. A
// session the browser still had ends with it: no cookie from before a login is good after it.
void AdminAccounts::enter(const Attempt& attempt, std::string role, store::Commit commit) {
  AdminSessions::Secret secret{};
  if (!fill_secret(secret)) return attempt.respond(busy());
  const bool first = !commit.records.empty();
  commit.receipt = first;  // of the new account: its record is the first of these
  const AuditSource source = audit_source(attempt.context);
  const auto append = [&](const AdminAction& action) {
    for (store::AuditRecord& record : trail_.commit(action, source).records) {
      commit.records.push_back(std::move(record));
    }
  };
  const bool tls = attempt.context.tls;
  if (const AdminSession* old =
          sessions_.find(attempt.cookies, tls, AdminSessions::Use::automatic, now_())) {
    append(LoggedOut{audit_staff(*old), LogoutReason::replaced});
  }
  append(
      LoginTried{{attempt.name, role, AdminSessions::audit_id_of(secret)}, true, LoginResult::ok});
  auto recorded = [this, first, secret, tls, role = std::move(role),
                   attempt](const store::CommitResult& result) mutable {
    const store::CommitStatus status = result.status;
    if (first && status == store::CommitStatus::conflict) {
      has_account_ = has_account_ || !attempt.invited;
      return attempt.respond(set_up_done());
    }
    if (status == store::CommitStatus::conflict) {
      LoginTried late;
      late.staff = {attempt.name, role, {}};
      late.account_known = true;
      return refuse_after_record(attempt, std::move(late), wrong_credentials());
    }
    if (status != store::CommitStatus::committed) return attempt.respond(admin_not_recorded());
    if (first) {
      has_account_ = true;
      code_.reset();
    }
    sessions_.end(attempt.cookies, tls);
    const AdminSession& session = sessions_.start(attempt.name, std::move(role), secret, now_());
    const auto left =
        std::chrono::floor<std::chrono::seconds>(sessions_.time_left(session, now_()));
    net::HttpResponse response = admin_entered({session.account, left}, result.receipt);
    response.add("Set-Cookie", AdminSessions::set_cookie(secret, tls));
    OPENSSL_cleanse(secret.data(), secret.size());
    attempt.respond(std::move(response));
  };
  recorder_.record_at(std::move(commit), std::move(recorded));
}

}  // namespace bedside::server
