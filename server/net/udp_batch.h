// Datagrams by the dozen: the slots they are received into and the queue they leave from.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "server/net/udp_socket.h"
#include "stun/bytes.h"
#include "stun/endpoint.h"

namespace bedside::net {

inline constexpr std::size_t kUdpBatch = 64;  // datagrams a system call

// Room in every receive slot. The headroom takes a STUN header written in front of the payload in
// place; the tailroom takes padding. 2 KiB of payload is more than any datagram that crosses an
// Ethernet path unfragmented (1500) plus tunnels and small jumbo frames; WebRTC stays below 1300.
// A slot is 34 cache lines, not a power of two: slots do not fight for the same cache sets.
inline constexpr std::size_t kUdpHeadroom = 64;
inline constexpr std::size_t kUdpPayload = 2048;
inline constexpr std::size_t kUdpTailroom = 64;

// A received datagram inside its slot. Valid until the next receive() into the same batch.
struct Datagram {
  stun::Endpoint from;
  stun::Endpoint to;  // our address it was sent to; the bound endpoint unless it is a wildcard
  stun::MutableBytes buffer;  // the whole slot: headroom, payload, tailroom
  std::size_t offset = kUdpHeadroom;
  std::size_t size = 0;

  stun::MutableBytes payload() const { return buffer.subspan(offset, size); }
};

// The slots of recvmmsg, allocated once. One a thread serves all of its sockets.
class ReceiveBatch {
 public:
  explicit ReceiveBatch(std::size_t slots = kUdpBatch);  // at most kUdpBatch
  ~ReceiveBatch();
  ReceiveBatch(const ReceiveBatch&) = delete;
  ReceiveBatch& operator=(const ReceiveBatch&) = delete;

  std::size_t slots() const;
  std::uint64_t dropped_truncated() const { return dropped_truncated_; }
  std::uint64_t dropped_unusable() const { return dropped_unusable_; }

 private:
  friend class UdpSocket;
  struct Slots;
  std::unique_ptr<Slots> slots_;
  std::uint64_t dropped_truncated_ = 0;
  std::uint64_t dropped_unusable_ = 0;
};

struct SendCounters {
  std::uint64_t sent = 0;
  std::uint64_t dropped_would_block = 0;  // the kernel's buffer is full: UDP drops
  std::uint64_t dropped_error = 0;        // unreachable, refused by a firewall, too large …
};

// Forbidden: the DF bit is set, and what does not fit the interface is not sent. Costs two system
// calls for each run of such datagrams. Only for sockets that face peers.
enum class Fragments : bool { forbidden, allowed };

// Datagrams on their way out, of any number of sockets. flush() sends one sendmmsg a socket and
// keeps the order of each socket. A datagram that cannot be sent is dropped and counted and does
// not hold up the others. Adding to a full batch flushes first.
class SendBatch {
 public:
  SendBatch();
  ~SendBatch();
  SendBatch(const SendBatch&) = delete;
  SendBatch& operator=(const SendBatch&) = delete;

  // Borrows `payload` and `socket` until flush(). `source` is used by wildcard sockets only: the
  // address the datagram shall leave from (Datagram::to of what it answers); default: the kernel's.
  void add(const UdpSocket& socket, const stun::Endpoint& to, stun::Bytes payload,
           const stun::IpAddress* source = nullptr, Fragments fragments = Fragments::allowed);

  // Copies `payload` (at most kUdpPayload + kUdpHeadroom bytes, longer ones are dropped and
  // counted): for an answer that lives in a scratch buffer only until the next one.
  void add_copy(const UdpSocket& socket, const stun::Endpoint& to, stun::Bytes payload,
                const stun::IpAddress* source = nullptr, Fragments fragments = Fragments::allowed);

  void flush();
  bool empty() const;

  const SendCounters& counters() const { return counters_; }

 private:
  struct Slots;
  void send_run(int fd, std::size_t count);

  std::unique_ptr<Slots> slots_;
  SendCounters counters_;
};

}  // namespace bedside::net
