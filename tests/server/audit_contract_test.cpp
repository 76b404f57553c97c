// Every action a client can ask for, to every outcome: done, refused to a stranger, and while the
// disk is full. The log has exactly the records that audit_contract.h says.

#include "tests/server/audit_contract.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <future>
#include <set>

#include "server/api_tokens.h"
#include "store/reader.h"
#include "tests/server/control_rig.h"
#include "tests/store/faulty_vfs.h"

namespace bedside::server {
namespace {

using testing::ElementsAre;
using testing::ElementsAreArray;
using testing::IsEmpty;

ControlOptions with_emergencies() {
  ControlOptions options;
  options.access = signaling::Access::invite;
  options.limits.emergencies = true;
  return options;
}

// The disk is older than the rig and outlives it.
struct Disk {
  store::FaultyVfs vfs;
};

class AuditContract : protected Disk,
                      public ControlRig,
                      public testing::TestWithParam<const char*> {
 protected:
  AuditContract() : ControlRig(with_emergencies(), nullptr, false, vfs.name()) {
    token_ = make_token();
    const Json room = asked(as_program({{"action", "create-room"}, {"roomName", "visit"}}));
    guest_link_ = secret_of(room["link"]);
    host_link_ = secret_of(room["hostLink"]);
    host_ = joined(host_link_);
    second_host_ = host_;
    guest_ = joined(guest_link_);
    asked(as(host_, "poll"));
    asked(as(guest_, "poll"));
    seen_ = newest();
  }

  // ---- requests

  struct Request {
    Json body;
    std::string bearer;
  };
  static Request as_program(Json body, std::string bearer = "the token") {
    if (body["action"] == "create-room") body["appointmentId"] = 1;
    return {std::move(body), std::move(bearer)};
  }
  static Request as(const Json& who, const char* action) {
    return {{{"action", action},
             {"roomId", "visit"},
             {"participantId", who["participantId"]},
             {"token", who["participantToken"]}},
            ""};
  }
  static Request say(const Json& who, Json message) {
    Request request = as(who, "signal");
    request.body["message"] = std::move(message);
    return request;
  }
  httplib::Result send(const Request& request) const {
    httplib::Headers headers;
    if (!request.bearer.empty()) {
      const std::string& secret = request.bearer == "the token" ? token_ : request.bearer;
      headers.emplace("Authorization", "Bearer " + secret);
    }
    if (request.body["action"] == "get-room") {
      return http().Get("/api/webrtc-signaling?roomId=visit", headers);
    }
    return post(request.body, headers);
  }
  Json asked(const Request& request) const {
    const auto answer = send(request);
    EXPECT_EQ(answer->status, 200) << request.body << answer->body;
    return Json::parse(answer->body);
  }
  Json joined(const std::string& secret) const {
    return asked({{{"action", "join-room"},
                   {"roomId", "visit"},
                   {"participantName", "A"},
                   {"token", secret}},
                  ""});
  }

  // What somebody who may asks for.
  Request request_for(const std::string& name) const {
    const std::string guest = guest_["participantId"];
    const std::map<std::string, Request> all{
        {"create-room", as_program({{"action", "create-room"}, {"roomName", "other"}})},
        {"get-room", as_program({{"action", "get-room"}})},
        {"end-room", as_program({{"action", "end-room"}, {"roomId", "visit"}})},
        {"join-room",
         {{{"action", "join-room"},
           {"roomId", "visit"},
           {"participantName", "B"},
           {"token", host_link_}},
          ""}},
        {"poll", as(second_host_, "poll")},
        {"leave-room", as(host_, "leave-room")},
        {"ice-servers", as(host_, "ice-servers")},
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
    return all.at(name);
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
    const auto action = signaling::parse_action(request.body.dump());
    EXPECT_TRUE(action) << request.body;
    return action ? std::visit(LineOfAction{}, *action) : AuditLine{};
  }

  // ---- the log

  std::uint64_t newest() const {
    store::AuditQuery query;
    query.limit = 1;
    const auto rows = store::Reader::open(database())->audit(query);
    return rows->empty() ? 0 : rows->front().seq;
  }
  std::vector<std::string> new_records() const {
    store::AuditQuery query;
    query.limit = store::kMaxAuditPage;
    std::vector<std::string> types;
    const auto rows = store::Reader::open(database())->audit(query);
    for (const store::AuditRow& row : *rows) {
      if (row.seq > seen_) types.insert(types.begin(), row.type);
    }
    return types;
  }
  std::vector<std::string> counted() {
    std::vector<std::string> types;
    on_control([&] {
      if (const auto commit = trail().take_all_counted()) {
        for (const store::AuditRecord& record : commit->records) types.push_back(record.type);
      }
    });
    return types;
  }

  std::string make_token() {
    std::string secret;
    std::promise<void> done;
    on_control([&] {
      control().create_token({"EHR", {"rooms.create", "rooms.read", "rooms.end"}, 0},
                             {"anna", "root"}, [&](tl::expected<NewApiToken, AdminRefusal> made) {
                               secret = made->secret;
                               done.set_value();
                             });
    });
    done.get_future().wait();
    return secret;
  }
  static std::string secret_of(const std::string& link) { return link.substr(link.find('#') + 1); }

  // For the actions that need somebody who is not attached yet.
  void prepare() {
    const std::string name = GetParam();
    if (name == "poll" || name == "signal offer") second_host_ = joined(host_link_);
    if (name == "signal offer") asked(as(second_host_, "poll"));
    seen_ = newest();
  }

  std::string token_;
  std::string guest_link_;
  std::string host_link_;
  Json host_;
  Json guest_;
  Json second_host_;
  std::uint64_t seen_ = 0;
};

TEST_P(AuditContract, RecordsWhatWasDone) {
  prepare();
  const Request request = request_for(GetParam());
  asked(request);
  EXPECT_THAT(new_records(), ElementsAreArray(line_for(request).records));
  EXPECT_THAT(counted(), IsEmpty());
}

TEST_P(AuditContract, CountsWhoMayNot) {
  prepare();
  const Request request = by_stranger(request_for(GetParam()));
  const int status = send(request)->status;
  EXPECT_TRUE(status == 401 || status == 403) << status;
  EXPECT_THAT(new_records(), IsEmpty());
  EXPECT_THAT(counted(), ElementsAre(line_for(request).counted));
}

TEST_P(AuditContract, HoldsWhenTheDiskIsFull) {
  prepare();
  const Request request = request_for(GetParam());
  const AuditLine line = line_for(request);
  vfs.set_capacity(store::kNoSpace);
  const auto answer = send(request);
  EXPECT_THAT(new_records(), IsEmpty());
  if (line.when_full == WhenFull::closed) {
    EXPECT_EQ(answer->status, 503) << answer->body;
    EXPECT_TRUE(answer->has_header("Retry-After"));
    EXPECT_NE(Json::parse(answer->body)["error"], "");
  } else {
    EXPECT_EQ(answer->status, 200) << answer->body;
  }
  // That the disk is full waits for space too.
  const std::size_t waiting = line.when_full == WhenFull::open   ? 0
                              : line.when_full == WhenFull::late ? 2
                                                                 : 1;
  while (store().stats().deferred < waiting) std::this_thread::yield();
  vfs.set_capacity(0);
  asked(as_program({{"action", "create-room"}, {"roomName", "after"}}));
  std::vector<std::string_view> expected;
  if (line.when_full == WhenFull::late) expected = line.records;
  // The store had to refuse or keep something: it says so.
  if (line.when_full != WhenFull::open) {
    expected.insert(expected.end(), {"storage.full", "storage.recovered"});
  }
  expected.insert(expected.end(), {"room.created", "link.issued", "link.issued"});
  EXPECT_THAT(new_records(), ElementsAreArray(expected));
}

const char* const kEverything[] = {
    "create-room",      "get-room",       "end-room",     "join-room",    "poll",
    "leave-room",       "ice-servers",    "signal offer", "signal leave", "signal media-state",
    "signal admit",     "signal decline", "signal kick",  "signal lock",  "signal end-room",
    "signal emergency", "signal ping"};

INSTANTIATE_TEST_SUITE_P(All, AuditContract, testing::ValuesIn(kEverything), [](const auto& test) {
  std::string name = test.param;
  std::replace_if(
      name.begin(), name.end(), [](char c) { return c == ' ' || c == '-'; }, '_');
  return name;
});

// Nothing that a client can send is missing above: every alternative of the protocol's variants.
TEST(AuditContractItself, KnowsEveryActionAndMessage) {
  EXPECT_EQ(std::variant_size_v<signaling::Action>, 8U);
  // Without `join`, which is for WebSockets; with the six host actions instead of one.
  EXPECT_EQ(std::variant_size_v<decltype(signaling::ClientMessage::body)>, 6U);
  EXPECT_EQ(std::size(kEverything), (8U - 1) + (6U - 2) + 6U);
}

}  // namespace
}  // namespace bedside::server
