// TURN over TLS on several relay threads that share one port: handshakes and records on the thread
// that accepted, sessions that resume on any of them. There is no control thread here at all.
#include <gtest/gtest.h>
#include <openssl/ssl.h>

#include <array>
#include <memory>
#include <vector>

#include "server/net/tls.h"
#include "tests/net/test_certificate.h"
#include "tests/server/shard_rig.h"

namespace bedside::server::testing {
namespace {

struct FreeSession {
  void operator()(SSL_SESSION* session) const { SSL_SESSION_free(session); }
};
using SessionPtr = std::unique_ptr<SSL_SESSION, FreeSession>;

// Two shards, each with a door on the same port. The first runs on the test's thread, in the
// clients' waits, the second on its own.
class TwoDoors {
 public:
  TwoDoors() {
    const ListenerSpec listener = rig.open_door({}, &tls).listeners()[0];
    RelayShard& other = rig.add_shard();
    second_ = FrontDoor::open(other.loop(), {&listener, 1}, &tls, {}, false).value();
    second_->start([&other](net::DetachedConnection connection,
                            const ListenerSpec&) { other.adopt(std::move(connection)); },
                   {});
    other.start();
  }
  ~TwoDoors() { rig.shard(1).stop(); }
  TwoDoors(const TwoDoors&) = delete;
  TwoDoors& operator=(const TwoDoors&) = delete;

  std::size_t allocations(std::size_t shard) {
    return rig.shard(shard).stats().read().allocations_opened;
  }

  tests::TestCertificate certificate;
  net::TlsContext tls = net::TlsContext::load(certificate.certificate(), certificate.key()).value();
  ShardRig rig;

 private:
  std::unique_ptr<FrontDoor> second_;
};

class TlsShards : public ::testing::TestWithParam<int> {};
INSTANTIATE_TEST_SUITE_P(Versions, TlsShards, ::testing::Values(TLS1_2_VERSION, TLS1_3_VERSION),
                         [](const auto& tested) {
                           return tested.param == TLS1_2_VERSION ? "Tls12" : "Tls13";
                         });

TEST_P(TlsShards, ASessionOfOneThreadResumesOnTheOther) {
  TwoDoors doors;
  const auto connect = [&](SSL_SESSION* resume) {
    auto client = std::make_unique<DoorTurnEnd>(doors.rig, turn::ClientTransport::tcp);
    client->tcp->start_tls({}, resume, GetParam());
    client->allocate();
    return client;
  };
  std::vector<std::unique_ptr<DoorTurnEnd>> clients;
  clients.push_back(connect(nullptr));
  EXPECT_EQ(SSL_session_reused(clients[0]->tcp->ssl()), 0);
  const SessionPtr ticket(SSL_get1_session(clients[0]->tcp->ssl()));
  const std::size_t first_shard = doors.allocations(0) == 1 ? 0 : 1;
  // The kernel gives a connection to either, by its port.
  while (clients.size() < 60 && doors.allocations(1 - first_shard) == 0) {
    clients.push_back(connect(ticket.get()));
    EXPECT_EQ(SSL_session_reused(clients.back()->tcp->ssl()), 1) << clients.size();
  }
  EXPECT_GT(doors.allocations(1 - first_shard), 0U);
  EXPECT_EQ(doors.allocations(0) + doors.allocations(1), clients.size());
  for (const auto& client : clients) EXPECT_TRUE(client->ask(stun::Method::refresh).ok());
}

TEST_P(TlsShards, ATicketOfTheCertificateBeforeMeansAFullHandshake) {
  TwoDoors doors;
  DoorTurnEnd before(doors.rig, turn::ClientTransport::tcp);
  before.tcp->start_tls({}, nullptr, GetParam());
  before.allocate();
  const SessionPtr ticket(SSL_get1_session(before.tcp->ssl()));
  const tests::TestCertificate fresh;
  doors.tls.replace(net::TlsContext::load(fresh.certificate(), fresh.key()).value());
  for (int i = 0; i < 8; ++i) {
    DoorTurnEnd after(doors.rig, turn::ClientTransport::tcp);
    after.tcp->start_tls({}, ticket.get(), GetParam());
    after.allocate();
    EXPECT_EQ(SSL_session_reused(after.tcp->ssl()), 0);
    EXPECT_NE(after.tcp->server_certificate(), before.tcp->server_certificate());
  }
  EXPECT_TRUE(before.ask(stun::Method::refresh).ok()) << "who was connected notices nothing";
}

}  // namespace
}  // namespace bedside::server::testing
