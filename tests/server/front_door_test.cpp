#include "server/front_door.h"

#include <gtest/gtest.h>

#include <cerrno>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "server/net/loop.h"
#include "stun/bytes.h"
#include "tests/net/loopback_client.h"
#include "tests/net/test_certificate.h"

namespace bedside::server {
namespace {

using std::chrono::milliseconds;
using tests::LoopbackClient;

constexpr std::string_view kStun("\x00\x03\x00\x00\x21\x12\xa4\x42", 8);

ListenerSpec spec(net::TlsMode tls, bool http = true, bool turn = true) {
  ListenerSpec result;
  result.endpoint = {stun::IpAddress::v4(127, 0, 0, 1), 0};
  result.name = "test";
  result.tls = tls;
  result.serves_plain_http = http;
  result.serves_https = http;
  result.serves_turn = turn;
  return result;
}

const net::TlsContext& tls() {
  static const tests::TestCertificate kCertificate;
  static const auto kTls = net::TlsContext::load(kCertificate.certificate(), kCertificate.key());
  return kTls.value();
}

// A front door with one listener and a note of everybody who came in.
class House {
 public:
  explicit House(const ListenerSpec& listener, const FrontDoorLimits& limits = {}) {
    auto opened = FrontDoor::open(loop, {&listener, 1}, &tls(), limits);
    EXPECT_TRUE(opened) << opened.error().message;
    door = std::move(*opened);
    door->start(
        [this](net::DetachedConnection c, const ListenerSpec&) { turn.push_back(std::move(c)); },
        [this](net::DetachedConnection c, const ListenerSpec&) { http.push_back(std::move(c)); });
  }
  stun::Endpoint endpoint() const { return door->listeners()[0].endpoint; }
  bool until(const std::function<bool()>& done) { return loop.run_until(done); }

  net::Loop loop;
  std::unique_ptr<FrontDoor> door;
  std::vector<net::DetachedConnection> turn;
  std::vector<net::DetachedConnection> http;
};

class EveryMode : public testing::TestWithParam<net::TlsMode> {
 protected:
  LoopbackClient client_of(const House& house) {
    LoopbackClient client(house.endpoint());
    if (GetParam() == net::TlsMode::on) client.start_tls();
    return client;
  }
};
INSTANTIATE_TEST_SUITE_P(Modes, EveryMode,
                         testing::Values(net::TlsMode::off, net::TlsMode::on,
                                         net::TlsMode::detect));

TEST_P(EveryMode, LetsTheFirstByteDecide) {
  House house(spec(GetParam()));
  LoopbackClient browser = client_of(house);
  LoopbackClient relayed = client_of(house);
  browser.send("GET / HTTP/1.1\r\n");
  relayed.send(kStun);
  ASSERT_TRUE(house.until([&] {
    browser.pump();
    relayed.pump();
    return house.http.size() == 1 && house.turn.size() == 1;
  }));
  EXPECT_EQ(stun::as_text(house.http[0].early), "GET / HTTP/1.1\r\n");
  EXPECT_EQ(stun::as_text(house.turn[0].early), kStun);
  EXPECT_EQ(house.http[0].tls(), GetParam() == net::TlsMode::on);
  EXPECT_EQ(house.http[0].local, house.endpoint());
  EXPECT_EQ(house.door->undecided(), 0U);
}

TEST_P(EveryMode, TakesTheFirstByteAlone) {
  House house(spec(GetParam()));
  LoopbackClient client = client_of(house);
  client.send("P");
  ASSERT_TRUE(house.until([&] { return client.pump(), house.http.size() == 1; }));
  EXPECT_EQ(stun::as_text(house.http[0].early), "P");
}

TEST(FrontDoor, LetsTheFirstByteDecideWhateverAlpnSays) {
  const std::string http = "\x08http/1.1";
  const std::string turn = "\x09stun.turn";
  const std::string h2 = "\x02h2";
  for (const std::string& offered : {std::string(), http, turn, h2, turn + http, h2 + turn}) {
    for (const std::string_view first : {std::string_view("GET / HTTP/1.1\r\n"), kStun}) {
      House house(spec(net::TlsMode::on));
      LoopbackClient client(house.endpoint());
      client.start_tls({offered.begin(), offered.end()});
      ASSERT_TRUE(house.until([&] { return client.handshake_done(); }));
      // One byte a record.
      for (const char& byte : first) client.send({&byte, 1});
      ASSERT_TRUE(house.until([&] {
        client.pump();
        return house.turn.size() + house.http.size() == 1;
      }));
      EXPECT_EQ(house.turn.size(), first == kStun ? 1U : 0U) << offered;
    }
  }
}

TEST_P(EveryMode, ClosesOnAFirstByteThatIsNeither) {
  for (const std::string& first : {std::string("\x04", 1), std::string("\x40"), std::string("\xff"),
                                   std::string(" GET"), std::string("1")}) {
    House house(spec(GetParam()));
    LoopbackClient client = client_of(house);
    client.send(first);
    ASSERT_TRUE(house.until([&] { return client.ended(); })) << first;
    EXPECT_EQ(house.door->counters().refused_first, 1U);
    EXPECT_TRUE(house.http.empty() && house.turn.empty());
  }
}

TEST(FrontDoor, DetectsTlsOnAPlainPort) {
  House house(spec(net::TlsMode::detect));
  LoopbackClient client(house.endpoint());
  client.start_tls();
  client.send(kStun);
  ASSERT_TRUE(house.until([&] { return client.pump(), house.turn.size() == 1; }));
  EXPECT_TRUE(house.turn[0].tls());
}

TEST(FrontDoor, ServesOnlyWhatTheListenerSays) {
  House turn_only(spec(net::TlsMode::off, false, true));
  LoopbackClient browser(turn_only.endpoint());
  browser.send("GET /");
  ASSERT_TRUE(turn_only.until([&] { return browser.ended(); }));
  House http_only(spec(net::TlsMode::off, true, false));
  LoopbackClient relayed(http_only.endpoint());
  relayed.send(kStun);
  ASSERT_TRUE(http_only.until([&] { return relayed.ended(); }));
  EXPECT_TRUE(turn_only.http.empty());
  EXPECT_TRUE(http_only.turn.empty());
}

TEST_P(EveryMode, ClosesASilentClient) {
  FrontDoorLimits limits;
  limits.handshake = milliseconds(20);
  limits.first_byte = milliseconds(20);
  House house(spec(GetParam()), limits);
  LoopbackClient client(house.endpoint());
  ASSERT_TRUE(house.until([&] { return client.ended(); }));
  EXPECT_EQ(house.door->counters().refused_overdue, 1U);
  EXPECT_EQ(house.door->undecided(), 0U);
}

TEST(FrontDoor, ClosesAClientThatIsSilentAfterItsHandshake) {
  FrontDoorLimits limits;
  limits.first_byte = milliseconds(20);
  House house(spec(net::TlsMode::on), limits);
  LoopbackClient client(house.endpoint());
  client.start_tls();
  ASSERT_TRUE(house.until([&] { return client.ended(); }));
  EXPECT_TRUE(client.handshake_done());
  EXPECT_EQ(house.door->counters().refused_overdue, 1U);
}

TEST(FrontDoor, ClosesAHandshakeThatStallsThoughBytesDrip) {
  FrontDoorLimits limits;
  limits.handshake = milliseconds(30);
  for (const net::TlsMode mode : {net::TlsMode::on, net::TlsMode::detect}) {
    House house(spec(mode), limits);
    LoopbackClient client(house.endpoint());
    client.send(
        std::string("\x16\x03\x01\x40\x00\x01\x00\x3f\xfc\x03\x03", 11));  // of a long hello
    ASSERT_TRUE(house.until([&] {
      if (client.ended()) return true;
      client.send(std::string(1, '\0'));
      return false;
    }));
    EXPECT_EQ(house.door->counters().refused_overdue, 1U);
  }
}

TEST(FrontDoor, OneStalledHandshakeHoldsUpNobody) {
  House house(spec(net::TlsMode::on));
  LoopbackClient stalled(house.endpoint());
  stalled.send("\x16");
  LoopbackClient client(house.endpoint());
  client.start_tls();
  client.send("GET");
  EXPECT_TRUE(house.until([&] { return client.pump(), house.http.size() == 1; }));
  EXPECT_EQ(house.door->undecided(), 1U);
}

TEST(FrontDoor, CountsGarbageInsteadOfTlsAsBroken) {
  House house(spec(net::TlsMode::on));
  LoopbackClient client(house.endpoint());
  client.send("GET / HTTP/1.1\r\n\r\n");
  ASSERT_TRUE(house.until([&] { return client.ended(); }));
  EXPECT_EQ(house.door->counters().refused_broken, 1U);
}

TEST(FrontDoor, ClosesTheOldestUndecidedOfASourceThatHasTooMany) {
  FrontDoorLimits limits;
  limits.undecided_per_source = 3;
  House house(spec(net::TlsMode::off), limits);
  std::vector<std::unique_ptr<LoopbackClient>> silent;
  for (int i = 0; i < 3; ++i) silent.push_back(std::make_unique<LoopbackClient>(house.endpoint()));
  ASSERT_TRUE(house.until([&] { return house.door->undecided() == 3; }));
  LoopbackClient fourth(house.endpoint());
  ASSERT_TRUE(house.until([&] { return silent[0]->ended(); }));
  EXPECT_EQ(house.door->counters().refused_limit, 1U);
  EXPECT_EQ(house.door->undecided(), 3U);
  EXPECT_FALSE(silent[1]->ended());
  fourth.send("GET");
  ASSERT_TRUE(house.until([&] { return house.http.size() == 1; })) << "the newcomer is served";
  // The decided and the gone do not count.
  silent[1]->close();
  ASSERT_TRUE(house.until([&] { return house.door->undecided() == 1; }));
  LoopbackClient fifth(house.endpoint());
  fifth.send(kStun);
  EXPECT_TRUE(house.until([&] { return house.turn.size() == 1; }));
  EXPECT_FALSE(silent[2]->ended());
  EXPECT_EQ(house.door->counters().refused_limit, 1U);
}

TEST(FrontDoor, ClosesTheOldestUndecidedOfAllWhenThereAreTooMany) {
  FrontDoorLimits limits;
  limits.undecided = 2;
  House house(spec(net::TlsMode::off), limits);
  LoopbackClient first(house.endpoint());
  ASSERT_TRUE(house.until([&] { return house.door->undecided() == 1; }));
  LoopbackClient second(house.endpoint());
  ASSERT_TRUE(house.until([&] { return house.door->undecided() == 2; }));
  LoopbackClient third(house.endpoint());
  ASSERT_TRUE(house.until([&] { return first.ended(); }));
  EXPECT_EQ(house.door->undecided(), 2U);
  EXPECT_EQ(house.door->counters().refused_limit, 1U);
  third.send("GET");
  EXPECT_TRUE(house.until([&] { return house.http.size() == 1; })) << "the newcomer is served";
  EXPECT_FALSE(second.ended());
}

TEST(FrontDoor, StopsWithoutTouchingTheDecided) {
  House house(spec(net::TlsMode::off));
  LoopbackClient decided(house.endpoint());
  decided.send("GET");
  LoopbackClient silent(house.endpoint());
  ASSERT_TRUE(house.until([&] { return house.http.size() == 1 && house.door->undecided() == 1; }));
  house.door->stop();
  EXPECT_TRUE(house.until([&] { return silent.ended(); }));
  EXPECT_FALSE(decided.ended());
}

TEST(FrontDoor, SharesItsPortsWithTheOtherShards) {
  House house(spec(net::TlsMode::off));
  ListenerSpec same = spec(net::TlsMode::off);
  same.endpoint = house.endpoint();
  EXPECT_TRUE(FrontDoor::open(house.loop, {&same, 1}, nullptr, {}, false));
}

TEST(FrontDoor, NamesThePortThatIsInUse) {
  House house(spec(net::TlsMode::off));
  const std::vector<ListenerSpec> specs = {spec(net::TlsMode::off), [&] {
                                             ListenerSpec taken = spec(net::TlsMode::off);
                                             taken.endpoint = house.endpoint();
                                             return taken;
                                           }()};
  net::Loop loop;
  const auto refused = FrontDoor::open(loop, specs, nullptr);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, EADDRINUSE);
  EXPECT_NE(refused.error().message.find("tcp " + house.endpoint().to_string()), std::string::npos);
  EXPECT_NE(refused.error().message.find("in use by another process"), std::string::npos);
  EXPECT_NE(refused.error().message.find("configure another port"), std::string::npos);
}

TEST(FrontDoor, WantsACertificateForTls) {
  net::Loop loop;
  const ListenerSpec secure = spec(net::TlsMode::on);
  const auto refused = FrontDoor::open(loop, {&secure, 1}, nullptr);
  ASSERT_FALSE(refused);
  EXPECT_NE(refused.error().message.find("no certificate"), std::string::npos);
}

}  // namespace
}  // namespace bedside::server
