#pragma once

// Who is logged in to the admin page. The browser holds 256 random bits in a cookie; here only
// their SHA-256 is kept, so that a look into memory or a core file opens no session.
//
// The cookie is called `__Host-bedside-admin` on https, which no other host and no plain-http page
// can set, and `bedside-admin` on plain http (the demo on loopback). Its Path=/ takes it to the
// signaling API, which an admin session opens too (protocol.md 2.1). So it also comes with requests
// of the visit pages, where it opens nothing: AdminApi::actor_of asks for the admin page's header.
//
// Control thread only. Time and randomness are passed in.

#include <array>
#include <chrono>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace bedside::server {

struct AdminSession {
  std::string account;
  std::string role;
  std::string audit_id;  // names the session in audit records; says nothing about the cookie
  std::chrono::milliseconds started{};
  std::chrono::milliseconds last_used{};
};

// Why a session ended by itself.
enum class TimeoutReason : std::uint8_t {
  idle,       // nobody did anything
  absolute,   // it had lasted as long as a session may
  displaced,  // there were too many, and it was the one unused for longest
  revoked,    // its account may not log in any more
};

struct SessionLimits {
  std::chrono::milliseconds idle = std::chrono::minutes(15);
  std::chrono::milliseconds absolute = std::chrono::hours(12);
  std::size_t sessions = 64;  // a further login ends the one unused for longest
};

class AdminSessions {
 public:
  using Time = std::chrono::milliseconds;       // of any steady clock
  using Secret = std::array<std::uint8_t, 32>;  // from the system's random source

  enum class Use : std::uint8_t {
    person,     // somebody did something: the idle time starts again
    automatic,  // the page refreshed itself: a forgotten open page still times out
  };

  explicit AdminSessions(SessionLimits limits = {}) : limits_(limits) {}

  // Starts a session. The caller sends cookie_value(secret) and forgets the secret.
  const AdminSession& start(std::string account, std::string role, const Secret& secret, Time now);

  // The session a Cookie header names, or nullptr. Every cookie of our name is tried: a neighbour
  // that manages to set a second one cannot shut anybody out. Borrowed until the next call.
  const AdminSession* find(std::string_view cookie_header, bool tls, Use use, Time now);

  // Ends the sessions a Cookie header names; returns one of them for the record of it (an empty
  // account when there was none).
  AdminSession end(std::string_view cookie_header, bool tls);

  // Of an account that may not log in any more.
  void end_all(std::string_view account);

  // The sessions that ended by themselves since the last call, for the records of it: call about
  // every second. A session that is over is found by nobody, told or not.
  struct Over {
    AdminSession session;
    TimeoutReason reason = TimeoutReason::idle;
  };
  std::vector<Over> take_over(Time now);

  // How long the session lasts from now if nobody does anything.
  std::chrono::milliseconds time_left(const AdminSession& session, Time now) const;

  std::size_t size() const { return sessions_.size(); }

  // What AdminSession::audit_id will be, for the record that is written before the session starts.
  static std::string audit_id_of(const Secret& secret);
  static std::string cookie_value(const Secret& secret);
  static std::string set_cookie(const Secret& secret, bool tls);
  static std::string clear_cookie(bool tls);

 private:
  using Digest = std::array<std::uint8_t, 32>;

  static Digest digest_of(std::string_view value);
  bool expired(const AdminSession& session, Time now) const;
  void sweep(Time now);
  void make_room(Time now);

  SessionLimits limits_;
  std::map<Digest, AdminSession> sessions_;
  std::vector<Over> over_;  // each was begun by a log-in, and those are throttled
};

}  // namespace bedside::server
