#include "stun/binding.h"

#include <gtest/gtest.h>

#include <array>

#include "stun/message_writer.h"

namespace bedside::stun {
namespace {

constexpr TransactionId kTransaction{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11};
const Endpoint kIpv4 = *Endpoint::parse("192.0.2.7:50000");
const Endpoint kIpv6 = *Endpoint::parse("[2001:db8::7]:50000");

class Binding : public testing::Test {
 protected:
  Bytes ask(const Endpoint& source, Bytes request) {
    const auto message = MessageView::parse(request);
    return message ? answer_binding(*message, source, reply_) : Bytes{};
  }
  MessageWriter request(Class message_class = Class::request, Method method = Method::binding) {
    return MessageWriter(request_, message_class, method, kTransaction);
  }
  std::array<std::uint8_t, 512> request_{};
  std::array<std::uint8_t, kMaxBindingReply> reply_{};
};

TEST_F(Binding, tells_the_client_its_address_and_nothing_more) {
  for (const auto& [source, size] : {std::pair{kIpv4, 32U}, std::pair{kIpv6, 44U}}) {
    const Bytes wire = ask(source, request().finish());
    EXPECT_EQ(wire.size(), size);
    const auto reply = MessageView::parse(wire);
    ASSERT_TRUE(reply);
    EXPECT_TRUE(reply->is(Class::success, Method::binding));
    EXPECT_EQ(reply->transaction(), kTransaction);
    EXPECT_EQ(reply->xor_address(Attribute::xor_mapped_address), source);
    EXPECT_FALSE(reply->has(Attribute::mapped_address));
    EXPECT_FALSE(reply->has(Attribute::software));
  }
}

TEST_F(Binding, reports_a_mapped_client_as_ipv4) {
  const auto reply =
      MessageView::parse(ask(*Endpoint::parse("[::ffff:192.0.2.7]:50000"), request().finish()));
  ASSERT_TRUE(reply);
  EXPECT_EQ(reply->xor_address(Attribute::xor_mapped_address), kIpv4);
}

TEST_F(Binding, carries_a_fingerprint_when_the_request_did) {
  const Bytes wire = ask(kIpv4, request().add_fingerprint().finish());
  EXPECT_EQ(wire.size(), 40U);
  EXPECT_TRUE(MessageView::parse(wire)->has(Attribute::fingerprint));
}

TEST_F(Binding, lists_all_unknown_required_attributes) {
  const Bytes wire = ask(kIpv4, request()
                                    .add_u32(static_cast<Attribute>(0x0003), 0)  // CHANGE-REQUEST
                                    .add_text(Attribute::software, "client")
                                    .add_u32(static_cast<Attribute>(0x7abc), 0)
                                    .finish());
  const auto reply = MessageView::parse(wire);
  ASSERT_TRUE(reply);
  EXPECT_TRUE(reply->is(Class::error, Method::binding));
  EXPECT_EQ(reply->error_code()->code, 420);
  EXPECT_EQ(reply->error_code()->reason, "");
  const auto listed = reply->find(Attribute::unknown_attributes);
  ASSERT_TRUE(listed);
  ASSERT_EQ(listed->value.size(), 4U);
  EXPECT_EQ(load_u16(listed->value, 0), 0x0003);
  EXPECT_EQ(load_u16(listed->value, 2), 0x7abc);
}

TEST_F(Binding, fits_its_buffer_even_when_everything_is_unknown) {
  MessageWriter writer = request();
  for (std::uint16_t i = 0; i < 100; ++i) writer.add_flag(static_cast<Attribute>(0x1000 + i));
  const Bytes wire = ask(kIpv6, writer.add_fingerprint().finish());
  EXPECT_EQ(wire.size(), kMaxBindingReply);
  EXPECT_TRUE(MessageView::parse(wire));
}

TEST_F(Binding, answers_nothing_but_binding_requests) {
  EXPECT_TRUE(ask(kIpv4, request(Class::indication).finish()).empty());
  EXPECT_TRUE(ask(kIpv4, request(Class::success).finish()).empty());
  EXPECT_TRUE(ask(kIpv4, request(Class::error).finish()).empty());
  EXPECT_TRUE(ask(kIpv4, request(Class::request, Method::allocate).finish()).empty());
}

}  // namespace
}  // namespace bedside::stun
