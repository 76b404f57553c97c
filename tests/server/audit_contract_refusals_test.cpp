// The refusals that audit_contract_test does not drive: a body that makes no sense, a program
// without the scope, a guest who acts as a host, who asks too often, and a visit that has ended.
// None of them leaves a record, and each is counted as what it is.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <initializer_list>
#include <utility>

#include "tests/server/audit_contract_rig.h"

namespace bedside::server {
namespace {

using testing::AnyOf;
using testing::ElementsAre;
using testing::IsEmpty;

class Refusals : public AuditContractVisit, public testing::TestWithParam<Way> {
 protected:
  explicit Refusals(ControlOptions options = with_emergencies())
      : AuditContractVisit(GetParam().route, std::move(options)) {
    asked(as(host_, "poll"));
    asked(as(guest_, "poll"));
    forget_records();
  }
  // What is asked for, by the program or by somebody of the visit.
  Request wish(const Json& who) const {
    const std::string& what = GetParam().what;
    if (what == "create-room") {
      return as_program({{"action", what}, {"roomName", "other"}});
    }
    if (what == "get-room" || what == "end-room" || what == "DELETE") {
      return as_program({{"action", what}, {"roomId", "visit"}});
    }
    if (!what.starts_with("signal ")) return as(who, what.c_str());
    const std::string type = what.substr(std::string("signal ").size());
    Json message{{"type", type}};
    if (type == "join") message = join_message(who);
    if (type == "lock") message["locked"] = true;
    if (type == "offer") message.update({{"targetPeerId", "p"}, {"sdp", "v=0"}});
    const bool about_a_guest = type == "admit" || type == "decline" || type == "kick";
    if (about_a_guest) message["peerId"] = guest_["participantId"];
    Request request = as(who, "signal");
    request.body["message"] = std::move(message);
    return request;
  }
  int status_of(const Request& request) const { return send(request)->status; }
};

const char* const kOfTheVisit[] = {"poll",         "leave-room",        "ice-servers",
                                   "signal join",  "signal offer",      "signal leave",
                                   "signal admit", "signal decline",    "signal kick",
                                   "signal lock",  "signal end-room",   "signal emergency",
                                   "signal ping",  "signal media-state"};

class MalformedContract : public Refusals {};

TEST_P(MalformedContract, CountsItAndRecordsNothing) {
  const Json action{{"action", GetParam().what}};
  EXPECT_EQ(status_of({action, "the token"}), 400);
  EXPECT_THAT(new_records(), IsEmpty());
  EXPECT_THAT(counted_types(), ElementsAre("abuse.malformed"));
}

INSTANTIATE_TEST_SUITE_P(All, MalformedContract,
                         testing::ValuesIn(ways_to({Target::signaling},
                                                   std::initializer_list<const char*>{
                                                       "create-room", "join-room", "end-room",
                                                       "poll", "leave-room", "ice-servers",
                                                       "signal", "no such action"})),
                         name_of_way);

class ScopeContract : public Refusals {};

TEST_P(ScopeContract, CountsTheTokenThatMayNot) {
  Request request = wish(host_);
  const bool reads = GetParam().what == "get-room";
  request.bearer = token_with(reads ? "rooms.create" : "rooms.read");
  forget_records();
  EXPECT_EQ(status_of(request), 403);
  EXPECT_THAT(new_records(), IsEmpty());
  EXPECT_THAT(counted_types(), ElementsAre("token.used_denied"));
}

INSTANTIATE_TEST_SUITE_P(All, ScopeContract,
                         testing::ValuesIn(ways_to({Target::signaling},
                                                   std::initializer_list<const char*>{
                                                       "create-room", "get-room", "end-room",
                                                       "DELETE"})),
                         name_of_way);

class GuestContract : public Refusals {};

TEST_P(GuestContract, RecordsNothingOfWhatOnlyAHostMay) {
  EXPECT_EQ(status_of(wish(guest_)), 403);
  EXPECT_THAT(new_records(), IsEmpty());
  EXPECT_THAT(counted_types(), IsEmpty());
}

INSTANTIATE_TEST_SUITE_P(All, GuestContract,
                         testing::ValuesIn(ways_to({Target::signaling},
                                                   std::initializer_list<const char*>{
                                                       "signal admit", "signal decline",
                                                       "signal kick", "signal lock",
                                                       "signal end-room", "signal emergency"})),
                         name_of_way);

// Time stands still: nobody may say more meanwhile. Leaving costs as well, but is never refused.
class TooOftenContract : public Refusals {
 protected:
  TooOftenContract() : Refusals(standing_still()) {}

 private:
  static ControlOptions standing_still() {
    ControlOptions options = with_emergencies();
    const auto wall = std::chrono::duration_cast<std::chrono::milliseconds>(
        std::chrono::system_clock::now().time_since_epoch());
    options.clock = [wall] { return signaling::Now{std::chrono::milliseconds{1'000'000}, wall}; };
    return options;
  }
};

TEST_P(TooOftenContract, CountsItAndRecordsNothing) {
  Request ping = as(host_, "signal");
  ping.body["message"] = {{"type", "ping"}};
  int status = 200;
  for (int i = 0; i < 200 && status == 200; ++i) status = status_of(ping);
  ASSERT_EQ(status, 429);
  (void)counted_types();
  const auto answer = send(wish(host_));
  EXPECT_EQ(answer->status, 429);
  EXPECT_TRUE(answer->has_header("Retry-After"));
  EXPECT_THAT(new_records(), IsEmpty());
  EXPECT_THAT(counted_types(), ElementsAre("abuse.rate_limited"));
}

INSTANTIATE_TEST_SUITE_P(
    All, TooOftenContract,
    testing::ValuesIn(ways_to({Target::signaling},
                              std::initializer_list<const char*>{
                                  "poll", "signal join", "signal offer", "signal admit",
                                  "signal decline", "signal kick", "signal lock", "signal end-room",
                                  "signal emergency", "signal ping", "signal media-state"})),
    name_of_way);

class EndedContract : public Refusals {};

TEST_P(EndedContract, RecordsNothingMore) {
  asked(as_program({{"action", "end-room"}, {"roomId", "visit"}}));
  forget_records();
  // A poll may still tell who was there that it is over.
  EXPECT_THAT(status_of(wish(host_)), AnyOf(410, GetParam().what == "poll" ? 200 : 410));
  EXPECT_THAT(new_records(), IsEmpty());
  EXPECT_THAT(counted_types(), IsEmpty());
}

INSTANTIATE_TEST_SUITE_P(All, EndedContract,
                         testing::ValuesIn(ways_to({Target::signaling}, kOfTheVisit)), name_of_way);

class EndedAgainContract : public Refusals {};

TEST_P(EndedAgainContract, IsOkAndNoSecondRecord) {
  asked(wish(host_));
  forget_records();
  asked(wish(host_));
  EXPECT_THAT(new_records(), IsEmpty());
  EXPECT_THAT(counted_types(), IsEmpty());
}

INSTANTIATE_TEST_SUITE_P(All, EndedAgainContract,
                         testing::ValuesIn(ways_to({Target::signaling},
                                                   std::initializer_list<const char*>{"end-room",
                                                                                      "DELETE"})),
                         name_of_way);

}  // namespace
}  // namespace bedside::server
