// The TURN clients of a shard that speak DTLS (RFC 7350) on its UDP sockets.
#pragma once

#include <cstddef>
#include <cstdint>
#include <unordered_map>

#include "server/net/dtls.h"
#include "server/net/loop.h"
#include "server/net/udp_batch.h"
#include "server/turn_session.h"
#include "server/turn_sessions.h"
#include "turn/five_tuple.h"
#include "turn/now.h"
#include "turn/source_limiter.h"

namespace bedside::server {

class DtlsClient;

// Sorts the DTLS datagrams of a shard: to the association of their five-tuple, or to the stateless
// gate. Strangers get at most one HelloVerifyRequest for a ClientHello, within the limits of
// unauthenticated replies, and nothing is kept for them. Shard's thread.
class DtlsClients {
 public:
  // Everything is borrowed and outlives this.
  DtlsClients(net::Loop& loop, const net::DtlsContext& context, net::SendBatch& outgoing,
              TurnSessions& sessions, TurnSession::Owner& owner);

  // A datagram whose first byte says DTLS. May end sessions, and tells the owner.
  void receive(const net::UdpSocket& socket, const net::Datagram& datagram, const turn::Now& now);

  std::size_t size() const { return clients_.size(); }

 private:
  friend class DtlsClient;

  net::Loop& loop_;
  net::DtlsGate gate_;
  TurnSessions& sessions_;
  TurnSession::Owner& owner_;
  turn::SourceLimiter limiter_;
  std::unordered_map<turn::FiveTuple, DtlsClient*, turn::FiveTupleHash> clients_;
};

}  // namespace bedside::server
