#include "server/login_throttle.h"

#include <gtest/gtest.h>

#include <string>

namespace bedside::server {
namespace {

using namespace std::chrono_literals;
using Time = LoginThrottle::Time;

stun::IpAddress ip(const std::string& text) { return *stun::IpAddress::parse(text); }

class LoginThrottleTest : public testing::Test {
 protected:
  Time wait_for(const std::string& source, const std::string& account) {
    return throttle_.admit(ip(source), account, now_).wait;
  }

  LoginThrottle throttle_{4711};
  Time now_ = 1h;
};

TEST_F(LoginThrottleTest, the_first_attempts_are_free_then_the_pause_doubles) {
  for (int i = 0; i < 5; ++i) EXPECT_EQ(wait_for("192.0.2.1", "anna"), 0s) << i;
  for (const auto pause : {1s, 2s, 4s, 8s, 16s, 32s}) {
    EXPECT_EQ(wait_for("192.0.2.1", "anna"), pause);
    now_ += pause - 1ms;
    EXPECT_EQ(wait_for("192.0.2.1", "anna"), 1ms);
    now_ += 1ms;
    EXPECT_EQ(wait_for("192.0.2.1", "anna"), 0s);
  }
}

TEST_F(LoginThrottleTest, parallel_guesses_gain_nothing) {
  int admitted = 0;
  for (int i = 0; i < 100; ++i) admitted += wait_for("192.0.2.1", "anna") == 0s ? 1 : 0;
  EXPECT_EQ(admitted, 5);
}

TEST_F(LoginThrottleTest, an_account_is_protected_from_many_sources_but_never_locked_for_long) {
  Time longest{};
  for (int i = 0; i < 200; ++i) {
    const Time wait = wait_for("198.51.100." + std::to_string(i), "anna");
    longest = std::max(longest, wait);
    now_ += wait;
  }
  EXPECT_EQ(longest, 60s);
  EXPECT_EQ(wait_for("203.0.113.9", "berta"), 0s);
}

TEST_F(LoginThrottleTest, a_source_is_slowed_down_over_all_accounts_up_to_a_quarter_of_an_hour) {
  Time longest{};
  for (int i = 0; i < 40; ++i) {
    const Time wait = wait_for("192.0.2.1", "name" + std::to_string(i));
    longest = std::max(longest, wait);
    now_ += wait;
  }
  EXPECT_EQ(longest, 15min);
  EXPECT_EQ(wait_for("192.0.2.2", "anna"), 0s);
}

TEST_F(LoginThrottleTest, success_starts_both_counters_again) {
  for (int i = 0; i < 5; ++i) wait_for("192.0.2.1", "anna");
  now_ += 1s;
  EXPECT_EQ(wait_for("192.0.2.1", "anna"), 0s);
  throttle_.succeeded(ip("192.0.2.1"), "anna");
  for (int i = 0; i < 5; ++i) EXPECT_EQ(wait_for("192.0.2.1", "anna"), 0s);
  EXPECT_EQ(wait_for("192.0.2.1", "anna"), 1s);
}

TEST_F(LoginThrottleTest, an_attempt_that_was_not_carried_out_does_not_count) {
  for (int i = 0; i < 50; ++i) {
    EXPECT_EQ(wait_for("192.0.2.1", "anna"), 0s);
    throttle_.taken_back(ip("192.0.2.1"), "anna");
  }
  EXPECT_EQ(throttle_.sources() + throttle_.accounts(), 0U);
}

TEST_F(LoginThrottleTest, only_the_first_refusal_of_a_pause_is_reported_as_such) {
  for (int i = 0; i < 5; ++i) wait_for("192.0.2.1", "anna");
  EXPECT_TRUE(throttle_.admit(ip("192.0.2.1"), "anna", now_).first_refusal);
  EXPECT_FALSE(throttle_.admit(ip("192.0.2.1"), "anna", now_).first_refusal);
  now_ += 1s;
  EXPECT_TRUE(throttle_.admit(ip("192.0.2.1"), "anna", now_).granted());
  EXPECT_TRUE(throttle_.admit(ip("192.0.2.1"), "anna", now_).first_refusal);
}

TEST_F(LoginThrottleTest, failures_are_forgotten_after_an_hour) {
  for (int i = 0; i < 5; ++i) wait_for("192.0.2.1", "anna");
  now_ += 1h;
  for (int i = 0; i < 5; ++i) EXPECT_EQ(wait_for("192.0.2.1", "anna"), 0s);
}

TEST_F(LoginThrottleTest, addresses_of_one_ipv6_block_count_together) {
  for (int i = 0; i < 5; ++i) wait_for("2001:db8:1:2" + std::to_string(i) + "::1", "");
  EXPECT_EQ(wait_for("2001:db8:1:2f::7", "somebody"), 1s);
  EXPECT_EQ(wait_for("2001:db8:2::1", "somebody"), 0s);
}

TEST_F(LoginThrottleTest, an_ipv4_address_is_the_same_when_mapped_into_ipv6) {
  for (int i = 0; i < 5; ++i) wait_for("192.0.2.1", "anna");
  EXPECT_EQ(wait_for("::ffff:192.0.2.1", "berta"), 1s);
}

TEST_F(LoginThrottleTest, the_tables_are_bounded_and_a_flood_of_names_frees_nobody) {
  ThrottleRules rules;
  rules.source.entries = 16;
  rules.account.entries = 8;
  LoginThrottle small(99, rules);
  for (int i = 0; i < 5; ++i) small.admit(ip("192.0.2.1"), "anna", now_);
  for (int i = 0; i < 500; ++i) {
    now_ += 1ms;
    const auto source = ip("10.0." + std::to_string(i / 250) + "." + std::to_string(i % 250));
    small.admit(source, "name" + std::to_string(i), now_);
    ASSERT_LE(small.sources(), 16U);
    ASSERT_LE(small.accounts(), 8U);
  }
  EXPECT_GT(small.admit(ip("203.0.113.1"), "anna", now_).wait, 0s);
}

}  // namespace
}  // namespace bedside::server
