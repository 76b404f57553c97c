// Lets coturn's client ask for both address families in the words of RFC 8656.
#pragma once

#include <memory>
#include <thread>
#include <unordered_map>
#include <utility>

#include "server/net/loop.h"
#include "server/net/udp_batch.h"
#include "server/net/udp_socket.h"
#include "tests/support/turn_wire.h"

namespace bedside::server::testing {

// A UDP forwarder before a server, on a thread of its own. The client of coturn 4.6 writes
// ADDITIONAL-ADDRESS-FAMILY with the number a draft had, 0x8032; here it becomes 0x8000 (RFC 8656
// §18), and the message is signed again with the client's key. Everything else passes as it is.
class DualRewriter {
 public:
  DualRewriter(const stun::Endpoint& server, const turn::testing::Signer& signer)
      : server_(server),
        key_(signer.key),
        front_(net::UdpSocket::bind(turn::testing::endpoint("127.0.0.1:0")).value()) {
    front_.watch(loop_, [this] { from_clients(); });
    thread_ = std::thread([this] { loop_.run(); });
  }
  ~DualRewriter() {
    loop_.stop();
    thread_.join();
  }
  DualRewriter(const DualRewriter&) = delete;
  DualRewriter& operator=(const DualRewriter&) = delete;

  const stun::Endpoint& local() const { return front_.local(); }
  // How many messages were rewritten; when the clients are done.
  int rewritten() const { return rewritten_; }

 private:
  // What a client sends leaves from a socket of its own: to the server it is another client.
  net::UdpSocket& socket_of(const stun::Endpoint& client) {
    std::unique_ptr<net::UdpSocket>& socket = sockets_[client];
    if (!socket) {
      socket = std::make_unique<net::UdpSocket>(
          net::UdpSocket::bind(turn::testing::endpoint("127.0.0.1:0")).value());
      socket->watch(loop_, [this, client, &back = *socket] {
        for (const net::Datagram& datagram : back.receive(received_)) {
          outgoing_.add(front_, client, datagram.payload());
        }
        outgoing_.flush();
      });
    }
    return *socket;
  }

  void from_clients() {
    for (const net::Datagram& datagram : front_.receive(received_)) {
      const turn::testing::Packet packet = rewrite(datagram.payload());
      outgoing_.add(socket_of(datagram.from), server_, packet);
      outgoing_.flush();
    }
  }

  turn::testing::Packet rewrite(stun::Bytes packet) {
    using stun::Attribute;
    constexpr auto kDraft = static_cast<Attribute>(0x8032);
    const auto message = stun::MessageView::parse(packet);
    if (!message || !message->has(kDraft)) return {packet.begin(), packet.end()};
    turn::testing::Packet buffer(packet.size());
    stun::MessageWriter writer(buffer, message->message_class(), message->method(),
                               message->transaction());
    for (const stun::AttributeView& attribute : *message) {
      if (attribute.type == Attribute::message_integrity) {
        writer.add_integrity(key_.bytes());
      } else if (attribute.type == Attribute::fingerprint) {
        writer.add_fingerprint();
      } else {
        writer.add_bytes(
            attribute.type == kDraft ? Attribute::additional_address_family : attribute.type,
            attribute.value);
      }
    }
    buffer.resize(writer.finish().size());
    ++rewritten_;
    return buffer;
  }

  const stun::Endpoint server_;
  const stun::LongTermKey key_;
  net::Loop loop_;
  net::UdpSocket front_;
  std::unordered_map<stun::Endpoint, std::unique_ptr<net::UdpSocket>, stun::EndpointHash> sockets_;
  net::ReceiveBatch received_;
  net::SendBatch outgoing_;
  int rewritten_ = 0;
  std::thread thread_;
};

}  // namespace bedside::server::testing
