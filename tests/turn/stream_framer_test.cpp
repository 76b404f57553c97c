// The framer must find the same frames however the stream is cut.
#include "turn/stream_framer.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "stun/message_writer.h"
#include "tests/support/seeded_random.h"

namespace bedside::turn {
namespace {

using Frame = std::vector<std::uint8_t>;

Frame stun_frame(std::size_t payload) {
  std::vector<std::uint8_t> buffer(payload + 64);
  const std::vector<std::uint8_t> data(payload, 'd');
  const stun::Bytes wire = stun::MessageWriter(buffer, stun::Class::indication, stun::Method::send,
                                               stun::TransactionId{1, 2, 3})
                               .add_bytes(stun::Attribute::data, data)
                               .finish();
  return {wire.begin(), wire.end()};
}

Frame channel_frame(std::uint16_t number, std::size_t payload) {
  Frame frame(4 + payload, 'c');
  stun::store_u16(frame, 0, number);
  stun::store_u16(frame, 2, static_cast<std::uint16_t>(payload));
  return frame;
}

// The frame as it stands in a stream.
void append(Frame& stream, const Frame& frame) {
  stream.insert(stream.end(), frame.begin(), frame.end());
  stream.resize(stun::padded(stream.size()), 0xEE);  // the padding may be anything
}

struct Framed {
  std::vector<Frame> frames;
  bool broken = false;
};

// Feeds the stream in pieces; each piece is a copy of its own, so that reading beyond it is seen.
template <typename NextSize>
Framed run(const Frame& stream, NextSize next_size, StreamFramer framer = StreamFramer()) {
  Framed outcome;
  std::size_t at = 0;
  while (at < stream.size()) {
    const std::size_t size = std::min(next_size(), stream.size() - at);
    Frame piece(stream.begin() + static_cast<std::ptrdiff_t>(at),
                stream.begin() + static_cast<std::ptrdiff_t>(at + size));
    framer.feed(piece);
    while (const auto frame = framer.next())
      outcome.frames.emplace_back(frame->begin(), frame->end());
    if (framer.broken()) break;
    at += size;
  }
  outcome.broken = framer.broken();
  return outcome;
}

struct Sample {
  Frame stream;
  std::vector<Frame> frames;
};

Sample sample() {
  Sample result;
  for (const std::size_t payload : {0U, 1U, 2U, 3U, 4U, 30U}) {
    result.frames.push_back(channel_frame(static_cast<std::uint16_t>(0x4000 + payload), payload));
    result.frames.push_back(stun_frame(payload));
  }
  for (const Frame& frame : result.frames) append(result.stream, frame);
  return result;
}

TEST(StreamFramer, finds_every_frame_at_every_single_split) {
  const Sample expected = sample();
  for (std::size_t split = 0; split <= expected.stream.size(); ++split) {
    bool first = true;
    const Framed outcome = run(expected.stream, [&] {
      const std::size_t size = first && split > 0 ? split : expected.stream.size();
      first = false;
      return size;
    });
    ASSERT_EQ(outcome.frames, expected.frames) << "split at " << split;
    ASSERT_FALSE(outcome.broken);
  }
}

TEST(StreamFramer, finds_every_frame_in_pieces_of_any_one_size) {
  const Sample expected = sample();
  for (std::size_t size = 1; size <= expected.stream.size(); ++size) {
    const Framed outcome = run(expected.stream, [size] { return size; });
    ASSERT_EQ(outcome.frames, expected.frames) << "pieces of " << size;
  }
}

TEST(StreamFramer, finds_every_frame_in_random_streams_randomly_cut) {
  testing_support::SeededRandom random(0xF4A3);
  for (int round = 0; round < 400; ++round) {
    Frame stream;
    std::vector<Frame> frames;
    for (std::size_t i = random.below(12); i > 0; --i) {
      const std::size_t payload = random.one_in(10) ? random.below(65'500) : random.below(1500);
      const auto number = static_cast<std::uint16_t>(0x4000 + random.below(0x1000));
      frames.push_back(random.one_in(2) ? stun_frame(payload) : channel_frame(number, payload));
      append(stream, frames.back());
    }
    const Framed outcome = run(stream, [&] { return 1 + random.below(3000); });
    ASSERT_EQ(outcome.frames, frames) << "round " << round;
  }
}

TEST(StreamFramer, hands_out_whole_frames_in_place) {
  Frame stream;
  append(stream, channel_frame(0x4001, 100));
  append(stream, stun_frame(100));
  StreamFramer framer;
  framer.feed(stream);
  EXPECT_EQ(framer.next()->data(), stream.data());
  EXPECT_EQ(framer.next()->data(), stream.data() + 104);
  EXPECT_FALSE(framer.next());
  EXPECT_FALSE(framer.has_partial());
}

TEST(StreamFramer, takes_the_largest_frames) {
  Frame stream;
  const Frame channel = channel_frame(0x4FFF, 65'535);
  const Frame message = stun_frame(65'528);
  EXPECT_EQ(message.size(), limits::kMaxFrame);
  append(stream, channel);
  append(stream, message);
  const Framed outcome = run(stream, [] { return std::size_t{16'384}; });
  EXPECT_EQ(outcome.frames, (std::vector<Frame>{channel, message}));
}

TEST(StreamFramer, waits_for_the_padding_of_channel_data) {
  Frame stream;
  append(stream, channel_frame(0x4000, 1));
  StreamFramer framer;
  Frame unpadded(stream.begin(), stream.begin() + 5);
  framer.feed(unpadded);
  EXPECT_FALSE(framer.next());
  Frame padding(3);
  framer.feed(padding);
  EXPECT_EQ(framer.next()->size(), 5U);
}

TEST(StreamFramer, breaks_at_every_wrong_first_byte) {
  for (unsigned first = 0; first < 256; ++first) {
    Frame stream(1, static_cast<std::uint8_t>(first));
    StreamFramer framer;
    framer.feed(stream);
    EXPECT_FALSE(framer.next());
    EXPECT_EQ(framer.broken(), !(first <= 3 || (first >= 64 && first <= 79))) << first;
  }
}

TEST(StreamFramer, takes_old_channel_numbers_only_when_told_so) {
  const Frame frame = channel_frame(0x7FFF, 4);
  EXPECT_TRUE(run(frame, [] { return std::size_t{8}; }).broken);
  EXPECT_EQ(run(
                frame, [] { return std::size_t{3}; }, StreamFramer(true))
                .frames,
            std::vector<Frame>{frame});
}

TEST(StreamFramer, breaks_at_a_wrong_cookie_without_collecting_the_message) {
  Frame stream = stun_frame(60'000);
  stream[7] ^= 1;
  for (const std::size_t size : {1U, 8U, 100U}) {
    std::size_t fed = 0;
    const Framed outcome = run(stream, [&] {
      fed += size;
      return size;
    });
    EXPECT_TRUE(outcome.broken);
    EXPECT_TRUE(outcome.frames.empty());
    EXPECT_LE(fed, std::max<std::size_t>(size, 8)) << "noticed as soon as the cookie is there";
  }
}

TEST(StreamFramer, breaks_at_a_length_that_is_no_multiple_of_four) {
  Frame stream = stun_frame(8);
  stream[3] = static_cast<std::uint8_t>(stream[3] + 1);
  EXPECT_TRUE(run(stream, [] { return std::size_t{1}; }).broken);
}

TEST(StreamFramer, gives_the_frames_before_the_break_and_none_after) {
  Frame stream;
  const Frame good = channel_frame(0x4000, 4);
  append(stream, good);
  stream.push_back('Z');
  append(stream, good);
  for (const std::size_t size : {1U, 5U, 100U}) {
    const Framed outcome = run(stream, [size] { return size; });
    EXPECT_EQ(outcome.frames, std::vector<Frame>{good});
    EXPECT_TRUE(outcome.broken);
  }
}

}  // namespace
}  // namespace bedside::turn
