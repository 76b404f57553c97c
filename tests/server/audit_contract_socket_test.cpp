// Every message of a WebSocket, at every path that opens one, to every outcome: done, from a
// stranger, from somebody who waits, and while the disk is full. The log has exactly the records
// that audit_contract.h says.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <optional>

#include "signaling/close_codes.h"
#include "tests/server/audit_contract_rig.h"

namespace bedside::server {
namespace {

using testing::ElementsAre;
using testing::ElementsAreArray;
using testing::IsEmpty;
using tests::SocketClient;

class SocketContract : public AuditContractVisit, public testing::TestWithParam<Way> {
 protected:
  SocketContract()
      : host_socket_(port(), GetParam().route),
        guest_socket_(port(), GetParam().route),
        second_host_(host_) {
    enter(host_socket_, host_, "existing-peers");
    enter(guest_socket_, guest_, "waiting");
    EXPECT_EQ(host_socket_.next()["type"], "knock");
    const std::string what = GetParam().what;
    if (what == "join" || what == "offer") {  // for them another one has to be there
      second_host_ = joined(host_link_);
      second_socket_.emplace(port(), GetParam().route);
    }
    if (what == "offer") {
      enter(*second_socket_, second_host_, "existing-peers");
      EXPECT_EQ(host_socket_.next()["type"], "peer-joined");
    }
    forget_records();
  }
  static void enter(SocketClient& socket, const Json& who, const char* answer) {
    ASSERT_EQ(socket.status(), 101);
    socket.send(join_message(who));
    EXPECT_EQ(socket.next()["type"], answer);
  }

  // What somebody who may says, and where.
  Json message() const {
    const std::string guest = guest_["participantId"];
    const std::map<std::string, Json> all{
        {"join", join_message(second_host_)},
        {"offer",
         {{"type", "offer"}, {"targetPeerId", second_host_["participantId"]}, {"sdp", "v=0"}}},
        {"leave", {{"type", "leave"}}},
        {"media-state", {{"type", "media-state"}, {"audio", true}}},
        {"ping", {{"type", "ping"}}},
        {"admit", {{"type", "admit"}, {"peerId", guest}}},
        {"decline", {{"type", "decline"}, {"peerId", guest}}},
        {"kick", {{"type", "kick"}, {"peerId", guest}}},
        {"lock", {{"type", "lock"}, {"locked", true}}},
        {"end-room", {{"type", "end-room"}}},
        {"emergency", {{"type", "emergency"}}},
    };
    return all.at(GetParam().what);
  }
  SocketClient& speaker() { return GetParam().what == "join" ? *second_socket_ : host_socket_; }
  AuditLine line() const {
    const auto parsed = signaling::parse_client_message(message().dump());
    EXPECT_TRUE(parsed) << message();
    return parsed ? std::visit(LineOfMessage{}, parsed->body) : AuditLine{};
  }

  // The codes of the errors this socket gets until everything said on it is decided.
  std::vector<std::string> errors_at(SocketClient& socket) const {
    std::vector<std::string> codes;
    listen(socket, codes);  // the room has what was said, and may be waiting for the store
    asked(as_program({{"action", "get-room"}}));  // in the same room: comes after that
    listen(socket, codes);
    return codes;
  }

  std::optional<SocketClient> second_socket_;
  SocketClient host_socket_;
  SocketClient guest_socket_;
  Json second_host_;

 private:
  // Up to the pong of a ping, or to the end.
  static void listen(SocketClient& socket, std::vector<std::string>& codes) {
    socket.send({{"type", "ping"}});
    for (Json heard = socket.next(); !heard.is_null(); heard = socket.next()) {
      if (heard["type"] == "pong") return;
      if (heard["type"] != "error") continue;
      if (heard["code"] == "join-first") return;  // the pong of who has left
      codes.push_back(heard["code"]);
    }
  }
};

TEST_P(SocketContract, RecordsWhatWasDone) {
  speaker().send(message());
  EXPECT_THAT(errors_at(speaker()), IsEmpty());
  EXPECT_THAT(new_records(), ElementsAreArray(line().records));
  EXPECT_THAT(counted_types(), IsEmpty());
}

TEST_P(SocketContract, CountsStrangers) {
  SocketClient stranger(port(), GetParam().route);
  if (GetParam().what != "join") {
    stranger.send(message());
    EXPECT_EQ(stranger.next()["code"], "join-first");
  }
  Json join = join_message(host_);
  join["token"] = "wrong";
  stranger.send(join);
  EXPECT_EQ(stranger.next()["code"], "not-a-participant");
  EXPECT_EQ(stranger.close_code(), signaling::close_codes::kNotAParticipant);
  EXPECT_THAT(new_records(), IsEmpty());
  EXPECT_THAT(counted_types(), ElementsAre(line().counted));
}

TEST_P(SocketContract, HoldsWhenTheDiskIsFull) {
  vfs.set_capacity(store::kNoSpace);
  speaker().send(message());
  if (GetParam().what == "join") {
    EXPECT_EQ(speaker().next()["code"], "unavailable");
    EXPECT_TRUE(speaker().next().is_null()) << "closed; wslay does not know its code, 1013";
  } else if (line().when_full == WhenFull::closed) {
    EXPECT_THAT(errors_at(speaker()), ElementsAre("unavailable"));
  } else {
    EXPECT_THAT(errors_at(speaker()), IsEmpty());
  }
  EXPECT_THAT(new_records(), IsEmpty());
  expect_when_there_is_space_again(line());
}

class SocketContractWaiting : public SocketContract {};

TEST_P(SocketContractWaiting, RecordsNothing) {
  guest_socket_.send(message());
  EXPECT_THAT(errors_at(guest_socket_),
              ElementsAre(testing::AnyOf("forbidden", "waiting", "already-joined")));
  EXPECT_THAT(new_records(), IsEmpty());
  EXPECT_THAT(counted_types(), IsEmpty());
}

const char* const kOfEverybody[] = {"leave", "ping"};
const char* const kOfThoseInside[] = {"join", "offer", "media-state", "admit",    "decline",
                                      "kick", "lock",  "end-room",    "emergency"};

INSTANTIATE_TEST_SUITE_P(Inside, SocketContract,
                         testing::ValuesIn(ways_to({Target::socket, Target::root}, kOfThoseInside)),
                         name_of_way);
INSTANTIATE_TEST_SUITE_P(Everybody, SocketContract,
                         testing::ValuesIn(ways_to({Target::socket, Target::root}, kOfEverybody)),
                         name_of_way);
INSTANTIATE_TEST_SUITE_P(All, SocketContractWaiting,
                         testing::ValuesIn(ways_to({Target::socket, Target::root}, kOfThoseInside)),
                         name_of_way);

TEST(SocketContractItself, KnowsEveryMessage) {
  // With the six host actions instead of one.
  EXPECT_EQ(std::variant_size_v<decltype(signaling::ClientMessage::body)>, 6U);
  EXPECT_EQ(std::size(kOfEverybody) + std::size(kOfThoseInside), (6U - 1) + 6U);
}

}  // namespace
}  // namespace bedside::server
