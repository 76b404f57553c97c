// Set-up, login, logout and what guards them.
#include <gmock/gmock.h>

#include "tests/server/admin_api_rig.h"

namespace bedside::server {
namespace {

using namespace std::chrono_literals;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;

class AdminLoginTest : public AdminApiRig {
 protected:
  std::vector<std::string> story() const {
    std::vector<std::string> words;
    for (const store::AuditRow& row : records()) {
      words.push_back(row.type + " " + row.outcome + " " + row.reason);
    }
    return words;
  }
};

TEST_F(AdminLoginTest, the_set_up_code_makes_the_first_account_and_logs_it_in) {
  EXPECT_EQ(get("state").body["setUpNeeded"], true);
  const AdminAnswer answer = set_up();
  ASSERT_EQ(answer.status, 200) << answer.body;
  EXPECT_EQ(answer.body["account"], "anna");
  const AdminAnswer state = get("state");
  EXPECT_EQ(state.body["setUpNeeded"], false);
  EXPECT_EQ(state.body["session"]["account"], "anna");
  EXPECT_EQ(state.body["session"]["secondsLeft"], 900);
  EXPECT_THAT(story(), ElementsAre("user.created ok ", "auth.login ok "));
  EXPECT_THAT(records("auth.login")[0].body, HasSubstr(R"("auth":"password")"));
  EXPECT_THAT(records("user.")[0].body, Not(HasSubstr("scrypt")));
}

TEST_F(AdminLoginTest, a_session_nobody_uses_any_more_ends_in_the_log) {
  ASSERT_EQ(set_up().status, 200);
  now_ += 15min - 1ms;
  EXPECT_TRUE(api_->take_timeouts().empty());
  now_ += 1ms;
  const auto ended = api_->take_timeouts();
  ASSERT_EQ(ended.size(), 1U);
  EXPECT_EQ(ended[0].records.at(0).type, "auth.timeout");
  EXPECT_EQ(ended[0].records[0].reason, "idle");
  EXPECT_EQ(ended[0].records[0].actor.id, "anna");
  EXPECT_TRUE(api_->take_timeouts().empty());
  EXPECT_EQ(get("rooms").status, 401);
}

TEST_F(AdminLoginTest, the_set_up_code_works_once) {
  const std::string code = code_;
  ASSERT_EQ(set_up().status, 200);
  const AdminAnswer again =
      post("setup", {{"code", code}, {"name", "berta"}, {"password", kPassword}});
  EXPECT_EQ(again.status, 401);
  EXPECT_EQ(store::Reader::open(database())->accounts()->size(), 1U);
}

TEST_F(AdminLoginTest, two_racing_set_ups_make_one_account) {
  std::vector<int> statuses;
  for (const char* name : {"anna", "berta"}) {
    api_->handle(
        request("POST", "setup", {{"code", code_}, {"name", name}, {"password", kPassword}}),
        context_, [&](const net::HttpResponse& response) { statuses.push_back(response.status); });
  }
  ASSERT_TRUE(loop_.run_until([&] { return statuses.size() == 2; }));
  std::sort(statuses.begin(), statuses.end());
  EXPECT_THAT(statuses, ElementsAre(200, 409));
  EXPECT_EQ(store::Reader::open(database())->accounts()->size(), 1U);
}

TEST_F(AdminLoginTest, with_an_account_there_is_no_set_up_code) {
  AdminApiOptions options;
  options.has_account = true;
  start(std::move(options));
  EXPECT_EQ(code_, "");
  EXPECT_EQ(get("state").body["setUpNeeded"], false);
  EXPECT_EQ(post("setup", {{"code", ""}, {"name", "anna"}, {"password", kPassword}}).status, 401);
}

TEST_F(AdminLoginTest, guessing_the_set_up_code_is_recorded_and_slowed_down) {
  const nlohmann::json guess = {
      {"code", "0000-0000-0000-0000-0000"}, {"name", "eve"}, {"password", kPassword}};
  for (int i = 0; i < 5; ++i) EXPECT_EQ(post("setup", guess).status, 401);
  const AdminAnswer slowed = post("setup", guess);
  EXPECT_EQ(slowed.status, 429);
  EXPECT_EQ(slowed.header("Retry-After"), "1");
  EXPECT_EQ(records("auth.login").size(), 6U);
  EXPECT_THAT(records("auth.login")[0].body, Not(HasSubstr("eve")));
}

TEST_F(AdminLoginTest, weak_passwords_and_odd_names_are_refused_before_anything_is_made) {
  const auto attempt = [&](const std::string& name, const std::string& password) {
    return post("setup", {{"code", code_}, {"name", name}, {"password", password}});
  };
  EXPECT_EQ(attempt("anna", "short").body["code"], "password-rule");
  EXPECT_EQ(attempt("anna", "aaaaaaaaaaaaaaa").body["code"], "password-rule");
  EXPECT_EQ(attempt("anna smith", kPassword).body["code"], "account-name");
  EXPECT_EQ(attempt("", kPassword).body["code"], "account-name");
  EXPECT_EQ(attempt(std::string(65, 'a'), kPassword).body["code"], "account-name");
  EXPECT_TRUE(store::Reader::open(database())->accounts()->empty());
}

TEST_F(AdminLoginTest, a_login_sets_the_cookie_with_all_its_flags) {
  set_up();
  cookie_.clear();
  const AdminAnswer answer = log_in();
  ASSERT_EQ(answer.status, 200);
  const std::string cookie = answer.header("Set-Cookie");
  EXPECT_TRUE(cookie.starts_with("__Host-bedside-admin=")) << cookie;
  EXPECT_THAT(cookie, HasSubstr("; Path=/; HttpOnly; SameSite=Strict; Secure"));
  EXPECT_EQ(get("rooms").status, 200);
}

TEST_F(AdminLoginTest, a_wrong_password_and_an_unknown_name_get_the_same_answer) {
  set_up();
  const AdminAnswer wrong = log_in("anna", "not the password");
  const AdminAnswer unknown = log_in("nobody", kPassword);
  const AdminAnswer odd = log_in("no name at all!", kPassword);
  EXPECT_EQ(wrong.status, 401);
  EXPECT_EQ(wrong.raw.body, unknown.raw.body);
  EXPECT_EQ(wrong.raw.body, odd.raw.body);
  const auto rows = records("auth.login");
  ASSERT_EQ(rows.size(), 4U);
  EXPECT_THAT(rows[1].body, HasSubstr("anna"));
  EXPECT_THAT(rows[2].body, Not(HasSubstr("nobody")));  // it may be a password in the wrong field
}

TEST_F(AdminLoginTest, guessing_is_slowed_down_the_first_refusal_recorded_and_others_counted) {
  set_up();
  cookie_.clear();
  for (int i = 0; i < 5; ++i) EXPECT_EQ(log_in("anna", "guess").status, 401);
  const AdminAnswer first = log_in();
  EXPECT_EQ(first.status, 429);
  EXPECT_EQ(first.header("Retry-After"), "1");
  EXPECT_FALSE(trail_.take_all_counted());
  EXPECT_EQ(log_in().status, 429);
  const auto counted = trail_.take_all_counted();
  ASSERT_TRUE(counted);
  ASSERT_EQ(counted->records.size(), 1U);
  EXPECT_EQ(counted->records[0].type, "abuse.login_throttled");
  EXPECT_EQ(records("auth.login").back().reason, "locked");
  EXPECT_EQ(records("auth.login").size(), 1U + 5U + 1U);
  now_ += 1s;
  EXPECT_EQ(log_in().status, 200);
}

// Whoever has many addresses and many names could fill the log with them otherwise.
TEST_F(AdminLoginTest, of_strangers_only_so_many_are_recorded_a_day_and_more_are_counted) {
  const auto guess_from = [&](int place) {
    context_.client.address = *stun::IpAddress::parse("2001:db8:" + std::to_string(place) + "::1");
    return post("setup",
                {{"code", "0000-0000-0000-0000-0000"}, {"name", "eve"}, {"password", kPassword}});
  };
  int place = 0;
  for (; place < 500; ++place) {
    now_ += 61s;  // what all of them guess is slowed down, too
    ASSERT_EQ(guess_from(place).status, 401) << place;
  }
  EXPECT_FALSE(trail_.take_all_counted());
  EXPECT_EQ(records("auth.login").size(), 500U);
  now_ += 61s;
  EXPECT_EQ(guess_from(place).status, 401);
  const auto counted = trail_.take_all_counted();
  ASSERT_TRUE(counted);
  EXPECT_EQ(counted->records[0].type, "abuse.login_denied");
  now_ += 24h;
  EXPECT_EQ(guess_from(place + 1).status, 401);
  EXPECT_FALSE(trail_.take_all_counted()) << "another day";
}

TEST_F(AdminLoginTest, a_login_ends_the_session_the_browser_had) {
  set_up();
  const std::string before = cookie_;
  ASSERT_EQ(log_in().status, 200);
  ASSERT_NE(cookie_, before);
  EXPECT_EQ(get("rooms").status, 200);
  cookie_ = before;
  EXPECT_EQ(get("rooms").status, 401);
  EXPECT_EQ(records("auth.logout")[0].reason, "replaced");
}

TEST_F(AdminLoginTest, logging_out_ends_the_session_and_is_recorded) {
  set_up();
  const std::string before = cookie_;
  const AdminAnswer answer = post("logout", nlohmann::json::object());
  EXPECT_EQ(answer.status, 200);
  EXPECT_THAT(answer.header("Set-Cookie"), HasSubstr("Max-Age=0"));
  cookie_ = before;
  EXPECT_EQ(get("rooms").body["code"], "login-required");
  EXPECT_EQ(records("auth.logout")[0].actor, "staff:anna");
}

TEST_F(AdminLoginTest, a_session_ends_by_itself_and_automatic_refreshes_do_not_keep_it) {
  set_up();
  now_ += 14min;
  EXPECT_EQ(get("rooms").status, 200);
  for (int i = 0; i < 14; ++i) {
    now_ += 1min;
    net::HttpRequest refresh = request("GET", "rooms");
    refresh.headers.emplace_back("x-bedside-refresh", "automatic");
    EXPECT_EQ(send(refresh).status, 200);
  }
  now_ += 1min;
  EXPECT_EQ(get("rooms").status, 401);
}

TEST_F(AdminLoginTest, what_did_not_come_from_our_page_is_refused) {
  set_up();
  const auto spoilt = [&](const std::string& name, const std::string& value) {
    net::HttpRequest made = request("POST", "rooms/end", {{"roomId", "r"}});
    std::erase_if(made.headers, [&](const auto& field) { return field.first == name; });
    if (!value.empty()) made.headers.emplace_back(name, value);
    return send(made).status;
  };
  EXPECT_EQ(spoilt("origin", "https://evil.example"), 403);
  EXPECT_EQ(spoilt("origin", "null"), 403);
  EXPECT_EQ(spoilt("sec-fetch-site", "cross-site"), 403);
  EXPECT_EQ(spoilt("sec-fetch-site", "same-site"), 403);
  EXPECT_EQ(spoilt("x-bedside-admin", ""), 403);
  EXPECT_EQ(spoilt("content-type", "text/plain"), 415);
  EXPECT_EQ(backend_.ended, "");
  EXPECT_EQ(spoilt("content-type", "application/json; charset=utf-8"), 200);

  net::HttpRequest bare = request("POST", "rooms/end", {{"roomId", "r"}});
  std::erase_if(bare.headers, [](const auto& field) {
    return field.first == "origin" || field.first == "sec-fetch-site";
  });
  EXPECT_EQ(send(bare).status, 403);
  context_.origin.clear();  // the Host was not ours: somebody pointed a name of theirs at us
  EXPECT_EQ(get("state").status, 403);
}

TEST_F(AdminLoginTest, addresses_outside_of_allow_from_see_nothing) {
  AdminApiOptions options;
  options.allow_from = {{*stun::IpAddress::parse("10.0.0.0"), 8}};
  start(std::move(options));
  EXPECT_EQ(get("state").status, 404);
  EXPECT_FALSE(api_->visible_to(context_.client.address));
  context_.client = *stun::Endpoint::parse("10.1.2.3:50000");
  EXPECT_EQ(get("state").status, 200);
  EXPECT_TRUE(api_->visible_to(*stun::IpAddress::parse("::ffff:10.1.2.3")));
}

TEST_F(AdminLoginTest, too_many_password_checks_at_once_are_refused_without_being_counted) {
  set_up();
  cookie_.clear();
  context_.client = *stun::Endpoint::parse("203.0.113.77:50000");
  std::vector<int> statuses;
  for (std::size_t i = 0; i < kMaxPasswordChecks + 4; ++i) {
    context_.client.address = *stun::IpAddress::parse("198.51.100." + std::to_string(i));
    const std::string name = "name" + std::to_string(i);
    api_->handle(request("POST", "login", {{"name", name}, {"password", "x"}}), context_,
                 [&](const net::HttpResponse& response) { statuses.push_back(response.status); });
  }
  EXPECT_THAT(statuses, testing::Each(503));
  EXPECT_EQ(statuses.size(), 4U);
  ASSERT_TRUE(loop_.run_until([&] { return statuses.size() == kMaxPasswordChecks + 4; }));
  EXPECT_EQ(std::count(statuses.begin(), statuses.end(), 401), 8);
}

TEST_F(AdminLoginTest, nothing_is_granted_when_it_cannot_be_recorded) {
  set_up();
  cookie_.clear();
  store_->close();
  const AdminAnswer answer = log_in();
  EXPECT_EQ(answer.status, 503);
  EXPECT_EQ(answer.header("Set-Cookie"), "");
}

TEST_F(AdminLoginTest, bodies_that_make_no_sense_are_refused) {
  for (const char* body :
       {"", "[]", "{", "null", R"({"name":1,"password":"x"})", R"({"name":"a"})"}) {
    net::HttpRequest made = request("POST", "login", {});
    made.body = body;
    EXPECT_EQ(send(made).status, 400) << body;
  }
}

}  // namespace
}  // namespace bedside::server
