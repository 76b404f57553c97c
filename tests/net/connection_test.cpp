#include "server/net/connection.h"

#include <gtest/gtest.h>
#include <openssl/ssl.h>

#include <fstream>
#include <memory>
#include <optional>
#include <string>

#include "server/net/loop.h"
#include "server/net/tcp_listener.h"
#include "server/net/tls.h"
#include "stun/bytes.h"
#include "tests/net/loopback_client.h"
#include "tests/net/test_certificate.h"

namespace bedside::net {
namespace {

using std::chrono::milliseconds;
using tests::LoopbackClient;

const tests::TestCertificate& certificate() {
  static const tests::TestCertificate kCertificate;
  return kCertificate;
}

const TlsContext& tls() {
  static const auto kTls = TlsContext::load(certificate().certificate(), certificate().key());
  return kTls.value();
}

// Accepts one connection and writes down what happens to it.
class Peer final : public Connection::Handler {
 public:
  explicit Peer(TlsMode mode = TlsMode::off, ConnectionLimits limits = {})
      : listener_(*TcpListener::open({stun::IpAddress::v4(127, 0, 0, 1), 0})) {
    listener_->start(loop, [this, mode, limits](AcceptedSocket accepted) {
      connection =
          std::make_unique<Connection>(loop, std::move(accepted), mode, &tls(), *this, limits);
    });
  }

  const stun::Endpoint& endpoint() const { return listener_->local(); }
  bool until(const std::function<bool()>& done) { return loop.run_until(done); }
  bool accept() {
    return until([this] { return connection != nullptr; });
  }

  void on_bytes(Connection& /*connection*/, stun::Bytes bytes) override {
    received.append(stun::as_text(bytes));
    if (release_at_first_byte) {
      detached = connection->release(bytes);
      connection.reset();
    }
  }
  void on_secured(Connection& /*connection*/) override { secured = true; }
  void on_peer_ended(Connection& /*connection*/) override { peer_ended = true; }
  void on_drained(Connection& /*connection*/) override { ++drained; }
  void on_closed(Connection& /*connection*/, CloseReason reason) override {
    EXPECT_FALSE(closed) << "on_closed twice";
    closed = reason;
    if (destroy_when_closed) connection.reset();
  }

  Loop loop;
  std::unique_ptr<Connection> connection;
  std::string received;
  std::optional<CloseReason> closed;
  std::optional<DetachedConnection> detached;
  bool secured = false;
  bool peer_ended = false;
  bool release_at_first_byte = false;
  bool destroy_when_closed = true;
  int drained = 0;

 private:
  std::unique_ptr<TcpListener> listener_;
};

class PlainAndTls : public testing::TestWithParam<TlsMode> {
 protected:
  bool secure() const { return GetParam() != TlsMode::off; }
};
INSTANTIATE_TEST_SUITE_P(Modes, PlainAndTls, testing::Values(TlsMode::off, TlsMode::on));

TEST_P(PlainAndTls, CarriesBytesBothWays) {
  Peer peer(GetParam());
  LoopbackClient client(peer.endpoint());
  if (secure()) client.start_tls();
  client.send("hello");
  ASSERT_TRUE(peer.until([&] { return client.pump(), peer.received == "hello"; }));
  EXPECT_EQ(peer.connection->tls(), secure());
  EXPECT_EQ(peer.secured, secure());
  EXPECT_EQ(peer.connection->peer().address, stun::IpAddress::v4(127, 0, 0, 1));
  EXPECT_EQ(peer.connection->local(), peer.endpoint());
  EXPECT_TRUE(peer.connection->write(stun::as_bytes("world")));
  EXPECT_TRUE(peer.until([&] { return client.has("world"); }));
}

TEST_P(PlainAndTls, CarriesMoreThanAnyBufferHolds) {
  Peer peer(GetParam());
  LoopbackClient client(peer.endpoint());
  if (secure()) client.start_tls();
  std::string up;
  for (int i = 0; i < 300'000; ++i) up += std::to_string(i) + ' ';
  client.send(up);
  ASSERT_TRUE(peer.until([&] { return client.pump(), peer.received.size() == up.size(); }));
  EXPECT_EQ(peer.received, up);
  const std::string down = up + up + up + up + up + up;
  ASSERT_TRUE(peer.connection->write(stun::as_bytes(down)));
  EXPECT_GT(peer.connection->queued(), 0U) << "more than the kernel takes at once";
  ASSERT_TRUE(peer.until([&] { return client.pump().received().size() == down.size(); }));
  EXPECT_TRUE(client.received() == down);
  ASSERT_TRUE(peer.until([&] { return peer.drained == 1; }));
}

TEST_P(PlainAndTls, FinishesAfterEverythingQueuedHasLeft) {
  Peer peer(GetParam());
  LoopbackClient client(peer.endpoint());
  if (secure()) client.start_tls();
  client.send("x");
  ASSERT_TRUE(peer.until([&] { return client.pump(), !peer.received.empty(); }));
  const std::string answer(3'000'000, 'a');
  peer.connection->write(stun::as_bytes(answer));
  peer.connection->finish();
  EXPECT_FALSE(peer.connection->write(stun::as_bytes("late")));
  // What the client still says must not turn the end into a reset that destroys the answer.
  client.send("unread words");
  ASSERT_TRUE(peer.until([&] { return client.ended(); }));
  EXPECT_EQ(client.received().size(), answer.size());
  client.close();
  ASSERT_TRUE(peer.until([&] { return peer.closed.has_value(); }));
  EXPECT_EQ(peer.closed, CloseReason::finished);
}

TEST_P(PlainAndTls, TellsWhenThePeerWillSayNoMoreAndStillWrites) {
  Peer peer(GetParam());
  LoopbackClient client(peer.endpoint());
  if (secure()) client.start_tls();
  client.send("last words");
  ASSERT_TRUE(peer.until([&] { return client.pump(), !peer.received.empty(); }));
  client.send_fin();
  ASSERT_TRUE(peer.until([&] { return peer.peer_ended; }));
  EXPECT_FALSE(peer.closed);
  EXPECT_TRUE(peer.connection->write(stun::as_bytes("answer")));
  EXPECT_TRUE(peer.until([&] { return client.has("answer"); }));
  peer.connection->finish();
  EXPECT_TRUE(peer.until([&] { return peer.closed == CloseReason::finished; }));
}

TEST_P(PlainAndTls, GivesItselfAwayWithTheBytesItHasRead) {
  Peer peer(GetParam());
  peer.release_at_first_byte = true;
  LoopbackClient client(peer.endpoint());
  if (secure()) client.start_tls();
  client.send("GET /");
  ASSERT_TRUE(peer.until([&] { return client.pump(), peer.detached.has_value(); }));
  EXPECT_EQ(peer.detached->tls(), secure());
  EXPECT_EQ(stun::as_text(peer.detached->early), peer.received);

  peer.release_at_first_byte = false;
  peer.received.clear();
  peer.connection = std::make_unique<Connection>(peer.loop, std::move(*peer.detached), peer);
  client.send(" more");
  ASSERT_TRUE(peer.until([&] { return client.pump(), peer.received == "GET / more"; }));
  peer.connection->write(stun::as_bytes("answer"));
  EXPECT_TRUE(peer.until([&] { return client.has("answer"); }));
}

TEST_P(PlainAndTls, DropsDataButKeepsControlWhenThePeerReadsSlowly) {
  ConnectionLimits limits;
  limits.queue_data = 50'000;
  limits.queue_control = 5'000'000;
  Peer peer(GetParam(), limits);
  LoopbackClient client(peer.endpoint(), 4096);
  if (secure()) client.start_tls();
  client.send("x");
  ASSERT_TRUE(peer.until([&] { return client.pump(), !peer.received.empty(); }));
  client.stop_reading();
  const std::string media(10'000, 'm');
  std::size_t taken = 0;
  while (peer.connection->write(stun::as_bytes(media), WriteClass::data)) ++taken;
  EXPECT_EQ(peer.connection->dropped_data(), 1U);
  EXPECT_LE(peer.connection->queued(), limits.queue_data + media.size() + 20'000);
  EXPECT_TRUE(peer.connection->write(stun::as_bytes("control")));
  client.start_reading();
  ASSERT_TRUE(peer.until([&] { return client.has("control"); }));
  EXPECT_EQ(client.received().size(), taken * media.size() + 7) << "whole writes or nothing";
}

TEST_P(PlainAndTls, PausesAndResumesReading) {
  Peer peer(GetParam());
  LoopbackClient client(peer.endpoint());
  if (secure()) client.start_tls();
  client.send("a");
  ASSERT_TRUE(peer.until([&] { return client.pump(), peer.received == "a"; }));
  peer.connection->pause_reading();
  client.send("b");
  bool waited = false;
  Timer wait(peer.loop, [&] { waited = true; });
  wait.arm(milliseconds(20));
  ASSERT_TRUE(peer.until([&] { return client.pump(), waited; }));
  EXPECT_EQ(peer.received, "a");
  peer.connection->resume_reading();
  EXPECT_TRUE(peer.until([&] { return peer.received == "ab"; }));
}

TEST(Connection, ClosesAPeerThatReadsNothing) {
  ConnectionLimits limits;
  limits.write_stall = milliseconds(20);
  Peer peer(TlsMode::off, limits);
  LoopbackClient client(peer.endpoint(), 4096);
  ASSERT_TRUE(peer.accept());
  peer.connection->write(stun::as_bytes(std::string(8'000'000, 'x')));
  ASSERT_TRUE(peer.until([&] { return peer.closed.has_value(); }));
  EXPECT_EQ(peer.closed, CloseReason::slow_reader);
}

TEST(Connection, ClosesWhenControlMessagesPileUp) {
  ConnectionLimits limits;
  limits.queue_control = 10'000;
  Peer peer(TlsMode::off, limits);
  LoopbackClient client(peer.endpoint(), 4096);
  ASSERT_TRUE(peer.accept());
  const std::string message(100'000, 'x');
  int taken = 0;
  while (peer.connection->write(stun::as_bytes(message))) ++taken;
  EXPECT_GT(taken, 0);
  EXPECT_FALSE(peer.closed) << "never from inside write()";
  ASSERT_TRUE(peer.until([&] { return peer.closed.has_value(); }));
  EXPECT_EQ(peer.closed, CloseReason::slow_reader);
}

TEST(Connection, TellsAboutAReset) {
  Peer peer;
  LoopbackClient client(peer.endpoint());
  ASSERT_TRUE(peer.accept());
  const linger reset{1, 0};
  ::setsockopt(client.fd(), SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
  client.close();
  ASSERT_TRUE(peer.until([&] { return peer.closed.has_value(); }));
  EXPECT_EQ(peer.closed, CloseReason::peer_reset);
}

TEST(Connection, LingersOnlyForAWhile) {
  ConnectionLimits limits;
  limits.linger = milliseconds(10);
  Peer peer(TlsMode::off, limits);
  LoopbackClient client(peer.endpoint());
  ASSERT_TRUE(peer.accept());
  peer.connection->finish();
  ASSERT_TRUE(peer.until([&] { return peer.closed.has_value(); })) << "the client never closes";
  EXPECT_EQ(peer.closed, CloseReason::finished);
}

TEST(Connection, DetectsTlsByItsFirstByte) {
  Peer secure(TlsMode::detect);
  LoopbackClient browser(secure.endpoint());
  browser.start_tls();
  browser.send("GET");
  ASSERT_TRUE(secure.until([&] { return browser.pump(), secure.received == "GET"; }));
  EXPECT_TRUE(secure.connection->tls());

  Peer plain(TlsMode::detect);
  LoopbackClient other(plain.endpoint());
  other.send("GET");
  ASSERT_TRUE(plain.until([&] { return plain.received == "GET"; }));
  EXPECT_FALSE(plain.connection->tls());
  EXPECT_TRUE(plain.secured) << "said before the bytes in both cases";
}

TEST(Connection, RefusesWhatIsNoTlsHandshake) {
  Peer peer(TlsMode::on);
  LoopbackClient client(peer.endpoint());
  client.send("GET / HTTP/1.1\r\n\r\n");
  ASSERT_TRUE(peer.until([&] { return peer.closed.has_value(); }));
  EXPECT_EQ(peer.closed, CloseReason::tls_failed);
}

TEST(TlsContext, SelectsHttpOrTurnAndNothingElse) {
  const auto selected = [](const std::vector<unsigned char>& offered) {
    Peer peer(TlsMode::on);
    LoopbackClient client(peer.endpoint());
    client.start_tls(offered);
    EXPECT_TRUE(peer.until([&] { return client.handshake_done(); }));
    const unsigned char* name = nullptr;
    unsigned int size = 0;
    SSL_get0_alpn_selected(client.ssl(), &name, &size);
    return name == nullptr ? std::string() : std::string(name, name + size);
  };
  const std::string h2 = "\x02h2";
  const std::string http = "\x08http/1.1";
  const std::string turn = "\x09stun.turn";
  const auto list = [](const std::string& text) {
    return std::vector<unsigned char>(text.begin(), text.end());
  };
  EXPECT_EQ(selected(list(h2 + http)), "http/1.1");
  EXPECT_EQ(selected(list(turn)), "stun.turn");
  EXPECT_EQ(selected(list(h2)), "");
  EXPECT_EQ(selected({}), "");
}

// Whether a client that offers only this gets through its handshake.
bool accepted(int version, const char* ciphers) {
  Peer peer(TlsMode::on);
  LoopbackClient client(peer.endpoint());
  client.start_tls({}, nullptr, version);
  // Also of TLS 1.3's, which have a list of their own.
  if (version == TLS1_3_VERSION) {
    EXPECT_EQ(SSL_set_ciphersuites(client.ssl(), ciphers), 1) << ciphers;
  } else {
    EXPECT_EQ(SSL_set_cipher_list(client.ssl(), ciphers), 1) << ciphers;
  }
  EXPECT_TRUE(peer.until([&] { return client.ended() || client.handshake_done(); }));
  return client.handshake_done();
}

TEST(TlsContext, SpeaksTls12And13Only) {
  EXPECT_FALSE(accepted(TLS1_VERSION, "ALL:@SECLEVEL=0"));
  EXPECT_FALSE(accepted(TLS1_1_VERSION, "ALL:@SECLEVEL=0"));
  EXPECT_TRUE(accepted(TLS1_2_VERSION, "ALL:@SECLEVEL=0"));
  EXPECT_TRUE(accepted(TLS1_3_VERSION, "TLS_AES_128_GCM_SHA256"));
}

TEST(TlsContext, TakesCiphersWithForwardSecrecyAndAuthenticationOnly) {
  for (const char* good : {"ECDHE-ECDSA-AES128-GCM-SHA256", "ECDHE-ECDSA-AES256-GCM-SHA384",
                           "ECDHE-ECDSA-CHACHA20-POLY1305"}) {
    EXPECT_TRUE(accepted(TLS1_2_VERSION, good)) << good;
  }
  for (const char* bad :
       {"ECDHE-ECDSA-AES128-SHA256:@SECLEVEL=0", "ECDHE-ECDSA-AES256-SHA:@SECLEVEL=0",
        "ECDHE-ECDSA-AES128-CCM:@SECLEVEL=0", "AES128-GCM-SHA256:@SECLEVEL=0",
        "AES128-SHA:@SECLEVEL=0", "DHE-RSA-AES128-GCM-SHA256:@SECLEVEL=0",
        "ECDHE-ECDSA-NULL-SHA:@SECLEVEL=0", "AECDH-AES128-SHA:@SECLEVEL=0"}) {
    EXPECT_FALSE(accepted(TLS1_2_VERSION, bad)) << bad;
  }
  for (const char* good :
       {"TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256"}) {
    EXPECT_TRUE(accepted(TLS1_3_VERSION, good)) << good;
  }
}

TEST(TlsContext, ResumesSessions) {
  Peer peer(TlsMode::on);
  LoopbackClient first(peer.endpoint());
  first.start_tls();
  first.send("x");
  ASSERT_TRUE(peer.until([&] { return first.pump(), !peer.received.empty(); }));
  peer.connection->write(stun::as_bytes("tickets come before this"));
  ASSERT_TRUE(peer.until([&] { return first.has("this"); }));
  const std::unique_ptr<SSL_SESSION, decltype(&SSL_SESSION_free)> session(
      SSL_get1_session(first.ssl()), &SSL_SESSION_free);
  EXPECT_EQ(SSL_session_reused(first.ssl()), 0);

  LoopbackClient second(peer.endpoint());
  second.start_tls({}, session.get());
  ASSERT_TRUE(peer.until([&] { return second.handshake_done(); }));
  EXPECT_EQ(SSL_session_reused(second.ssl()), 1);
}

TEST(TlsContext, NamesTheFileItCannotUse) {
  const auto& good = certificate();
  const auto error = [](const std::string& cert, const std::string& key) {
    const auto context = TlsContext::load(cert, key);
    return context ? std::string() : context.error();
  };
  const std::string missing = good.directory() + "/missing.pem";
  EXPECT_NE(error(missing, good.key()).find("certificate " + missing + ": No such file"),
            std::string::npos);
  EXPECT_NE(error(good.certificate(), missing).find("private key " + missing), std::string::npos);
  EXPECT_NE(error(missing, good.key()).find("user id"), std::string::npos);

  const std::string garbage = good.directory() + "/garbage.pem";
  std::ofstream(garbage) << "not a certificate\n";
  EXPECT_NE(error(garbage, good.key()).find(garbage + " is not usable"), std::string::npos);
  EXPECT_NE(error(good.certificate(), garbage).find(garbage + " is not usable"), std::string::npos);
  const tests::TestCertificate other;
  EXPECT_NE(error(good.certificate(), other.key()).find(other.key()), std::string::npos);
}

}  // namespace
}  // namespace bedside::net
