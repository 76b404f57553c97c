// The lines B.1 to B.12 of the TURN checklist: what is a message, which of its attributes count,
// and what the relay answers to broken ones. Through the verbs a server uses.
#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "stun/fingerprint.h"
#include "stun/nonce_cookie.h"
#include "tests/turn/relay_world.h"
#include "turn/stream_framer.h"

namespace bedside::turn::testing {
namespace {

using stun::Attribute;
using stun::MessageWriter;

constexpr auto kUnknownRequired = static_cast<Attribute>(0x7A00);
constexpr auto kUnknownOptional = static_cast<Attribute>(0xFE00);

Packet binding(const Fill& fill = {}) {
  Packet buffer(1024);
  MessageWriter writer(buffer, stun::Class::request, stun::Method::binding,
                       stun::TransactionId{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12});
  if (fill) fill(writer);
  buffer.resize(writer.finish().size());
  return buffer;
}

Packet of_class(stun::Class message_class, stun::Method method, const Fill& fill = {}) {
  Packet buffer(256);
  MessageWriter writer(buffer, message_class, method, {});
  if (fill) fill(writer);
  buffer.resize(writer.finish().size());
  return buffer;
}

Packet joined(const std::vector<Packet>& packets) {
  Packet all;
  for (const Packet& packet : packets) all.insert(all.end(), packet.begin(), packet.end());
  return all;
}

// All padding of the message is zero.
void expect_zero_padding(const Reply& reply) {
  for (const stun::AttributeView& attribute : reply.view()) {
    const std::size_t end = attribute.offset + 4 + attribute.value.size();
    for (std::size_t at = end; at < stun::padded(end); ++at) EXPECT_EQ(reply.bytes().at(at), 0);
  }
}

TEST(ChecklistB, Line1_WhatIsNoStunMessageIsDroppedInSilence) {
  World world;
  Client alice(world, "192.0.2.7:4000");
  ASSERT_TRUE(alice.send(binding()));
  const auto damaged = [&](std::size_t at, std::uint8_t value) {
    Packet packet = binding();
    packet.at(at) = value;
    return packet;
  };
  Packet longer = binding();
  longer.resize(longer.size() + 4);
  Packet shorter = binding([](MessageWriter& w) { w.add_u32(Attribute::lifetime, 1); });
  shorter.resize(shorter.size() - 4);
  const Packet cut = binding();
  for (const Packet& packet :
       {damaged(0, 0x80), damaged(0, 0xC0), damaged(4, 0x20), damaged(7, 0x43), damaged(3, 1),
        damaged(3, 2), damaged(3, 3), damaged(3, 4), damaged(2, 0xFF), longer, shorter,
        Packet(cut.begin(), cut.begin() + 19), Packet(cut.begin(), cut.begin() + 1), Packet{}}) {
    EXPECT_FALSE(alice.send(packet));
  }
}

TEST(ChecklistB, Line2_UnknownMethodsAndStrayClassesAreNotAnswered) {
  World world;
  Client alice(world, "192.0.2.7:4000");
  for (const unsigned method : {0x000U, 0x002U, 0x00AU, 0x00CU, 0x0FFU, 0xFFFU}) {
    EXPECT_FALSE(alice.send(alice.unsigned_request(static_cast<stun::Method>(method)))) << method;
  }
  for (const auto message_class :
       {stun::Class::indication, stun::Class::success, stun::Class::error}) {
    for (const auto method : {stun::Method::binding, stun::Method::allocate, stun::Method::refresh,
                              stun::Method::data, stun::Method::channel_bind}) {
      EXPECT_FALSE(alice.send(of_class(message_class, method)));
    }
  }
}

TEST(ChecklistB, Line2_AnIndicationWithUnknownAttributesIsDroppedWithoutAnError) {
  World world;
  Client alice(world, "192.0.2.7:4000");
  ASSERT_TRUE(alice.allocate().ok());
  ASSERT_TRUE(alice.permit({"8.8.8.8:1"}).ok());
  const auto send = [&](Attribute extra) {
    const Packet packet =
        of_class(stun::Class::indication, stun::Method::send, [&](MessageWriter& writer) {
          writer.add_xor_address(Attribute::xor_peer_address, endpoint("8.8.8.8:9000"));
          writer.add_text(Attribute::data, "hello");
          writer.add_u32(extra, 1);
        });
    return world.from_client(alice.tuple, packet);
  };
  EXPECT_TRUE(std::holds_alternative<ToPeer>(send(kUnknownOptional)));
  EXPECT_TRUE(std::holds_alternative<Drop>(send(kUnknownRequired)));
}

TEST(ChecklistB, Line3_420ListsAllUnknownRequiredTypesAndNoOptionalOne) {
  World world;
  Client alice(world, "192.0.2.7:4000");
  const Fill extras = [](MessageWriter& writer) {
    writer.add_u32(kUnknownRequired, 1);
    writer.add_u32(kUnknownOptional, 1);
    writer.add_flag(static_cast<Attribute>(0x7FFF));
    writer.add_u32(kUnknownRequired, 2);
    writer.add_flag(static_cast<Attribute>(0x0003));  // CHANGE-REQUEST, not served
  };
  const std::vector<std::uint8_t> expected{0x7A, 0x00, 0x7F, 0xFF, 0x00, 0x03};
  for (const Reply& reply : {alice.send(binding(extras)).value(), alice.allocate(extras)}) {
    EXPECT_EQ(reply.code(), 420);
    const auto listed = reply.view().find(Attribute::unknown_attributes).value().value;
    EXPECT_EQ(std::vector<std::uint8_t>(listed.begin(), listed.end()), expected);
  }
  EXPECT_TRUE(
      alice.send(binding([](MessageWriter& w) { w.add_u32(kUnknownOptional, 1); })).value().ok());
}

TEST(ChecklistB, Line4_TheFirstOfARepeatedAttributeCountsExceptPeersOfCreatePermission) {
  World world;
  Client alice(world, "192.0.2.7:4000");
  const Reply reply = alice.allocate([](MessageWriter& writer) {
    writer.add_u32(Attribute::lifetime, 1200);
    writer.add_u32(Attribute::lifetime, 3000);
  });
  EXPECT_EQ(reply.lifetime(), 1200U);
  ASSERT_TRUE(alice.permit({"8.8.8.8:1", "1.1.1.1:1"}).ok());
  EXPECT_TRUE(alice.send_data("8.8.8.8:9000", "x"));
  EXPECT_TRUE(alice.send_data("1.1.1.1:9000", "x"));
}

TEST(ChecklistB, Line5_NothingBehindTheIntegrityCountsExceptSha256AndFingerprint) {
  World world;
  Client alice(world, "192.0.2.7:4000");
  ASSERT_TRUE(alice.allocate().ok());
  // Signed, then somebody on the way adds: a shorter life, an unknown attribute, another name.
  const auto tail = [](MessageWriter& writer) {
    writer.add_u32(Attribute::lifetime, 0);
    writer.add_u32(kUnknownRequired, 1);
    writer.add_text(Attribute::username, "mallory");
  };
  const auto signed_refresh = [&](bool sha256) {
    return alice.unsigned_request(stun::Method::refresh, [&](MessageWriter& writer) {
      writer.add_text(Attribute::username, "alice");
      writer.add_text(Attribute::realm, World::kRealm);
      writer.add_text(Attribute::nonce, alice.signer.nonce);
      if (sha256) {
        writer.add_integrity_sha256(alice.signer.key.bytes());
      } else {
        writer.add_integrity(alice.signer.key.bytes());
      }
      tail(writer);
      writer.add_fingerprint();
    });
  };
  for (const bool sha256 : {false, true}) {
    const Reply reply = alice.send(signed_refresh(sha256)).value();
    EXPECT_TRUE(reply.ok()) << reply.code();
    EXPECT_EQ(reply.lifetime(), 600U) << "the LIFETIME behind the integrity is not there";
    EXPECT_TRUE(reply.has(Attribute::fingerprint));
  }
  EXPECT_EQ(world.ports.open_count(), 1U);
}

TEST(ChecklistB, Line6_TheHmacCoversAHeaderThatEndsBehindIt) {
  World world;
  Client alice(world, "192.0.2.7:4000");
  ASSERT_TRUE(alice.allocate().ok());
  Packet packet = alice.request(stun::Method::refresh);
  // By hand (§14.5): 20 bytes of header whose length ends with the attribute, then the attributes.
  Packet covered(packet.begin(), packet.end() - 24);
  stun::store_u16(covered, 2, static_cast<std::uint16_t>(packet.size() - stun::kHeaderSize));
  stun::Sha1Digest digest{};
  ASSERT_TRUE(stun::hmac_sha1(alice.signer.key.bytes(), {covered}, digest));
  EXPECT_TRUE(std::equal(digest.begin(), digest.end(), packet.end() - 20));
  // A FINGERPRINT added later changes the length field but not the integrity.
  alice.signer.fingerprint = true;
  EXPECT_TRUE(alice.refresh().ok());
  // A header that counts the FINGERPRINT while signing is not what the RFC asks for.
  stun::store_u16(covered, 2, static_cast<std::uint16_t>(packet.size() - stun::kHeaderSize + 8));
  ASSERT_TRUE(stun::hmac_sha1(alice.signer.key.bytes(), {covered}, digest));
  std::copy(digest.begin(), digest.end(), packet.end() - 20);
  EXPECT_EQ(alice.send(packet).value().code(), 401);
}

TEST(ChecklistB, Line7_Sha256IntegrityMayBeCutTo16BytesInStepsOfFour) {
  World world;
  Client alice(world, "192.0.2.7:4000");
  ASSERT_TRUE(alice.allocate().ok());
  for (std::size_t size = 0; size <= 40; ++size) {
    const Packet packet = alice.unsigned_request(stun::Method::refresh, [&](MessageWriter& writer) {
      writer.add_text(Attribute::username, "alice");
      writer.add_text(Attribute::realm, World::kRealm);
      writer.add_text(Attribute::nonce, alice.signer.nonce);
      Packet covered(writer.finish().begin(), writer.finish().end());
      stun::store_u16(covered, 2,
                      static_cast<std::uint16_t>(covered.size() - stun::kHeaderSize + 4 + size));
      stun::Sha256Digest digest{};
      ASSERT_TRUE(stun::hmac_sha256(alice.signer.key.bytes(), {covered}, digest));
      Packet value(digest.begin(), digest.end());
      value.resize(size);
      writer.add_bytes(Attribute::message_integrity_sha256, value);
    });
    const bool allowed = size >= 16 && size <= 32 && size % 4 == 0;
    EXPECT_EQ(alice.send(packet).value().code(), allowed ? 0 : 401) << size;
  }
}

TEST(ChecklistB, Line8_AWrongFingerprintIsSilenceAndARightOneIsAnsweredWithOne) {
  World world;
  Client alice(world, "192.0.2.7:4000");
  alice.signer.fingerprint = true;
  Packet packet = alice.unsigned_request(stun::Method::binding);
  EXPECT_TRUE(alice.send(packet).value().has(Attribute::fingerprint));
  packet.back() ^= 1;
  EXPECT_FALSE(alice.send(packet));
  const Packet not_last = binding([](MessageWriter& writer) {
    writer.add_fingerprint();
    writer.add_u32(kUnknownOptional, 1);
  });
  EXPECT_FALSE(alice.send(not_last));
  // Challenge, success and error alike; and none for who sent none.
  EXPECT_TRUE(
      alice.send(alice.unsigned_request(stun::Method::allocate))->has(Attribute::fingerprint));
  EXPECT_TRUE(alice.allocate().has(Attribute::fingerprint));
  EXPECT_TRUE(alice.allocate().has(Attribute::fingerprint));
  alice.signer.fingerprint = false;
  EXPECT_FALSE(alice.refresh().has(Attribute::fingerprint));
}

TEST(ChecklistB, Line9_PaddingIsIgnoredOnInputAndZeroOnOutput) {
  World world;
  Client alice(world, "192.0.2.7:4000");
  // "alice" is padded with three bytes; they are signed with whatever value they have.
  const auto refresh = [&](std::uint8_t padding) {
    Packet packet = alice.unsigned_request(stun::Method::allocate, [&](MessageWriter& writer) {
      udp_transport()(writer);
      writer.add_text(Attribute::username, "alice");
      writer.add_text(Attribute::realm, World::kRealm);
      writer.add_text(Attribute::nonce, alice.signer.nonce);
    });
    std::fill(packet.begin() + 28 + 4 + 5, packet.begin() + 28 + 4 + 8, padding);
    stun::store_u16(packet, 2, static_cast<std::uint16_t>(packet.size() - 20 + 24));
    stun::Sha1Digest digest{};
    EXPECT_TRUE(stun::hmac_sha1(alice.signer.key.bytes(), {packet}, digest));
    packet.insert(packet.end(), {0x00, 0x08, 0x00, 0x14});
    packet.insert(packet.end(), digest.begin(), digest.end());
    return alice.send(packet).value();
  };
  const Reply challenge = alice.send(alice.unsigned_request(stun::Method::allocate)).value();
  alice.signer.nonce = challenge.text(Attribute::nonce);
  EXPECT_NE(alice.signer.nonce.size() % 4, 0U) << "there is padding to look at";
  expect_zero_padding(challenge);
  EXPECT_TRUE(refresh(0xFF).ok());
  ASSERT_TRUE(alice.permit({"8.8.8.8:1"}).ok());
  // A Data indication stands in a buffer of the world that is full of 0xEE.
  const stun::Endpoint relayed = world.ports.open_ports().begin()->second.relayed;
  const Packet data = world.from_peer(relayed, "8.8.8.8:9000", "odd").value();
  EXPECT_EQ(data.back(), 0);
}

TEST(ChecklistB, Line10_MappedIpv6AddressesAreXoredWithCookieAndTransaction) {
  World world;
  Client alice(world, "[2001:db8:1234:5678:11:2233:4455:6677]:32853");
  Packet packet = alice.unsigned_request(stun::Method::binding);
  const stun::TransactionId id{0xb7, 0xe7, 0xa7, 0x01, 0xbc, 0x34,
                               0xd6, 0x86, 0xfa, 0x87, 0xdf, 0xae};  // of RFC 5769 §2.3
  std::copy(id.begin(), id.end(), packet.begin() + 8);
  const Reply reply = alice.send(packet).value();
  const auto value = reply.view().find(Attribute::xor_mapped_address).value().value;
  const Packet expected{0x00, 0x02, 0xa1, 0x47, 0x01, 0x13, 0xa9, 0xfa, 0xa5, 0xd3,
                        0xf1, 0x79, 0xbc, 0x25, 0xf4, 0xb5, 0xbe, 0xd2, 0xb9, 0xd9};
  EXPECT_EQ(Packet(value.begin(), value.end()), expected);
}

TEST(ChecklistB, Line11_ErrorsAreBetween300And699AndCarryNoReason) {
  World world;
  Client alice(world, "192.0.2.7:4000");
  const Reply unauthenticated = alice.send(alice.unsigned_request(stun::Method::refresh)).value();
  const Reply mismatch = alice.refresh();
  const Reply unknown =
      alice.send(binding([](MessageWriter& w) { w.add_flag(kUnknownRequired); })).value();
  for (const auto& [reply, code] :
       {std::pair{unauthenticated, 401}, {mismatch, 437}, {unknown, 420}}) {
    const auto value = reply.view().find(Attribute::error_code).value().value;
    ASSERT_EQ(value.size(), 4U);
    EXPECT_EQ(stun::load_u16(value, 0), 0U) << "reserved";
    EXPECT_EQ(value[2] * 100 + value[3], code);
    EXPECT_GE(value[2], 3);
    EXPECT_LE(value[2], 6);
    EXPECT_LE(value[3], 99);
  }
}

TEST(ChecklistB, Line12_AStreamMayArriveInAnyPieces) {
  World world;
  Client alice(world, "192.0.2.7:4000", "alice", "alice-password", ClientTransport::tcp);
  ASSERT_TRUE(alice.allocate().ok());
  const Packet stream = joined({binding(), alice.request(stun::Method::refresh), binding()});
  for (const std::size_t piece : {std::size_t{1}, std::size_t{3}, std::size_t{21}, stream.size()}) {
    StreamFramer framer;
    std::vector<int> codes;
    for (std::size_t at = 0; at < stream.size(); at += piece) {
      framer.feed(stun::Bytes(stream).subspan(at, std::min(piece, stream.size() - at)));
      while (const auto frame = framer.next()) {
        codes.push_back(alice.send(Packet(frame->begin(), frame->end())).value().code());
      }
    }
    EXPECT_FALSE(framer.broken());
    EXPECT_FALSE(framer.has_partial());
    EXPECT_EQ(codes, (std::vector<int>{0, 0, 0})) << "pieces of " << piece;
  }
}

}  // namespace
}  // namespace bedside::turn::testing
