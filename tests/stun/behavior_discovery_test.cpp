#include "stun/behavior_discovery.h"

#include <gtest/gtest.h>

#include <array>
#include <vector>

#include "stun/message_writer.h"

namespace bedside::stun {
namespace {

const Endpoint kClient = *Endpoint::parse("192.0.2.7:50000");
const IpAddress kA = *IpAddress::parse("198.51.100.1");
const IpAddress kB = *IpAddress::parse("198.51.100.2");
const DiscoveryAddresses kFour{{kA, kB}, {3478, 3479}};

// Bits of CHANGE-REQUEST (RFC 5780 §7.2).
constexpr std::uint32_t kChangeAddress = 4;
constexpr std::uint32_t kChangePort = 2;

class BehaviorDiscovery : public testing::Test {
 protected:
  template <typename Fill>
  DiscoveryAnswer ask(Fill fill, const Endpoint& server = {kA, 3478}, bool datagram = true,
                      const Endpoint& source = kClient,
                      const DiscoveryAddresses& addresses = kFour) {
    MessageWriter writer(request_, Class::request, Method::binding, TransactionId{1, 2, 3});
    fill(writer);
    sent_ = writer.finish();
    const auto request = MessageView::parse(sent_);
    EXPECT_TRUE(request);
    return answer_discovery(*request, source, server, datagram, addresses, reply_);
  }
  // 0: success
  static int code(const DiscoveryAnswer& answer) {
    const auto message = MessageView::parse(answer.bytes);
    if (!message) return -1;
    const auto error = message->error_code();
    return error ? error->code : 0;
  }
  static std::vector<std::uint8_t> value(const DiscoveryAnswer& answer, Attribute type) {
    const auto message = MessageView::parse(answer.bytes);
    const auto found = message ? message->find(type) : std::nullopt;
    if (!found) return {};
    return {found->value.begin(), found->value.end()};
  }
  static std::vector<std::uint8_t> plain(const Endpoint& endpoint) {
    std::vector<std::uint8_t> bytes{0, std::uint8_t(endpoint.address.is_v4() ? 1 : 2),
                                    std::uint8_t(endpoint.port >> 8U), std::uint8_t(endpoint.port)};
    const Bytes address = endpoint.address.bytes();
    bytes.insert(bytes.end(), address.begin(), address.end());
    return bytes;
  }

  std::array<std::uint8_t, 2048> request_{};
  std::array<std::uint8_t, 2048> reply_{};
  Bytes sent_;
};

const auto kPlain = [](MessageWriter&) {};
auto change(std::uint32_t flags) {
  return [flags](MessageWriter& writer) { writer.add_u32(Attribute::change_request, flags); };
}
auto response_port(std::uint16_t port) {
  return [port](MessageWriter& writer) {
    writer.add_u32(Attribute::response_port, std::uint32_t{port} << 16U);
  };
}
auto padding(std::size_t size) {
  return [size](MessageWriter& writer) {
    writer.add_bytes(Attribute::padding, std::vector<std::uint8_t>(size, 0xAA));
  };
}

TEST_F(BehaviorDiscovery, tells_where_the_answer_comes_from_and_what_else_there_is) {
  const DiscoveryAnswer answer = ask(kPlain);
  EXPECT_EQ(answer.bytes.size(), 68U);
  EXPECT_EQ(answer.from, (Endpoint{kA, 3478}));
  EXPECT_EQ(answer.to, kClient);
  const auto message = MessageView::parse(answer.bytes);
  ASSERT_TRUE(message);
  EXPECT_EQ(message->xor_address(Attribute::xor_mapped_address), kClient);
  EXPECT_EQ(value(answer, Attribute::mapped_address), plain(kClient)) << "both: RFC 5780 §6.1";
  EXPECT_EQ(value(answer, Attribute::response_origin), plain({kA, 3478}));
  EXPECT_EQ(value(answer, Attribute::other_address), plain({kB, 3479}));
}

TEST_F(BehaviorDiscovery, speaks_ipv6) {
  const DiscoveryAddresses four{
      {*IpAddress::parse("2001:db8::1"), *IpAddress::parse("2001:db8::2")}, {3478, 3479}};
  const DiscoveryAnswer answer =
      ask(kPlain, {four.addresses[1], 3479}, true, *Endpoint::parse("[2001:db8::7]:50000"), four);
  EXPECT_EQ(answer.bytes.size(), 116U);
  EXPECT_EQ(value(answer, Attribute::response_origin), plain({four.addresses[1], 3479}));
  EXPECT_EQ(value(answer, Attribute::mapped_address),
            plain(*Endpoint::parse("[2001:db8::7]:50000")));
  EXPECT_EQ(value(answer, Attribute::other_address), plain({four.addresses[0], 3478}));
}

TEST_F(BehaviorDiscovery, every_change_from_every_address_leaves_from_the_right_one) {
  for (const IpAddress& address : kFour.addresses) {
    for (const std::uint16_t port : kFour.ports) {
      for (const std::uint32_t flags : {0U, kChangePort, kChangeAddress, 6U}) {
        const DiscoveryAnswer answer = ask(change(flags), {address, port});
        const Endpoint wanted{
            (flags & kChangeAddress) != 0 ? (address == kA ? kB : kA) : address,
            std::uint16_t((flags & kChangePort) != 0 ? 3478 + 3479 - port : port)};
        EXPECT_EQ(answer.from, wanted) << flags;
        EXPECT_EQ(answer.to, kClient);
        EXPECT_EQ(value(answer, Attribute::response_origin), plain(wanted));
        // What "change both" would use, whatever was asked for now.
        EXPECT_EQ(value(answer, Attribute::other_address),
                  plain({address == kA ? kB : kA, std::uint16_t(3478 + 3479 - port)}));
      }
    }
  }
}

TEST_F(BehaviorDiscovery, answers_to_the_port_that_is_asked_for) {
  const DiscoveryAnswer answer = ask(response_port(40'000));
  EXPECT_EQ(answer.to, (Endpoint{kClient.address, 40'000}));
  EXPECT_EQ(MessageView::parse(answer.bytes)->xor_address(Attribute::xor_mapped_address), kClient);
  EXPECT_EQ(code(ask(response_port(0))), 400);
  EXPECT_EQ(code(ask([](MessageWriter& writer) {
              writer.add_bytes(Attribute::response_port, std::array<std::uint8_t, 1>{1});
            })),
            400);
}

TEST_F(BehaviorDiscovery, padding_makes_the_answer_as_long_as_the_request_and_never_longer) {
  for (const bool fingerprint : {false, true}) {
    for (const std::size_t size : {0U, 4U, 59U, 60U, 100U, 1000U, 1500U}) {
      const DiscoveryAnswer answer = ask([&](MessageWriter& writer) {
        padding(size)(writer);
        if (fingerprint) writer.add_fingerprint();
      });
      const std::size_t least = 72U + (fingerprint ? 8U : 0U);  // with empty padding
      EXPECT_EQ(answer.bytes.size(), std::max(least, sent_.size())) << size;
      const auto message = MessageView::parse(answer.bytes);
      ASSERT_TRUE(message);
      EXPECT_TRUE(message->has(Attribute::padding));
      EXPECT_EQ(message->has(Attribute::fingerprint), fingerprint);
      for (const std::uint8_t byte : value(answer, Attribute::padding)) ASSERT_EQ(byte, 0);
    }
  }
}

TEST_F(BehaviorDiscovery, padding_with_response_port_is_refused) {
  EXPECT_EQ(code(ask([](MessageWriter& writer) {
              padding(100)(writer);
              response_port(40'000)(writer);
            })),
            400);
}

TEST_F(BehaviorDiscovery, a_refusal_leaves_the_way_the_request_came) {
  const DiscoveryAnswer answer = ask([](MessageWriter& writer) {
    change(6)(writer);
    response_port(0)(writer);
  });
  EXPECT_EQ(code(answer), 400);
  EXPECT_EQ(answer.from, (Endpoint{kA, 3478}));
  EXPECT_EQ(answer.to, kClient);
}

TEST_F(BehaviorDiscovery, streams_are_told_of_the_addresses_but_change_nothing) {
  EXPECT_EQ(code(ask(kPlain, {kA, 3478}, false)), 0);
  EXPECT_EQ(value(ask(kPlain, {kA, 3478}, false), Attribute::other_address), plain({kB, 3479}));
  EXPECT_EQ(code(ask(change(0), {kA, 3478}, false)), 0) << "asks for no change";
  for (const std::uint32_t flags : {kChangePort, kChangeAddress, 6U}) {
    EXPECT_EQ(code(ask(change(flags), {kA, 3478}, false)), 400) << flags;
  }
  EXPECT_EQ(code(ask(response_port(40'000), {kA, 3478}, false)), 400);
  EXPECT_EQ(code(ask(padding(8), {kA, 3478}, false)), 400);
}

TEST_F(BehaviorDiscovery, what_is_unknown_is_still_refused_and_listed_alone) {
  const DiscoveryAnswer answer = ask([](MessageWriter& writer) {
    change(6)(writer);
    writer.add_flag(static_cast<Attribute>(0x7001));
  });
  EXPECT_EQ(code(answer), 420);
  EXPECT_EQ(value(answer, Attribute::unknown_attributes), (std::vector<std::uint8_t>{0x70, 0x01}));
  EXPECT_EQ(answer.from, (Endpoint{kA, 3478}));
}

TEST_F(BehaviorDiscovery, a_change_request_of_a_wrong_size_is_refused) {
  EXPECT_EQ(code(ask([](MessageWriter& writer) { writer.add_flag(Attribute::change_request); })),
            400);
}

}  // namespace
}  // namespace bedside::stun
