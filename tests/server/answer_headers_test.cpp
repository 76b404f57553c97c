// Every answer of the public listeners has the complete set of security headers, whatever was asked
// and whatever was wrong with it; and only our own pages and listed origins may read the API's.
#include <gtest/gtest.h>

#include <array>
#include <chrono>
#include <filesystem>
#include <future>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "server/admin_api.h"
#include "server/routes.h"
#include "server/worker_pool.h"
#include "tests/server/control_rig.h"
#include "tests/server/wire_client.h"

namespace bedside::server {
namespace {

constexpr std::string_view kPortal = "https://portal.example.org";
constexpr std::array<std::string_view, 9> kMethods{"GET",    "HEAD",    "POST",  "PUT", "PATCH",
                                                   "DELETE", "OPTIONS", "TRACE", "BREW"};

ControlOptions strict_options(const ScratchFolder& webroot) {
  ControlOptions options;
  options.access = signaling::Access::invite;
  options.limits.max_participants = 2;
  options.limits.waiting_room = false;
  options.limits.max_rooms = 2;
  options.limits.max_sockets = 1;
  options.origins.allowed = {std::string(kPortal)};
  options.origins.strict_transport = true;
  options.redirect_http_to = "https://visit.example.org";
  options.acme_webroot = webroot.path();
  options.timeouts.request = std::chrono::seconds(1);
  return options;
}

// What is sent, and what it must be answered with.
struct Exchange {
  int status;
  std::string request;
  bool to_head = false;
};

class EveryAnswer : public testing::Test {
 protected:
  EveryAnswer() {
    rig_.on_control([this] {
      AdminApiOptions options;
      options.database = rig_.database();
      options.cost = {4, 8, 1};
      options.throttle.source.free_attempts = 1;
      workers_ = std::make_unique<WorkerPool>(rig_.loop(), 1, 8);
      admin_ = std::make_unique<AdminApi>(rig_.loop(), std::move(options), rig_.control(),
                                          rig_.trail(), rig_.store(), *workers_);
      rig_.control().set_admin(admin_.get());
    });
  }
  ~EveryAnswer() override {
    rig_.on_control([this] {
      rig_.control().set_admin(nullptr);
      workers_->stop();
      admin_.reset();
      workers_.reset();
    });
  }

  std::string host() const { return "127.0.0.1:" + std::to_string(rig_.tls_port()); }
  std::string own_origin() const { return "https://" + host(); }

  // `fields`: complete lines.
  std::string request(std::string_view method, std::string_view target,
                      std::string_view fields = "", std::string_view body = "") const {
    std::string text;
    text.append(method).append(" ").append(target).append(" HTTP/1.1\r\nHost: ").append(host());
    text.append("\r\n").append(fields);
    if (!body.empty() || method == "POST") {
      text += "Content-Length: " + std::to_string(body.size()) + "\r\n";
    }
    return text.append("\r\n").append(body);
  }

  WireAnswer check(const Exchange& exchange, Over over = Over::tls) {
    const bool secure = over != Over::tcp;
    WireClient client(secure ? rig_.tls_port() : rig_.port(), over);
    const WireAnswer answer = client.ask(exchange.request, exchange.to_head);
    const std::string what = exchange.request.substr(0, 200);
    EXPECT_EQ(answer.status, exchange.status) << what << "\n" << answer.body;
    EXPECT_EQ(wrong_headers(answer, secure), "") << answer.status << " to " << what;
    return answer;
  }

  std::string make_token(const std::string& scope) {
    std::promise<std::string> made;
    rig_.on_control([&] {
      rig_.control().create_token({"test", {scope}, 0}, {"anna", "root"}, [&](const auto& token) {
        made.set_value("Authorization: Bearer " + token->secret + "\r\n");
      });
    });
    return made.get_future().get();
  }

  ScratchFolder webroot_;
  ControlRig rig_{strict_options(webroot_), &test_tls()};
  std::unique_ptr<WorkerPool> workers_;
  std::unique_ptr<AdminApi> admin_;
};

TEST_F(EveryAnswer, OfEveryRouteToEveryMethod) {
  for (const Route& route : routes()) {
    for (const std::string_view method : kMethods) {
      WireClient client(rig_.tls_port(), Over::tls);
      const WireAnswer answer = client.ask(request(method, route.path), method == "HEAD");
      EXPECT_NE(answer.status, 0) << method << " " << route.path;
      EXPECT_EQ(wrong_headers(answer, true), "") << method << " " << route.path;
      if (answer.status == 405) {
        EXPECT_NE(answer.header("allow"), "") << method << route.path;
      }
    }
  }
}

TEST_F(EveryAnswer, OfThePagesAndOfPlainHttp) {
  const WireAnswer page = check({200, request("GET", "/telehealth-webrtc.html?room=a")});
  EXPECT_NE(page.header("content-security-policy").find(" wss://" + host() + ";"),
            std::string::npos);
  check({304, request("GET", "/telehealth-webrtc.html",
                      "If-None-Match: " + page.header("etag") + "\r\n")});
  check({200, request("HEAD", "/telehealth-webrtc"), true});
  check({308, request("GET", "/admin")});
  check({404, request("GET", "/session/absent.js")});
  check({404, request("GET", "/.well-known/acme-challenge/token")});
  check({405, request("POST", "/telehealth-webrtc")});

  const std::string folder = webroot_.path() / ".well-known" / "acme-challenge";
  std::filesystem::create_directories(folder);
  webroot_.write(".well-known/acme-challenge/token", "token.thumbprint", 0644);
  check({200, request("GET", "/.well-known/acme-challenge/token")}, Over::tcp);
  check({308, request("GET", "/telehealth-webrtc.html?room=a")}, Over::tcp);
  check({308, request("HEAD", "/nothing"), true}, Over::tcp);
  check({403, request("POST", "/api/webrtc-signaling", "", "{}")}, Over::tcp);
}

TEST_F(EveryAnswer, OfARedirectLeadsToTheTargetAsItWasSent) {
  for (const std::string target :
       {"/a%3Fb", "/%2520", "/a%20b%C3%A4?x=%26&y", "/a%23b", "//evil"}) {
    const WireAnswer answer = check({308, request("GET", target)}, Over::tcp);
    EXPECT_EQ(answer.header("location"), "https://visit.example.org" + target);
  }
}

TEST_F(EveryAnswer, ToWhatCannotBeRead) {
  const std::string line = "GET / HTTP/1.1\r\n";
  const std::string head = line + "Host: a\r\n";
  const std::vector<Exchange> exchanges{
      {400, "GET / HTTP/1.1\nHost: a\r\n\r\n"},
      {400, line + "\r\n"},
      {400, "GET /../x HTTP/1.1\r\nHost: a\r\n\r\n"},
      {400, head + "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n"},
      {411, head + "Transfer-Encoding: chunked\r\n\r\n"},
      {413, head + "Content-Length: 65537\r\n\r\n"},
      {414, "GET /" + std::string(9000, 'a')},
      {417, head + "Expect: tea\r\n\r\n"},
      {431, head + "X: " + std::string(17'000, 'x')},
      {501, std::string(33, 'A') + " / HTTP/1.1\r\nHost: a\r\n\r\n"},
      {505, "GET / HTTP/2.0\r\nHost: a\r\n\r\n"},
  };
  for (const Exchange& exchange : exchanges) {
    EXPECT_EQ(check(exchange).header("vary"), "Origin") << exchange.status;
    EXPECT_EQ(check(exchange, Over::tcp).header("vary"), "Origin") << exchange.status;
  }
  EXPECT_EQ(check({408, head}).header("vary"), "Origin");  // and then silence
}

TEST_F(EveryAnswer, ToWebSocketHandshakesThatAreRefused) {
  const auto handshake = [this](const std::string& more,
                                const std::string& key = "x3JJHMbDL1EzLkh9GBhXDw==",
                                const std::string& version = "13") {
    return request("GET", "/api/webrtc-ws",
                   "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: " +
                       version + "\r\nSec-WebSocket-Key: " + key + "\r\n" + more);
  };
  check({426, request("GET", "/api/webrtc-ws")});
  check({426, handshake("", "x3JJHMbDL1EzLkh9GBhXDw==", "12")});
  check({400, handshake("", "short")});
  check({403, handshake("Origin: https://evil.example\r\n")});
  check({405, request("POST", "/api/webrtc-ws")});
  WireClient first(rig_.tls_port(), Over::tls);
  const WireAnswer opened = first.ask(handshake("Origin: " + own_origin() + "\r\n"));
  EXPECT_EQ(opened.status, 101);
  EXPECT_EQ(wrong_headers(opened, true), "");
  check({503, handshake("Origin: " + own_origin() + "\r\n")});
}

TEST_F(EveryAnswer, OfTheAdminApi) {
  const std::string ours = "X-Bedside-Admin: 1\r\nSec-Fetch-Site: same-origin\r\n";
  const std::string json = ours + "Content-Type: application/json\r\n";
  check({200, request("GET", "/admin/api/state", ours)});
  check({401, request("GET", "/admin/api/rooms", ours)});
  check({403, request("GET", "/admin/api/state")});
  check({404, request("GET", "/admin/api/absent", ours)});
  check({405, request("PUT", "/admin/api/state", ours)});
  check({415, request("POST", "/admin/api/login", ours, "{}")});
  check({400, request("POST", "/admin/api/login", json, "{}")});
  const std::string guess = R"({"name":"anna","password":"a guess that is long"})";
  int status = 0;
  for (int i = 0; i < 10 && status != 429; ++i) {
    WireClient client(rig_.tls_port(), Over::tls);
    const WireAnswer answer = client.ask(request("POST", "/admin/api/login", json, guess));
    EXPECT_EQ(wrong_headers(answer, true), "") << answer.status;
    status = answer.status;
  }
  EXPECT_EQ(status, 429);
}

// The API's outcomes once for each origin.
class EveryAnswerOfTheApi : public EveryAnswer {
 protected:
  static constexpr std::string_view kApi = "/api/webrtc-signaling";

  EveryAnswerOfTheApi() : creator_(make_token("rooms.create")), ender_(make_token("rooms.end")) {
    create("full");
    join("full");
    join("full");
    create("over");
    check({200, request("DELETE", "/api/webrtc-signaling?roomId=over", ender_)});
  }
  std::string post(const Json& body, const std::string& fields) const {
    return request("POST", kApi, fields, body.dump());
  }
  static Json creation(const std::string& room) {
    return {{"action", "create-room"}, {"appointmentId", 1}, {"roomName", room}};
  }
  Json joining(const std::string& room) const {
    return {{"action", "join-room"},
            {"roomId", room},
            {"participantName", "Ann"},
            {"token", links_.at(room)}};
  }
  void create(const std::string& room) {
    const WireAnswer made = check({200, post(creation(room), creator_)});
    const std::string link = Json::parse(made.body)["link"];
    links_[room] = link.substr(link.find('#') + 1);
  }
  void join(const std::string& room) { check({200, post(joining(room), "")}); }

  std::vector<Exchange> exchanges(const std::string& origin) const {
    const std::string api(kApi);
    Json wrong = joining("full");
    wrong["token"] = "wrong";
    return {
        {200, post(creation("full"), creator_ + origin)},
        {400, request("POST", kApi, origin, "{")},
        {400, request("GET", kApi, origin)},
        {401, post(creation("full"), origin)},
        {403, post(creation("full"), ender_ + origin)},
        {403, post(wrong, origin)},
        {404, request("DELETE", api + "?roomId=absent", ender_ + origin)},
        {405, request("PUT", kApi, origin)},
        {409, post(joining("full"), origin)},
        {410, post(joining("over"), origin)},
        {503, post(creation("one-too-many"), creator_ + origin)},
    };
  }

  std::map<std::string, std::string> links_;
  std::string creator_;
  std::string ender_;
};

TEST_F(EveryAnswerOfTheApi, MayBeReadByListedOriginsOnly) {
  const std::array<std::pair<std::string, bool>, 6> origins{{{"", true},
                                                             {own_origin(), true},
                                                             {std::string(kPortal), true},
                                                             {"https://evil.example", false},
                                                             {"null", false},
                                                             {"https://" + host() + "0", false}}};
  for (const auto& [origin, welcome] : origins) {
    const std::string field = origin.empty() ? "" : "Origin: " + origin + "\r\n";
    for (Exchange exchange : exchanges(field)) {
      if (!welcome) exchange.status = 403;
      const WireAnswer answer = check(exchange);
      EXPECT_EQ(answer.header("vary"), "Origin") << exchange.request;
      EXPECT_EQ(answer.header("access-control-allow-origin"), welcome ? origin : "");
      EXPECT_EQ(Json::parse(answer.body)["success"], exchange.status == 200);
    }
    const WireAnswer preflight = check({200, request("OPTIONS", kApi, field)});
    EXPECT_EQ(preflight.header("access-control-allow-origin"), welcome ? origin : "");
    EXPECT_EQ(preflight.header("access-control-allow-methods"),
              welcome && !origin.empty() ? "GET,POST,DELETE,OPTIONS" : "");
    EXPECT_EQ(preflight.header("access-control-allow-headers"),
              welcome && !origin.empty() ? "Content-Type, Authorization" : "");
    EXPECT_EQ(preflight.body, "");
  }
}

TEST_F(EveryAnswer, ToARequestRefusedBeforeTheApiMayBeReadByListedOriginsOnly) {
  const auto asked = [this](std::string_view target, const std::string& origin,
                            const std::string& fields) {
    return "POST " + std::string(target) + " HTTP/1.1\r\nHost: " + host() +
           "\r\nOrigin: " + origin + "\r\n" + fields;
  };
  const auto reader = [this](const Exchange& exchange) {
    const WireAnswer answer = check(exchange);
    EXPECT_EQ(answer.header("vary"), "Origin") << exchange.request;
    return answer.header("access-control-allow-origin");
  };
  const std::string_view api = "/api/webrtc-signaling";
  const std::string large = "Content-Length: 65537\r\n\r\n";
  for (const std::string& welcome : {std::string(kPortal), own_origin()}) {
    EXPECT_EQ(reader({413, asked(api, welcome, large)}), welcome);
    EXPECT_EQ(reader({411, asked(api, welcome, "Transfer-Encoding: chunked\r\n\r\n")}), welcome);
    EXPECT_EQ(reader({408, asked(api, welcome, "Content-Length: 9\r\n\r\n{")}), welcome);
    EXPECT_EQ(reader({413, asked("/telehealth-webrtc", welcome, large)}), "") << "not the API";
    EXPECT_EQ(reader({408, asked(api, welcome, "")}), "") << "its head is not complete";
  }
  for (const char* stranger : {"https://evil.example", "null"}) {
    EXPECT_EQ(reader({413, asked(api, stranger, large)}), "");
    EXPECT_EQ(reader({408, asked(api, stranger, "Content-Length: 9\r\n\r\n{")}), "");
  }
}

}  // namespace
}  // namespace bedside::server
