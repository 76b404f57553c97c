// TCP allocations of a relay shard (RFC 6062): connections with peers, and how clients get theirs.

#include <utility>

#include "server/relay_shard_core.h"

namespace bedside::server {

// A relayed address of ours may be one that only a NAT before us knows: the kernel reaches it, and
// shows it, under the address it is bound to.
stun::Endpoint RelayShard::Core::as_bound(const stun::Endpoint& peer) const {
  const auto& address = shared.live_relays->addresses().of(peer.address.family());
  if (!address || !shared.live_relays->listens(peer)) return peer;
  return {address->bind, peer.port};
}

stun::Endpoint RelayShard::Core::as_advertised(const stun::Endpoint& peer) const {
  const auto& address = shared.live_relays->addresses().of(peer.address.family());
  if (!address || peer.address != address->bind) return peer;
  const stun::Endpoint relayed{address->advertised, peer.port};
  return shared.live_relays->listens(relayed) ? relayed : peer;
}

void RelayShard::Core::connect(const turn::ToConnect& out) {
  links.connect(out, ports.local_of(out.from), as_bound(out.to));
}

// The answer first: behind it the connection is the peer's.
void RelayShard::Core::join(TurnSession& session, const turn::ToJoin& out) {
  const turn::ConnectionId id = out.id;
  session.answer(out.bytes);
  auto client = session.detach();
  sessions.remove(session);
  if (client && links.join(id, std::move(*client))) return;
  links.close(id);
  relay.on_data_connection_closed(id, now());
}

// A ConnectionBind whose connection with the peer is another shard's. A client's connection goes
// from shard to shard once: who names others in turn is not carried about.
void RelayShard::Core::hand_over(TurnSession& session, stun::Bytes frame, std::uint16_t shard) {
  HandoverQueue* queue = shared.handover != nullptr ? shared.handover->queue(shard) : nullptr;
  auto client = session.handed_over ? std::nullopt : session.detach();
  if (client) client->early.insert(client->early.begin(), frame.begin(), frame.end());
  sessions.remove(session);
  if (client && queue != nullptr) queue->put(std::move(*client));
}

void RelayShard::Core::on_peer_connection(turn::RelayPortId port, net::AcceptedSocket peer) {
  const turn::AcceptVerdict verdict = relay.on_accepted(port, as_advertised(peer.peer), now());
  if (const auto* out = std::get_if<turn::Attempted>(&verdict)) {
    links.keep(out->id, port, std::move(peer));
    answer_owner(port, out->bytes);
  }
  settle();  // one that is not kept is closed with `peer`
}

void RelayShard::Core::on_link_connected(TcpLink& link) {
  const turn::PortVerdict verdict = relay.on_connected(link.id(), now());
  if (const auto* out = std::get_if<turn::ToOwner>(&verdict)) answer_owner(link.port(), out->bytes);
  settle();
}

void RelayShard::Core::on_link_failed(TcpLink& link, turn::ConnectFailure failure) {
  const turn::PortVerdict verdict = relay.on_connect_failed(link.id(), failure, now());
  if (const auto* out = std::get_if<turn::ToOwner>(&verdict)) answer_owner(link.port(), out->bytes);
  links.close(link.id());
  settle();
}

std::optional<std::chrono::nanoseconds> RelayShard::Core::on_link_data(
    TcpLink& link, turn::DataDirection direction, std::size_t bytes) {
  const auto wait = relay.on_data(link.id(), direction, bytes, now());
  settle();
  return wait;
}

void RelayShard::Core::on_link_over(TcpLink& link) {
  relay.on_data_connection_closed(link.id(), now());
  links.close(link.id());
  settle();
}

void RelayShard::Core::answer_owner(turn::RelayPortId port, stun::Bytes message) {
  if (TurnSession* session = ports.owner_of(port).session) session->answer(message);
}

}  // namespace bedside::server
