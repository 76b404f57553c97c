#include "server/relay_handover.h"

#include <gtest/gtest.h>
#include <poll.h>

#include <array>
#include <string>
#include <thread>
#include <vector>

#include "tests/support/turn_wire.h"

namespace bedside::server {
namespace {

using turn::testing::endpoint;

const stun::Endpoint kTo = endpoint("203.0.113.5:50000");
const stun::Endpoint kFrom = endpoint("203.0.113.5:50001");

bool put(HandoverQueue& queue, std::string_view payload, std::uint32_t port = 7) {
  return queue.put({{port}, kTo, kFrom, stun::as_bytes(payload)});
}

std::vector<std::string> take(HandoverQueue& queue, std::size_t limit) {
  std::vector<std::string> payloads;
  queue.release(queue.visit(limit, [&](const HandedOver& got, stun::MutableBytes room) {
    EXPECT_EQ(got.to, kTo);
    EXPECT_EQ(got.from, kFrom);
    EXPECT_EQ(got.payload.data(), room.data() + net::kUdpHeadroom);
    EXPECT_GE(room.size(), net::kUdpHeadroom + got.payload.size() + net::kUdpTailroom);
    payloads.emplace_back(stun::as_text(got.payload));
  }));
  return payloads;
}

bool rings(const HandoverQueue& queue) {
  pollfd bell{queue.bell(), POLLIN, 0};
  return ::poll(&bell, 1, 0) == 1;
}

TEST(HandoverQueue, Gives_what_was_put_in_order_and_no_more_than_asked_for) {
  HandoverQueue queue;
  EXPECT_TRUE(take(queue, 64).empty());
  for (const char* payload : {"one", "", "three"}) ASSERT_TRUE(put(queue, payload));
  EXPECT_EQ(take(queue, 2), (std::vector<std::string>{"one", ""}));
  EXPECT_EQ(take(queue, 64), std::vector<std::string>{"three"});
}

TEST(HandoverQueue, Full_it_refuses_and_after_a_release_it_takes_again) {
  HandoverQueue queue;
  for (std::size_t i = 0; i < HandoverQueue::kSlots; ++i) ASSERT_TRUE(put(queue, "x"));
  EXPECT_FALSE(put(queue, "one too many"));
  const std::size_t seen = queue.visit(10, [](const HandedOver&, stun::MutableBytes) {});
  EXPECT_EQ(seen, 10U);
  EXPECT_FALSE(put(queue, "still borrowed"));
  queue.release(seen);
  for (int i = 0; i < 10; ++i) EXPECT_TRUE(put(queue, "y"));
  EXPECT_FALSE(put(queue, "full again"));
  EXPECT_EQ(take(queue, HandoverQueue::kSlots).size(), HandoverQueue::kSlots);
}

TEST(HandoverQueue, Refuses_what_is_longer_than_a_slot) {
  HandoverQueue queue;
  EXPECT_TRUE(put(queue, std::string(net::kUdpPayload, 'x')));
  EXPECT_FALSE(put(queue, std::string(net::kUdpPayload + 1, 'x')));
}

TEST(HandoverQueue, Many_rings_wake_once_until_they_are_heard) {
  HandoverQueue queue;
  EXPECT_FALSE(rings(queue));
  for (int i = 0; i < 3; ++i) queue.ring();
  EXPECT_TRUE(rings(queue));
  queue.hear();
  EXPECT_FALSE(rings(queue));
  queue.ring();
  EXPECT_TRUE(rings(queue));
}

TEST(HandoverQueue, Keeps_the_order_of_each_of_several_writers) {
  HandoverQueue queue;
  constexpr std::uint32_t kWriters = 3;
  constexpr int kEach = 20'000;
  std::vector<std::thread> writers;
  for (std::uint32_t writer = 0; writer < kWriters; ++writer) {
    writers.emplace_back([&queue, writer] {
      for (int i = 0; i < kEach; ++i) {
        while (!put(queue, std::to_string(i), writer)) std::this_thread::yield();
        queue.ring();
      }
    });
  }
  std::array<int, kWriters> next{};
  int out_of_order = 0;
  for (int taken = 0; taken < static_cast<int>(kWriters) * kEach;) {
    pollfd bell{queue.bell(), POLLIN, 0};
    ASSERT_EQ(::poll(&bell, 1, 10'000), 1) << "a ring was lost";
    queue.hear();
    std::size_t batch = 0;
    do {
      batch = queue.visit(64, [&](const HandedOver& got, stun::MutableBytes) {
        int& expected = next.at(got.port.value);
        out_of_order += stun::as_text(got.payload) == std::to_string(expected) ? 0 : 1;
        ++expected;
      });
      queue.release(batch);
      taken += static_cast<int>(batch);
    } while (batch > 0);
  }
  EXPECT_EQ(out_of_order, 0);
  for (std::thread& writer : writers) writer.join();
}

TEST(RelayHandover, One_shard_needs_no_queue_and_unknown_ones_have_none) {
  RelayHandover one(1);
  EXPECT_EQ(one.queue(0), nullptr);
  RelayHandover three(3);
  EXPECT_NE(three.queue(2), nullptr);
  EXPECT_EQ(three.queue(3), nullptr);
  EXPECT_EQ(three.queue(64), nullptr);
}

}  // namespace
}  // namespace bedside::server
