// Every action a client can ask for, to every outcome: done, refused to a stranger, and while the
// disk is full. The log has exactly the records that audit_contract.h says. WebSockets and the
// witness have files of their own beside this one; that none of the server's paths is forgotten is
// checked at the end.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <set>

#include "tests/server/audit_contract_rig.h"

namespace bedside::server {
namespace {

using testing::ElementsAre;
using testing::ElementsAreArray;
using testing::IsEmpty;

class AuditContract : public AuditContractVisit, public testing::TestWithParam<Way> {
 protected:
  AuditContract() : AuditContractVisit(GetParam().route), second_host_(host_) {
    asked(as(host_, "poll"));
    asked(as(guest_, "poll"));
    // For the actions that need somebody who is not attached yet.
    const std::string what = GetParam().what;
    const bool needs_another = what == "poll" || what == "signal join" || what == "signal offer";
    if (needs_another) second_host_ = joined(host_link_);
    if (what == "signal offer") asked(as(second_host_, "poll"));
    forget_records();
  }

  static Request say(const Json& who, Json message) {
    Request request = as(who, "signal");
    request.body["message"] = std::move(message);
    return request;
  }
  // What somebody who may asks for.
  Request request() const {
    const std::string guest = guest_["participantId"];
    const std::map<std::string, Request> all{
        {"create-room", as_program({{"action", "create-room"}, {"roomName", "other"}})},
        {"get-room", as_program({{"action", "get-room"}})},
        {"end-room", as_program({{"action", "end-room"}, {"roomId", "visit"}})},
        {"DELETE", as_program({{"action", "DELETE"}})},
        {"join-room",
         {{{"action", "join-room"},
           {"roomId", "visit"},
           {"participantName", "B"},
           {"token", host_link_}},
          ""}},
        {"poll", as(second_host_, "poll")},
        {"leave-room", as(host_, "leave-room")},
        {"ice-servers", as(host_, "ice-servers")},
        {"signal join", say(second_host_, join_message(second_host_))},
        {"signal offer",
         say(host_,
             {{"type", "offer"}, {"targetPeerId", second_host_["participantId"]}, {"sdp", "v=0"}})},
        {"signal leave", say(host_, {{"type", "leave"}})},
        {"signal media-state", say(host_, {{"type", "media-state"}, {"audio", true}})},
        {"signal ping", say(host_, {{"type", "ping"}})},
        {"signal admit", say(host_, {{"type", "admit"}, {"peerId", guest}})},
        {"signal decline", say(host_, {{"type", "decline"}, {"peerId", guest}})},
        {"signal kick", say(host_, {{"type", "kick"}, {"peerId", guest}})},
        {"signal lock", say(host_, {{"type", "lock"}, {"locked", true}})},
        {"signal end-room", say(host_, {{"type", "end-room"}})},
        {"signal emergency", say(host_, {{"type", "emergency"}})},
    };
    return all.at(GetParam().what);
  }
  // The same from somebody who has the names and not the secret.
  static Request by_stranger(Request request) {
    if (!request.bearer.empty()) {
      request.bearer = "bedside_" + std::string(43, 'x');
    } else {
      request.body["token"] = "wrong";
    }
    return request;
  }
  static AuditLine line_for(const Request& request) {
    if (request.body["action"] == "get-room") return LineOfAction{}(signaling::GetRoom{});
    if (request.body["action"] == "DELETE") return LineOfAction{}(signaling::EndRoom{});
    const auto action = signaling::parse_action(request.body.dump());
    EXPECT_TRUE(action) << request.body;
    return action ? std::visit(LineOfAction{}, *action) : AuditLine{};
  }

  Json second_host_;
};

TEST_P(AuditContract, RecordsWhatWasDone) {
  asked(request());
  EXPECT_THAT(new_records(), ElementsAreArray(line_for(request()).records));
  EXPECT_THAT(counted_types(), IsEmpty());
}

TEST_P(AuditContract, CountsWhoMayNot) {
  const int status = send(by_stranger(request()))->status;
  EXPECT_TRUE(status == 401 || status == 403) << status;
  EXPECT_THAT(new_records(), IsEmpty());
  EXPECT_THAT(counted_types(), ElementsAre(line_for(request()).counted));
}

TEST_P(AuditContract, HoldsWhenTheDiskIsFull) {
  const AuditLine line = line_for(request());
  vfs.set_capacity(store::kNoSpace);
  const auto answer = send(request());
  EXPECT_THAT(new_records(), IsEmpty());
  if (line.when_full == WhenFull::closed) {
    EXPECT_EQ(answer->status, 503) << answer->body;
    EXPECT_TRUE(answer->has_header("Retry-After"));
    EXPECT_NE(Json::parse(answer->body)["error"], "");
  } else {
    EXPECT_EQ(answer->status, 200) << answer->body;
  }
  expect_when_there_is_space_again(line);
}

const char* const kEverything[] = {"create-room",     "get-room",           "end-room",
                                   "DELETE",          "join-room",          "poll",
                                   "leave-room",      "ice-servers",        "signal join",
                                   "signal offer",    "signal leave",       "signal admit",
                                   "signal kick",     "signal media-state", "signal decline",
                                   "signal lock",     "signal ping",        "signal end-room",
                                   "signal emergency"};

INSTANTIATE_TEST_SUITE_P(All, AuditContract,
                         testing::ValuesIn(ways_to({Target::signaling}, kEverything)), name_of_way);

// Nothing that a client can send is missing above: every alternative of the protocol's variants.
TEST(AuditContractItself, KnowsEveryActionAndMessage) {
  EXPECT_EQ(std::variant_size_v<signaling::Action>, 8U);
  // With the six host actions instead of one, and two ways to end a room.
  EXPECT_EQ(std::variant_size_v<decltype(signaling::ClientMessage::body)>, 6U);
  EXPECT_EQ(std::size(kEverything), (8U - 1) + 1 + (6U - 1) + 6U);
}

// What the contracts of this server drive, by the first word of each test's parameter.
std::set<std::string> driven_routes() {
  std::set<std::string> driven;
  const testing::UnitTest& all = *testing::UnitTest::GetInstance();
  for (int i = 0; i < all.total_test_suite_count(); ++i) {
    const testing::TestSuite& suite = *all.GetTestSuite(i);
    for (int j = 0; j < suite.total_test_count(); ++j) {
      const char* const way = suite.GetTestInfo(j)->value_param();
      if (way == nullptr) continue;
      const std::string words = way;
      driven.insert(words.substr(0, words.find(' ')));
    }
  }
  return driven;
}

TEST(AuditContractItself, DrivesEveryRouteThatChangesSomething) {
  const std::set<std::string> driven = driven_routes();
  for (const Route& route : routes()) {
    if (route.recorded == Recorded::with_change) {
      EXPECT_THAT(driven, testing::Contains(route.path)) << "no contract drives it";
    } else if (route.recorded == Recorded::by_handler) {
      EXPECT_EQ(route.target, Target::admin_api) << "admin_contract_test drives that one alone";
    }
  }
}

}  // namespace
}  // namespace bedside::server
