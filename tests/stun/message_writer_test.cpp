// What the writer promises: correct sizes, zero padding, and never a byte beyond its buffer.
#include "stun/message_writer.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

#include "stun/integrity.h"

namespace bedside::stun {
namespace {

constexpr TransactionId kWriterTransaction{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12};
const LongTermKey kWriterKey = LongTermKey::md5("user", "realm", "password");

// One of everything, written into `out`.
Bytes write_everything(MutableBytes out) {
  static const std::vector<std::uint16_t> kUnknown{0x0024, 0x7fff, 0x0025};
  return MessageWriter(out, Class::error, Method::allocate, kWriterTransaction)
      .add_error(420, "Unknown")
      .add_unknown_attributes(kUnknown)
      .add_flag(Attribute::dont_fragment)
      .add_u32(Attribute::lifetime, 600)
      .add_xor_address(Attribute::xor_relayed_address, *Endpoint::parse("192.0.2.1:49152"))
      .add_xor_address(Attribute::xor_mapped_address, *Endpoint::parse("[2001:db8::1]:5000"))
      .add_text(Attribute::realm, "r")
      .add_integrity(kWriterKey.bytes())
      .add_integrity_sha256(kWriterKey.bytes())
      .add_fingerprint()
      .finish();
}

TEST(MessageWriter, writes_what_the_reader_reads) {
  std::vector<std::uint8_t> buffer(512, 0xEE);
  const auto message = MessageView::parse(write_everything(buffer));
  ASSERT_TRUE(message);
  EXPECT_TRUE(message->is(Class::error, Method::allocate));
  EXPECT_EQ(message->transaction(), kWriterTransaction);
  EXPECT_EQ(message->error_code()->code, 420);
  EXPECT_EQ(message->error_code()->reason, "Unknown");
  EXPECT_EQ(message->find(Attribute::unknown_attributes)->value.size(), 6U);
  EXPECT_EQ(message->find(Attribute::dont_fragment)->value.size(), 0U);
  EXPECT_EQ(message->u32(Attribute::lifetime), 600U);
  EXPECT_EQ(message->xor_address(Attribute::xor_relayed_address),
            Endpoint::parse("192.0.2.1:49152"));
  EXPECT_EQ(message->xor_address(Attribute::xor_mapped_address),
            Endpoint::parse("[2001:db8::1]:5000"));
  EXPECT_EQ(message->text(Attribute::realm), "r");
  EXPECT_TRUE(verify_integrity(*message, kWriterKey.bytes()));
  EXPECT_TRUE(verify_integrity_sha256(*message, kWriterKey.bytes()));
  EXPECT_TRUE(message->has(Attribute::fingerprint));
}

TEST(MessageWriter, gives_nothing_and_stays_inside_when_the_buffer_is_too_small) {
  std::vector<std::uint8_t> large(512);
  const std::size_t needed = write_everything(large).size();
  for (std::size_t size = 0; size < needed; ++size) {
    std::vector<std::uint8_t> buffer(needed + 8, 0xEE);
    EXPECT_TRUE(write_everything(MutableBytes(buffer).first(size)).empty()) << size;
    EXPECT_TRUE(std::all_of(buffer.begin() + static_cast<std::ptrdiff_t>(size), buffer.end(),
                            [](std::uint8_t b) { return b == 0xEE; }))
        << size;
  }
  std::vector<std::uint8_t> exact(needed);
  EXPECT_EQ(write_everything(exact).size(), needed);
}

TEST(MessageWriter, pads_with_zeros_whatever_the_buffer_held) {
  std::vector<std::uint8_t> buffer(64, 0xEE);
  const Bytes message = MessageWriter(buffer, Class::request, Method::binding, kWriterTransaction)
                            .add_text(Attribute::username, "a")
                            .finish();
  ASSERT_EQ(message.size(), 28U);
  EXPECT_EQ(message[24], 'a');
  EXPECT_EQ(message[25] | message[26] | message[27], 0);
  EXPECT_EQ(load_u16(message, 22), 1) << "padding is not part of the attribute's length";
  EXPECT_EQ(load_u16(message, 2), 8) << "but of the message's";
}

TEST(MessageWriter, leaves_a_present_value_where_it_is) {
  // A datagram from a peer, received with room in front: the Data indication grows around it.
  std::vector<std::uint8_t> buffer(64, 0xEE);
  const std::size_t payload_at = kHeaderSize + 12 + kAttributeHeaderSize;
  buffer[payload_at] = 'x';
  buffer[payload_at + 1] = 'y';
  const Bytes wire =
      MessageWriter(buffer, Class::indication, Method::data, kWriterTransaction)
          .add_xor_address(Attribute::xor_peer_address, *Endpoint::parse("198.51.100.7:6000"))
          .add_present(Attribute::data, 2)
          .finish();
  const auto message = MessageView::parse(wire);
  ASSERT_TRUE(message);
  EXPECT_EQ(message->text(Attribute::data), "xy");
  EXPECT_EQ(wire.size(), payload_at + 4);
  EXPECT_EQ(wire[payload_at + 2] | wire[payload_at + 3], 0);
}

TEST(MessageWriter, refuses_values_no_attribute_can_hold) {
  std::vector<std::uint8_t> buffer(200'000);
  const std::vector<std::uint8_t> huge(65'536);
  EXPECT_TRUE(MessageWriter(buffer, Class::indication, Method::data, kWriterTransaction)
                  .add_bytes(Attribute::data, huge)
                  .finish()
                  .empty());
  const Bytes largest = Bytes(huge).first(0xFFFC - kAttributeHeaderSize);
  MessageWriter writer(buffer, Class::indication, Method::data, kWriterTransaction);
  EXPECT_EQ(writer.add_bytes(Attribute::data, largest).finish().size(), kMaxMessageSize);
  EXPECT_TRUE(writer.add_flag(Attribute::dont_fragment).finish().empty())
      << "the length field is full";
}

TEST(MessageWriter, writes_mapped_ipv4_as_ipv4) {
  std::vector<std::uint8_t> buffer(64);
  const Bytes wire =
      MessageWriter(buffer, Class::success, Method::binding, kWriterTransaction)
          .add_xor_address(Attribute::xor_mapped_address, *Endpoint::parse("[::ffff:192.0.2.1]:7"))
          .finish();
  EXPECT_EQ(wire.size(), 32U);
  EXPECT_EQ(MessageView::parse(wire)->xor_address(Attribute::xor_mapped_address),
            Endpoint::parse("192.0.2.1:7"));
}

TEST(MessageWriter, does_not_sign_with_an_empty_key) {
  std::vector<std::uint8_t> buffer(64);
  EXPECT_TRUE(MessageWriter(buffer, Class::request, Method::binding, kWriterTransaction)
                  .add_integrity({})
                  .finish()
                  .empty());
}

}  // namespace
}  // namespace bedside::stun
