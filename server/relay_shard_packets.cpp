// The packet path of a relay shard: from sockets and streams into its Relay, and what comes out of
// it to where it belongs.

#include <utility>

#include "server/relay_shard_core.h"

namespace bedside::server {

void RelayShard::Core::on_client_readable(net::UdpSocket& socket) {
  const turn::Now time = now();
  for (int i = 0; i < kBatchesPerWakeup; ++i) {
    const auto datagrams = socket.receive(received);
    for (const net::Datagram& datagram : datagrams) on_client_datagram(socket, datagram, time);
    outgoing.flush();  // what it borrows lies in `received`
    ring();
    if (datagrams.size() < received.slots()) break;
  }
  settle();
}

void RelayShard::Core::on_client_datagram(const net::UdpSocket& socket,
                                          const net::Datagram& datagram, const turn::Now& time) {
  if (datagram.size > 0 && net::is_dtls(datagram.payload()[0])) {
    if (dtls) dtls->receive(socket, datagram, time);
    return;
  }
  ports.set_owner({&socket, nullptr});
  const turn::FiveTuple tuple{turn::ClientTransport::udp, datagram.from, datagram.to};
  const turn::ClientVerdict verdict = relay.on_client(tuple, datagram.payload(), time);
  if (const auto* out = std::get_if<turn::ToPeer>(&verdict)) {
    to_peer(*out, datagram.buffer, time);
  } else if (const auto* reply = std::get_if<turn::ToClient>(&verdict)) {
    if (reply->route) return to_client_by(*reply->route, reply->bytes);
    outgoing.add_copy(socket, datagram.from, reply->bytes, &datagram.to.address);
  }
}

// Every shard has a socket on every listening address.
void RelayShard::Core::to_client_by(const turn::ToClient::Route& route, stun::Bytes bytes) {
  for (const auto& socket : clients) {
    if (socket->local() == route.from) outgoing.add_copy(*socket, route.to, bytes);
  }
}

// `room`: the slot the payload lies in until the next flush; empty when it does not stay that long.
void RelayShard::Core::to_peer(const turn::ToPeer& out, stun::MutableBytes room,
                               const turn::Now& time) {
  const PortSocket* port = ports.find(out.from);
  if (port == nullptr) return;
  if (out.inside) return hand_over(out, port->port.relayed, room, time);
  const auto fragments = out.dont_fragment ? net::Fragments::forbidden : net::Fragments::allowed;
  if (room.empty() && out.payload.size() <= net::kUdpPayload) {
    outgoing.add_copy(port->socket, out.to, out.payload, nullptr, fragments);
    return;
  }
  outgoing.add(port->socket, out.to, out.payload, nullptr, fragments);
  if (room.empty()) outgoing.flush();  // too large to be copied: it leaves at once
}

void RelayShard::Core::on_port_readable(turn::RelayPortId id) {
  PortSocket* port = ports.find(id);
  if (port == nullptr) return;
  const turn::Now time = now();
  const auto datagrams = port->socket.receive(received);
  if (datagrams.empty()) on_port_errors(*port, time);
  for (const net::Datagram& datagram : datagrams) {
    from_peer(*port, datagram.from, {datagram.buffer, datagram.offset, datagram.size}, time, true);
    if (ports.find(id) != port) break;  // its allocation has just expired
  }
  outgoing.flush();
  settle();
}

void RelayShard::Core::from_peer(PortSocket& port, const stun::Endpoint& from,
                                 const turn::PeerDatagram& datagram, const turn::Now& time,
                                 bool stays) {
  const ClientLink owner = port.owner;
  const turn::PortVerdict verdict = relay.on_peer(port.port.id, from, datagram, time);
  if (const auto* out = std::get_if<turn::ToOwner>(&verdict)) to_owner(owner, *out, stays);
}

// `stays`: the bytes lie where they are until the next flush.
void RelayShard::Core::to_owner(const ClientLink& owner, const turn::ToOwner& out, bool stays) {
  const turn::FiveTuple& client = *out.client;
  if (owner.session != nullptr) {
    if (!owner.session->media(out.bytes)) ++slow_reader_drops;
  } else if (owner.udp == nullptr) {
    return;  // a mobile client between two connections
  } else if (stays) {
    outgoing.add(*owner.udp, client.client, out.bytes, &client.server.address);
  } else {
    outgoing.add_copy(*owner.udp, client.client, out.bytes, &client.server.address);
  }
}

void RelayShard::Core::adopt(net::DetachedConnection connection, bool handed_over) {
  // Destroying the connection closes it.
  if (streams() >= sessions.limits().streams || stopping) return;
  auto stream = std::make_unique<TurnStream>(loop, std::move(connection), accept_rfc5766_channels,
                                             sessions.limits(), *this);
  stream->handed_over = handed_over;
  sessions.add(std::move(stream));
  stats.streams.store(streams(), std::memory_order_relaxed);
}

std::size_t RelayShard::Core::streams() const {
  return sessions.size() + links.joined() - (dtls ? dtls->size() : 0);
}

void RelayShard::Core::on_frame(TurnSession& session, stun::Bytes frame) {
  ports.set_owner({nullptr, &session});
  const turn::Now time = now();
  const turn::ClientVerdict verdict = relay.on_client(session.tuple(), frame, time);
  if (const auto* out = std::get_if<turn::ToPeer>(&verdict)) {
    to_peer(*out, {}, time);  // a frame does not stay until the batch is full
  } else if (const auto* reply = std::get_if<turn::ToClient>(&verdict)) {
    session.answer(reply->bytes);
  } else if (const auto* wanted = std::get_if<turn::ToConnect>(&verdict)) {
    connect(*wanted);
  } else if (const auto* bound = std::get_if<turn::ToJoin>(&verdict)) {
    join(session, *bound);
  } else if (const auto* elsewhere = std::get_if<turn::ToShard>(&verdict)) {
    hand_over(session, frame, elsewhere->shard);
  }
}

void RelayShard::Core::on_frames_done(TurnSession& /*session*/) { settle(); }

void RelayShard::Core::on_proven(TurnSession& session) { sessions.prove(session); }

void RelayShard::Core::on_over(TurnSession& session) {
  if (!sessions.contains(session)) return;
  ports.set_owner({});  // of a mobile allocation: nobody, until its client is back
  relay.on_client_closed(session.tuple(), now());
  sessions.remove(session);
  settle();
}

}  // namespace bedside::server
