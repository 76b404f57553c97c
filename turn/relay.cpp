#include "turn/relay.h"

#include <algorithm>
#include <utility>

#include "turn/channel_data.h"
#include "turn/relay_request.h"

namespace bedside::turn {
namespace {

bool is_lifecycle(const Event& event) {
  return std::holds_alternative<AllocationOpened>(event) ||
         std::holds_alternative<AllocationClosed>(event);
}

bool is_turn(stun::Method method, bool tcp_relay) {
  switch (method) {
    case stun::Method::connect:
    case stun::Method::connection_bind:
      return tcp_relay;
    case stun::Method::allocate:
    case stun::Method::refresh:
    case stun::Method::create_permission:
    case stun::Method::channel_bind:
      return true;
    default:
      return false;
  }
}

std::uint64_t random_word(Random& random) {
  std::array<std::uint8_t, 8> bytes{};
  random.fill(bytes);
  return (std::uint64_t{stun::load_u32(bytes, 0)} << 32) | stun::load_u32(bytes, 4);
}

}  // namespace

Relay::Relay(const RelaySettings& settings, const RelaySurroundings& surroundings, PeerPolicy peers)
    : settings_(settings),
      around_(surroundings),
      peers_(std::move(peers)),
      authenticator_(*surroundings.credentials, *surroundings.participants, settings.nonce_key),
      limiter_(random_word(*surroundings.random)),
      allocations_(random_word(*surroundings.random)),
      connections_(settings.shard),
      packet_rate_(settings.quotas.packets_per_second, settings.quotas.packets_per_second),
      bit_rate_(settings.quotas.bits_per_second, settings.quotas.bits_per_second),
      shard_bit_rate_(settings.quotas.shard_bits_per_second, settings.quotas.shard_bits_per_second),
      new_peer_rate_(settings.quotas.new_peers_per_second, settings.quotas.new_peers_burst),
      icmp_rate_(limits::kIcmpRate.per_second, limits::kIcmpRate.burst),
      data_seed_(random_word(*surroundings.random)) {}

ClientVerdict Relay::on_client(const FiveTuple& client, stun::Bytes packet, const Now& now) {
  expire(now);
  if (packet.empty()) return drop(DropReason::not_stun_or_channel);
  switch (classify(packet[0], settings_.accept_rfc5766_channels)) {
    case PacketKind::channel_data:
      return on_channel_data(client, packet, now);
    case PacketKind::stun:
      return on_message(client, packet, now);
    case PacketKind::other:
      break;
  }
  return drop(DropReason::not_stun_or_channel);
}

ClientVerdict Relay::on_message(const FiveTuple& client, stun::Bytes packet, const Now& now) {
  const auto message = stun::MessageView::parse(packet);
  if (!message) return drop(DropReason::malformed);
  if (message->is(stun::Class::indication, stun::Method::send)) {
    return on_send(client, *message, now);
  }
  if (message->message_class() != stun::Class::request) return drop(DropReason::unexpected_class);

  const Request request{*message, client, now};
  if (message->method() == stun::Method::binding) return on_binding(request);
  // RFC 8489 §6.3: a method we do not know is not answered.
  if (!is_turn(message->method(), settings_.tcp_relay)) {
    return drop(DropReason::unexpected_class);
  }
  ++counters_.requests;
  if (message->method() == stun::Method::connection_bind) return on_connection_bind(request);
  return on_request(request);
}

ClientVerdict Relay::on_request(const Request& request) {
  Allocation* allocation = allocations_.find(request.client);
  const bool elsewhere = allocation == nullptr && settings_.mobility &&
                         request.message.method() == stun::Method::refresh &&
                         request.message.has(stun::Attribute::mobility_ticket);
  if (elsewhere) allocation = arriving(request.message);
  const auto account =
      authenticator_.check(request.message, request.client, allocation, request.now);
  if (!account) return refuse_stranger(request, account.error());
  if (request.message.has_unknown_required()) {
    return unknown_attributes(request, *account, request.message.unknown_required().view());
  }
  if (request.message.method() == stun::Method::allocate) return on_allocate(request, *account);
  if (allocation == nullptr) return error(request, *account, elsewhere ? 400 : 437);
  if (elsewhere) move(*allocation, request);
  switch (request.message.method()) {
    case stun::Method::refresh:
      return on_refresh(request, *allocation);
    case stun::Method::create_permission:
      return on_create_permission(request, *allocation);
    case stun::Method::connect:
      return on_connect(request, *allocation);
    default:
      return on_channel_bind(request, *allocation);
  }
}

void Relay::on_client_closed(const FiveTuple& client, const Now& now) {
  if (Allocation* allocation = allocations_.find(client)) {
    if (allocation->mobility) return leave_behind(*allocation);
    close(*allocation, CloseReason::connection_closed, now);
  }
}

std::optional<std::chrono::nanoseconds> Relay::next_deadline() const {
  const auto allocation = allocations_.next_deadline();
  const auto connection = connections_.next_deadline();
  if (!allocation || !connection) return allocation ? allocation : connection;
  return std::min(*allocation, *connection);
}

void Relay::expire(const Now& now) {
  while (Allocation* allocation = allocations_.pop_due(now.mono)) {
    for (const stun::Family family : {stun::Family::ipv4, stun::Family::ipv6}) {
      const auto& half = allocation->half(family);
      if (half && half->expires <= now.mono) close_half(*allocation, family, now);
    }
    if (allocation->empty()) {
      close(*allocation, CloseReason::expired, now);
    } else {
      allocations_.reschedule(*allocation);
    }
  }
  if (connections_.size() != 0) expire_connections(now);
}

void Relay::close_half(Allocation& allocation, stun::Family family, const Now& now) {
  std::optional<RelayedHalf>& half = allocation.half(family);
  if (!half) return;
  if (!allocation.connections.empty()) close_connections(allocation, family);
  allocations_.forget_port(half->port.id);
  around_.ports->close(half->port.id, now);
  half.reset();
  allocation.permissions.remove_family(family);
  allocation.channels.remove_family(family);
}

void Relay::close(Allocation& allocation, CloseReason reason, const Now& now) {
  close_half(allocation, stun::Family::ipv4, now);
  close_half(allocation, stun::Family::ipv6, now);
  around_.ledger->release(allocation.account.name, allocation.source);
  const auto age = std::chrono::duration_cast<std::chrono::seconds>(now.mono - allocation.opened);
  events_.emplace_back(AllocationClosed{
      allocation.serial,
      Party{allocation.client, allocation.account.name, allocation.account.participant}, reason,
      age, allocation.to_peer, allocation.to_client, allocation.relayed_transport});
  allocations_.erase(allocation);
  --counters_.allocations;
}

template <typename Predicate>
std::size_t Relay::close_where(Predicate matches, CloseReason reason, const Now& now) {
  std::vector<std::uint32_t> doomed;
  allocations_.for_each([&](const Allocation& allocation) {
    if (matches(allocation.account)) doomed.push_back(allocation.slot);
  });
  for (const std::uint32_t slot : doomed) close(*allocations_.at(slot), reason, now);
  return doomed.size();
}

std::size_t Relay::revoke_participant(std::string_view participant, const Now& now) {
  if (participant.empty()) return 0;
  return close_where([&](const Account& a) { return a.participant == participant; },
                     CloseReason::revoked, now);
}

std::size_t Relay::revoke_user(std::string_view name, const Now& now) {
  return close_where([&](const Account& a) { return a.participant.empty() && a.name == name; },
                     CloseReason::revoked, now);
}

std::size_t Relay::close_all(const Now& now) {
  return close_where([](const Account&) { return true; }, CloseReason::shutdown, now);
}

void Relay::set_peer_policy(PeerPolicy peers) {
  peers_ = std::move(peers);
  allocations_.for_each([this](Allocation& allocation) {
    allocation.permissions.remove_if(
        [this](const stun::IpAddress& peer) { return peers_.judge(peer).is_denied(); });
    allocation.channels.remove_if(
        [this](const stun::Endpoint& peer) { return peers_.judge(peer).is_denied(); });
  });
  close_refused_connections();
}

void Relay::set_quotas(const Quotas& quotas) {
  settings_.quotas = quotas;
  packet_rate_ = Rate(quotas.packets_per_second, quotas.packets_per_second);
  bit_rate_ = Rate(quotas.bits_per_second, quotas.bits_per_second);
  shard_bit_rate_ = Rate(quotas.shard_bits_per_second, quotas.shard_bits_per_second);
  new_peer_rate_ = Rate(quotas.new_peers_per_second, quotas.new_peers_burst);
}

void Relay::drop_events(std::size_t count) {
  const auto end = events_.begin() + static_cast<std::ptrdiff_t>(std::min(count, events_.size()));
  pending_abuse_ -= static_cast<std::size_t>(
      std::count_if(events_.begin(), end, [](const Event& e) { return !is_lifecycle(e); }));
  events_.erase(events_.begin(), end);
}

void Relay::note(Event abuse) {
  if (pending_abuse_ >= limits::kMaxPendingAbuseEvents) {
    ++counters_.events_lost;
    return;
  }
  ++pending_abuse_;
  events_.push_back(std::move(abuse));
}

Drop Relay::drop(DropReason reason) {
  ++counters_.drops[static_cast<std::size_t>(reason)];
  return Drop{reason};
}

}  // namespace bedside::turn
