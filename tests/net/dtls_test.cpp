#include "server/net/dtls.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "server/net/loop.h"
#include "stun/bytes.h"
#include "tests/net/dtls_client.h"
#include "tests/net/test_certificate.h"

namespace bedside::net {
namespace {

using namespace std::chrono_literals;
using tests::DtlsTestClient;

const DtlsContext& context() {
  static const tests::TestCertificate kCertificate;
  static const auto kContext = DtlsContext::load(kCertificate.certificate(), kCertificate.key());
  return kContext.value();
}

// One gate on one socket, and the association of whoever gets through last.
class Server final : public DtlsAssociation::Handler {
 public:
  explicit Server(const DtlsContext& shown = context()) : gate_(shown, outgoing_) {
    socket_.watch(loop, [this] { collect(); });
  }

  const stun::Endpoint& endpoint() const { return socket_.local(); }
  ~Server() { association.reset(); }  // says goodbye while there is something to say it with
  bool until(const std::function<bool()>& done) { return loop.run_until(done); }

  void on_secured(DtlsAssociation&) override { secured = true; }
  void on_message(DtlsAssociation& from, stun::Bytes payload) override {
    messages.emplace_back(payload.begin(), payload.end());
    if (messages.back() == "leave") return association.reset();
    from.write(payload);
  }
  void on_closed(DtlsAssociation&) override {
    ++closed;
    association.reset();
  }

  Loop loop;
  std::unique_ptr<DtlsAssociation> association;
  std::vector<std::string> messages;
  std::size_t datagrams = 0;
  std::size_t bytes_in = 0;
  std::uint64_t lose = 0;  // bit i set: the i-th datagram to us is lost
  bool secured = false;
  int closed = 0;

 private:
  void collect() {
    for (const Datagram& datagram : socket_.receive(received_)) {
      bytes_in += datagram.size;
      if (((lose >> datagrams++) & 1U) != 0) continue;
      if (association) {
        association->receive(datagram.payload());
      } else if (auto session =
                     gate_.knock({&socket_, datagram.from, datagram.to}, datagram.payload())) {
        association = std::make_unique<DtlsAssociation>(loop, std::move(*session), *this);
        association->receive({});
      }
    }
    outgoing_.flush();
  }

  UdpSocket socket_ = UdpSocket::bind({stun::IpAddress::v4(127, 0, 0, 1), 0}).value();
  ReceiveBatch received_;
  SendBatch outgoing_;
  DtlsGate gate_;
};

TEST(Dtls, CarriesMessagesAsDatagramsAndSaysGoodbye) {
  Server server;
  DtlsTestClient client(server.endpoint());
  client.send("one");
  client.send(std::string(1200, 'x'));
  ASSERT_TRUE(server.until([&] { return client.pump().received().size() == 2; }));
  EXPECT_EQ(client.received()[0], "one");
  EXPECT_EQ(client.received()[1], std::string(1200, 'x'));
  EXPECT_EQ(client.version(), "DTLSv1.2");
  server.association.reset();
  EXPECT_TRUE(server.until([&] { return client.pump().ended(); })) << "close_notify";
}

TEST(Dtls, HearsTheClientsGoodbye) {
  Server server;
  DtlsTestClient client(server.endpoint());
  ASSERT_TRUE(server.until([&] { return client.pump().secured() && server.secured; }));
  client.say_goodbye();
  ASSERT_TRUE(server.until([&] { return server.closed == 1; }));
  EXPECT_TRUE(server.until([&] { return client.pump().ended(); }));
}

TEST(Dtls, MayBeDestroyedByWhatItDelivers) {
  Server server;
  DtlsTestClient client(server.endpoint());
  client.send("leave");
  EXPECT_TRUE(server.until([&] { return client.pump().ended(); }));
  EXPECT_EQ(server.messages.size(), 1U);
}

TEST(Dtls, AnAnswerToAStrangerIsSmallerThanItsQuestion) {
  Server server;
  DtlsTestClient client(server.endpoint());
  client.stop_after_first_flight();
  ASSERT_TRUE(server.until([&] { return client.pump().bytes_in() > 0; }));
  EXPECT_EQ(client.bytes_in(), 44U) << "HelloVerifyRequest";
  EXPECT_LT(client.bytes_in(), server.bytes_in);
  EXPECT_EQ(server.association, nullptr) << "nothing is kept before the cookie comes back";
}

TEST(Dtls, ACookieIsGoodForItsOwnAddressOnly) {
  Server server;
  DtlsTestClient client(server.endpoint());
  ASSERT_TRUE(server.until([&] { return client.pump().secured(); }));
  server.association.reset();
  server.secured = false;
  // The second ClientHello, with its cookie, from another port: as if nobody had shown one.
  UdpSocket thief = UdpSocket::bind({stun::IpAddress::v4(127, 0, 0, 1), 0}).value();
  SendBatch outgoing;
  outgoing.add(thief, server.endpoint(), client.sent_datagram(1));
  outgoing.flush();
  ReceiveBatch received;
  std::size_t answer = 0;
  ASSERT_TRUE(server.until([&] {
    for (const Datagram& datagram : thief.receive(received)) answer = datagram.size;
    return answer > 0;
  }));
  EXPECT_EQ(answer, 44U);
  EXPECT_EQ(server.association, nullptr);
}

TEST(Dtls, RepeatsWhatIsLost) {
  for (const std::uint64_t lost : {0b1ULL, 0b10ULL, 0b100ULL}) {
    Server server;
    server.lose = lost;
    DtlsTestClient client(server.endpoint());
    client.send("after all");
    EXPECT_TRUE(server.until([&] { return client.pump().received().size() == 1; })) << lost;
  }
}

TEST(Dtls, RepeatsItsOwnFlightByTimer) {
  Server server;
  DtlsTestClient client(server.endpoint());
  client.lose_second_answer();  // ServerHello and all that comes with it
  client.never_repeat();
  client.send("after all");
  EXPECT_TRUE(server.until([&] { return client.pump().received().size() == 1; }));
}

TEST(Dtls, IsUnmovedByGarbage) {
  Server server;
  UdpSocket stranger = UdpSocket::bind({stun::IpAddress::v4(127, 0, 0, 1), 0}).value();
  SendBatch outgoing;
  std::vector<std::string> noise{"\x16", std::string(13, '\x16'), std::string(60, '\x16')};
  std::string hello = std::string("\x16\xfe\xfd\0\0\0\0\0\0\0\0\0\x40\x01\0\0\x34", 17);
  noise.push_back(hello + std::string(60, '\xff'));  // a ClientHello that makes no sense
  for (const std::string& bytes : noise) {
    outgoing.add(stranger, server.endpoint(), stun::as_bytes(bytes));
  }
  outgoing.flush();
  ASSERT_TRUE(server.until([&] { return server.datagrams == noise.size(); }));
  EXPECT_EQ(server.association, nullptr);
  DtlsTestClient client(server.endpoint());
  client.send("still there");
  EXPECT_TRUE(server.until([&] { return client.pump().received().size() == 1; }));
}

TEST(Dtls, RefusesOlderVersions) {
  Server server;
  DtlsTestClient client(server.endpoint(), DtlsTestClient::Version::dtls10);
  EXPECT_TRUE(server.until([&] { return client.pump().failed(); }));
  EXPECT_FALSE(server.secured);
}

TEST(Dtls, AReplacedCertificateIsShownToNewClientsAndTouchesNobodyElse) {
  const tests::TestCertificate before;
  const tests::TestCertificate after;
  DtlsContext changing = DtlsContext::load(before.certificate(), before.key()).value();
  Server server(changing);
  DtlsTestClient old(server.endpoint());
  ASSERT_TRUE(server.until([&] { return old.pump().secured() && server.secured; }));
  changing.replace(DtlsContext::load(after.certificate(), after.key()).value());
  old.send("still here");
  ASSERT_TRUE(server.until([&] { return !old.pump().received().empty(); }));
  server.association.reset();

  DtlsTestClient fresh(server.endpoint());
  ASSERT_TRUE(server.until([&] { return fresh.pump().secured(); }));
  EXPECT_NE(fresh.server_certificate(), old.server_certificate());
}

TEST(Dtls, ACookieOutlivesTheCertificate) {
  const tests::TestCertificate before;
  const tests::TestCertificate after;
  DtlsContext changing = DtlsContext::load(before.certificate(), before.key()).value();
  Server server(changing);
  DtlsTestClient client(server.endpoint());
  client.never_repeat();
  client.pump();
  ASSERT_TRUE(server.until([&] { return server.datagrams == 1; }));  // and the cookie is out
  changing.replace(DtlsContext::load(after.certificate(), after.key()).value());
  EXPECT_TRUE(server.until([&] { return client.pump().secured(); }));
  EXPECT_EQ(server.datagrams, 3U) << "a ClientHello without and one with the cookie, then the rest";
}

TEST(Dtls, NamesACertificateThatCannotBeRead) {
  const auto refused = DtlsContext::load("/nowhere/certificate.pem", "/nowhere/key.pem");
  ASSERT_FALSE(refused);
  EXPECT_NE(refused.error().find("/nowhere/certificate.pem"), std::string::npos);
}

}  // namespace
}  // namespace bedside::net
