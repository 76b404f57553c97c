// Properties over random messages: what is written is read back; what is damaged is never believed.
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <tuple>
#include <vector>

#include "stun/binding.h"
#include "stun/integrity.h"
#include "stun/message.h"
#include "stun/message_writer.h"
#include "tests/support/seeded_random.h"

namespace bedside::stun {
namespace {

using testing_support::SeededRandom;

struct Written {
  Attribute type{};
  std::vector<std::uint8_t> value;
};

struct RandomMessage {
  Class message_class{};
  Method method{};
  TransactionId transaction{};
  std::vector<Written> attributes;  // without integrity and fingerprint
  bool fingerprint = false;
  std::vector<std::uint8_t> wire;
};

constexpr std::size_t kMaxWire = 2048;

RandomMessage make_message(SeededRandom& random, Bytes key) {
  RandomMessage message;
  message.message_class = static_cast<Class>(random.below(4));
  message.method = static_cast<Method>(random.below(0x1000));
  for (std::uint8_t& b : message.transaction) b = random.byte();
  std::array<std::uint8_t, kMaxWire> buffer{};
  MessageWriter writer(buffer, message.message_class, message.method, message.transaction);
  const std::size_t count = random.below(8);
  for (std::size_t i = 0; i < count; ++i) {
    Written attribute{static_cast<Attribute>(random.below(0x10000)),
                      random.bytes(random.below(64))};
    if (random.one_in(2)) attribute.type = kAttributes[random.below(kAttributes.size())].number;
    const bool special = attribute.type == Attribute::message_integrity ||
                         attribute.type == Attribute::message_integrity_sha256 ||
                         attribute.type == Attribute::fingerprint;
    if (special) continue;
    writer.add_bytes(attribute.type, attribute.value);
    message.attributes.push_back(std::move(attribute));
  }
  writer.add_integrity(key);
  if (random.one_in(2)) writer.add_integrity_sha256(key);
  message.fingerprint = random.one_in(2);
  if (message.fingerprint) writer.add_fingerprint();
  const Bytes wire = writer.finish();
  message.wire.assign(wire.begin(), wire.end());
  return message;
}

TEST(RandomMessages, are_read_as_they_were_written) {
  SeededRandom random(0x5157);
  for (int round = 0; round < 20'000; ++round) {
    const auto key = random.bytes(16);
    const RandomMessage written = make_message(random, key);
    const auto read = MessageView::parse(written.wire);
    ASSERT_TRUE(read) << "round " << round;
    ASSERT_TRUE(read->is(written.message_class, written.method));
    ASSERT_EQ(read->transaction(), written.transaction);
    ASSERT_EQ(read->has(Attribute::fingerprint), written.fingerprint);
    ASSERT_TRUE(verify_integrity(*read, key));
    auto attribute = read->begin();
    for (const Written& expected : written.attributes) {
      ASSERT_NE(attribute, read->end());
      ASSERT_EQ(attribute->type, expected.type);
      ASSERT_TRUE(std::equal(attribute->value.begin(), attribute->value.end(),
                             expected.value.begin(), expected.value.end()));
      ++attribute;
    }
    ASSERT_EQ(attribute->type, Attribute::message_integrity);
  }
}

// Everything a server does with a message, for the sanitizers' sake.
void use(const MessageView& message) {
  for (const AttributeView& attribute : message) {
    std::ignore = message.u8(attribute.type);
    std::ignore = message.u16(attribute.type);
    std::ignore = message.u32(attribute.type);
    std::ignore = message.decode_xor_address(attribute);
  }
  std::ignore = message.error_code();
  std::array<std::uint8_t, kMaxBindingReply> reply{};
  const Bytes answer = answer_binding(message, Endpoint{}, reply);
  if (!answer.empty()) {
    ASSERT_TRUE(MessageView::parse(answer));
  }
}

TEST(DamagedMessages, never_verify_unless_the_damage_is_behind_the_integrity) {
  SeededRandom random(0xDA3A6E);
  for (int round = 0; round < 60'000; ++round) {
    const auto key = random.bytes(16);
    const RandomMessage original = make_message(random, key);
    const auto intact = MessageView::parse(original.wire);
    ASSERT_TRUE(intact);
    const std::size_t covered = intact->find(Attribute::message_integrity)->offset + 24;

    auto damaged = original.wire;
    const std::size_t flips = 1 + random.below(3);
    bool inside = false;
    for (std::size_t i = 0; i < flips; ++i) {
      const std::size_t at = random.below(damaged.size());
      const auto mask = static_cast<std::uint8_t>(1U << random.below(8));
      damaged[at] = static_cast<std::uint8_t>(damaged[at] ^ mask);
    }
    for (std::size_t i = 0; i < covered; ++i) {
      // The length field is replaced before the HMAC; the cookie and the rest are covered.
      if (i != 2 && i != 3 && damaged[i] != original.wire[i]) inside = true;
    }
    const auto read = MessageView::parse(damaged);
    if (!read) continue;
    use(*read);
    if (inside) {
      ASSERT_FALSE(verify_integrity(*read, key)) << "round " << round;
    }
  }
}

TEST(RandomBytes, are_never_a_reason_to_crash) {
  SeededRandom random(0xBAD5EED);
  std::size_t parsed = 0;
  for (int round = 0; round < 200'000; ++round) {
    auto wire = random.bytes(random.below(120));
    if (wire.size() >= kHeaderSize && !random.one_in(8)) {
      // Mostly plausible headers, so that the attributes are reached.
      wire.resize(padded(wire.size() - 3));
      store_u16(wire, 0, static_cast<std::uint16_t>(random.below(0x4000)));
      store_u16(wire, 2, static_cast<std::uint16_t>(wire.size() - kHeaderSize));
      store_u32(wire, 4, kMagicCookie);
      for (std::size_t at = kHeaderSize; at + 4 <= wire.size();) {
        if (random.one_in(3)) store_u16(wire, at, static_cast<std::uint16_t>(random.below(0x30)));
        const std::size_t length = random.below(24);
        if (!random.one_in(10)) store_u16(wire, at + 2, static_cast<std::uint16_t>(length));
        at += kAttributeHeaderSize + padded(load_u16(wire, at + 2));
      }
    }
    const auto read = MessageView::parse(wire);
    if (!read) continue;
    ++parsed;
    use(*read);
    ASSERT_FALSE(verify_integrity(*read, wire));
    ASSERT_FALSE(verify_integrity_sha256(*read, wire));
  }
  EXPECT_GT(parsed, 10'000U) << "the generator no longer reaches the parser's depth";
}

}  // namespace
}  // namespace bedside::stun
