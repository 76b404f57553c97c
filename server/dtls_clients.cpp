#include "server/dtls_clients.h"

#include <memory>
#include <utility>

#include "server/source_counts.h"

namespace bedside::server {

// One TURN client behind DTLS. RFC 7350 §4.6.1: a record carries whole STUN messages or
// ChannelData, framed like a datagram.
class DtlsClient final : public TurnSession, private net::DtlsAssociation::Handler {
 public:
  DtlsClient(DtlsClients& clients, const turn::FiveTuple& tuple, net::DtlsSession session)
      : TurnSession(clients.loop_, tuple, clients.sessions_.limits(), clients.owner_),
        clients_(clients),
        association_(clients.loop_, std::move(session), *this) {
    clients_.clients_.emplace(tuple, this);
    enter(Phase::handshake);
  }
  ~DtlsClient() override { clients_.clients_.erase(tuple()); }

  bool open() const { return association_.open(); }
  void receive(stun::Bytes datagram) { association_.receive(datagram); }

  void answer(stun::Bytes message) override { (void)association_.write(message); }
  bool media(stun::Bytes framed) override { return association_.write(framed); }

 private:
  void on_secured(net::DtlsAssociation& /*association*/) override { enter(Phase::unproven); }
  void on_message(net::DtlsAssociation& /*association*/, stun::Bytes payload) override {
    owner().on_frame(*this, payload);
  }
  void on_closed(net::DtlsAssociation& /*association*/) override { owner().on_over(*this); }

  DtlsClients& clients_;
  net::DtlsAssociation association_;
};

DtlsClients::DtlsClients(net::Loop& loop, const net::DtlsContext& context, net::SendBatch& outgoing,
                         TurnSessions& sessions, TurnSession::Owner& owner)
    : loop_(loop),
      gate_(context, outgoing),
      sessions_(sessions),
      owner_(owner),
      limiter_(random_seed()),
      clients_(0, turn::FiveTupleHash{random_seed()}) {}

void DtlsClients::receive(const net::UdpSocket& socket, const net::Datagram& datagram,
                          const turn::Now& now) {
  const stun::Bytes bytes = datagram.payload();
  const turn::FiveTuple tuple{turn::ClientTransport::dtls, datagram.from, datagram.to};
  const auto known = clients_.find(tuple);
  // RFC 6347 §4.2.8: a client that lost its state begins anew from the same port. The old
  // association ends only when the new one has shown its cookie.
  const bool again =
      known != clients_.end() && known->second->open() && net::is_client_hello(bytes);
  if (known != clients_.end() && !again) return known->second->receive(bytes);

  if (!net::is_client_hello(bytes) || !limiter_.admit(datagram.from.address, now)) return;
  if (!again && clients_.size() >= sessions_.limits().associations) return;
  auto session = gate_.knock({&socket, datagram.from, datagram.to}, bytes);
  if (!session) return;
  if (again) owner_.on_over(*known->second);
  auto client = std::make_unique<DtlsClient>(*this, tuple, std::move(*session));
  DtlsClient& added = *client;
  sessions_.add(std::move(client));
  added.receive({});  // its ClientHello waits in the session
}

}  // namespace bedside::server
