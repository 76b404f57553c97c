#include "server/admin_sessions.h"

#include <openssl/evp.h>

#include <algorithm>
#include <span>
#include <utility>

namespace bedside::server {
namespace {

std::string_view cookie_name(bool tls) { return tls ? "__Host-bedside-admin" : "bedside-admin"; }

std::string in_hex(std::span<const std::uint8_t> bytes) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string text;
  text.reserve(bytes.size() * 2);
  for (const std::uint8_t byte : bytes) {
    text.push_back(kDigits[byte >> 4U]);
    text.push_back(kDigits[byte & 15U]);
  }
  return text;
}

// Calls `use` with the value of every cookie of that name (RFC 6265 §4.2.1: "a=b; c=d").
template <typename Use>
void for_each_cookie(std::string_view header, std::string_view name, Use use) {
  while (!header.empty()) {
    const std::size_t end = std::min(header.find(';'), header.size());
    std::string_view pair = header.substr(0, end);
    header.remove_prefix(std::min(end + 1, header.size()));
    while (pair.starts_with(' ')) pair.remove_prefix(1);
    if (pair.size() > name.size() && pair.starts_with(name) && pair[name.size()] == '=') {
      use(pair.substr(name.size() + 1));
    }
  }
}

}  // namespace

const AdminSession& AdminSessions::start(std::string account, std::string role,
                                         const Secret& secret, Time now) {
  make_room(now);
  const Digest digest = digest_of(cookie_value(secret));
  AdminSession session;
  session.account = std::move(account);
  session.role = std::move(role);
  session.audit_id = audit_id_of(secret);
  session.started = now;
  session.last_used = now;
  return sessions_.insert_or_assign(digest, std::move(session)).first->second;
}

const AdminSession* AdminSessions::find(std::string_view cookie_header, bool tls, Use use,
                                        Time now) {
  AdminSession* found = nullptr;
  for_each_cookie(cookie_header, cookie_name(tls), [&](std::string_view value) {
    if (found != nullptr) return;
    const auto it = sessions_.find(digest_of(value));
    if (it == sessions_.end()) return;
    if (!expired(it->second, now)) found = &it->second;
  });
  if (found != nullptr && use == Use::person) found->last_used = now;
  return found;
}

AdminSession AdminSessions::end(std::string_view cookie_header, bool tls) {
  AdminSession ended;
  for_each_cookie(cookie_header, cookie_name(tls), [&](std::string_view value) {
    const auto it = sessions_.find(digest_of(value));
    if (it == sessions_.end()) return;
    ended = std::move(it->second);
    sessions_.erase(it);
  });
  return ended;
}

void AdminSessions::end_all(std::string_view account) {
  std::erase_if(sessions_, [&](auto& row) {
    if (row.second.account != account) return false;
    over_.push_back({std::move(row.second), TimeoutReason::revoked});
    return true;
  });
}

std::chrono::milliseconds AdminSessions::time_left(const AdminSession& session, Time now) const {
  return std::max(Time::zero(), std::min(session.last_used + limits_.idle - now,
                                         session.started + limits_.absolute - now));
}

// A hash of the hash: it names the session in the log without being what the table is searched by.
std::string AdminSessions::audit_id_of(const Secret& secret) {
  const Digest named = digest_of(in_hex(digest_of(cookie_value(secret))));
  return in_hex(std::span(named).first(8));
}

std::string AdminSessions::cookie_value(const Secret& secret) { return in_hex(secret); }

std::string AdminSessions::set_cookie(const Secret& secret, bool tls) {
  // No Max-Age: a session cookie. How long the session lasts is decided here, not in the browser.
  return std::string(cookie_name(tls)) + "=" + cookie_value(secret) +
         "; Path=/; HttpOnly; SameSite=Strict" + (tls ? "; Secure" : "");
}

std::string AdminSessions::clear_cookie(bool tls) {
  return std::string(cookie_name(tls)) + "=; Path=/; HttpOnly; SameSite=Strict; Max-Age=0" +
         (tls ? "; Secure" : "");
}

AdminSessions::Digest AdminSessions::digest_of(std::string_view value) {
  Digest digest{};
  unsigned size = 0;
  EVP_Digest(value.data(), value.size(), digest.data(), &size, EVP_sha256(), nullptr);
  return digest;
}

bool AdminSessions::expired(const AdminSession& session, Time now) const {
  return now - session.last_used >= limits_.idle || now - session.started >= limits_.absolute;
}

void AdminSessions::sweep(Time now) {
  std::erase_if(sessions_, [&](auto& row) {
    if (!expired(row.second, now)) return false;
    const bool idle = now - row.second.last_used >= limits_.idle;
    over_.push_back({std::move(row.second), idle ? TimeoutReason::idle : TimeoutReason::absolute});
    return true;
  });
}

std::vector<AdminSessions::Over> AdminSessions::take_over(Time now) {
  sweep(now);
  return std::exchange(over_, {});
}

void AdminSessions::make_room(Time now) {
  sweep(now);
  while (!sessions_.empty() && sessions_.size() >= limits_.sessions) {
    const auto oldest = std::min_element(sessions_.begin(), sessions_.end(), [](auto& a, auto& b) {
      return a.second.last_used < b.second.last_used;
    });
    over_.push_back({std::move(oldest->second), TimeoutReason::displaced});
    sessions_.erase(oldest);
  }
}

}  // namespace bedside::server
