#include "server/config_reload.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>

#include "turn/limits.h"

namespace bedside::server {
namespace {

using std::chrono::hours;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

using Edit = std::function<void(Config&)>;

// One of each key.
std::vector<std::pair<std::string, Edit>> edits() {
  const stun::Endpoint endpoint = *stun::Endpoint::parse("127.0.0.1:4000");
  const auto block = *AddressBlock::parse("198.51.100.0/24");
  return {
      {"data_dir", [](Config& c) { c.data_dir = "elsewhere"; }},
      {"public_host", [](Config& c) { c.public_host = "other"; }},
      {"log_level", [](Config& c) { c.log_level = "debug"; }},
      {"practice", [](Config& c) { c.practice.phone = "1"; }},
      {"https.listen", [=](Config& c) { c.https.listen.push_back(endpoint); }},
      {"https.certificate", [](Config& c) { c.https.certificate = "c.pem"; }},
      {"https.private_key", [](Config& c) { c.https.private_key = "k.pem"; }},
      {"http.listen", [=](Config& c) { c.http.listen.push_back(endpoint); }},
      {"turn.listen", [=](Config& c) { c.turn.listen.push_back(endpoint); }},
      {"turn.dtls", [](Config& c) { c.turn.dtls = false; }},
      {"turn.relay_ports", [](Config& c) { c.turn.relay_ports.last = 60'000; }},
      {"turn.external_ip",
       [](Config& c) { c.turn.external_ip = {stun::IpAddress::v4(203, 0, 113, 5)}; }},
      {"turn.alternate_server", [=](Config& c) { c.turn.alternate_server = {endpoint}; }},
      {"turn.realm", [](Config& c) { c.turn.realm = "other"; }},
      {"turn.shared_secret_file", [](Config& c) { c.turn.shared_secret = "secret"; }},
      {"turn.user",
       [](Config& c) {
         c.turn.users.push_back({"desk", "password"});
       }},
      {"turn.allow_loopback_peers", [](Config& c) { c.turn.allow_loopback_peers = true; }},
      {"turn.allowed_peers", [=](Config& c) { c.turn.allowed_peers.push_back(block); }},
      {"turn.denied_peers", [=](Config& c) { c.turn.denied_peers.push_back(block); }},
      {"turn.quotas", [](Config& c) { c.turn.quotas.packets_per_second = 77; }},
      {"turn.mobility", [](Config& c) { c.turn.mobility = true; }},
      {"turn.tcp_relay", [](Config& c) { c.turn.tcp_relay = true; }},
      {"turn.behavior_discovery", [](Config& c) { c.turn.behavior_discovery = true; }},
      {"turn.threads", [](Config& c) { c.turn.threads = 3; }},
      {"turn.accept_rfc5766_channels", [](Config& c) { c.turn.accept_rfc5766_channels = true; }},
      {"signaling.access", [](Config& c) { c.signaling.access = Access::open; }},
      {"signaling.waiting_room", [](Config& c) { c.signaling.waiting_room = false; }},
      {"signaling.room_lifetime_days", [](Config& c) { c.signaling.room_lifetime_days = 3; }},
      {"signaling.max_participants", [](Config& c) { c.signaling.max_participants = 3; }},
      {"signaling.allowed_origins", [](Config& c) { c.signaling.allowed_origins = {"https://x"}; }},
      {"admin.allow_from", [=](Config& c) { c.admin.allow_from.push_back(block); }},
      {"audit.key_file", [](Config& c) { c.audit.key_file = "k"; }},
      {"audit.keep_years", [](Config& c) { c.audit.keep_years = 11; }},
      {"audit.ballast_mb", [](Config& c) { c.audit.ballast_mb = 0; }},
      {"audit.anchor_file", [](Config& c) { c.audit.anchor_file = "a"; }},
      {"audit.emergency_journal", [](Config& c) { c.audit.emergency_journal = "j"; }},
      {"audit.anchor_webhook", [](Config& c) { c.audit.anchor_webhook = "https://a.example"; }},
      {"audit.witness",
       [](Config& c) {
         c.audit.witnesses.push_back({"https://w.example", {}});
       }},
      {"backup.folder", [](Config& c) { c.backup.folder = "b"; }},
      {"backup.public_key", [](Config& c) { c.backup.public_key = "p.pem"; }},
      {"backup.scratch_folder", [](Config& c) { c.backup.scratch_folder = "s"; }},
      {"backup.keep", [](Config& c) { c.backup.keep = 7; }},
      {"witness.logs", [](Config& c) { c.witness.logs.emplace_back(); }},
      {"operator.listen", [=](Config& c) { c.operator_listener.listen = endpoint; }},
  };
}

TEST(ChangedKeys, EveryKeyOfAFileIsSeen) {
  const Config before;
  EXPECT_THAT(changed_keys(before, before), IsEmpty());
  for (const auto& [key, edit] : edits()) {
    Config after;
    edit(after);
    const auto changed = changed_keys(before, after);
    ASSERT_EQ(changed.size(), 1U) << key;
    EXPECT_EQ(changed[0].key, key);
    EXPECT_NE(changed[0].before, changed[0].after) << key;
    // What is taken over is exactly what needs no restart.
    EXPECT_EQ(changed_keys(take_over(before, after), after).empty(), !changed[0].needs_restart)
        << key;
  }
}

TEST(UsersGone, AreThoseRemovedAndThoseWithAnotherPassword) {
  Config before;
  before.turn.users = {{"stays", "a"}, {"goes", "b"}, {"changes", "c"}};
  Config after;
  after.turn.users = {{"changes", "d"}, {"stays", "a"}, {"comes", "e"}};
  EXPECT_THAT(users_gone(before, after), ElementsAre("goes", "changes"));
}

TEST(RetiredSecrets, AreAcceptedForOneLifetimeOfWhatTheySigned) {
  RetiredSecrets retired;
  const RetiredSecrets::Time start{};
  retired.add("first", start);
  retired.add("", start);
  retired.add("second", start + hours(1));
  EXPECT_THAT(retired.secrets(), ElementsAre("second", "first"));
  EXPECT_EQ(retired.next_deadline(), start + turn::limits::kMaxSharedCredentialTtl);
  EXPECT_FALSE(retired.expire(start + hours(23)));
  EXPECT_TRUE(retired.expire(start + hours(24)));
  EXPECT_THAT(retired.secrets(), ElementsAre("second"));
  retired.remove("second");
  EXPECT_EQ(retired.next_deadline(), std::nullopt);
}

TEST(RetiredSecrets, TheOldestGoesWhenThereAreTooMany) {
  RetiredSecrets retired;
  for (const char* secret : {"a", "b", "c", "d"}) retired.add(secret, {});
  EXPECT_THAT(retired.secrets(), ElementsAre("d", "c", "b"));
}

}  // namespace
}  // namespace bedside::server
