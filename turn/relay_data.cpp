// The packet path of a Relay. Nothing here touches the heap.

#include <algorithm>

#include "turn/channel_data.h"
#include "turn/relay_request.h"

namespace bedside::turn {
namespace {

// What fits into a Data indication with an IPv6 peer, whose length field counts in 16 bits.
constexpr std::size_t kMaxPayload = 0xFFFC - (PeerDatagram::kHeadroom - stun::kHeaderSize);

}  // namespace

ClientVerdict Relay::on_channel_data(const FiveTuple& client, stun::Bytes packet, const Now& now) {
  Allocation* allocation = allocations_.find(client);
  if (allocation == nullptr) return drop(DropReason::no_allocation);
  const auto data = parse_channel_data(packet);
  if (!data) return drop(DropReason::malformed);
  const auto number = ChannelNumber::from(data->number, settings_.accept_rfc5766_channels);
  const Channel* channel = number ? allocation->channels.find(*number, now) : nullptr;
  if (channel == nullptr) return drop(DropReason::no_channel);
  return to_peer(*allocation, {{}, channel->peer, data->payload, false, {}}, channel->own_relay,
                 now);
}

ClientVerdict Relay::on_send(const FiveTuple& client, const stun::MessageView& message,
                             const Now& now) {
  Allocation* allocation = allocations_.find(client);
  if (allocation == nullptr) return drop(DropReason::no_allocation);
  if (allocation->relays_tcp()) return drop(DropReason::unexpected_class);
  if (message.has_unknown_required()) return drop(DropReason::malformed);
  const auto address = message.xor_address(stun::Attribute::xor_peer_address);
  const auto data = message.find(stun::Attribute::data);
  if (!address || !data) return drop(DropReason::incomplete_send);
  const stun::Endpoint peer = address->unmapped();
  const PeerJudgement judgement = peers_.judge(peer);
  const bool own = judgement.outcome == PeerJudgement::Outcome::own_relay_only;
  if (judgement.is_denied()) return drop(DropReason::peer_refused);
  const bool dont_fragment = message.has(stun::Attribute::dont_fragment);
  return to_peer(*allocation, {{}, peer, data->value, dont_fragment, {}}, own, now);
}

// `own`: the peer has one of our own addresses, of which only live relayed ones are peers.
ClientVerdict Relay::to_peer(Allocation& allocation, const ToPeer& wish, bool own, const Now& now) {
  const stun::Endpoint& peer = wish.to;
  const std::optional<RelayedHalf>& half = allocation.half(peer.address.family());
  if (!half) return drop(DropReason::wrong_family);
  // Asked for each packet: the port may have been closed since the channel was bound.
  const std::optional<LiveRelay> inside = around_.live_relays->locate(peer);
  if (own && !inside) return drop(DropReason::peer_refused);
  // A channel outlives its permission unless the client refreshes both. We stop at the permission:
  // it is what the client promised to keep alive (checklist B.55).
  if (!allocation.permissions.allows(peer.address, now)) return drop(DropReason::no_permission);
  const std::size_t size = wish.payload.size();
  if (!within_bandwidth(allocation, size, now)) return drop(DropReason::over_bandwidth);
  ++allocation.to_peer.packets;
  allocation.to_peer.bytes += size;
  ++counters_.packets_to_peer;
  counters_.bytes_to_peer += size;
  counters_.packets_inside += inside ? 1 : 0;
  return ToPeer{half->port.id, peer, wish.payload, wish.dont_fragment, inside};
}

PortVerdict Relay::on_peer(RelayPortId port, const stun::Endpoint& sender,
                           const PeerDatagram& datagram, const Now& now) {
  expire(now);
  Allocation* allocation = allocations_.find(port);
  if (allocation == nullptr || allocation->relays_tcp()) return drop(DropReason::no_allocation);
  if (datagram.size > kMaxPayload) return drop(DropReason::too_large);
  const stun::Endpoint from = sender.unmapped();
  if (!allocation->permissions.allows(from.address, now)) return drop(DropReason::no_permission);
  if (!within_bandwidth(*allocation, datagram.size, now)) return drop(DropReason::over_bandwidth);

  stun::Bytes framed;
  if (const Channel* channel = allocation->channels.find(from, now)) {
    const std::size_t start = datagram.offset - limits::kChannelHeaderSize;
    write_channel_header(datagram.buffer.subspan(start), channel->number.value(), datagram.size);
    std::size_t size = limits::kChannelHeaderSize + datagram.size;
    if (is_stream(allocation->client.transport)) {  // padded there only, RFC 8656 §12.5
      for (; size % 4 != 0; ++size) datagram.buffer[start + size] = 0;
    }
    framed = datagram.buffer.subspan(start, size);
  } else {
    framed = data_indication(from, datagram);
  }
  ++allocation->to_client.packets;
  allocation->to_client.bytes += datagram.size;
  ++counters_.packets_to_client;
  counters_.bytes_to_client += datagram.size;
  return ToOwner{&allocation->client, framed};
}

// Header, XOR-PEER-ADDRESS and the DATA header are written in front of the payload, which stays
// where the kernel put it. RFC 8656 §11.4: no integrity.
stun::Bytes Relay::data_indication(const stun::Endpoint& from, const PeerDatagram& datagram) {
  const std::size_t address_size = from.address.bytes().size() + 4;
  const std::size_t head =
      stun::kHeaderSize + stun::kAttributeHeaderSize + address_size + stun::kAttributeHeaderSize;
  const std::size_t start = datagram.offset - head;
  const stun::MutableBytes out = datagram.buffer.subspan(start);

  stun::MessageWriter writer(out.first(head - stun::kAttributeHeaderSize), stun::Class::indication,
                             stun::Method::data, data_transaction());
  writer.add_xor_address(stun::Attribute::xor_peer_address, from);

  const std::size_t data_at = head - stun::kAttributeHeaderSize;
  stun::store_u16(out, data_at, static_cast<std::uint16_t>(stun::Attribute::data));
  stun::store_u16(out, data_at + 2, static_cast<std::uint16_t>(datagram.size));
  const std::size_t end = head + stun::padded(datagram.size);
  std::fill(out.begin() + static_cast<std::ptrdiff_t>(head + datagram.size),
            out.begin() + static_cast<std::ptrdiff_t>(end), std::uint8_t{0});
  stun::store_u16(out, 2, static_cast<std::uint16_t>(end - stun::kHeaderSize));
  return out.first(end);
}

// Unpredictable enough for a message nobody answers, and cheaper than the random generator.
stun::TransactionId Relay::data_transaction() {
  ++data_transactions_;
  const std::uint64_t word = stun::SeededMix(data_seed_).add(data_transactions_).value();
  stun::TransactionId id{};
  stun::store_u32(id, 0, static_cast<std::uint32_t>(word >> 32));
  stun::store_u32(id, 4, static_cast<std::uint32_t>(word));
  stun::store_u32(id, 8, static_cast<std::uint32_t>(data_transactions_));
  return id;
}

// RFC 8656 §11.5. Always a Data indication, also for a peer with a channel: ChannelData has no room
// for it.
PortVerdict Relay::on_icmp(RelayPortId port, const stun::Endpoint& destination,
                           const IcmpError& error, const Now& now) {
  expire(now);
  Allocation* allocation = allocations_.find(port);
  if (allocation == nullptr || allocation->relays_tcp()) return drop(DropReason::no_allocation);
  const stun::Endpoint peer = destination.unmapped();
  const stun::Family family = peer.address.family();
  if (!allocation->half(family) || allocation->half(family)->port.id != port) {
    return drop(DropReason::wrong_family);
  }
  if (!is_passed_on(family, error)) return drop(DropReason::icmp_withheld);
  if (!allocation->permissions.allows(peer.address, now)) return drop(DropReason::no_permission);
  if (!allocation->icmp_rate.take(icmp_rate_, 1, now)) return drop(DropReason::icmp_withheld);

  stun::MessageWriter writer(scratch_, stun::Class::indication, stun::Method::data,
                             data_transaction());
  writer.add_xor_address(stun::Attribute::xor_peer_address, peer);
  writer.add_bytes(stun::Attribute::icmp, icmp_attribute(family, error));
  ++counters_.icmp_to_client;
  return ToOwner{&allocation->client, writer.finish()};
}

bool Relay::within_bandwidth(Allocation& allocation, std::size_t payload, const Now& now) {
  const std::uint64_t bits = std::uint64_t{payload} * 8;
  return allocation.packet_rate.take(packet_rate_, 1, now) &&
         allocation.bit_rate.take(bit_rate_, bits, now) &&
         shard_bits_.take(shard_bit_rate_, bits, now);
}

}  // namespace bedside::turn
