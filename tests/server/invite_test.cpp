// Invite mode over real connections: tokens and scopes, links, the waiting room, restarts.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <future>
#include <iterator>

#include "server/api_tokens.h"
#include "store/reader.h"
#include "store/receipt.h"
#include "store/verify.h"
#include "tests/server/control_rig.h"

namespace bedside::server {
namespace {

using testing::Contains;
using testing::HasSubstr;
using testing::Not;
using tests::SocketClient;

ControlOptions by_invitation() {
  ControlOptions options;
  options.access = signaling::Access::invite;
  return options;
}

class InviteServer : public ControlRig, public testing::Test {
 protected:
  explicit InviteServer(bool sealed = false) : ControlRig(by_invitation(), nullptr, sealed) {}

  NewApiToken make_token(std::vector<std::string> scopes, unsigned days = 0) {
    NewApiToken result;
    std::promise<void> done;
    on_control([&] {
      control().create_token({"EHR", std::move(scopes), days}, {"anna", "root"},
                             [&](tl::expected<NewApiToken, AdminRefusal> made) {
                               ASSERT_TRUE(made) << made.error().error;
                               result = *made;
                               done.set_value();
                             });
    });
    done.get_future().wait();
    return result;
  }
  static httplib::Headers bearer(const std::string& secret) {
    return {{"Authorization", "Bearer " + secret}};
  }
  Json create_by(const std::string& secret, const std::string& room) {
    const auto result =
        post({{"action", "create-room"}, {"appointmentId", "patient-Ypsilon"}, {"roomName", room}},
             bearer(secret));
    EXPECT_EQ(result->status, 200) << result->body;
    return Json::parse(result->body);
  }
  static std::string secret_of(const std::string& link) { return link.substr(link.find('#') + 1); }
  Json join_with(const std::string& room, const std::string& link, const std::string& name) {
    return ask({{"action", "join-room"},
                {"roomId", room},
                {"participantName", name},
                {"token", secret_of(link)}});
  }
  static Json attach_message(const std::string& room, const Json& who) {
    return {{"type", "join"},
            {"roomId", room},
            {"peerId", who["participantId"]},
            {"token", who["participantToken"]}};
  }
  std::vector<store::AuditRow> audit() {
    auto reader = store::Reader::open(database());
    EXPECT_TRUE(reader);
    store::AuditQuery query;
    query.limit = 200;
    return *reader->audit(query);
  }
};

TEST_F(InviteServer, AsksForATokenWithTheRightScope) {
  const Json create{{"action", "create-room"}, {"appointmentId", 1}, {"roomName", "r"}};
  const auto nothing = post(create);
  EXPECT_EQ(nothing->status, 401);
  EXPECT_EQ(Json::parse(nothing->body),
            (Json{{"success", false}, {"error", "Authentication required"}}));
  EXPECT_EQ(nothing->get_header_value("WWW-Authenticate"), "Bearer");
  EXPECT_EQ(post(create, bearer("bedside_guessed"))->status, 401);
  const NewApiToken reads = make_token({"rooms.read"});
  EXPECT_EQ(post(create, bearer(reads.secret))->status, 403);
  const NewApiToken creates = make_token({"rooms.create"});
  EXPECT_EQ(post(create, bearer(creates.secret))->status, 200);
  const std::string get = "/api/webrtc-signaling?roomId=r";
  EXPECT_EQ(http().Get(get)->status, 401);
  EXPECT_EQ(http().Get(get, bearer(creates.secret))->status, 403);
  EXPECT_EQ(http().Get(get, bearer(reads.secret))->status, 200);
  EXPECT_EQ(http().Delete(get, bearer(reads.secret))->status, 403);
  EXPECT_EQ(http().Delete(get, bearer(make_token({"rooms.end"}).secret))->status, 200);
}

TEST_F(InviteServer, ARevokedTokenIsGoneAtOnceAndAfterARestart) {
  const NewApiToken kept = make_token({"rooms.read"});
  const NewApiToken revoked = make_token({"rooms.read"});
  std::promise<void> done;
  on_control([&] {
    control().revoke_token(revoked.row.token_id, {"anna", "root"},
                           [&](tl::expected<std::string, AdminRefusal> gone) {
                             EXPECT_TRUE(gone);
                             done.set_value();
                           });
  });
  done.get_future().wait();
  const std::string get = "/api/webrtc-signaling?roomId=r";
  EXPECT_EQ(http().Get(get, bearer(revoked.secret))->status, 401);
  restart();
  EXPECT_EQ(http().Get(get, bearer(revoked.secret))->status, 401);
  EXPECT_EQ(http().Get(get, bearer(kept.secret))->status, 404);
}

TEST_F(InviteServer, AGuestWaitsAndIsAdmittedOverSocketAndPoll) {
  const NewApiToken token = make_token({"rooms.create"});
  const Json room = create_by(token.secret, "r");
  const Json doctor = join_with("r", room["hostLink"], "Dr. Okafor");
  const Json patient = join_with("r", room["link"], "Margaret");
  EXPECT_EQ(patient["waiting"], true);
  EXPECT_FALSE(patient.contains("iceServers"));
  EXPECT_FALSE(live().contains(patient["participantId"].get<std::string>()));

  SocketClient host(port(), "/api/webrtc-ws");
  host.send(attach_message("r", doctor));
  EXPECT_EQ(host.next()["type"], "existing-peers");
  const Json polled = ask({{"action", "poll"},
                           {"roomId", "r"},
                           {"participantId", patient["participantId"]},
                           {"token", patient["participantToken"]},
                           {"after", 0},
                           {"wait", 0}});
  EXPECT_EQ(polled["messages"][0]["type"], "waiting");
  const Json knock = host.next();
  EXPECT_EQ(knock["type"], "knock");
  EXPECT_EQ(knock["name"], "Margaret");
  host.send({{"type", "admit"}, {"peerId", knock["peerId"]}});
  host.until("peer-joined");
  EXPECT_TRUE(live().contains(patient["participantId"].get<std::string>()));
  const Json inside = ask({{"action", "poll"},
                           {"roomId", "r"},
                           {"participantId", patient["participantId"]},
                           {"token", patient["participantToken"]},
                           {"after", polled["next"]},
                           {"wait", 5}});
  EXPECT_EQ(inside["messages"][0]["type"], "admitted");
  EXPECT_TRUE(inside["messages"][0].contains("iceServers"));
  EXPECT_EQ(inside["messages"][1]["type"], "existing-peers");

  host.send({{"type", "kick"}, {"peerId", patient["participantId"]}});
  host.until("peer-left");
  EXPECT_FALSE(live().contains(patient["participantId"].get<std::string>()));
  EXPECT_THAT(revoked(), Contains(patient["participantId"].get<std::string>()));
}

// A page of protocol section 1: it joins with what its link carries and knows no other addition.
TEST_F(InviteServer, AnOldPageWaitsToo) {
  const Json room = create_by(make_token({"rooms.create"}).secret, "r");
  const Json doctor = join_with("r", room["hostLink"], "Dr. Okafor");
  SocketClient host(port(), "/api/webrtc-ws");
  host.send(attach_message("r", doctor));
  EXPECT_EQ(host.next()["type"], "existing-peers");
  const Json patient = join_with("r", room["link"], "Margaret");
  const std::string id = patient["participantId"];
  SocketClient old(port(), "/api/webrtc-ws");
  old.send({{"type", "join"}, {"roomId", "r"}, {"peerId", id}, {"peerName", "Margaret"}});
  EXPECT_EQ(old.next()["type"], "waiting");
  EXPECT_EQ(host.next()["type"], "knock");
  const Json offer{{"type", "offer"}, {"targetPeerId", doctor["participantId"]}, {"offer", "sdp"}};
  old.send(offer);
  EXPECT_EQ(old.next()["type"], "error") << "who waits reaches nobody";
  host.send({{"type", "admit"}, {"peerId", id}});
  EXPECT_EQ(old.until("existing-peers").back()["peers"], Json::array({doctor["participantId"]}));
  EXPECT_EQ(host.until("peer-joined").size(), 2U) << "after the end of the knock, no offer";
  old.send(offer);
  const Json call = host.next();
  EXPECT_EQ(call["type"], "offer");
  EXPECT_EQ(call["fromPeerId"], id);
}

TEST_F(InviteServer, LinksAndTheWaitingSurviveAKillAndNothingSecretIsOnDisk) {
  const NewApiToken token = make_token({"rooms.create"});
  const Json room = create_by(token.secret, "r");
  const Json patient = join_with("r", room["link"], "Margaret");
  SocketClient waiting(port(), "/api/webrtc-ws");
  waiting.send(attach_message("r", patient));
  EXPECT_EQ(waiting.next()["type"], "waiting");
  restart();
  SocketClient again(port(), "/api/webrtc-ws");
  again.send(attach_message("r", patient));
  EXPECT_EQ(again.next()["type"], "waiting");
  const Json doctor = join_with("r", room["hostLink"], "Dr. Okafor");
  SocketClient host(port(), "/api/webrtc-ws");
  host.send(attach_message("r", doctor));
  const Json knock = host.until("knock").back();
  host.send({{"type", "admit"}, {"peerId", knock["peerId"]}});
  again.until("existing-peers");

  const std::string files[] = {database(), database() + "-wal"};
  for (const std::string& file : files) {
    std::ifstream stream(file, std::ios::binary);
    const std::string content{std::istreambuf_iterator<char>(stream), {}};
    EXPECT_THAT(content, Not(HasSubstr(token.secret)));
    EXPECT_THAT(content, Not(HasSubstr(secret_of(room["link"]))));
    EXPECT_THAT(content, Not(HasSubstr(secret_of(room["hostLink"]))));
  }
}

TEST_F(InviteServer, RecordsWhoDidWhatWithoutNamesAndReasons) {
  const NewApiToken token = make_token({"rooms.create"});
  const Json room = create_by(token.secret, "r");
  const Json doctor = join_with("r", room["hostLink"], "Dr. Okafor");
  SocketClient host(port(), "/api/webrtc-ws");
  host.send(attach_message("r", doctor));
  host.next();
  const Json patient = join_with("r", room["link"], "Margaret Hill");
  SocketClient waiting(port(), "/api/webrtc-ws");
  waiting.send(attach_message("r", patient));
  const Json knock = host.until("knock").back();
  host.send({{"type", "decline"}, {"peerId", knock["peerId"]}, {"reason", "Your blood test"}});
  host.until("knock-over");
  EXPECT_EQ(waiting.until("declined").back()["reason"], "Your blood test");
  EXPECT_EQ(waiting.close_code(), 4006);
  host.send({{"type", "lock"}, {"locked", true}});
  host.until("locked");
  std::vector<std::string> types;
  for (const store::AuditRow& row : audit()) {
    types.push_back(row.type);
    EXPECT_THAT(row.body, Not(HasSubstr("Margaret")));
    EXPECT_THAT(row.body, Not(HasSubstr("blood")));
    EXPECT_THAT(row.body, Not(HasSubstr("Ypsilon")));
    if (row.type == "room.created") {
      EXPECT_EQ(row.actor, "api-token:" + token.row.token_id);
    }
    if (row.type == "room.deny") {
      EXPECT_EQ(row.actor, "participant:" + doctor["participantId"].get<std::string>());
    }
  }
  for (const char* type : {"token.created", "room.created", "link.issued", "link.opened",
                           "room.join", "room.knock", "room.deny", "room.locked"}) {
    EXPECT_THAT(types, Contains(type));
  }
}

TEST_F(InviteServer, AGetOfALinkConsumesNothing) {
  const Json room = create_by(make_token({"rooms.create"}).secret, "r");
  const std::string link = room["link"];
  const std::string page = link.substr(0, link.find('#'));
  EXPECT_EQ(http().Get(page)->status, 200);
  EXPECT_EQ(http().Head(page)->status, 200);
  EXPECT_EQ(join_with("r", link, "Margaret")["success"], true);
  EXPECT_EQ(join_with("r", link, "Margaret")["success"], true) << "a second device";
}

TEST_F(InviteServer, TheLogTellsWhichLinkWasUsed) {
  const Json room = create_by(make_token({"rooms.create"}).secret, "r");
  EXPECT_EQ(join_with("r", room["hostLink"], "Dr. Amara Okafor")["success"], true);
  std::vector<std::string> issued, opened;
  for (const store::AuditRow& row : audit()) {
    const auto body = Json::parse(row.body);
    if (row.type == "link.issued") {
      issued.push_back(body["detail"]["role"].get<std::string>() + " " +
                       body["object"].get<std::string>());
    }
    if (row.type != "link.opened") continue;
    opened.push_back(body["detail"]["role"].get<std::string>() + " " +
                     body["object"].get<std::string>());
    EXPECT_EQ(body["actor"]["kind"], "participant");
  }
  EXPECT_EQ(issued.size(), 2U);
  ASSERT_EQ(opened.size(), 1U);
  EXPECT_THAT(issued, Contains(opened[0]));
  EXPECT_EQ(opened[0].rfind("host ", 0), 0U);
}

TEST(ApiTokens, AreMadeWithAPurposeAndScopesThatExist) {
  EXPECT_FALSE(make_api_token({"", {"rooms.read"}, 0}, {}));
  EXPECT_FALSE(make_api_token({"EHR", {}, 0}, {}));
  EXPECT_FALSE(make_api_token({"EHR", {"rooms.read", "rooms.burn"}, 0}, {}));
  EXPECT_FALSE(make_api_token({"EHR\n", {"rooms.read"}, 0}, {}));
  const auto made = make_api_token({"EHR", {"rooms.end", "rooms.read", "rooms.end"}, 0}, {});
  ASSERT_TRUE(made);
  EXPECT_EQ(made->row.scopes, "rooms.read rooms.end");
  EXPECT_TRUE(allows(made->row, Scope::rooms_end));
  EXPECT_FALSE(allows(made->row, Scope::rooms_create));
  EXPECT_GE(made->secret.size(), 43U) << "256 bits";
}

TEST(ApiTokens, Expire) {
  const auto day = std::chrono::hours{24};
  const auto made = make_api_token({"EHR", {"rooms.read"}, 1}, std::chrono::milliseconds{0});
  ApiTokens tokens;
  tokens.add(made->row);
  EXPECT_NE(tokens.find(made->secret, day - std::chrono::milliseconds{1}), nullptr);
  EXPECT_EQ(tokens.find(made->secret, day), nullptr);
  EXPECT_EQ(tokens.find(made->secret + "x", std::chrono::milliseconds{0}), nullptr);
}

class SealedInviteServer : public InviteServer {
 protected:
  SealedInviteServer() : InviteServer(true) {}

  store::AuditRow record_of(const std::string& receipt) {
    const auto promise = store::check_receipt(receipt);
    EXPECT_TRUE(promise) << promise.error();
    store::VerifyOptions options;
    options.path = database();
    options.receipts = {receipt};
    EXPECT_EQ(store::verify_log(options)->problem, "");
    const auto seq = store::Receipt::parse(receipt)->index + 1;
    for (store::AuditRow& row : audit()) {
      if (row.seq == seq) return row;
    }
    return {};
  }
};

TEST_F(SealedInviteServer, GivesProgramsAReceiptOfWhatTheyChange) {
  const NewApiToken token = make_token({"rooms.create", "rooms.read", "rooms.end"});
  const Json made = create_by(token.secret, "r");
  EXPECT_EQ(record_of(made["receipt"]).type, "room.created");
  EXPECT_EQ(record_of(create_by(token.secret, "r")["receipt"]).type, "link.issued");
  const std::string get = "/api/webrtc-signaling?roomId=r";
  EXPECT_FALSE(Json::parse(http().Get(get, bearer(token.secret))->body).contains("receipt"));
  EXPECT_FALSE(join_with("r", made["link"], "Ben").contains("receipt"));
  const Json ended = Json::parse(http().Delete(get, bearer(token.secret))->body);
  EXPECT_EQ(record_of(ended["receipt"]).type, "room.ended");
}

TEST_F(SealedInviteServer, GivesStaffAReceiptOfWhatTheyChange) {
  const AdminActor staff{"anna", "admin", "s"};
  std::promise<CreatedRoom> made;
  on_control([&] {
    control().create_room({"1", "r"}, staff, {}, [&](auto room) { made.set_value(*room); });
  });
  EXPECT_EQ(record_of(made.get_future().get().receipt).type, "room.created");
  std::promise<std::string> ended;
  on_control([&] {
    control().end_room("r", staff, {}, [&](auto receipt) { ended.set_value(*receipt); });
  });
  EXPECT_EQ(record_of(ended.get_future().get()).type, "room.ended");
}

}  // namespace
}  // namespace bedside::server
