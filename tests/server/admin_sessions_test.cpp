#include "server/admin_sessions.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace bedside::server {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;
using testing::Not;
using Use = AdminSessions::Use;

AdminSessions::Secret secret(std::uint8_t fill) {
  AdminSessions::Secret made{};
  made.fill(fill);
  return made;
}

std::string cookie(std::uint8_t fill, bool tls = true) {
  return std::string(tls ? "__Host-bedside-admin=" : "bedside-admin=") +
         AdminSessions::cookie_value(secret(fill));
}

class AdminSessionsTest : public testing::Test {
 protected:
  const AdminSession* find(const std::string& cookies, Use use = Use::person, bool tls = true) {
    return sessions_.find(cookies, tls, use, now_);
  }

  AdminSessions sessions_;
  AdminSessions::Time now_ = 100h;
};

TEST_F(AdminSessionsTest, the_cookie_opens_its_session_and_no_other_text_does) {
  sessions_.start("anna", "admin", secret(1), now_);
  ASSERT_NE(find(cookie(1)), nullptr);
  EXPECT_EQ(find(cookie(1))->account, "anna");
  EXPECT_EQ(find(cookie(2)), nullptr);
  EXPECT_EQ(find(""), nullptr);
  EXPECT_EQ(find("__Host-bedside-admin="), nullptr);
  EXPECT_EQ(find(cookie(1).substr(0, 40)), nullptr);
}

TEST_F(AdminSessionsTest, the_cookie_is_for_our_page_and_scripts_never_see_it) {
  const std::string https = AdminSessions::set_cookie(secret(1), true);
  EXPECT_THAT(https, HasSubstr("__Host-bedside-admin="));
  for (const char* flag : {"; Path=/;", "; HttpOnly", "; SameSite=Strict", "; Secure"}) {
    EXPECT_THAT(https, HasSubstr(flag));
  }
  const std::string http = AdminSessions::set_cookie(secret(1), false);
  EXPECT_TRUE(http.starts_with("bedside-admin="));
  EXPECT_THAT(http, Not(HasSubstr("; Secure")));
  EXPECT_THAT(AdminSessions::clear_cookie(true), HasSubstr("Max-Age=0"));
}

TEST_F(AdminSessionsTest, a_cookie_of_plain_http_is_worth_nothing_on_https) {
  sessions_.start("anna", "admin", secret(1), now_);
  EXPECT_EQ(find(cookie(1, false), Use::person, true), nullptr);
  EXPECT_NE(find(cookie(1, false), Use::person, false), nullptr);
}

TEST_F(AdminSessionsTest, a_second_cookie_of_the_same_name_shuts_nobody_out) {
  sessions_.start("anna", "admin", secret(1), now_);
  EXPECT_NE(find("theme=dark; " + cookie(9) + "; " + cookie(1)), nullptr);
  EXPECT_NE(find(cookie(1) + ";" + cookie(9)), nullptr);
}

TEST_F(AdminSessionsTest, fifteen_idle_minutes_end_a_session) {
  sessions_.start("anna", "admin", secret(1), now_);
  now_ += 15min - 1ms;
  EXPECT_NE(find(cookie(1)), nullptr);
  now_ += 15min - 1ms;
  EXPECT_NE(find(cookie(1)), nullptr);
  now_ += 15min;
  EXPECT_EQ(find(cookie(1)), nullptr);
}

TEST_F(AdminSessionsTest, a_session_that_ends_by_itself_is_told_once_and_why) {
  sessions_.start("anna", "admin", secret(1), now_);
  now_ += 15min - 1ms;
  EXPECT_TRUE(sessions_.take_over(now_).empty());
  now_ += 1ms;
  const auto idle = sessions_.take_over(now_);
  ASSERT_EQ(idle.size(), 1U);
  EXPECT_EQ(idle[0].session.account, "anna");
  EXPECT_EQ(idle[0].session.audit_id, AdminSessions::audit_id_of(secret(1)));
  EXPECT_EQ(idle[0].reason, TimeoutReason::idle);
  EXPECT_TRUE(sessions_.take_over(now_).empty());
  EXPECT_EQ(sessions_.size(), 0U);

  sessions_.start("anna", "admin", secret(2), now_);
  for (const auto end = now_ + 12h; now_ < end; now_ += 10min) find(cookie(2));
  const auto old = sessions_.take_over(now_);
  ASSERT_EQ(old.size(), 1U);
  EXPECT_EQ(old[0].reason, TimeoutReason::absolute);

  sessions_.start("anna", "admin", secret(3), now_);
  sessions_.end(cookie(3), true);
  EXPECT_TRUE(sessions_.take_over(now_ + 1h).empty());
}

TEST_F(AdminSessionsTest, a_page_that_refreshes_itself_does_not_keep_the_session) {
  sessions_.start("anna", "admin", secret(1), now_);
  for (int i = 0; i < 14; ++i) {
    now_ += 1min;
    ASSERT_NE(find(cookie(1), Use::automatic), nullptr);
  }
  now_ += 1min;
  EXPECT_EQ(find(cookie(1), Use::automatic), nullptr);
}

TEST_F(AdminSessionsTest, twelve_hours_end_a_session_however_busy) {
  sessions_.start("anna", "admin", secret(1), now_);
  for (int i = 0; i < 12 * 6 - 1; ++i) {
    now_ += 10min;
    ASSERT_NE(find(cookie(1)), nullptr) << i;
  }
  EXPECT_EQ(sessions_.time_left(*find(cookie(1)), now_), 10min);
  now_ += 10min;
  EXPECT_EQ(find(cookie(1)), nullptr);
}

TEST_F(AdminSessionsTest, logging_out_ends_the_session_and_says_whose_it_was) {
  sessions_.start("anna", "admin", secret(1), now_);
  EXPECT_EQ(sessions_.end(cookie(1), true).account, "anna");
  EXPECT_EQ(find(cookie(1)), nullptr);
  EXPECT_EQ(sessions_.end(cookie(1), true).account, "");
}

TEST_F(AdminSessionsTest, the_table_is_bounded_and_the_longest_unused_session_goes_first) {
  AdminSessions few({15min, 12h, 3});
  for (std::uint8_t i = 1; i <= 3; ++i) {
    few.start("anna", "admin", secret(i), now_);
    now_ += 1s;
  }
  EXPECT_NE(few.find(cookie(1), true, Use::person, now_), nullptr);
  few.start("anna", "admin", secret(4), now_);
  EXPECT_EQ(few.size(), 3U);
  const auto displaced = few.take_over(now_);
  ASSERT_EQ(displaced.size(), 1U);
  EXPECT_EQ(displaced[0].session.audit_id, AdminSessions::audit_id_of(secret(2)));
  EXPECT_EQ(displaced[0].reason, TimeoutReason::displaced);
  EXPECT_EQ(few.find(cookie(2), true, Use::person, now_), nullptr);
  EXPECT_NE(few.find(cookie(1), true, Use::person, now_), nullptr);
}

TEST_F(AdminSessionsTest, the_name_of_a_session_in_the_log_does_not_give_the_cookie_away) {
  const AdminSession& session = sessions_.start("anna", "admin", secret(1), now_);
  EXPECT_EQ(session.audit_id.size(), 16U);
  EXPECT_EQ(session.audit_id, AdminSessions::audit_id_of(secret(1)));
  EXPECT_NE(session.audit_id, AdminSessions::audit_id_of(secret(2)));
  EXPECT_THAT(AdminSessions::cookie_value(secret(1)), Not(HasSubstr(session.audit_id)));
}

}  // namespace
}  // namespace bedside::server
