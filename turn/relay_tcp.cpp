// TCP allocations of a Relay (RFC 6062): Connect, peers that connect, ConnectionBind, and the end
// of data connections.

#include <algorithm>

#include "turn/relay_request.h"

namespace bedside::turn {
namespace {

using stun::Attribute;
using Phase = PeerConnection::Phase;

}  // namespace

// RFC 6062 §5.2. The answer comes when the peer has answered.
ClientVerdict Relay::on_connect(const Request& request, Allocation& allocation) {
  const Account& account = allocation.account;
  const auto address = request.message.xor_address(Attribute::xor_peer_address);
  if (!allocation.relays_tcp() || !address) return error(request, account, 400);
  const stun::Endpoint peer = address->unmapped();
  const auto& half = allocation.half(peer.address.family());
  if (!half) return error(request, account, 443);
  for (const ConnectionId id : allocation.connections) {
    if (connections_.find(id)->peer == peer) return error(request, account, 446);
  }
  const PeerJudgement judgement = peers_.judge(peer);
  if (judgement.is_denied()) return peer_denied(request, allocation, judgement.range);
  // A port that connects to itself would succeed.
  const bool own = judgement.outcome == PeerJudgement::Outcome::own_relay_only;
  if ((own && !around_.live_relays->listens(peer)) || peer == half->port.relayed) {
    return peer_denied(request, allocation, DeniedRange::own_service);
  }
  if (!room_for_connection(allocation)) {
    return quota_reached(request, account, QuotaKind::peer_connections);
  }
  if (!allocation.new_peer_rate.take(new_peer_rate_, 1, request.now)) {
    return quota_reached(request, account, QuotaKind::permissions);
  }
  PeerConnection wanted;
  wanted.port = half->port.id;
  wanted.peer = peer;
  wanted.request = {
      request.message.transaction(),
      stun::algorithm_choice(request.message).value_or(stun::AlgorithmChoice{}),
      request.message.has(Attribute::fingerprint),
  };
  const PeerConnection& made =
      add_connection(allocation, wanted, request.now.mono + limits::kPeerConnectTimeout);
  return ToConnect{made.id, made.port, peer};
}

PortVerdict Relay::on_connected(ConnectionId id, const Now& now) {
  expire(now);
  PeerConnection* connection = connections_.find(id);
  if (connection == nullptr || connection->phase != Phase::connecting) {
    return drop(DropReason::no_allocation);
  }
  connection->phase = Phase::unbound;
  connections_.set_deadline(id, now.mono + limits::kUnboundLifetime);
  const Allocation& allocation = *allocations_.at(connection->allocation);
  return ToOwner{&allocation.client, connect_answer(*connection, 0)};
}

PortVerdict Relay::on_connect_failed(ConnectionId id, ConnectFailure failure, const Now& now) {
  expire(now);
  PeerConnection* connection = connections_.find(id);
  if (connection == nullptr || connection->phase != Phase::connecting) {
    return drop(DropReason::no_allocation);
  }
  Allocation& allocation = *allocations_.at(connection->allocation);
  const stun::Bytes answer =
      connect_answer(*connection, failure == ConnectFailure::exists ? 446 : 447);
  forget_connection(allocation, id);
  return ToOwner{&allocation.client, answer};
}

// RFC 6062 §5.3: without a permission the peer's connection is closed, and nobody hears of it.
AcceptVerdict Relay::on_accepted(RelayPortId port, const stun::Endpoint& from, const Now& now) {
  expire(now);
  Allocation* allocation = allocations_.find(port);
  if (allocation == nullptr || !allocation->relays_tcp()) return drop(DropReason::no_allocation);
  const stun::Endpoint peer = from.unmapped();
  if (!allocation->half(peer.address.family())) return drop(DropReason::wrong_family);
  if (!allocation->permissions.allows(peer.address, now)) return drop(DropReason::no_permission);
  // The port a peer connects from is no service of its host: only the address is judged.
  const bool own = peers_.judge(peer.address).outcome == PeerJudgement::Outcome::own_relay_only;
  if (own && !around_.live_relays->listens(peer)) return drop(DropReason::peer_refused);
  if (!room_for_connection(*allocation)) return drop(DropReason::connection_refused);

  PeerConnection wanted;
  wanted.port = port;
  wanted.peer = peer;
  wanted.phase = Phase::unbound;
  wanted.incoming = true;
  const PeerConnection& made =
      add_connection(*allocation, wanted, now.mono + limits::kUnboundLifetime);
  stun::MessageWriter writer(scratch_, stun::Class::indication, stun::Method::connection_attempt,
                             data_transaction());
  writer.add_u32(Attribute::connection_id, made.id.value);
  writer.add_xor_address(Attribute::xor_peer_address, peer);
  return Attempted{made.id, writer.finish()};
}

// RFC 6062 §5.4. Comes from a 5-tuple of its own, signed by whoever made the allocation.
ClientVerdict Relay::on_connection_bind(const Request& request) {
  const auto id = request.message.u32(Attribute::connection_id);
  if (id && is_stream(request.client.transport) && allocations_.find(request.client) == nullptr) {
    // The kernel has given the client's connection to this shard, whoever serves the allocation.
    const std::uint16_t shard = shard_of({*id});
    if (shard != settings_.shard && shard < settings_.shards) return ToShard{shard};
  }
  PeerConnection* connection = id ? connections_.find({*id}) : nullptr;
  const Allocation* owner =
      connection != nullptr ? allocations_.at(connection->allocation) : nullptr;
  const auto account = authenticator_.check(request.message, request.client, owner, request.now);
  if (!account) return refuse_stranger(request, account.error());
  if (request.message.has_unknown_required()) {
    return unknown_attributes(request, *account, request.message.unknown_required().view());
  }
  const bool fresh =
      is_stream(request.client.transport) && allocations_.find(request.client) == nullptr;
  if (!fresh || connection == nullptr || connection->phase != Phase::unbound) {
    return error(request, *account, 400);
  }
  connection->phase = Phase::bound;
  connections_.clear_deadline(connection->id);
  stun::MessageWriter writer(scratch_, stun::Class::success, stun::Method::connection_bind,
                             request.message.transaction());
  finish(request, writer, &*account);
  return ToJoin{connection->id, writer.finish()};
}

std::optional<std::chrono::nanoseconds> Relay::on_data(ConnectionId id, DataDirection direction,
                                                       std::size_t bytes, const Now& now) {
  expire(now);
  const PeerConnection* connection = connections_.find(id);
  if (connection == nullptr) return std::nullopt;
  Allocation& allocation = *allocations_.at(connection->allocation);
  const bool to_peer = direction == DataDirection::to_peer;
  (to_peer ? allocation.to_peer : allocation.to_client).bytes += bytes;
  (to_peer ? counters_.bytes_to_peer : counters_.bytes_to_client) += bytes;
  const std::uint64_t bits = std::uint64_t{bytes} * 8;
  return std::max(allocation.bit_rate.charge(bit_rate_, bits, now),
                  shard_bits_.charge(shard_bit_rate_, bits, now));
}

void Relay::on_data_connection_closed(ConnectionId id, const Now& now) {
  expire(now);
  if (const PeerConnection* connection = connections_.find(id)) {
    forget_connection(*allocations_.at(connection->allocation), id);
  }
}

bool Relay::room_for_connection(const Allocation& allocation) const {
  return allocation.connections.size() < settings_.quotas.peer_connections_per_allocation &&
         !connections_.full();
}

PeerConnection& Relay::add_connection(Allocation& allocation, PeerConnection connection,
                                      std::chrono::nanoseconds deadline) {
  std::array<std::uint8_t, 4> salt{};
  around_.random->fill(salt);
  connection.allocation = allocation.slot;
  PeerConnection& made = connections_.insert(connection, stun::load_u32(salt, 0), deadline);
  allocation.connections.push_back(made.id);
  ++counters_.peer_connections;
  ++counters_.peer_connections_opened;
  return made;
}

void Relay::forget_connection(Allocation& allocation, ConnectionId id) {
  std::erase(allocation.connections, id);
  connections_.erase(id);
  --counters_.peer_connections;
}

// Of an allocation that ends, or loses its relayed address of this family.
void Relay::close_connections(Allocation& allocation, stun::Family family) {
  const std::vector<ConnectionId> ids = allocation.connections;
  for (const ConnectionId id : ids) {
    if (connections_.find(id)->peer.address.family() != family) continue;
    around_.data_connections->close(id);
    forget_connection(allocation, id);
  }
}

// A Connect that nobody has answered in time, or a connection nobody has bound.
void Relay::expire_connections(const Now& now) {
  while (const PeerConnection* due = connections_.pop_due(now.mono)) end_connection(due->id, 447);
}

// A changed policy applies to what is open as well.
void Relay::close_refused_connections() {
  std::vector<ConnectionId> refused;
  connections_.for_each([&](const PeerConnection& connection) {
    const PeerJudgement judgement =
        connection.incoming ? peers_.judge(connection.peer.address) : peers_.judge(connection.peer);
    if (judgement.is_denied()) refused.push_back(connection.id);
  });
  for (const ConnectionId id : refused) end_connection(id, 403);
}

void Relay::end_connection(ConnectionId id, int code) {
  const PeerConnection& connection = *connections_.find(id);
  if (connection.phase == Phase::connecting) {
    around_.data_connections->give_up(id, connection.port, connect_answer(connection, code));
  } else {
    around_.data_connections->close(id);
  }
  forget_connection(*allocations_.at(connection.allocation), id);
}

// The late answer to a Connect; `code` 0 is success.
stun::Bytes Relay::connect_answer(const PeerConnection& connection, int code) {
  const OpenConnect& request = connection.request;
  stun::MessageWriter writer(scratch_, code == 0 ? stun::Class::success : stun::Class::error,
                             stun::Method::connect, request.transaction);
  if (code == 0) {
    writer.add_u32(Attribute::connection_id, connection.id.value);
  } else {
    writer.add_error(static_cast<std::uint16_t>(code));
  }
  Authenticator::sign(writer, request.algorithm, allocations_.at(connection.allocation)->account);
  if (request.fingerprint) writer.add_fingerprint();
  return writer.finish();
}

}  // namespace bedside::turn
