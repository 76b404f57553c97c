#include "server/relay_port_sockets.h"

#include <cerrno>
#include <utility>

#include "server/turn_session.h"

namespace bedside::server {
namespace {

// A relay port carries one call: a tenth of a second of the fastest permitted traffic fits.
constexpr net::UdpOptions kPortOptions{
    .faces_peers = true, .receive_buffer = 1 << 20, .send_buffer = 1 << 19};

turn::PortError error_of(int code) {
  switch (code) {
    case EADDRINUSE:
      return turn::PortError::in_use;
    case EADDRNOTAVAIL:
    case EAFNOSUPPORT:
      return turn::PortError::family_unavailable;
    default:
      return turn::PortError::exhausted;
  }
}

}  // namespace

PortSockets::PortSockets(net::Loop& loop, std::uint16_t shard, LiveRelayTable& table,
                         net::SendBatch& outgoing, OnReadable on_readable, OnAccept on_accept)
    : loop_(loop),
      shard_(shard),
      table_(table),
      outgoing_(outgoing),
      on_readable_(std::move(on_readable)),
      on_accept_(std::move(on_accept)) {}

PortSockets::~PortSockets() = default;

PortSocket* PortSockets::find(turn::RelayPortId id) {
  return id.value < slots_.size() ? slots_[id.value].get() : nullptr;
}

ClientLink PortSockets::owner_of(turn::RelayPortId id) {
  if (const PortSocket* socket = find(id)) return socket->owner;
  const auto listener = listeners_.find(id.value);
  return listener == listeners_.end() ? ClientLink{} : listener->second.owner;
}

turn::RelayPortId PortSockets::lowest_free_id() {
  if (free_ids_.empty()) {
    slots_.emplace_back();
    return {static_cast<std::uint32_t>(slots_.size() - 1)};
  }
  const std::uint32_t id = free_ids_.top();
  free_ids_.pop();
  return {id};
}

tl::expected<turn::RelayPort, turn::PortError> PortSockets::open(turn::PeerTransport transport,
                                                                 stun::Family family,
                                                                 std::uint16_t port,
                                                                 const turn::Now& now) {
  const auto& address = table_.addresses().of(family);
  if (!address) return tl::make_unexpected(turn::PortError::family_unavailable);
  const turn::RelayPortId id = lowest_free_id();
  if (!table_.take(family, port, {shard_, id}, now, transport)) {
    free_ids_.push(id.value);
    return tl::make_unexpected(turn::PortError::in_use);
  }
  const turn::RelayPort opened{id, {address->advertised, port}, {address->bind, port}};
  const bool tcp = transport == turn::PeerTransport::tcp;
  if (const int code = tcp ? listen_tcp(opened) : bind_udp(opened)) {
    table_.release(family, port, LiveRelayTable::Rest::no, now);
    free_ids_.push(id.value);
    return tl::make_unexpected(error_of(code));
  }
  if (owner_.session != nullptr) owner_.session->port_opened();
  return opened;
}

int PortSockets::bind_udp(const turn::RelayPort& port) {
  auto socket = net::UdpSocket::bind(port.local, kPortOptions);
  if (!socket) return socket.error().code;
  const turn::RelayPortId id = port.id;
  slots_[id.value] = std::make_unique<PortSocket>(PortSocket{port, std::move(*socket), owner_});
  slots_[id.value]->socket.watch(loop_, [this, id] { on_readable_(id); });
  return 0;
}

int PortSockets::listen_tcp(const turn::RelayPort& port) {
  auto listener = net::TcpListener::open(port.local);
  if (!listener) return listener.error().code;
  const turn::RelayPortId id = port.id;
  (*listener)->start(loop_,
                     [this, id](net::AcceptedSocket peer) { on_accept_(id, std::move(peer)); });
  listeners_[id.value] = PortListener{port, std::move(*listener), owner_};
  return 0;
}

void PortSockets::close(turn::RelayPortId id, const turn::Now& now) {
  const ClientLink owner = owner_of(id);
  stun::Endpoint local;
  if (PortSocket* socket = find(id)) {
    outgoing_.flush();
    local = socket->port.local;
    slots_[id.value].reset();
  } else if (const auto listener = listeners_.find(id.value); listener != listeners_.end()) {
    local = listener->second.port.local;
    listeners_.erase(listener);
  } else {
    return;
  }
  if (owner.session != nullptr) owner.session->port_closed(revoking_);
  free_ids_.push(id.value);
  table_.release(local.address.family(), local.port, LiveRelayTable::Rest::yes, now);
}

void PortSockets::hand_over(turn::RelayPortId id) {
  PortSocket* socket = find(id);
  if (socket == nullptr) return;
  if (socket->owner.session != nullptr) socket->owner.session->port_closed(false);
  socket->owner = owner_;
  if (owner_.session != nullptr) owner_.session->port_opened();
}

bool PortSockets::reserve(const turn::Reservation& reservation, const turn::Now& now) {
  return table_.reserve(reservation, now);
}

std::optional<turn::Reservation> PortSockets::claim(const turn::ReservationToken& token,
                                                    const turn::Now& now) {
  return table_.claim(token, now);
}

}  // namespace bedside::server
