// What a TURN client that never reads costs: a bounded queue, for the sake of the answers in it.
#include <gtest/gtest.h>

#include <memory>
#include <optional>
#include <string>

#include "server/net/tcp_listener.h"
#include "server/turn_stream.h"
#include "stun/bytes.h"
#include "tests/net/loopback_client.h"
#include "tests/support/turn_wire.h"
#include "turn/channel_data.h"

namespace bedside::server::testing {
namespace {

using turn::testing::channel_data;
using turn::testing::endpoint;
using turn::testing::Packet;

constexpr net::ConnectionLimits kLimits{};
constexpr std::size_t kFrame = 1004;  // ChannelData of a kilobyte

// A stream between the two: the shard's side, and a client with small buffers.
class SlowClient final : public TurnSession::Owner {
 public:
  SlowClient() {
    auto listener = net::TcpListener::open(endpoint("127.0.0.1:0")).value();
    std::optional<net::AcceptedSocket> accepted;
    client = std::make_unique<tests::LoopbackClient>(listener->local(), 4096);
    listener->start(loop, [&](net::AcceptedSocket socket) { accepted.emplace(std::move(socket)); });
    loop.run_until([&] { return accepted.has_value(); });
    net::DetachedConnection connection;
    connection.fd = std::move(accepted->fd);
    connection.peer = accepted->peer;
    connection.local = accepted->local;
    stream = std::make_unique<TurnStream>(loop, std::move(connection), false, TurnSessionLimits{},
                                          *this);
    client->stop_reading();
  }

  // Media until one is dropped; how many were taken.
  std::size_t fill() {
    const Packet frame = channel_data(0x4000, std::string(kFrame - 4, 'm'));
    std::size_t taken = 0;
    while (stream->media(frame)) ++taken;
    return taken;
  }
  // What is ready is done: writes the kernel takes, a close that was found due.
  void settle() {
    for (int i = 0; i < 3; ++i) loop.run_once({});
  }

  void on_frame(TurnSession& /*session*/, stun::Bytes /*frame*/) override {}
  void on_frames_done(TurnSession& /*session*/) override {}
  void on_proven(TurnSession& /*session*/) override {}
  void on_over(TurnSession& /*session*/) override {
    over = true;
    stream.reset();
  }

  net::Loop loop;
  std::unique_ptr<tests::LoopbackClient> client;
  std::unique_ptr<TurnStream> stream;
  bool over = false;
};

Packet answer(std::uint8_t number) {
  Packet buffer(100);
  stun::TransactionId id{};
  id[0] = number;
  stun::MessageWriter writer(buffer, stun::Class::success, stun::Method::refresh, id);
  writer.add_u32(stun::Attribute::lifetime, 600);
  buffer.resize(writer.finish().size());
  return buffer;
}

TEST(ChecklistB, Line59_WhatWaitsForAClientThatNeverReadsIsBounded) {
  SlowClient slow;
  std::size_t most = 0;
  for (int i = 0; i < 50; ++i) {
    slow.fill();
    most = std::max(most, slow.stream->queued());
    slow.settle();
  }
  EXPECT_GT(most, kLimits.queue_data);
  EXPECT_LE(most, kLimits.queue_data + kFrame) << "256 KiB and the frame that reached it";

  // Answers go on to be queued where media has no room left, and are the last to give in.
  const Packet one = answer(0);
  const std::size_t room = (kLimits.queue_control - slow.stream->queued()) / one.size();
  for (std::size_t i = 0; i < room; ++i) slow.stream->answer(one);
  slow.settle();
  EXPECT_FALSE(slow.over);
  most = slow.stream->queued();
  EXPECT_LE(most, kLimits.queue_control + one.size());
  for (int i = 0; i < 100'000 && slow.stream; ++i) {
    slow.stream->answer(one);
    if (slow.stream) most = std::max(most, slow.stream->queued());
    if (i % 1000 == 0) slow.settle();
  }
  EXPECT_LE(most, kLimits.queue_control + one.size()) << "1 MiB and the answer that reached it";
  EXPECT_TRUE(slow.over) << "who lets a megabyte of answers lie is gone";
}

TEST(ChecklistB, Line59_NoAnswerIsLostBehindMediaThatIs) {
  SlowClient slow;
  constexpr std::uint8_t kAnswers = 200;
  std::size_t taken = 0;
  for (std::uint8_t i = 0; i < kAnswers; ++i) {
    taken += slow.fill();
    slow.stream->answer(answer(i));
    slow.settle();
  }
  ASSERT_FALSE(slow.over);
  slow.client->start_reading();
  const std::size_t all = taken * kFrame + kAnswers * answer(0).size();
  ASSERT_TRUE(slow.loop.run_until([&] { return slow.client->pump().received().size() >= all; }));
  EXPECT_EQ(slow.client->received().size(), all);
  std::size_t media = 0;
  std::uint8_t next = 0;
  for (stun::Bytes rest = stun::as_bytes(slow.client->received()); !rest.empty();) {
    if (turn::classify(rest[0]) == turn::PacketKind::channel_data) {
      rest = rest.subspan(kFrame);
      ++media;
      continue;
    }
    const std::size_t size = answer(0).size();
    ASSERT_LE(size, rest.size());
    const auto message = stun::MessageView::parse(rest.first(size));
    ASSERT_TRUE(message) << "a frame was cut";
    ASSERT_EQ(message->transaction()[0], next++) << "in order, none missing";
    rest = rest.subspan(size);
  }
  EXPECT_EQ(next, kAnswers);
  EXPECT_EQ(media, taken) << "whole frames or nothing";
}

}  // namespace
}  // namespace bedside::server::testing
