#include "server/net/http_connection.h"

#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "server/net/tcp_listener.h"
#include "stun/bytes.h"
#include "tests/net/loopback_client.h"
#include "tests/net/websocket_frames.h"

namespace bedside::net {
namespace {

using std::chrono::milliseconds;
using tests::client_frame;
using tests::LoopbackClient;

constexpr std::string_view kGet = "GET /x HTTP/1.1\r\nHost: a\r\n\r\n";
constexpr std::string_view kHandshake =
    "GET /ws HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

// A server of one connection that answers "/x" at once with its own path and parks everything else.
class Site final : public HttpHandler {
 public:
  explicit Site(HttpTimeouts timeouts = {})
      : listener_(*TcpListener::open({stun::IpAddress::v4(127, 0, 0, 1), 0})) {
    listener_->start(loop, [this, timeouts](AcceptedSocket accepted) {
      DetachedConnection detached;
      detached.fd = std::move(accepted.fd);
      detached.peer = accepted.peer;
      detached.local = accepted.local;
      connection = std::make_unique<HttpConnection>(loop, std::move(detached), 7, *this, timeouts);
    });
  }

  const stun::Endpoint& endpoint() const { return listener_->local(); }
  bool until(const std::function<bool()>& done) { return loop.run_until(done); }

  void on_request(HttpConnection& from, HttpRequest request) override {
    EXPECT_EQ(from.id(), 7U);
    requests.push_back(request);
    if (request.path == "/x") from.respond(HttpResponse::text(200, "you asked for /x"));
    if (request.path == "/ws") upgraded = from.upgrade(request);
    if (request.path == "/destroy") connection.reset();
  }
  void on_socket_message(HttpConnection& from, std::string_view text) override {
    messages.emplace_back(text);
    if (text == "destroy") connection.reset();
    if (text == "echo") from.send_text("echoed");
  }
  void on_socket_burst_end(HttpConnection& from) override {
    ++bursts;
    if (messages.front() == "burst") from.send_texts(std::vector<std::string>{"one", "two"});
  }
  void on_closed(HttpConnection& /*from*/, std::uint16_t code) override {
    EXPECT_FALSE(closed) << "on_closed twice";
    closed = code;
    connection.reset();
  }

  Loop loop;
  std::unique_ptr<HttpConnection> connection;
  std::vector<HttpRequest> requests;
  std::vector<std::string> messages;
  int bursts = 0;
  std::optional<std::uint16_t> closed;
  bool upgraded = false;

 private:
  std::unique_ptr<TcpListener> listener_;
};

std::size_t count(std::string_view text, std::string_view part) {
  std::size_t found = 0;
  for (auto at = text.find(part); at != std::string_view::npos; at = text.find(part, at + 1)) {
    ++found;
  }
  return found;
}

TEST(HttpConnection, AnswersAndKeepsTheConnection) {
  Site site;
  LoopbackClient client(site.endpoint());
  for (int i = 1; i <= 3; ++i) {
    client.send(kGet);
    ASSERT_TRUE(site.until([&] { return client.has("you asked for /x"); }));
    EXPECT_EQ(client.take_received().substr(0, 17), "HTTP/1.1 200 OK\r\n");
  }
  EXPECT_EQ(site.requests.size(), 3U);
  EXPECT_FALSE(site.closed);
}

TEST(HttpConnection, AnswersRequestsThatComeByteByByteAndPipelined) {
  Site site;
  LoopbackClient client(site.endpoint());
  for (const char c : kGet) {
    client.send(std::string_view(&c, 1));
    site.loop.run_once(milliseconds(1));
  }
  ASSERT_TRUE(site.until([&] { return client.has("you asked"); }));
  std::string many;
  for (int i = 0; i < 2000; ++i) many += kGet;  // more than is read ahead
  client.send(many);
  ASSERT_TRUE(site.until([&] { return count(client.pump().received(), "200 OK") == 2001; }));
  EXPECT_EQ(site.requests.size(), 2001U);
}

TEST(HttpConnection, KeepsTheOrderWhenAnswersComeLater) {
  Site site;
  LoopbackClient client(site.endpoint());
  client.send("GET /parked HTTP/1.1\r\nHost: a\r\n\r\n" + std::string(kGet));
  ASSERT_TRUE(site.until([&] { return site.requests.size() == 1; }));
  EXPECT_TRUE(site.connection->answer_owed());
  site.loop.run_once(milliseconds(1));
  EXPECT_EQ(site.requests.size(), 1U) << "the second waits for its turn";
  site.connection->respond(HttpResponse::text(200, "parked no more"));
  EXPECT_EQ(site.requests.size(), 1U) << "nothing is called from inside respond()";
  ASSERT_TRUE(site.until([&] { return client.has("you asked"); }));
  EXPECT_LT(client.received().find("parked no more"), client.received().find("you asked"));
  site.connection->respond(HttpResponse::text(500, "nobody asked"));
  EXPECT_FALSE(client.has("nobody asked"));
}

TEST(HttpConnection, SlowsDownAClientThatSendsMuchWithoutBeingAnswered) {
  Site site;
  LoopbackClient client(site.endpoint());
  client.send("GET /parked HTTP/1.1\r\nHost: a\r\n\r\n");
  ASSERT_TRUE(site.until([&] { return site.requests.size() == 1; }));
  std::string much;
  while (much.size() < 20'000'000) much += kGet;
  client.send(much);
  for (int i = 0; i < 200; ++i) {
    client.pump();
    site.loop.run_once(milliseconds(0));
  }
  // The rest is still with the client: its send buffer is full, ours holds one read.
  site.connection->respond(HttpResponse::text(200, "parked"));
  ASSERT_TRUE(site.until([&] { return client.has("you asked"); }));
  EXPECT_FALSE(site.closed);
}

TEST(HttpConnection, RefusesBrokenRequestsAndCloses) {
  Site site;
  LoopbackClient client(site.endpoint());
  client.send("GET / HTTP/1.1\nHost: a\r\n\r\n");
  ASSERT_TRUE(site.until([&] { return client.ended(); }));
  EXPECT_EQ(client.received().substr(0, 12), "HTTP/1.1 400");
  EXPECT_TRUE(client.has("Connection: close\r\n"));
  EXPECT_TRUE(client.has(R"({"success":false,"error":"A line must end with CR LF"})"));
  EXPECT_TRUE(site.requests.empty());
  client.close();
  EXPECT_TRUE(site.until([&] { return site.closed == 0; }));
}

TEST(HttpConnection, AsksForTheBodyOfAClientThatWaits) {
  Site site;
  LoopbackClient client(site.endpoint());
  client.send("POST /x HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n");
  ASSERT_TRUE(site.until([&] { return client.has("HTTP/1.1 100 Continue\r\n\r\n"); }));
  EXPECT_TRUE(site.requests.empty());
  client.send("body");
  ASSERT_TRUE(site.until([&] { return client.has("200 OK"); }));
  EXPECT_EQ(site.requests.at(0).body, "body");
}

TEST(HttpConnection, SendsNoBodyToHead) {
  Site site;
  LoopbackClient client(site.endpoint());
  client.send("HEAD /x HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
  ASSERT_TRUE(site.until([&] { return client.ended(); }));
  EXPECT_TRUE(client.has("Content-Length: 16\r\n"));
  EXPECT_FALSE(client.has("you asked"));
}

TEST(HttpConnection, GivesARequestTenSecondsHoweverItDrips) {
  HttpTimeouts timeouts;
  timeouts.request = milliseconds(30);
  Site site(timeouts);
  LoopbackClient client(site.endpoint());
  client.send("GET /x HTTP/1.1\r\nX: ");
  // A byte on every look, far more often than the deadline.
  ASSERT_TRUE(site.until([&] {
    if (!site.closed && !client.has("408")) client.send("y");
    return client.ended() || client.has("HTTP/1.1 408 Request Timeout\r\n");
  }));
  EXPECT_TRUE(client.has("HTTP/1.1 408 Request Timeout\r\n"));
  EXPECT_TRUE(site.requests.empty());
}

TEST(HttpConnection, ClosesWhenIdleAndSaysNothing) {
  HttpTimeouts timeouts;
  timeouts.idle = milliseconds(20);
  Site site(timeouts);
  LoopbackClient client(site.endpoint());
  client.send(kGet);
  ASSERT_TRUE(site.until([&] { return client.ended(); }));
  EXPECT_EQ(count(client.received(), "HTTP/1.1"), 1U);
}

TEST(HttpConnection, AnswersAfterAHalfCloseAndGivesUpOnAParkedOne) {
  HttpTimeouts timeouts;
  timeouts.half_closed = milliseconds(20);
  Site site(timeouts);
  LoopbackClient client(site.endpoint());
  client.send("GET /parked HTTP/1.1\r\nHost: a\r\n\r\n");
  ASSERT_TRUE(site.until([&] { return site.requests.size() == 1; }));
  client.send_fin();
  ASSERT_TRUE(site.until([&] { return site.closed.has_value(); }));
  EXPECT_EQ(site.closed, 0);

  Site other;
  LoopbackClient quick(other.endpoint());
  quick.send(kGet);
  quick.send_fin();
  ASSERT_TRUE(other.until([&] { return quick.ended(); }));
  EXPECT_TRUE(quick.has("you asked"));
}

TEST(HttpConnection, SendsAnAnswerOfAnySizeToASlowReader) {
  Site site;
  LoopbackClient client(site.endpoint(), 4096);
  client.send("GET /parked HTTP/1.1\r\nHost: a\r\n\r\n" + std::string(kGet));
  ASSERT_TRUE(site.until([&] { return site.requests.size() == 1; }));
  site.connection->respond(HttpResponse::text(200, std::string(12'000'000, 'x')));
  site.loop.run_once(milliseconds(1));
  EXPECT_EQ(site.requests.size(), 1U) << "one answer waits, not two";
  ASSERT_TRUE(site.until([&] { return client.has("you asked"); }));
}

TEST(HttpConnection, MayBeDestroyedByItsHandler) {
  Site site;
  LoopbackClient client(site.endpoint());
  client.send("GET /destroy HTTP/1.1\r\nHost: a\r\n\r\n" + std::string(kGet));
  ASSERT_TRUE(site.until([&] { return client.ended(); }));
  EXPECT_EQ(site.requests.size(), 1U);

  LoopbackClient socket(site.endpoint());
  socket.send(std::string(kHandshake) + client_frame(tests::kText, "destroy") +
              client_frame(tests::kText, "more"));
  ASSERT_TRUE(site.until([&] { return socket.ended(); }));
  EXPECT_EQ(site.messages, std::vector<std::string>{"destroy"});
}

TEST(HttpConnection, BecomesAWebSocket) {
  Site site;
  LoopbackClient client(site.endpoint());
  client.send(kHandshake);
  ASSERT_TRUE(site.until([&] { return client.has("\r\n\r\n"); }));
  EXPECT_TRUE(site.upgraded);
  EXPECT_TRUE(site.connection->is_websocket());
  EXPECT_EQ(client.take_received().substr(0, 12), "HTTP/1.1 101");
  client.send(client_frame(tests::kText, "echo"));
  ASSERT_TRUE(site.until([&] { return client.has(tests::server_frame(tests::kText, "echoed")); }));
  client.send(client_frame(tests::kClose, tests::close_payload(1000)));
  ASSERT_TRUE(site.until([&] { return client.ended(); }));
  client.close();
  EXPECT_TRUE(site.until([&] { return site.closed == 1000; }));
}

TEST(HttpConnection, TellsTheEndOfABurstAndSendsWhatItCausedAtOnce) {
  Site site;
  LoopbackClient client(site.endpoint());
  client.send(kHandshake);
  ASSERT_TRUE(site.until([&] { return client.has("\r\n\r\n"); }));
  client.send(client_frame(tests::kText, "burst") + client_frame(tests::kPing, "p") +
              client_frame(tests::kText, "more"));
  ASSERT_TRUE(site.until([&] {
    return client.has(tests::server_frame(tests::kPong, "p") +
                      tests::server_frame(tests::kText, "one") +
                      tests::server_frame(tests::kText, "two"));
  }));
  EXPECT_EQ(site.messages, (std::vector<std::string>{"burst", "more"}));
  EXPECT_EQ(site.bursts, 1);
  client.send(client_frame(tests::kPong, ""));
  client.send(client_frame(tests::kText, "destroy"));
  ASSERT_TRUE(site.until([&] { return site.connection == nullptr; }));
  EXPECT_EQ(site.bursts, 1) << "a pong is no message, and who is gone is told nothing";
}

TEST(HttpConnection, RefusesABadHandshakeAndGoesOn) {
  Site site;
  LoopbackClient client(site.endpoint());
  client.send(
      "GET /ws HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
      "Sec-WebSocket-Version: 12\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n");
  ASSERT_TRUE(site.until([&] { return client.has("426 Upgrade Required"); }));
  EXPECT_FALSE(site.upgraded);
  client.send(kGet);
  EXPECT_TRUE(site.until([&] { return client.has("you asked"); }));
}

TEST(HttpConnection, DropsAWebSocketThatMissesTwoPings) {
  HttpTimeouts timeouts;
  timeouts.ping = milliseconds(10);
  Site site(timeouts);
  LoopbackClient client(site.endpoint());
  client.send(kHandshake);
  ASSERT_TRUE(site.until([&] { return client.pump(), site.closed.has_value(); }));
  EXPECT_EQ(site.closed, 1006);
  EXPECT_EQ(count(client.pump().received(), tests::server_frame(tests::kPing, "")), 2U);
}

TEST(HttpConnection, KeepsAWebSocketThatAnswersPings) {
  HttpTimeouts timeouts;
  timeouts.ping = milliseconds(10);
  Site site(timeouts);
  LoopbackClient client(site.endpoint());
  client.send(kHandshake);
  std::size_t answered = 0;
  ASSERT_TRUE(site.until([&] {
    const std::size_t pings =
        count(client.pump().received(), tests::server_frame(tests::kPing, ""));
    for (; answered < pings; ++answered) client.send(client_frame(tests::kPong, ""));
    return answered == 6;
  }));
  EXPECT_FALSE(site.closed);
}

TEST(HttpConnection, TellsTheCloseCodeOfBothSides) {
  Site site;
  LoopbackClient client(site.endpoint());
  client.send(kHandshake);
  ASSERT_TRUE(site.until([&] { return site.upgraded; }));
  site.connection->close_socket(4001, "room ended");
  EXPECT_FALSE(site.connection->send_text("late"));
  ASSERT_TRUE(site.until([&] {
    return client.has(tests::server_frame(tests::kClose, tests::close_payload(4001, "room ended")));
  }));
  client.send(client_frame(tests::kClose, tests::close_payload(4001)));
  client.pump().close();
  EXPECT_TRUE(site.until([&] { return site.closed == 4001; }));
}

TEST(HttpConnection, DoesNotWaitForEverForTheAnswerToItsClose) {
  HttpTimeouts timeouts;
  timeouts.close = milliseconds(10);
  Site site(timeouts);
  LoopbackClient client(site.endpoint());
  client.send(kHandshake);
  ASSERT_TRUE(site.until([&] { return site.upgraded; }));
  site.connection->close_socket(4008, "too fast");
  EXPECT_TRUE(site.until([&] { return site.closed == 4008; }));
}

TEST(HttpConnection, TellsWhenAWebSocketVanishes) {
  Site site;
  LoopbackClient client(site.endpoint());
  client.send(kHandshake);
  ASSERT_TRUE(site.until([&] { return site.upgraded; }));
  client.close();
  EXPECT_TRUE(site.until([&] { return site.closed == 1006; }));
}

TEST(HttpConnection, DropsAWebSocketThatDoesNotRead) {
  Site site;
  LoopbackClient client(site.endpoint(), 4096);
  client.send(kHandshake);
  ASSERT_TRUE(site.until([&] { return site.upgraded; }));
  const std::string text(60'000, 't');
  int sent = 0;
  while (site.connection->send_text(text) && sent < 10'000) ++sent;
  EXPECT_LT(sent, 10'000) << "bounded";
  EXPECT_TRUE(site.until([&] { return site.closed == 1006; }));
}

TEST(HttpConnection, StopsGracefullyInEveryState) {
  Site idle;
  LoopbackClient first(idle.endpoint());
  first.send(kGet);
  ASSERT_TRUE(idle.until([&] { return first.has("you asked"); }));
  idle.connection->stop();
  EXPECT_TRUE(idle.until([&] { return first.ended(); }));

  Site parked;
  LoopbackClient second(parked.endpoint());
  second.send("GET /parked HTTP/1.1\r\nHost: a\r\n\r\n");
  ASSERT_TRUE(parked.until([&] { return !parked.requests.empty(); }));
  parked.connection->stop();
  parked.connection->respond(HttpResponse::text(503, "going away"));
  EXPECT_TRUE(parked.until([&] { return second.ended(); }));
  EXPECT_TRUE(second.has("Connection: close\r\n"));

  Site socket;
  LoopbackClient third(socket.endpoint());
  third.send(kHandshake);
  ASSERT_TRUE(socket.until([&] { return socket.upgraded; }));
  socket.connection->stop();
  EXPECT_TRUE(socket.until([&] {
    return third.has(
        tests::server_frame(tests::kClose, tests::close_payload(1001, "The server is stopping")));
  }));
}

}  // namespace
}  // namespace bedside::net
