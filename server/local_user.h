#pragma once

// Who runs a command at this machine: the actor of what somebody does without logging in to us.
// Whoever reaches the server's own socket is its user or root, and the command says itself who that
// is: it could as well write the database.

#include <optional>
#include <string>
#include <string_view>

namespace bedside::server {

struct LocalUser {
  std::string login;    // who logged in to the machine, also behind sudo; else as `runs_as`
  std::string runs_as;  // "root", "bedside"
  friend bool operator==(const LocalUser&, const LocalUser&) = default;
};

// Of this process. A user without a name is "uid-1004". Any thread.
LocalUser this_user();

// What the log calls the server's own socket, beside the names of the public listeners.
inline constexpr const char* kLocalListener = "local";

// As a header field of the local socket: "anna root".
inline constexpr const char* kLocalUserField = "Bedside-User";
std::string spelled(const LocalUser& user);
// Nothing unless these are two names: they go into the audit log.
std::optional<LocalUser> parse_local_user(std::string_view text);

}  // namespace bedside::server
