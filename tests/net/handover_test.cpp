// A connection is accepted on one thread, secured there, and lives on another: the way of every
// HTTP connection of the server.
#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <unordered_map>
#include <vector>

#include "server/net/connection.h"
#include "server/net/http_connection.h"
#include "server/net/mailbox.h"
#include "server/net/tcp_listener.h"
#include "server/net/tls.h"
#include "tests/net/loopback_client.h"
#include "tests/net/test_certificate.h"

namespace bedside::net {
namespace {

// The thread that speaks HTTP.
class Control final : public HttpHandler {
 public:
  Control()
      : inbox(loop, 64,
              [this](DetachedConnection detached) {
                const HttpConnection::Id id = ++last_id_;
                connections_[id] =
                    std::make_unique<HttpConnection>(loop, std::move(detached), id, *this);
              }),
        thread_([this] { loop.run(); }) {}
  ~Control() {
    loop.stop();
    thread_.join();
    connections_.clear();
  }
  Control(const Control&) = delete;
  Control& operator=(const Control&) = delete;

  Loop loop;
  Mailbox<DetachedConnection> inbox;

 private:
  void on_request(HttpConnection& from, HttpRequest request) override {
    from.respond(HttpResponse::text(200, "path " + request.path));
  }
  void on_socket_message(HttpConnection& /*from*/, std::string_view /*text*/) override {}
  void on_closed(HttpConnection& from, std::uint16_t /*code*/) override {
    connections_.erase(from.id());
  }

  HttpConnection::Id last_id_ = 0;
  std::unordered_map<HttpConnection::Id, std::unique_ptr<HttpConnection>> connections_;
  std::thread thread_;
};

// The thread that accepts: gives everything away with its first bytes.
class Gate final : public Connection::Handler {
 public:
  Gate(Loop& loop, TlsMode mode, const TlsContext& tls, Control& control)
      : control_(control), listener_(*TcpListener::open({stun::IpAddress::v4(127, 0, 0, 1), 0})) {
    listener_->start(loop, [this, &loop, mode, &tls](AcceptedSocket accepted) {
      auto connection = std::make_unique<Connection>(loop, std::move(accepted), mode, &tls, *this);
      Connection* const key = connection.get();
      connections_.emplace(key, std::move(connection));
    });
  }
  const stun::Endpoint& endpoint() const { return listener_->local(); }
  int given_away() const { return given_away_; }

 private:
  void on_bytes(Connection& connection, stun::Bytes bytes) override {
    ++given_away_;
    EXPECT_TRUE(control_.inbox.post(connection.release(bytes)));
    connections_.erase(&connection);
  }
  void on_closed(Connection& connection, CloseReason /*reason*/) override {
    connections_.erase(&connection);
  }

  Control& control_;
  int given_away_ = 0;
  std::unique_ptr<TcpListener> listener_;
  std::unordered_map<Connection*, std::unique_ptr<Connection>> connections_;
};

class Handover : public testing::TestWithParam<TlsMode> {};
INSTANTIATE_TEST_SUITE_P(Modes, Handover,
                         testing::Values(TlsMode::off, TlsMode::on, TlsMode::detect));

TEST_P(Handover, KeepsTlsStateAndEarlyBytes) {
  const tests::TestCertificate certificate;
  const auto tls = TlsContext::load(certificate.certificate(), certificate.key());
  ASSERT_TRUE(tls) << tls.error();
  Loop loop;
  Control control;
  Gate gate(loop, GetParam(), *tls, control);
  constexpr int kClients = 8;
  std::vector<std::unique_ptr<tests::LoopbackClient>> clients;
  for (int i = 0; i < kClients; ++i) {
    clients.push_back(std::make_unique<tests::LoopbackClient>(gate.endpoint()));
    if (GetParam() != TlsMode::off) clients.back()->start_tls();
    clients.back()->send("GET /" + std::to_string(i) + " HTTP/1.1\r\nHo");
  }
  // The first half of a request crosses with the connection, the second half comes after it.
  ASSERT_TRUE(loop.run_until([&] {
    for (auto& client : clients) client->pump();
    return gate.given_away() == kClients;
  }));
  for (auto& client : clients) client->send("st: a\r\n\r\n");
  for (int i = 0; i < kClients; ++i) {
    auto& client = *clients[static_cast<std::size_t>(i)];
    EXPECT_TRUE(loop.run_until([&] {
      for (auto& other : clients) other->pump();
      return client.has("path /" + std::to_string(i));
    }));
  }
}

}  // namespace
}  // namespace bedside::net
