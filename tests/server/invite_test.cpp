// Invite mode over real connections: tokens and scopes, links, the waiting room, restarts.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <future>
#include <iterator>

#include "server/admin_api.h"
#include "server/api_tokens.h"
#include "server/worker_pool.h"
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
  explicit InviteServer(bool sealed = false, ControlOptions options = by_invitation())
      : ControlRig(std::move(options), nullptr, sealed) {}

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

ControlOptions with_a_portal() {
  ControlOptions options = by_invitation();
  options.origins.allowed = {"https://portal.example.org"};
  return options;
}

// What a browser sends of a Set-Cookie to this path (RFC 6265 §5.1.4).
std::string cookie_to(const std::string& path, const std::string& set_cookie) {
  const std::string mark = "; Path=";
  const std::size_t at = set_cookie.find(mark) + mark.size();
  const std::string scope = set_cookie.substr(at, set_cookie.find(';', at) - at);
  const bool inside = path.starts_with(scope) && (scope.ends_with('/') || path == scope ||
                                                  path.substr(scope.size(), 1) == "/");
  return inside ? set_cookie.substr(0, set_cookie.find(';')) : "";
}

class InviteServerWithAdmin : public InviteServer {
 protected:
  InviteServerWithAdmin() : InviteServer(false, with_a_portal()) {
    on_control([this] {
      workers_ = std::make_unique<WorkerPool>(loop(), 1, 16);
      AdminApiOptions options;
      options.database = database();
      options.cost = {4, 8, 1};
      admin_ = std::make_unique<AdminApi>(loop(), std::move(options), control(), trail(), store(),
                                          *workers_);
      code_ = admin_->open_set_up();
      control().set_admin(admin_.get());
    });
  }
  ~InviteServerWithAdmin() override {
    on_control([this] {
      control().set_admin(nullptr);
      workers_->stop();
      admin_.reset();
      workers_.reset();
    });
  }
  // As a script of the admin page.
  httplib::Headers ours(const std::string& cookie) const {
    httplib::Headers headers{{"X-Bedside-Admin", "1"},
                             {"Origin", "http://127.0.0.1:" + std::to_string(port())}};
    if (!cookie.empty()) headers.emplace("Cookie", cookie);
    return headers;
  }
  std::string log_in() const {
    const Json wish{{"code", code_}, {"name", "anna"}, {"password", "correct horse battery"}};
    const auto made = http().Post("/admin/api/setup", ours(""), wish.dump(), "application/json");
    EXPECT_EQ(made->status, 200) << made->body;
    return made->get_header_value("Set-Cookie");
  }
  // To create-room, GET and DELETE.
  std::vector<int> statuses(const httplib::Headers& headers) const {
    const Json create{{"action", "create-room"}, {"appointmentId", 1}, {"roomName", "r"}};
    const std::string room = kApi + "?roomId=r";
    return {post(create, headers)->status, http().Get(room, headers)->status,
            http().Delete(room, headers)->status};
  }

  const std::string kApi = "/api/webrtc-signaling";

 private:
  std::unique_ptr<WorkerPool> workers_;
  std::unique_ptr<AdminApi> admin_;
  std::string code_;
};

TEST_F(InviteServerWithAdmin, AnAdminSessionOpensTheApiToItsOwnPageOnly) {
  const std::string cookie = cookie_to(kApi, log_in());
  const auto spoilt = [&](const std::string& name, const std::string& value) {
    httplib::Headers headers = ours(cookie);
    headers.erase(name);
    if (!value.empty()) headers.emplace(name, value);
    return statuses(headers);
  };
  EXPECT_THAT(statuses(ours("")), testing::Each(401));
  EXPECT_THAT(spoilt("X-Bedside-Admin", ""), testing::Each(401));
  EXPECT_THAT(spoilt("Origin", "https://portal.example.org"), testing::Each(401));
  EXPECT_THAT(spoilt("Origin", "https://evil.example"), testing::Each(403));
  EXPECT_THAT(audit(), testing::Each(testing::Field(&store::AuditRow::type, Not("room.created"))));
  EXPECT_THAT(statuses(ours(cookie)), testing::Each(200));
  for (const store::AuditRow& row : audit()) {
    if (row.type.starts_with("room.")) {
      EXPECT_EQ(row.actor, "staff:anna") << row.type;
    }
  }
}

}  // namespace
}  // namespace bedside::server
