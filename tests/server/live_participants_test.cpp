// Who is in a visit, and the names they may hide.
#include "server/live_participants.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <string>

#include "server/ice_servers.h"

namespace bedside::server {
namespace {

using std::chrono::seconds;

constexpr std::string_view kRealm = "clinic.example";
constexpr seconds kNow{1'800'000'000};

turn::IssuedCredential issued(int number, seconds expires = kNow + seconds{600}) {
  return {std::to_string(expires.count()) + ":room:p" + std::to_string(number), "secret", expires};
}

std::optional<std::string> look_up(const LiveParticipantSet& live, std::string_view name) {
  return live.name_of(stun::userhash(name, kRealm));
}

TEST(LiveParticipants, Are_who_was_added_and_not_removed) {
  LiveParticipantSet live;
  EXPECT_FALSE(live.contains("p1"));
  live.add("p1");
  live.add("p1");
  EXPECT_TRUE(live.contains("p1"));
  EXPECT_EQ(live.size(), 1U);
  live.remove("p1");
  live.remove("p2");
  EXPECT_FALSE(live.contains("p1"));
}

TEST(IssuedNames, Are_found_by_their_hash) {
  LiveParticipantSet live;
  EXPECT_EQ(look_up(live, issued(1).username), std::nullopt);
  live.remember(issued(1), kRealm, kNow);
  live.remember(issued(2), kRealm, kNow);
  live.remember(issued(1), kRealm, kNow);
  EXPECT_EQ(look_up(live, issued(1).username), issued(1).username);
  EXPECT_EQ(look_up(live, issued(2).username), issued(2).username);
  EXPECT_EQ(look_up(live, issued(3).username), std::nullopt);
}

TEST(IssuedNames, Are_forgotten_after_they_expire) {
  LiveParticipantSet live;
  live.remember(issued(1), kRealm, kNow);
  live.remember(issued(2, kNow + seconds{700}), kRealm, kNow + seconds{100});
  live.remember(issued(3, kNow + seconds{1200}), kRealm, kNow + seconds{600});
  EXPECT_EQ(look_up(live, issued(1).username), std::nullopt);
  EXPECT_TRUE(look_up(live, issued(2, kNow + seconds{700}).username));
}

TEST(IssuedNames, Are_at_most_so_many_and_the_oldest_goes_first) {
  LiveParticipantSet live;
  const int limit = static_cast<int>(LiveParticipantSet::kMaxNames);
  for (int i = 0; i <= limit; ++i) live.remember(issued(i), kRealm, kNow);
  EXPECT_EQ(look_up(live, issued(0).username), std::nullopt);
  EXPECT_TRUE(look_up(live, issued(1).username));
  EXPECT_TRUE(look_up(live, issued(limit).username));
}

TEST(IceServers, Remember_the_name_in_what_they_grant) {
  turn::CredentialsConfig config;
  config.realm = kRealm;
  config.participant_secrets = {"participant-secret-0123456789"};
  const auto credentials = turn::Credentials::make(std::move(config)).value();
  AdvertisedRelay relay;
  relay.udp = {*stun::Endpoint::parse("192.0.2.1:3478")};
  LiveParticipantSet live;
  IceServers servers(credentials, relay, &live);
  signaling::Now now{};
  now.wall = kNow;
  const auto grant = servers.ice_grant("room-1", "p1", now);
  const auto json = nlohmann::json::parse(grant.servers_json);
  const std::string name = json.back().at("username");
  EXPECT_EQ(look_up(live, name), name);
  EXPECT_EQ(credentials.name_of(stun::userhash(name, kRealm), live), name);
}

}  // namespace
}  // namespace bedside::server
