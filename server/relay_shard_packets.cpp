// The packet path of a relay shard: from sockets and streams into its Relay, and what comes out of
// it to where it belongs.

#include <utility>

#include "server/relay_shard_core.h"

namespace bedside::server {
namespace {

constexpr int kBatchesPerWakeup = 4;  // then the other sockets have their turn

}  // namespace

void RelayShard::Core::on_client_readable(net::UdpSocket& socket) {
  const turn::Now time = now();
  for (int i = 0; i < kBatchesPerWakeup; ++i) {
    const auto datagrams = socket.receive(received);
    for (const net::Datagram& datagram : datagrams) on_client_datagram(socket, datagram, time);
    outgoing.flush();  // what it borrows lies in `received`
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
    to_peer(*out, false);
  } else if (const auto* reply = std::get_if<turn::ToClient>(&verdict)) {
    outgoing.add_copy(socket, datagram.from, reply->bytes, &datagram.to.address);
  }
}

void RelayShard::Core::to_peer(const turn::ToPeer& out, bool copy) {
  const PortSocket* port = ports.find(out.from);
  if (port == nullptr) return;
  const stun::Endpoint to = shared.live_relays->as_local(out.to);
  if (copy) {
    outgoing.add_copy(port->socket, to, out.payload);
  } else {
    outgoing.add(port->socket, to, out.payload);
  }
}

void RelayShard::Core::on_port_readable(turn::RelayPortId id) {
  PortSocket* port = ports.find(id);
  if (port == nullptr) return;
  const turn::Now time = now();
  for (const net::Datagram& datagram : port->socket.receive(received)) {
    on_port_datagram(*port, datagram, time);
    if (ports.find(id) != port) break;  // its allocation has just expired
  }
  outgoing.flush();
  settle();
}

void RelayShard::Core::on_port_datagram(PortSocket& port, const net::Datagram& datagram,
                                        const turn::Now& time) {
  const ClientLink owner = port.owner;
  const turn::PeerDatagram from_peer{datagram.buffer, datagram.offset, datagram.size};
  const turn::PortVerdict verdict =
      relay.on_peer(port.port.id, shared.live_relays->as_relayed(datagram.from), from_peer, time);
  const auto* out = std::get_if<turn::ToOwner>(&verdict);
  if (out == nullptr) return;
  if (owner.session != nullptr) {
    owner.session->media(out->bytes);
  } else {
    outgoing.add(*owner.udp, out->client->client, out->bytes, &out->client->server.address);
  }
}

void RelayShard::Core::adopt(net::DetachedConnection connection) {
  // Destroying the connection closes it.
  if (streams() >= sessions.limits().streams || stopping) return;
  sessions.add(std::make_unique<TurnStream>(loop, std::move(connection), accept_rfc5766_channels,
                                            sessions.limits(), *this));
  stats.streams.store(streams(), std::memory_order_relaxed);
}

std::size_t RelayShard::Core::streams() const {
  return sessions.size() - (dtls ? dtls->size() : 0);
}

void RelayShard::Core::on_frame(TurnSession& session, stun::Bytes frame) {
  ports.set_owner({nullptr, &session});
  const turn::ClientVerdict verdict = relay.on_client(session.tuple(), frame, now());
  if (const auto* out = std::get_if<turn::ToPeer>(&verdict)) {
    // A frame does not stay until the batch is full. One too large to be copied leaves at once.
    const bool fits = out->payload.size() <= net::kUdpPayload;
    to_peer(*out, fits);
    if (!fits) outgoing.flush();
  } else if (const auto* reply = std::get_if<turn::ToClient>(&verdict)) {
    session.answer(reply->bytes);
  }
}

void RelayShard::Core::on_frames_done(TurnSession& /*session*/) { settle(); }

void RelayShard::Core::on_proven(TurnSession& session) { sessions.prove(session); }

void RelayShard::Core::on_over(TurnSession& session) {
  if (!sessions.contains(session)) return;
  relay.on_client_closed(session.tuple(), now());
  sessions.remove(session);
  settle();
}

}  // namespace bedside::server
