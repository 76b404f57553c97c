// The real binary reads its configuration again on SIGHUP: what takes effect at once, what it does
// to allocations that exist, and that an invalid file changes nothing.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <csignal>
#include <ctime>

#include "store/reader.h"
#include "tests/bench/turn_session.h"
#include "tests/server/bedside_process.h"

namespace bedside::server {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

constexpr const char* kUser = "[[turn.user]]\nname = \"desk\"\npassword = \"desk-password\"\n";
const bench::Login kDesk{"desk", "desk-password"};
// A public address: it gets a permission, but never a packet.
const stun::Endpoint kPeer{stun::IpAddress::v4(9, 9, 9, 9), 40'000};

class Reload : public testing::Test {
 protected:
  void start(const std::string& turn) {
    server_.configure("", turn);
    server_.start();
  }
  // Another file, SIGHUP, and the line that says what came of it.
  void reload(const std::string& first, const std::string& turn,
              const std::string& verdict = "configuration read again") {
    server_.configure(first, turn);
    hang_up(verdict);
  }
  void hang_up(const std::string& verdict) {
    server_.process().signal(SIGHUP);
    ASSERT_TRUE(server_.process().wait_for_next_errors(verdict));
  }
  bench::TurnSession session(const bench::Login& login) const {
    return {{stun::IpAddress::v4(127, 0, 0, 1), server_.turn()}, login};
  }
  // What the server answers, "" when it agrees.
  template <typename Ask>
  static std::string refusal(Ask ask) {
    try {
      ask();
    } catch (const std::exception& error) {
      return error.what();
    }
    return {};
  }
  std::vector<std::string> audit_types() const {
    std::vector<std::string> types;
    const auto reader = store::Reader::open((server_.data_dir() / "bedside.db").string());
    if (!reader) return types;
    store::AuditQuery query;
    query.limit = 100;
    const auto rows = reader->audit(query);
    if (!rows) return types;
    for (const auto& row : *rows) types.push_back(row.type);
    return types;
  }

  TestServer server_;
};

TEST_F(Reload, DeniedPeersEndPermissionsThatExist) {
  start(kUser);
  auto client = session(kDesk);
  client.allocate();
  client.bind_channel(kPeer);
  reload("", std::string("denied_peers = [\"9.9.9.0/24\"]\n") + kUser);
  EXPECT_THAT(refusal([&] { client.bind_channel(kPeer); }), HasSubstr("403"));
  reload("", kUser);
  EXPECT_EQ(refusal([&] { client.bind_channel(kPeer); }), "");
}

TEST_F(Reload, RemovedUserLosesItsAllocation) {
  start(kUser);
  auto client = session(kDesk);
  client.allocate();
  reload("", "[[turn.user]]\nname = \"other\"\npassword = \"other-password\"\n");
  EXPECT_THAT(refusal([&] { client.bind_channel(kPeer); }), Not(std::string()));
  EXPECT_EQ(refusal([&] { session({"other", "other-password"}).allocate(); }), "");
  EXPECT_NE(refusal([&] { session(kDesk).allocate(); }), "");
}

TEST_F(Reload, FormerSharedSecretIsAcceptedForOneLifetime) {
  server_.folder().write("secret", "the first secret of all\n", 0600);
  start("shared_secret_file = \"secret\"\n");
  const std::string expiry = std::to_string(std::time(nullptr) + 3600);
  const auto old_login = bench::rest_login("the first secret of all", expiry + ":a");
  const auto new_login = bench::rest_login("the second secret of all", expiry + ":b");
  EXPECT_NE(refusal([&] { session(new_login).allocate(); }), "");
  server_.folder().write("secret", "the second secret of all\n", 0600);
  hang_up("configuration read again");
  EXPECT_EQ(refusal([&] { session(new_login).allocate(); }), "");
  EXPECT_EQ(refusal([&] { session(old_login).allocate(); }), "");
}

TEST_F(Reload, QuotasAndExternalAddressAreThoseOfTheNextAllocation) {
  start(kUser);
  auto first = session(kDesk);
  first.allocate();
  EXPECT_EQ(first.relayed()->address.to_string(), "127.0.0.1");
  reload("", std::string("external_ip = [\"9.8.7.6\"]\n[turn.quotas]\nallocations_per_user = 2\n") +
                 kUser);
  auto second = session(kDesk);
  second.allocate();
  EXPECT_EQ(second.relayed()->address.to_string(), "9.8.7.6");
  EXPECT_THAT(refusal([&] { session(kDesk).allocate(); }), HasSubstr("486"));
  EXPECT_EQ(refusal([&] { first.bind_channel(kPeer); }), "") << "what exists goes on";
}

TEST_F(Reload, InvalidFileChangesNothingAndSaysWhy) {
  start(kUser);
  auto client = session(kDesk);
  client.allocate();
  reload("", "denied_peers = [\"nonsense\"]\nrelay_port = 1\n", "nothing was changed");
  EXPECT_EQ(refusal([&] { client.bind_channel(kPeer); }), "");
  EXPECT_EQ(refusal([&] { session(kDesk).allocate(); }), "");
  const Ended ended = server_.stop(SIGTERM);
  EXPECT_EQ(ended.exit_code, 0);
  EXPECT_THAT(ended.errors, HasSubstr("bedside.toml:"));
  EXPECT_THAT(ended.errors, HasSubstr("did you mean relay_ports?"));
  EXPECT_THAT(audit_types(), Not(testing::Contains("config.changed")));
}

TEST_F(Reload, ChangesAreRecordedWithoutTheirSecretsAndTheRestNeedsARestart) {
  start(kUser);
  reload("log_level = \"warning\"\npublic_host = \"other.example.org\"\n", kUser,
         "needs a restart");
  EXPECT_EQ(refusal([&] { session(kDesk).allocate(); }), "");
  const Ended ended = server_.stop(SIGTERM);
  EXPECT_THAT(ended.errors, HasSubstr("public_host"));
  EXPECT_THAT(ended.errors, Not(HasSubstr("stopped"))) << "the log level is a warning by now";
  EXPECT_THAT(audit_types(), testing::Contains("config.changed"));
}

}  // namespace
}  // namespace bedside::server
