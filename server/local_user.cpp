#include "server/local_user.h"

#include <pwd.h>
#include <unistd.h>

#include <array>
#include <charconv>
#include <fstream>

#include "server/admin_accounts.h"

namespace bedside::server {
namespace {

std::string name_of(uid_t uid) {
  std::array<char, 4096> buffer{};
  passwd entry{};
  passwd* found = nullptr;
  if (::getpwuid_r(uid, &entry, buffer.data(), buffer.size(), &found) == 0 && found != nullptr &&
      is_account_name(found->pw_name)) {
    return found->pw_name;
  }
  return "uid-" + std::to_string(uid);
}

// Set by the kernel when somebody logs in, inherited by everything they start (audit(7)'s auid).
// Services and containers have none.
std::optional<uid_t> login_uid() {
  constexpr uid_t kUnset = static_cast<uid_t>(-1);
  std::string text;
  if (!std::getline(std::ifstream("/proc/self/loginuid"), text)) return std::nullopt;
  uid_t uid = kUnset;
  std::from_chars(text.data(), text.data() + text.size(), uid);
  if (uid == kUnset) return std::nullopt;
  return uid;
}

}  // namespace

LocalUser this_user() {
  LocalUser user;
  user.runs_as = name_of(::geteuid());
  const auto login = login_uid();
  user.login = login ? name_of(*login) : user.runs_as;
  return user;
}

std::string spelled(const LocalUser& user) { return user.login + " " + user.runs_as; }

std::optional<LocalUser> parse_local_user(std::string_view text) {
  const std::size_t blank = text.find(' ');
  if (blank == std::string_view::npos) return std::nullopt;
  LocalUser user{std::string(text.substr(0, blank)), std::string(text.substr(blank + 1))};
  if (!is_account_name(user.login) || !is_account_name(user.runs_as)) return std::nullopt;
  return user;
}

}  // namespace bedside::server
