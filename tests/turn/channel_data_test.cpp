#include "turn/channel_data.h"

#include <gtest/gtest.h>

#include <array>

namespace bedside::turn {
namespace {

TEST(FirstByte, tells_stun_channel_data_and_neither_apart) {
  for (unsigned byte = 0; byte < 256; ++byte) {
    const auto first = static_cast<std::uint8_t>(byte);
    PacketKind expected = PacketKind::other;
    if (byte <= 3) expected = PacketKind::stun;
    if (byte >= 64 && byte <= 79) expected = PacketKind::channel_data;
    EXPECT_EQ(classify(first), expected) << byte;
    if (byte >= 80 && byte <= 127) expected = PacketKind::channel_data;
    EXPECT_EQ(classify(first, true), expected) << byte;
  }
}

TEST(ChannelData, is_read_with_and_without_padding) {
  const std::array<std::uint8_t, 8> packet{0x40, 0x01, 0, 2, 'a', 'b', 9, 9};
  for (const std::size_t size : {6U, 7U, 8U}) {
    const auto data = parse_channel_data(stun::Bytes(packet).first(size));
    ASSERT_TRUE(data) << size;
    EXPECT_EQ(data->number, 0x4001);
    EXPECT_EQ(stun::as_text(data->payload), "ab");
  }
}

TEST(ChannelData, may_be_empty) {
  const std::array<std::uint8_t, 4> packet{0x40, 0x01, 0, 0};
  const auto data = parse_channel_data(packet);
  ASSERT_TRUE(data);
  EXPECT_TRUE(data->payload.empty());
}

TEST(ChannelData, shorter_than_it_says_is_none) {
  const std::array<std::uint8_t, 6> packet{0x40, 0x01, 0, 2, 'a', 'b'};
  for (std::size_t size = 0; size < packet.size(); ++size) {
    EXPECT_FALSE(parse_channel_data(stun::Bytes(packet).first(size))) << size;
  }
}

TEST(ChannelData, header_is_written_in_front_of_the_payload) {
  std::array<std::uint8_t, 6> packet{0, 0, 0, 0, 'a', 'b'};
  write_channel_header(packet, 0x4FFF, 2);
  EXPECT_EQ(packet, (std::array<std::uint8_t, 6>{0x4F, 0xFF, 0, 2, 'a', 'b'}));
}

}  // namespace
}  // namespace bedside::turn
