// What a relay shard does without a peer on the network: datagrams between two relay ports of this
// server, and the network's errors about datagrams that left one.

#include <algorithm>
#include <utility>

#include "server/relay_shard_core.h"

namespace bedside::server {

// RFC 8656 knows no such case: for both clients it looks as if the datagram had crossed the network
// between their relayed addresses, which many NATs and container networks would not let it.
void RelayShard::Core::hand_over(const turn::ToPeer& out, const stun::Endpoint& from,
                                 stun::MutableBytes room, const turn::Now& time) {
  const std::size_t size = out.payload.size();
  if (out.inside->shard != number) {
    const std::size_t shard = out.inside->shard;
    HandoverQueue* queue = shared.handover != nullptr ? shared.handover->queue(shard) : nullptr;
    if (queue == nullptr || !queue->put({out.inside->port, out.to, from, out.payload})) {
      ++handover_drops;
      return;
    }
    to_ring |= std::uint64_t{1} << shard;
    return;
  }
  std::size_t offset = net::kUdpHeadroom;
  const bool stays = !room.empty();
  if (stays) {
    offset = static_cast<std::size_t>(out.payload.data() - room.data());
  } else if (size <= net::kUdpPayload) {
    room = inside;
    std::copy(out.payload.begin(), out.payload.end(),
              room.begin() + static_cast<std::ptrdiff_t>(offset));
  } else {  // the limit for what comes from the kernel, too
    ++handover_drops;
    return;
  }
  to_port(out.inside->port, out.to, from, {room, offset, size}, time, stays);
}

// The port was looked up a moment ago: it may have been closed since, and its id be in use again.
void RelayShard::Core::to_port(turn::RelayPortId id, const stun::Endpoint& to,
                               const stun::Endpoint& from, const turn::PeerDatagram& datagram,
                               const turn::Now& time, bool stays) {
  PortSocket* port = ports.find(id);
  if (port == nullptr || port->port.relayed != to) {
    ++handover_drops;
    return;
  }
  from_peer(*port, from, datagram, time, stays);
}

void RelayShard::Core::on_handed_over() {
  HandoverQueue& queue = *shared.handover->queue(number);
  queue.hear();
  const turn::Now time = now();
  std::size_t taken = net::kUdpBatch;
  for (int i = 0; i < kBatchesPerWakeup && taken == net::kUdpBatch; ++i) {
    taken = queue.visit(net::kUdpBatch, [&](const HandedOver& got, stun::MutableBytes room) {
      to_port(got.port, got.to, got.from, {room, net::kUdpHeadroom, got.payload.size()}, time,
              true);
    });
    outgoing.flush();  // what it borrows lies in the queue
    queue.release(taken);
  }
  for (net::DetachedConnection& stream : queue.take_streams()) adopt(std::move(stream), true);
  if (taken == net::kUdpBatch) queue.ring();  // the rest when the other sockets had their turn
  settle();
}

// One ring for all that a batch has handed over.
void RelayShard::Core::ring() {
  for (std::size_t shard = 0; to_ring != 0; ++shard, to_ring >>= 1U) {
    if ((to_ring & 1U) != 0) shared.handover->queue(shard)->ring();
  }
}

// RFC 8656 §11.5. At most one batch a wake-up: the rest comes with the next.
void RelayShard::Core::on_port_errors(PortSocket& port, const turn::Now& time) {
  const turn::RelayPortId id = port.port.id;
  for (const net::UdpError& error : port.socket.take_errors(errors)) {
    const ClientLink owner = port.owner;
    const turn::PortVerdict verdict =
        relay.on_icmp(id, error.to, {error.type, error.code, error.data}, time);
    if (const auto* out = std::get_if<turn::ToOwner>(&verdict)) to_owner(owner, *out, false);
    if (ports.find(id) != &port) return;  // its allocation has just expired
  }
}

}  // namespace bedside::server
