// The real binary on one number: pages, WebSockets, long polls and TURN over TLS on its TCP port,
// STUN and TURN on its UDP port; and a new certificate that nobody who is connected notices.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <csignal>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "server/self_signed.h"
#include "tests/bench/turn_session.h"
#include "tests/net/dtls_client.h"
#include "tests/net/websocket_frames.h"
#include "tests/server/bedside_process.h"
#include "tests/server/wire_client.h"
#include "tests/support/turn_wire.h"

namespace bedside::server {
namespace {

using Json = nlohmann::json;
using ::testing::ElementsAreArray;

class OnePort : public testing::Test {
 protected:
  OnePort() {
    make_certificate();
    write_config("");
    process_.emplace(std::vector<std::string>{"serve", "--config", config().string()});
    EXPECT_TRUE(process_->wait_for_output("Bedside is running"));
  }
  std::filesystem::path config() const { return folder_.path() / "bedside.toml"; }
  void write_config(const std::string& turn) const {
    const auto at = [](std::uint16_t port) { return "\"127.0.0.1:" + std::to_string(port) + "\""; };
    folder_.write(
        "bedside.toml",
        "data_dir = \"data\"\npublic_host = \"localhost\"\n[https]\nlisten = " + at(port_) +
            "\ncertificate = \"chain.pem\"\nprivate_key = \"key.pem\"\n" +
            "[http]\nlisten = []\n[turn]\nlisten = [" + at(other_) + ", " + at(port_) +
            "]\nthreads = 2\n" + turn +
            "[[turn.user]]\nname = \"desk\"\npassword = \"desk-password\"\n" +
            "[operator]\nlisten = " + at(operator_) + "\n[signaling]\naccess = \"open\"\n",
        0600);
  }
  // A fresh pair, each file put in place whole.
  void make_certificate() const {
    const CertificateFiles made{folder_.path() / "new-chain.pem", folder_.path() / "new-key.pem"};
    const auto now = std::chrono::duration_cast<std::chrono::seconds>(
        std::chrono::system_clock::now().time_since_epoch());
    EXPECT_TRUE(ensure_self_signed(made, now));
    std::filesystem::rename(made.certificate, folder_.path() / "chain.pem");
    std::filesystem::rename(made.private_key, folder_.path() / "key.pem");
  }
  // SIGHUP, and what it said until it was done.
  void hang_up() {
    process_->signal(SIGHUP);
    EXPECT_TRUE(process_->wait_for_next_errors("configuration read again"));
  }

  WireAnswer post(const Json& body) {
    WireClient client(port_, Over::tls);
    const std::string text = body.dump();
    return client.ask("POST /api/webrtc-signaling HTTP/1.1\r\nHost: localhost\r\nContent-Length: " +
                      std::to_string(text.size()) + "\r\n\r\n" + text);
  }
  std::vector<std::string> advertised() {
    const Json joined = Json::parse(
        post({{"action", "join-room"}, {"roomId", "appointment-1"}, {"participantName", "Ann"}})
            .body);
    std::vector<std::string> urls;
    for (const Json& entry : joined["iceServers"]) {
      for (const Json& url : entry["urls"]) urls.push_back(url.get<std::string>());
    }
    return urls;
  }
  stun::Endpoint udp() const { return {stun::IpAddress::v4(127, 0, 0, 1), port_}; }

  static std::string binding() {
    const auto request =
        turn::testing::Signer("", "", "").request(stun::Method::binding, {}, {}, false);
    return {request.begin(), request.end()};
  }

  ScratchFolder folder_;
  std::uint16_t port_ = free_port();
  std::uint16_t other_ = free_port();
  std::uint16_t operator_ = free_port();
  std::optional<BedsideProcess> process_;
};

TEST_F(OnePort, CarriesPagesSocketsPollsAndTurnOverTlsAndTheSameNumberCarriesUdp) {
  WireClient page(port_, Over::tls);
  EXPECT_EQ(page.ask("GET /telehealth-webrtc.html HTTP/1.1\r\nHost: localhost\r\n\r\n").status,
            200);
  WireClient socket(port_, Over::tls);
  EXPECT_EQ(socket
                .ask("GET /api/webrtc-ws HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\n"
                     "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
                     "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n")
                .status,
            101);
  EXPECT_EQ(post({{"action", "create-room"}, {"appointmentId", 1}}).status, 200);
  EXPECT_EQ(post({{"action", "poll"}, {"roomId", "appointment-1"}, {"participantId", "x"}}).status,
            403);
  // TURN over TLS, whatever ALPN says, one byte a record.
  for (const Over over : {Over::tls, Over::tls_with_turn_alpn}) {
    WireClient turn(port_, over);
    turn.send_byte_by_byte(binding());
    EXPECT_TRUE(turn.until([&] { return turn.received().size() >= 32; }));
    EXPECT_EQ(turn.received().substr(0, 2), "\x01\x01");
  }
  bench::TurnSession session(udp(), {"desk", "desk-password"});
  EXPECT_NO_THROW(session.probe());
  EXPECT_NO_THROW(session.allocate());

  const std::string one = std::to_string(port_);
  const std::string two = std::to_string(other_);
  EXPECT_THAT(advertised(),
              ElementsAreArray({"stun:127.0.0.1:" + two, "turn:127.0.0.1:" + two + "?transport=udp",
                                "turn:127.0.0.1:" + one + "?transport=udp",
                                "turn:127.0.0.1:" + two + "?transport=tcp",
                                "turns:localhost:" + one + "?transport=tcp"}));
  write_config("external_ip = [\"9.8.7.6\"]\n");
  hang_up();
  EXPECT_THAT(advertised(),
              ElementsAreArray({"stun:9.8.7.6:" + two, "turn:9.8.7.6:" + two + "?transport=udp",
                                "turn:9.8.7.6:" + one + "?transport=udp",
                                "turn:9.8.7.6:" + two + "?transport=tcp",
                                "turns:localhost:" + one + "?transport=tcp"}));
}

TEST_F(OnePort, AHangUpTakesANewCertificateAtOnceAndNoSessionNotices) {
  const std::string ask = "GET /nothing HTTP/1.1\r\nHost: localhost\r\n\r\n";
  WireClient page(port_, Over::tls);
  WireClient turn(port_, Over::tls);
  EXPECT_EQ(page.ask(ask).status, 404);
  turn.send(binding());
  EXPECT_TRUE(turn.until([&] { return turn.take_received().size() >= 32; }));
  tests::DtlsTestClient dtls(udp());
  const auto pumped = [&](tests::DtlsTestClient& client, auto done) {
    return page.until([&] { return client.pump(), done(); });
  };
  EXPECT_TRUE(pumped(dtls, [&] { return dtls.secured(); }));
  // The look at the files every two seconds may be first once, hardly three times.
  for (int round = 0; round < 3; ++round) {
    const std::string before = WireClient(port_, Over::tls).server_certificate();
    make_certificate();
    process_->signal(SIGHUP);
    ASSERT_TRUE(process_->wait_for_next_errors("the certificate was renewed"));
    ASSERT_TRUE(process_->wait_for_next_errors("configuration read again"));
    const std::string now = WireClient(port_, Over::tls).server_certificate();
    EXPECT_NE(now, before);
    EXPECT_EQ(WireClient(other_, Over::tls).server_certificate(), now) << "on every port";
    tests::DtlsTestClient fresh(udp());
    EXPECT_TRUE(pumped(fresh, [&] { return fresh.secured(); }));
    EXPECT_EQ(fresh.server_certificate(), now) << "and for DTLS";

    EXPECT_EQ(page.ask(ask).status, 404);
    turn.send(binding());
    EXPECT_TRUE(turn.until([&] { return turn.take_received().size() >= 32; }));
    dtls.send(binding());
    EXPECT_TRUE(pumped(dtls, [&] { return !dtls.take_received().empty(); }));
  }
  process_->signal(SIGTERM);
  EXPECT_EQ(process_->wait().exit_code, 0);
}

}  // namespace
}  // namespace bedside::server
