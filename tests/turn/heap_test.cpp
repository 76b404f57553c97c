// Relaying a packet must not touch the heap: every operator new of this process is counted.
#include <gtest/gtest.h>

#include <atomic>
#include <cstdlib>
#include <new>

#include "tests/turn/relay_world.h"

namespace {
std::atomic<std::uint64_t> allocations{0};

void* counted(std::size_t size) {
  allocations.fetch_add(1, std::memory_order_relaxed);
  if (void* memory = std::malloc(size == 0 ? 1 : size)) return memory;  // NOLINT
  throw std::bad_alloc();
}
}  // namespace

// NOLINTBEGIN: the replaceable functions themselves.
void* operator new(std::size_t size) { return counted(size); }
void* operator new[](std::size_t size) { return counted(size); }
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete[](void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }
void operator delete[](void* memory, std::size_t) noexcept { std::free(memory); }
// NOLINTEND

namespace bedside::turn::testing {
namespace {

using namespace std::chrono_literals;

constexpr int kPackets = 1000;

class HeapTest : public ::testing::Test {
 protected:
  HeapTest() {
    relayed_ = alice_.allocate().relayed().value();
    alice_.permit({"8.8.8.8:1"});
    alice_.bind(0x4000, "8.8.8.8:9000");
    bob_at_ = bob_.allocate().relayed().value();
    alice_.bind(0x4001, bob_at_.to_string());
  }

  // How often the heap is asked while `packet` comes from the client again and again, a little
  // later each time so that deadlines and rates take part.
  std::uint64_t asked_by_client(const Packet& packet, std::size_t wanted_alternative) {
    const std::uint64_t before = allocations.load();
    for (int i = 0; i < kPackets; ++i) {
      world_.now.mono += 1ms;
      const ClientVerdict verdict = world_.relay.on_client(alice_.tuple, packet, world_.now);
      wrong_ += verdict.index() == wanted_alternative ? 0 : 1;
    }
    return allocations.load() - before;
  }

  std::uint64_t asked_by_peer(const stun::Endpoint& from, bool passes) {
    Packet buffer(PeerDatagram::kHeadroom + 1200 + PeerDatagram::kTailroom);
    const RelayPortId port = world_.ports.find(relayed_)->id;
    const std::uint64_t before = allocations.load();
    for (int i = 0; i < kPackets; ++i) {
      world_.now.mono += 1ms;
      const PeerDatagram datagram{buffer, PeerDatagram::kHeadroom, 1199};
      const PortVerdict verdict = world_.relay.on_peer(port, from, datagram, world_.now);
      wrong_ += std::holds_alternative<ToOwner>(verdict) == passes ? 0 : 1;
    }
    return allocations.load() - before;
  }

  static constexpr std::size_t kDrop = 0;
  static constexpr std::size_t kToPeer = 2;

  World world_;
  Client alice_{world_, "192.0.2.7:4000"};
  Client bob_{world_, "192.0.2.8:4000", "bob", "bob-password"};
  stun::Endpoint relayed_;
  stun::Endpoint bob_at_;
  int wrong_ = 0;
};

TEST_F(HeapTest, The_counter_counts) {
  const std::uint64_t before = allocations.load();
  const auto value = std::make_unique<int>(1);
  EXPECT_EQ(allocations.load() - before, 1U);
  EXPECT_EQ(*value, 1);
}

TEST_F(HeapTest, ChannelData_to_a_peer_asks_for_nothing) {
  const Packet packet = channel_data(0x4000, std::string(1200, 'x'));
  EXPECT_EQ(asked_by_client(packet, kToPeer), 0U);
  EXPECT_EQ(wrong_, 0);
}

TEST_F(HeapTest, ChannelData_to_another_client_of_ours_asks_for_nothing) {
  const Packet packet = channel_data(0x4001, std::string(1200, 'x'));
  // The fake that stands for the live relay ports must not ask either.
  EXPECT_EQ(asked_by_client(packet, kToPeer), 0U);
  EXPECT_EQ(wrong_, 0);
}

// The way of a datagram from one relay port to another of the same shard, in the slot it came in.
TEST_F(HeapTest, A_hand_over_inside_the_process_asks_for_nothing_in_both_forms) {
  bob_.permit({relayed_.to_string()});
  const std::string payload(1200, 'x');
  for (const Packet& packet : {channel_data(0x4001, payload), send_indication(bob_at_, payload)}) {
    Packet slot(PeerDatagram::kHeadroom + packet.size() + PeerDatagram::kTailroom);
    const stun::MutableBytes room(slot);
    const std::uint64_t before = allocations.load();
    for (int i = 0; i < kPackets; ++i) {
      world_.now.mono += 1ms;
      std::copy(packet.begin(), packet.end(), slot.begin() + PeerDatagram::kHeadroom);
      const ClientVerdict verdict = world_.relay.on_client(
          alice_.tuple, room.subspan(PeerDatagram::kHeadroom, packet.size()), world_.now);
      const auto* out = std::get_if<ToPeer>(&verdict);
      ASSERT_TRUE(out != nullptr && out->inside);
      const auto offset = static_cast<std::size_t>(out->payload.data() - room.data());
      const PeerDatagram datagram{room, offset, out->payload.size()};
      const PortVerdict arrived =
          world_.relay.on_peer(out->inside->port, relayed_, datagram, world_.now);
      wrong_ += std::holds_alternative<ToOwner>(arrived) ? 0 : 1;
    }
    EXPECT_EQ(allocations.load() - before, 0U);
  }
  EXPECT_EQ(wrong_, 0);
}

TEST_F(HeapTest, An_ICMP_error_asks_for_nothing) {
  const RelayPortId port = world_.ports.find(relayed_)->id;
  const std::uint64_t before = allocations.load();
  for (int i = 0; i < kPackets; ++i) {
    world_.now.mono += 100ms;
    const PortVerdict verdict =
        world_.relay.on_icmp(port, endpoint("8.8.8.8:9000"), {3, 3, 0}, world_.now);
    wrong_ += std::holds_alternative<ToOwner>(verdict) ? 0 : 1;
  }
  EXPECT_EQ(allocations.load() - before, 0U);
  EXPECT_EQ(wrong_, 0);
}

TEST_F(HeapTest, A_Send_indication_asks_for_nothing) {
  const Packet packet = send_indication(endpoint("8.8.8.8:9001"), std::string(1200, 'x'));
  EXPECT_EQ(asked_by_client(packet, kToPeer), 0U);
  EXPECT_EQ(wrong_, 0);
}

TEST_F(HeapTest, A_peers_datagram_asks_for_nothing_as_ChannelData_or_Data) {
  EXPECT_EQ(asked_by_peer(endpoint("8.8.8.8:9000"), true), 0U);
  EXPECT_EQ(asked_by_peer(endpoint("8.8.8.8:9001"), true), 0U);
  EXPECT_EQ(wrong_, 0);
}

TEST_F(HeapTest, Packets_that_go_nowhere_ask_for_nothing) {
  EXPECT_EQ(asked_by_client(channel_data(0x4ABC, "x"), kDrop), 0U);
  EXPECT_EQ(asked_by_client(send_indication(endpoint("9.9.9.9:9000"), "x"), kDrop), 0U);
  EXPECT_EQ(asked_by_client({0xFF, 0xFF, 0xFF, 0xFF}, kDrop), 0U);
  EXPECT_EQ(asked_by_peer(endpoint("9.9.9.9:9000"), false), 0U);
  EXPECT_EQ(wrong_, 0);
}

TEST_F(HeapTest, A_strangers_request_asks_for_nothing) {
  const Packet request = alice_.unsigned_request(stun::Method::allocate, udp_transport());
  FiveTuple stranger = alice_.tuple;
  stranger.client.port = 9;
  const std::uint64_t before = allocations.load();
  for (int i = 0; i < kPackets; ++i) world_.relay.on_client(stranger, request, world_.now);
  EXPECT_LE(allocations.load() - before, 20U) << "the crypto library may fetch its own memory";
}

}  // namespace
}  // namespace bedside::turn::testing
