#include <gtest/gtest.h>

#include <cerrno>
#include <string>
#include <vector>

#include "server/net/loop.h"
#include "server/net/udp_batch.h"
#include "server/net/udp_socket.h"
#include "stun/bytes.h"

namespace bedside::net {
namespace {

stun::Endpoint any_port(const char* address) { return {*stun::IpAddress::parse(address), 0}; }

UdpSocket bound(const stun::Endpoint& endpoint, const UdpOptions& options = {}) {
  auto socket = UdpSocket::bind(endpoint, options);
  EXPECT_TRUE(socket) << socket.error().message;
  return std::move(*socket);
}

// Receives until `count` datagrams came; loopback delivers at once, so nothing waits here.
std::vector<std::string> receive(UdpSocket& socket, std::size_t count) {
  ReceiveBatch batch;
  std::vector<std::string> texts;
  for (int round = 0; round < 100 && texts.size() < count; ++round) {
    for (const Datagram& datagram : socket.receive(batch)) {
      texts.emplace_back(stun::as_text(datagram.payload()));
    }
  }
  return texts;
}

class UdpOfBothFamilies : public testing::TestWithParam<const char*> {};
INSTANTIATE_TEST_SUITE_P(Loopback, UdpOfBothFamilies, testing::Values("127.0.0.1", "::1"));

TEST_P(UdpOfBothFamilies, CarriesDatagramsWithTheirAddresses) {
  UdpSocket server = bound(any_port(GetParam()));
  UdpSocket client = bound(any_port(GetParam()));
  EXPECT_NE(server.local().port, 0);
  SendBatch out;
  out.add(client, server.local(), stun::as_bytes("hello"));
  out.flush();
  ReceiveBatch batch;
  const auto datagrams = server.receive(batch);
  ASSERT_EQ(datagrams.size(), 1U);
  EXPECT_EQ(datagrams[0].from, client.local());
  EXPECT_EQ(datagrams[0].to, server.local());
  EXPECT_EQ(stun::as_text(datagrams[0].payload()), "hello");
  EXPECT_EQ(datagrams[0].offset, kUdpHeadroom);
  EXPECT_GE(datagrams[0].buffer.size(), kUdpHeadroom + kUdpPayload + 8);
  EXPECT_TRUE(server.receive(batch).empty());
}

TEST_P(UdpOfBothFamilies, AnswersFromTheAddressTheClientWroteTo) {
  const bool v4 = std::string_view(GetParam()) == "127.0.0.1";
  UdpSocket server = bound(any_port(v4 ? "0.0.0.0" : "::"));
  UdpSocket client = bound(any_port(GetParam()));
  ASSERT_TRUE(server.wildcard());
  // All of 127/8 is ours: the kernel's own choice would be 127.0.0.1, whatever was written to.
  const stun::IpAddress written_to = *stun::IpAddress::parse(v4 ? "127.9.8.7" : "::1");
  SendBatch out;
  out.add(client, {written_to, server.local().port}, stun::as_bytes("ask"));
  out.flush();
  ReceiveBatch batch;
  const auto asked = server.receive(batch);
  ASSERT_EQ(asked.size(), 1U);
  EXPECT_EQ(asked[0].to.address, written_to);
  EXPECT_EQ(asked[0].to.port, server.local().port);
  out.add(server, asked[0].from, stun::as_bytes("answer"), &asked[0].to.address);
  out.flush();
  const auto answered = client.receive(batch);
  ASSERT_EQ(answered.size(), 1U);
  EXPECT_EQ(answered[0].from.address, written_to);
}

TEST(Udp, SendsManyInOrderAcrossSocketsAndFullBatches) {
  UdpSocket server = bound(any_port("127.0.0.1"));
  UdpSocket a = bound(any_port("127.0.0.1"));
  UdpSocket b = bound(any_port("127.0.0.1"));
  SendBatch out;
  constexpr int kRounds = 80;  // more than two batches
  for (int i = 0; i < kRounds; ++i) {
    const std::string text = std::to_string(i);
    out.add_copy(a, server.local(), stun::as_bytes("a" + text));
    out.add_copy(b, server.local(), stun::as_bytes("b" + text));
  }
  out.flush();
  EXPECT_EQ(out.counters().sent, 2U * kRounds);
  const auto texts = receive(server, std::size_t{2} * kRounds);
  ASSERT_EQ(texts.size(), 2U * kRounds);
  for (const char sender : {'a', 'b'}) {
    int next = 0;
    for (const std::string& text : texts) {
      if (text[0] != sender) continue;
      EXPECT_EQ(text.substr(1), std::to_string(next++));
    }
  }
}

TEST(Udp, DropsTruncatedDatagramsAndCountsThem) {
  UdpSocket server = bound(any_port("127.0.0.1"));
  UdpSocket client = bound(any_port("127.0.0.1"));
  const std::string fits(kUdpPayload, 'x');
  const std::string too_long(kUdpPayload + 1, 'x');
  SendBatch out;
  out.add(client, server.local(), stun::as_bytes(too_long));
  out.add(client, server.local(), stun::as_bytes(fits));
  out.flush();
  ReceiveBatch batch;
  const auto datagrams = server.receive(batch);
  ASSERT_EQ(datagrams.size(), 1U);
  EXPECT_EQ(datagrams[0].size, kUdpPayload);
  EXPECT_EQ(batch.dropped_truncated(), 1U);
}

TEST(Udp, ReceivesEmptyDatagrams) {
  UdpSocket server = bound(any_port("127.0.0.1"));
  UdpSocket client = bound(any_port("127.0.0.1"));
  SendBatch out;
  out.add(client, server.local(), {});
  out.flush();
  ReceiveBatch batch;
  const auto datagrams = server.receive(batch);
  ASSERT_EQ(datagrams.size(), 1U);
  EXPECT_EQ(datagrams[0].size, 0U);
}

TEST(Udp, GoesOnAfterADatagramThatCannotBeSent) {
  UdpSocket server = bound(any_port("127.0.0.1"));
  UdpSocket client = bound(any_port("127.0.0.1"));
  SendBatch out;
  const std::string huge(65'508, 'x');  // one byte more than UDP over IPv4 carries
  out.add(client, server.local(), stun::as_bytes("before"));
  out.add(client, server.local(), stun::as_bytes(huge));
  out.add(client, any_port("127.0.0.1"), stun::as_bytes("to port 0"));
  out.add(client, any_port("::1"), stun::as_bytes("the other family"));
  out.add(client, server.local(), stun::as_bytes("after"));
  out.flush();
  EXPECT_EQ(receive(server, 2), (std::vector<std::string>{"before", "after"}));
  EXPECT_EQ(out.counters().sent, 2U);
  EXPECT_EQ(out.counters().dropped_error, 3U);
  EXPECT_TRUE(out.empty());
}

TEST(Udp, DropsWhatTheKernelHasNoRoomFor) {
  UdpOptions small;
  small.send_buffer = 4608;  // about the least Linux grants
  UdpSocket client = bound(any_port("127.0.0.1"), small);
  UdpSocket server = bound(any_port("127.0.0.1"), small);
  SendBatch out;
  const std::string big(2000, 'x');
  for (int i = 0; i < 64; ++i) out.add(client, server.local(), stun::as_bytes(big));
  out.flush();
  const SendCounters& counters = out.counters();
  EXPECT_EQ(counters.sent + counters.dropped_would_block, 64U);
  EXPECT_EQ(counters.dropped_error, 0U);
}

TEST(Udp, RefusesToCopyWhatFitsNoDatagramOfOurs) {
  UdpSocket client = bound(any_port("127.0.0.1"));
  SendBatch out;
  const std::string huge(kUdpPayload + kUdpHeadroom + 1, 'x');
  out.add_copy(client, client.local(), stun::as_bytes(huge));
  EXPECT_TRUE(out.empty());
  EXPECT_EQ(out.counters().dropped_error, 1U);
}

TEST(Udp, SpreadsOneEndpointOverSocketsOfOneProcess) {
  UdpOptions first;
  first.reuse_port = true;
  UdpSocket one = bound(any_port("127.0.0.1"), first);
  UdpOptions second = first;
  second.first = false;
  UdpSocket two = bound(one.local(), second);
  EXPECT_EQ(one.local(), two.local());
}

TEST(Udp, NamesTheEndpointThatIsTaken) {
  UdpOptions shared;
  shared.reuse_port = true;
  const UdpSocket taken = bound(any_port("127.0.0.1"), shared);
  // Another server of the same user could share it; the first socket of a process does not want to.
  const auto refused = UdpSocket::bind(taken.local(), shared);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, EADDRINUSE);
  EXPECT_NE(refused.error().message.find("udp " + taken.local().to_string()), std::string::npos);
  EXPECT_NE(refused.error().message.find("another port"), std::string::npos);
}

TEST(Udp, SaysWhenTheAddressIsNotOurs) {
  const auto refused = UdpSocket::bind(any_port("192.0.2.1"));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, EADDRNOTAVAIL);
  EXPECT_NE(refused.error().message.find("192.0.2.1"), std::string::npos);
}

TEST(Udp, CallsBackOnItsLoop) {
  Loop loop;
  UdpSocket server = bound(any_port("127.0.0.1"));
  UdpSocket client = bound(any_port("127.0.0.1"));
  ReceiveBatch batch;
  std::size_t received = 0;
  server.watch(loop, [&] { received += server.receive(batch).size(); });
  SendBatch out;
  for (int i = 0; i < 100; ++i) out.add_copy(client, server.local(), stun::as_bytes("x"));
  out.flush();
  EXPECT_TRUE(loop.run_until([&] { return received == 100; }));
}

}  // namespace
}  // namespace bedside::net
