// What one shard has for another: datagrams from relay port to relay port, without the kernel, and
// clients' connections that turned out to belong there.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <vector>

#include "server/net/connection.h"
#include "server/net/fd.h"
#include "server/net/udp_batch.h"
#include "stun/bytes.h"
#include "stun/endpoint.h"
#include "turn/relay_ports.h"

namespace bedside::server {

// One datagram under way. What it borrows is the sender's or, once taken, a slot of the queue.
struct HandedOver {
  turn::RelayPortId port;  // of the receiving shard
  stun::Endpoint to;       // the relayed address that port had when it was looked up
  stun::Endpoint from;     // the sender's relayed address
  stun::Bytes payload;
};

// What other shards hand over to one shard: a bounded queue without locks, many writers and one
// reader, in order for each writer. Full, or a payload above net::kUdpPayload (the limit for what
// comes from the kernel too): the datagram is dropped, as UDP does, and the writer counts it.
//
// Writers put a batch and ring() once; only the first ring since the reader last looked wakes it.
class HandoverQueue {
 public:
  static constexpr std::size_t kSlots = 512;  // eight full batches
  static constexpr std::size_t kStreams = 64;

  HandoverQueue();

  // Any thread.
  [[nodiscard]] bool put(const HandedOver& datagram);
  void ring();
  // Any thread; rings. Takes its time (a lock): for connections, not for packets. While kStreams
  // wait, another one is closed.
  void put(net::DetachedConnection stream);

  // The reader's thread. Watch bell() for reading and call hear() before looking.
  int bell() const { return bell_.get(); }
  void hear();

  // Calls visit(HandedOver, MutableBytes room) for at most `limit` datagrams, the payload lying at
  // net::kUdpHeadroom in `room`. They stay untouched by writers until release(): what is sent on
  // may borrow them.
  template <typename Visit>
  std::size_t visit(std::size_t limit, Visit visit) {
    std::size_t count = 0;
    for (; count < limit; ++count) {
      const std::uint64_t at = next_ + count;
      if (turns_[at % kSlots].load(std::memory_order_acquire) != at + 1) break;
      const stun::MutableBytes room = room_of(at);
      HandedOver datagram = letters_[at % kSlots];
      datagram.payload = room.subspan(net::kUdpHeadroom, datagram.payload.size());
      visit(datagram, room);
    }
    return count;
  }
  void release(std::size_t count);
  std::vector<net::DetachedConnection> take_streams();

 private:
  static constexpr std::size_t kRoom = net::kUdpHeadroom + net::kUdpPayload + net::kUdpTailroom;
  stun::MutableBytes room_of(std::uint64_t at) {
    return {memory_.get() + (at % kSlots) * kRoom, kRoom};
  }

  // The writers' fields first and the reader's last, with pages between them.
  std::atomic<std::uint64_t> free_{0};      // the position the next writer claims
  std::unique_ptr<std::uint8_t[]> memory_;  // costs nothing before it is used
  // Slot i is free for position p (p mod kSlots = i) when its turn is p, and full when it is p + 1.
  std::array<std::atomic<std::uint64_t>, kSlots> turns_;
  std::array<HandedOver, kSlots> letters_;
  std::uint64_t next_ = 0;  // the position the reader looks at; its own
  net::Fd bell_;
  std::atomic<bool> rung_{false};
  std::mutex streams_mutex_;
  std::vector<net::DetachedConnection> streams_;
};

// The queues of all shards of a server, by number. Outlives the shards: one that has stopped is
// still written to, and what it does not read any more fills its queue and is dropped.
class RelayHandover {
 public:
  static constexpr std::size_t kMaxShards = 64;

  explicit RelayHandover(std::size_t shards);

  // Null when there is no such shard.
  HandoverQueue* queue(std::size_t shard) {
    return shard < kMaxShards ? queues_[shard].get() : nullptr;
  }

 private:
  std::array<std::unique_ptr<HandoverQueue>, kMaxShards> queues_;
};

}  // namespace bedside::server
