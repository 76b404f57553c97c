// What counts as a STUN message, and which of its attributes count.
#include "stun/message.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "stun/fingerprint.h"
#include "tests/vectors/hex.h"

namespace bedside::stun {
namespace {

using vectors::from_hex;

// A Binding request with the given attributes (hexadecimal), its length filled in.
std::vector<std::uint8_t> request(std::string_view attributes) {
  auto wire = from_hex("0001 0000 2112a442 000102030405060708090a0b" + std::string(attributes));
  store_u16(wire, 2, static_cast<std::uint16_t>(wire.size() - kHeaderSize));
  return wire;
}

ParseError error_of(const std::vector<std::uint8_t>& wire) {
  const auto parsed = MessageView::parse(wire);
  EXPECT_FALSE(parsed);
  return parsed ? ParseError{} : parsed.error();
}

std::vector<std::uint16_t> types_of(const std::vector<std::uint8_t>& wire) {
  std::vector<std::uint16_t> types;
  const auto message = MessageView::parse(wire);
  EXPECT_TRUE(message);
  if (!message) return types;
  for (const AttributeView& attribute : *message) {
    types.push_back(static_cast<std::uint16_t>(attribute.type));
  }
  return types;
}

const std::string kIntegrity = "0008 0014" + std::string(40, '0');
const std::string kSha256 = "001c 0020" + std::string(64, '0');

// Appends a correct FINGERPRINT.
std::vector<std::uint8_t> with_fingerprint(std::vector<std::uint8_t> wire) {
  const std::size_t before = wire.size();
  store_u16(wire, 2, static_cast<std::uint16_t>(before + 8 - kHeaderSize));
  wire.resize(before + 8);
  store_u16(wire, before, 0x8028);
  store_u16(wire, before + 2, 4);
  store_u32(wire, before + 4, fingerprint_of(Bytes(wire).first(before)));
  return wire;
}

TEST(Attributes, carry_the_numbers_of_the_iana_registry) {
  const std::vector<std::pair<std::string_view, std::uint16_t>> registry{
      {"MAPPED-ADDRESS", 0x0001},
      {"USERNAME", 0x0006},
      {"MESSAGE-INTEGRITY", 0x0008},
      {"ERROR-CODE", 0x0009},
      {"UNKNOWN-ATTRIBUTES", 0x000A},
      {"CHANNEL-NUMBER", 0x000C},
      {"LIFETIME", 0x000D},
      {"XOR-PEER-ADDRESS", 0x0012},
      {"DATA", 0x0013},
      {"REALM", 0x0014},
      {"NONCE", 0x0015},
      {"XOR-RELAYED-ADDRESS", 0x0016},
      {"REQUESTED-ADDRESS-FAMILY", 0x0017},
      {"EVEN-PORT", 0x0018},
      {"REQUESTED-TRANSPORT", 0x0019},
      {"DONT-FRAGMENT", 0x001A},
      {"MESSAGE-INTEGRITY-SHA256", 0x001C},
      {"PASSWORD-ALGORITHM", 0x001D},
      {"USERHASH", 0x001E},
      {"XOR-MAPPED-ADDRESS", 0x0020},
      {"RESERVATION-TOKEN", 0x0022},
      {"CONNECTION-ID", 0x002A},
      {"ADDITIONAL-ADDRESS-FAMILY", 0x8000},
      {"ADDRESS-ERROR-CODE", 0x8001},
      {"PASSWORD-ALGORITHMS", 0x8002},
      {"ALTERNATE-DOMAIN", 0x8003},
      {"ICMP", 0x8004},
      {"SOFTWARE", 0x8022},
      {"ALTERNATE-SERVER", 0x8023},
      {"FINGERPRINT", 0x8028},
      {"MOBILITY-TICKET", 0x8030},
  };
  ASSERT_EQ(kAttributes.size(), registry.size());
  for (std::size_t i = 0; i < registry.size(); ++i) {
    EXPECT_EQ(kAttributes[i].name, registry[i].first);
    EXPECT_EQ(static_cast<std::uint16_t>(kAttributes[i].number), registry[i].second)
        << registry[i].first;
    EXPECT_EQ(is_comprehension_required(kAttributes[i].number), registry[i].second < 0x8000);
  }
  EXPECT_FALSE(is_known(static_cast<Attribute>(0x001B))) << "ACCESS-TOKEN is not offered";
}

TEST(Message, without_attributes_is_complete) {
  const auto wire = request("");
  const auto message = MessageView::parse(wire);
  ASSERT_TRUE(message);
  EXPECT_TRUE(message->is(Class::request, Method::binding));
  EXPECT_EQ(message->transaction(), (TransactionId{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11}));
  EXPECT_EQ(message->begin(), message->end());
}

TEST(Message, class_and_method_are_read_from_their_interleaved_bits) {
  const std::vector<std::pair<std::string_view, std::pair<Class, Method>>> types{
      {"0001", {Class::request, Method::binding}},
      {"0101", {Class::success, Method::binding}},
      {"0111", {Class::error, Method::binding}},
      {"0003", {Class::request, Method::allocate}},
      {"0004", {Class::request, Method::refresh}},
      {"0016", {Class::indication, Method::send}},
      {"0017", {Class::indication, Method::data}},
      {"0118", {Class::error, Method::create_permission}},
      {"0109", {Class::success, Method::channel_bind}},
      {"000a", {Class::request, Method::connect}},
      {"010b", {Class::success, Method::connection_bind}},
      {"001c", {Class::indication, Method::connection_attempt}},
      {"3eef", {Class::request, static_cast<Method>(0xFFF)}},
      {"3fff", {Class::error, static_cast<Method>(0xFFF)}},
  };
  for (const auto& [hex, expected] : types) {
    auto wire = request("");
    const auto type = from_hex(hex);
    std::copy(type.begin(), type.end(), wire.begin());
    const auto message = MessageView::parse(wire);
    ASSERT_TRUE(message) << hex;
    EXPECT_EQ(message->message_class(), expected.first) << hex;
    EXPECT_EQ(message->method(), expected.second) << hex;
  }
}

TEST(Message, shorter_than_a_header_is_no_message) {
  const auto whole = request("");
  for (std::size_t size = 0; size < whole.size(); ++size) {
    EXPECT_EQ(error_of({whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(size)}),
              ParseError::too_short);
  }
}

TEST(Message, with_a_bit_set_in_the_first_two_is_no_message) {
  for (const unsigned first : {0x40U, 0x80U, 0xC0U}) {
    auto wire = request("");
    wire[0] = static_cast<std::uint8_t>(first);
    EXPECT_EQ(error_of(wire), ParseError::not_stun);
  }
}

TEST(Message, with_another_cookie_is_no_message) {
  for (std::size_t i = 4; i < 8; ++i) {
    auto wire = request("");
    wire[i] ^= 1;
    EXPECT_EQ(error_of(wire), ParseError::wrong_cookie);
  }
}

TEST(Message, must_be_exactly_as_long_as_it_says) {
  auto longer = request("8022 0004 41414141");
  longer.push_back(0);
  EXPECT_EQ(error_of(longer), ParseError::wrong_length);
  auto shorter = request("8022 0004 41414141");
  shorter.resize(shorter.size() - 4);
  EXPECT_EQ(error_of(shorter), ParseError::wrong_length);
  auto odd = request("");
  odd.push_back(0);
  odd[3] = 1;
  EXPECT_EQ(error_of(odd), ParseError::wrong_length) << "not a multiple of four";
}

TEST(Message, whose_attribute_reaches_beyond_the_end_is_no_message) {
  EXPECT_EQ(error_of(request("8022 0005 41414141")), ParseError::attribute_overrun);
  EXPECT_EQ(error_of(request("8022 ffff 41414141")), ParseError::attribute_overrun);
  EXPECT_EQ(error_of(request("8022 0001")), ParseError::attribute_overrun);
  EXPECT_EQ(error_of(request(kIntegrity + "8022 0001")), ParseError::attribute_overrun)
      << "attributes that do not count must be well-formed all the same";
}

TEST(Message, may_pad_with_anything) {
  const auto wire = request("0006 0001 61ffeedd 8022 0004 41414141");
  const auto message = MessageView::parse(wire);
  ASSERT_TRUE(message);
  EXPECT_EQ(message->text(Attribute::username), "a");
  EXPECT_EQ(message->text(Attribute::software), "AAAA");
}

TEST(Message, uses_the_first_of_repeated_attributes) {
  const auto wire = request("0006 0001 61000000 0006 0001 62000000");
  const auto message = MessageView::parse(wire);
  ASSERT_TRUE(message);
  EXPECT_EQ(message->text(Attribute::username), "a");
  EXPECT_EQ(types_of(wire).size(), 2U) << "iteration shows all, for XOR-PEER-ADDRESS";
}

TEST(Message, ignores_what_follows_message_integrity_except_sha256_and_fingerprint) {
  EXPECT_EQ(types_of(request(kIntegrity + "0006 0001 61000000")),
            (std::vector<std::uint16_t>{0x0008}));
  EXPECT_EQ(types_of(request("0014 0000" + kIntegrity + "8022 0000" + kSha256 + "0006 0000")),
            (std::vector<std::uint16_t>{0x0014, 0x0008, 0x001c}));
  EXPECT_EQ(types_of(request(kIntegrity + kIntegrity + kSha256 + kSha256)),
            (std::vector<std::uint16_t>{0x0008, 0x001c}));
}

TEST(Message, ignores_what_follows_a_lone_sha256_integrity_except_fingerprint) {
  EXPECT_EQ(types_of(request(kSha256 + kIntegrity + "0006 0000" + kSha256)),
            (std::vector<std::uint16_t>{0x001c}));
}

TEST(Message, does_not_count_unknown_attributes_behind_integrity) {
  const auto wire = request("0024 0000" + kIntegrity + "0025 0000");
  const auto message = MessageView::parse(wire);
  ASSERT_TRUE(message);
  ASSERT_EQ(message->unknown_required().size, 1U);
  EXPECT_EQ(message->unknown_required().types[0], 0x0024);
  const auto hidden_wire = request(kIntegrity + "0025 0000");
  const auto hidden = MessageView::parse(hidden_wire);
  ASSERT_TRUE(hidden);
  EXPECT_FALSE(hidden->has_unknown_required());
}

TEST(Message, lists_every_unknown_required_attribute_once_and_no_optional_one) {
  const auto wire = request("7fff 0000 0024 0000 ffff 0000 8055 0000 0024 0000 001b 0000");
  const auto message = MessageView::parse(wire);
  ASSERT_TRUE(message);
  EXPECT_TRUE(message->has_unknown_required());
  const auto unknown = message->unknown_required();
  EXPECT_EQ(std::vector<std::uint16_t>(unknown.view().begin(), unknown.view().end()),
            (std::vector<std::uint16_t>{0x7fff, 0x0024, 0x001b}));
}

TEST(Message, lists_a_bounded_number_of_unknown_attributes) {
  std::string attributes;
  for (int i = 0; i < 100; ++i) {
    const std::string number = std::to_string(1000 + i);  // 0x1000 and up, read as hexadecimal
    attributes += number + "0000";
  }
  const auto wire = request(attributes);
  const auto message = MessageView::parse(wire);
  ASSERT_TRUE(message);
  EXPECT_EQ(message->unknown_required().size, UnknownAttributes::kMax);
}

TEST(Message, reads_numbers_only_in_their_size) {
  const auto wire = request(
      "000d 0004 00000258"            // LIFETIME 600
      "000c 0004 40010000"            // CHANNEL-NUMBER 0x4001
      "0019 0004 11000000"            // REQUESTED-TRANSPORT 17
      "0018 0001 80000000"            // EVEN-PORT with R
      "0022 0008 0102030405060708");  // RESERVATION-TOKEN
  const auto message = MessageView::parse(wire);
  ASSERT_TRUE(message);
  EXPECT_EQ(message->u32(Attribute::lifetime), 600U);
  EXPECT_EQ(message->u16(Attribute::channel_number), 0x4001);
  EXPECT_EQ(message->u8(Attribute::requested_transport), 17);
  EXPECT_EQ(message->u8(Attribute::even_port), 0x80);
  EXPECT_EQ(message->u32(Attribute::reservation_token), std::nullopt);
  EXPECT_EQ(message->u32(Attribute::even_port), std::nullopt);
  EXPECT_EQ(message->u16(Attribute::even_port), std::nullopt);
  EXPECT_EQ(message->u8(Attribute::reservation_token), std::nullopt);
  EXPECT_EQ(message->u32(Attribute::data), std::nullopt) << "absent";
}

TEST(Message, reads_addresses_only_when_family_and_size_agree) {
  const auto ipv4_wire = request("0012 0008 0001 a147 e112a643");
  const auto ipv4 = MessageView::parse(ipv4_wire);
  ASSERT_TRUE(ipv4);
  EXPECT_EQ(ipv4->xor_address(Attribute::xor_peer_address), Endpoint::parse("192.0.2.1:32853"));
  const auto odd_first_wire = request("0012 0008 ff01 a147 e112a643");
  EXPECT_TRUE(MessageView::parse(odd_first_wire)->xor_address(Attribute::xor_peer_address))
      << "the first byte is ignored";
  for (const char* bad :
       {"0012 0008 0002 a147 e112a643", "0012 0008 0003 a147 e112a643", "0012 0004 0001 a147",
        "0012 0000", "0012 0014 0001 a147 e112a643 000000000000000000000000"}) {
    const auto wire = request(bad);
    const auto message = MessageView::parse(wire);
    ASSERT_TRUE(message);
    EXPECT_EQ(message->xor_address(Attribute::xor_peer_address), std::nullopt) << bad;
  }
}

TEST(Message, reads_error_codes_between_300_and_699) {
  const auto wire = request("0009 0010 00000401 556e617574686f72697a6564");
  const auto message = MessageView::parse(wire);
  ASSERT_TRUE(message);
  ASSERT_TRUE(message->error_code());
  EXPECT_EQ(message->error_code()->code, 401);
  EXPECT_EQ(message->error_code()->reason, "Unauthorized");
  for (const char* bad :
       {"0009 0004 00000200", "0009 0004 00000700", "0009 0004 00000464", "0009 0003 00000400"}) {
    const auto bad_wire = request(bad);
    EXPECT_EQ(MessageView::parse(bad_wire)->error_code(), std::nullopt) << bad;
  }
}

TEST(Fingerprint, must_be_right_when_present) {
  auto wire = with_fingerprint(request("0006 0001 61000000"));
  ASSERT_TRUE(MessageView::parse(wire));
  for (std::size_t i = 8; i < wire.size(); ++i) {
    for (int bit = 0; bit < 8; ++bit) {
      auto damaged = wire;
      damaged[i] = static_cast<std::uint8_t>(damaged[i] ^ (1 << bit));
      const auto parsed = MessageView::parse(damaged);
      // A flip in the attribute's own header can turn it into another attribute; nothing else
      // passes.
      if (parsed) {
        EXPECT_FALSE(parsed->has(Attribute::fingerprint)) << "byte " << i;
      }
    }
  }
}

TEST(MessageView, is_read_by_forward_iterators) {
  const auto wire = request("8022 0000 0006 0000");
  const auto message = MessageView::parse(wire);
  ASSERT_TRUE(message);
  auto next = message->begin();
  const auto first = next++;
  EXPECT_EQ(first->type, Attribute::software);
  EXPECT_EQ(next->type, Attribute::username);
  EXPECT_TRUE(++next == message->end());
}

TEST(Fingerprint, must_come_last) {
  auto wire = with_fingerprint(request(""));
  const auto software = from_hex("8022 0000");
  wire.insert(wire.end(), software.begin(), software.end());
  store_u16(wire, 2, static_cast<std::uint16_t>(wire.size() - kHeaderSize));
  EXPECT_EQ(error_of(wire), ParseError::fingerprint_not_last);
  EXPECT_EQ(error_of(request("8028 0000")), ParseError::wrong_fingerprint);
}

TEST(Fingerprint, is_the_crc_of_zlib_with_a_twist) {
  EXPECT_EQ(crc32(as_bytes("123456789")), 0xCBF43926U);
  EXPECT_EQ(crc32({}), 0U);
  EXPECT_EQ(fingerprint_of(as_bytes("123456789")), 0xCBF43926U ^ 0x5354554EU);
}

}  // namespace
}  // namespace bedside::stun
