#include "server/turn_stream.h"

#include <utility>

namespace bedside::server {
namespace {

turn::FiveTuple tuple_of(const net::DetachedConnection& connection) {
  return {connection.tls() ? turn::ClientTransport::tls : turn::ClientTransport::tcp,
          connection.peer, connection.local};
}

}  // namespace

TurnStream::TurnStream(net::Loop& loop, net::DetachedConnection connection,
                       bool accept_rfc5766_channels, const TurnSessionLimits& limits, Owner& owner)
    : TurnSession(loop, tuple_of(connection), limits, owner),
      framer_(accept_rfc5766_channels),
      connection_(loop, std::move(connection), *this) {
  enter(Phase::unproven);
}

TurnStream::~TurnStream() {
  if (destroyed_ != nullptr) *destroyed_ = true;
}

void TurnStream::answer(stun::Bytes message) {
  // When it does not fit, on_closed follows: the client has not read for a megabyte.
  (void)connection_.write(message, net::WriteClass::control);
}

bool TurnStream::media(stun::Bytes framed) {
  return connection_.write(framed, net::WriteClass::data);
}

std::optional<net::DetachedConnection> TurnStream::detach() {
  if (!connection_.open() || connection_.queued() > 0) return std::nullopt;
  return connection_.release(framer_.unread());
}

void TurnStream::on_bytes(net::Connection& /*connection*/, stun::Bytes bytes) {
  bool destroyed = false;
  destroyed_ = &destroyed;
  framer_.feed(bytes);
  while (const auto frame = framer_.next()) {
    owner().on_frame(*this, *frame);
    if (destroyed) return;
  }
  destroyed_ = nullptr;
  if (framer_.broken()) {
    owner().on_over(*this);
  } else {
    owner().on_frames_done(*this);
  }
}

void TurnStream::on_peer_ended(net::Connection& /*connection*/) { owner().on_over(*this); }

void TurnStream::on_closed(net::Connection& /*connection*/, net::CloseReason /*reason*/) {
  owner().on_over(*this);
}

}  // namespace bedside::server
