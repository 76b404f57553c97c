// Refresh, CreatePermission and ChannelBind of a Relay: requests of an existing allocation.

#include "turn/relay_request.h"

namespace bedside::turn {
namespace {

using stun::Attribute;

// The XOR-PEER-ADDRESS list of a CreatePermission (RFC 8656 §10.2), canonical. 0 or an error code.
struct PeerList {
  std::array<stun::IpAddress, limits::kMaxPeersPerRequest> peers;
  std::size_t size = 0;

  std::span<const stun::IpAddress> view() const { return {peers.data(), size}; }
  int read(const stun::MessageView& message) {
    for (const stun::AttributeView& attribute : message) {
      if (attribute.type != Attribute::xor_peer_address) continue;
      const auto peer = message.decode_xor_address(attribute);
      if (!peer) return 400;
      if (size == peers.size()) return 508;
      peers[size++] = peer->address.unmapped();
    }
    return size == 0 ? 400 : 0;
  }
};

}  // namespace

// RFC 8656 §8.2. Without a family all halves of the allocation are meant.
ClientVerdict Relay::on_refresh(const Request& request, Allocation& allocation) {
  const stun::MessageView& message = request.message;
  const auto requested = message.u32(Attribute::lifetime);
  if (message.has(Attribute::lifetime) && !requested) {
    return error(request, allocation.account, 400);
  }
  std::array<bool, 2> meant{allocation.halves[0].has_value(), allocation.halves[1].has_value()};
  if (message.has(Attribute::requested_address_family)) {
    const auto family = message.u8(Attribute::requested_address_family);
    meant[0] = meant[0] && family == static_cast<std::uint8_t>(stun::Family::ipv4);
    meant[1] = meant[1] && family == static_cast<std::uint8_t>(stun::Family::ipv6);
    if (!meant[0] && !meant[1]) return error(request, allocation.account, 443);
  }
  const auto ticket = message.find(Attribute::mobility_ticket);
  const bool mobile = ticket && allocation.mobility;
  // A move has just replaced the ticket it came with, which is the one before the last now.
  if (mobile && !allocation.mobility->accept(ticket->value)) {
    return error(request, allocation.account, 400);
  }
  const bool remove = requested == 0U;
  const std::chrono::seconds lifetime =
      remove ? std::chrono::seconds{0} : granted_lifetime(requested);
  stun::MessageWriter writer(scratch_, stun::Class::success, stun::Method::refresh,
                             message.transaction());
  writer.add_u32(Attribute::lifetime, static_cast<std::uint32_t>(lifetime.count()));
  if (mobile) writer.add_text(Attribute::mobility_ticket, allocation.mobility->current.text());
  const ClientVerdict reply = success(request, allocation.account, writer);

  for (const stun::Family family : {stun::Family::ipv4, stun::Family::ipv6}) {
    if (!meant[Allocation::index(family)]) continue;
    if (remove) {
      close_half(allocation, family, request.now);
    } else {
      allocation.half(family)->expires = request.now.mono + lifetime;
    }
  }
  if (allocation.empty()) {
    close(allocation, CloseReason::client, request.now);
  } else {
    allocations_.reschedule(allocation);
  }
  return reply;
}

// RFC 8656 §10.2: all of the listed peers or none.
ClientVerdict Relay::on_create_permission(const Request& request, Allocation& allocation) {
  const Account& account = allocation.account;
  PeerList list;
  if (const int code = list.read(request.message)) return error(request, account, code);
  for (const stun::IpAddress& peer : list.view()) {
    if (!allocation.half(peer.family())) return error(request, account, 443);
    const PeerJudgement judgement = peers_.judge(peer);
    if (judgement.is_denied()) return peer_denied(request, allocation, judgement.range);
  }
  if (!admit_peers(allocation, list.view(), request.now)) {
    return quota_reached(request, account, QuotaKind::permissions);
  }
  for (const stun::IpAddress& peer : list.view()) {
    allocation.permissions.install(peer, request.now, limits::kPermissionLifetime);
  }
  stun::MessageWriter writer(scratch_, stun::Class::success, stun::Method::create_permission,
                             request.message.transaction());
  return success(request, account, writer);
}

// RFC 8656 §12.2. The policy is asked on a refresh too: it may have changed.
ClientVerdict Relay::on_channel_bind(const Request& request, Allocation& allocation) {
  const Account& account = allocation.account;
  const auto value = request.message.u16(Attribute::channel_number);
  const auto address = request.message.xor_address(Attribute::xor_peer_address);
  // RFC 6062 has no channels.
  if (!value || !address || allocation.relays_tcp()) return error(request, account, 400);
  const auto number = ChannelNumber::from(*value, settings_.accept_rfc5766_channels);
  if (!number) return error(request, account, 400);
  const stun::Endpoint peer = address->unmapped();
  if (!allocation.half(peer.address.family())) return error(request, account, 443);

  const PeerJudgement judgement = peers_.judge(peer);
  const bool own = judgement.outcome == PeerJudgement::Outcome::own_relay_only;
  if (judgement.is_denied()) return peer_denied(request, allocation, judgement.range);
  if (own && !around_.live_relays->contains(peer)) {
    return peer_denied(request, allocation, DeniedRange::own_service);
  }
  const std::size_t limit = settings_.quotas.channels_per_allocation;
  const auto outcome = allocation.channels.judge(*number, peer, limit, request.now);
  if (outcome == ChannelTable::Bound::conflict) return error(request, account, 400);
  if (outcome == ChannelTable::Bound::full) {
    return quota_reached(request, account, QuotaKind::channels);
  }
  if (!admit_peers(allocation, {&peer.address, 1}, request.now)) {
    return quota_reached(request, account, QuotaKind::permissions);
  }
  allocation.permissions.install(peer.address, request.now, limits::kPermissionLifetime);
  allocation.channels.bind(Channel{*number, own, peer, request.now.mono + limits::kChannelLifetime},
                           limit, request.now);
  stun::MessageWriter writer(scratch_, stun::Class::success, stun::Method::channel_bind,
                             request.message.transaction());
  return success(request, account, writer);
}

bool Relay::admit_peers(Allocation& allocation, std::span<const stun::IpAddress> peers,
                        const Now& now) {
  const std::size_t limit = settings_.quotas.permissions_per_allocation;
  if (!allocation.permissions.has_room_for(peers, limit, now)) return false;
  std::size_t strangers = 0;
  for (const stun::IpAddress& peer : peers) {
    if (!allocation.permissions.allows(peer, now)) ++strangers;
  }
  return allocation.new_peer_rate.take(new_peer_rate_, strangers, now);
}

ClientVerdict Relay::peer_denied(const Request& request, const Allocation& allocation,
                                 DeniedRange range) {
  const Account& account = allocation.account;
  note(PeerDenied{Party{request.client, account.name, account.participant}, range});
  return error(request, account, 403);
}

}  // namespace bedside::turn
