// DTLS 1.2 over the datagrams of a shared UDP socket (RFC 6347, RFC 7350).
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <tl/expected.hpp>

#include "server/net/lifeline.h"
#include "server/net/loop.h"
#include "server/net/timer.h"
#include "server/net/tls.h"
#include "server/net/udp_batch.h"
#include "server/net/udp_socket.h"
#include "stun/bytes.h"
#include "stun/endpoint.h"

namespace bedside::net {

// RFC 7983: what the first byte of a datagram says on a port shared with STUN and ChannelData.
[[nodiscard]] constexpr bool is_dtls(std::uint8_t first) noexcept {
  return first >= 20 && first <= 63;
}
// A handshake record in the clear that begins a ClientHello: the only datagram of a stranger that
// deserves an answer.
[[nodiscard]] bool is_client_hello(stun::Bytes datagram) noexcept;

// Who talks to us and where. The socket outlives every user of the path.
struct DtlsPath {
  const UdpSocket* socket = nullptr;
  stun::Endpoint client;
  stun::Endpoint server;  // the address the client wrote to; answers leave from it
};

// Our certificate and key for DTLS 1.2, and the key of the cookies (random per context, kept over
// replace()). No renegotiation, no session cache. Any thread.
class DtlsContext {
 public:
  // As TlsContext::load.
  static tl::expected<DtlsContext, std::string> load(const std::string& certificate_path,
                                                     const std::string& private_key_path);

  // Associations that begin from now on get `fresh`'s certificate; those that exist go on.
  void replace(DtlsContext fresh);

  struct State;  // on the heap: OpenSSL's callbacks keep a pointer to it
  explicit DtlsContext(std::unique_ptr<State> state);
  DtlsContext(DtlsContext&&) noexcept;
  DtlsContext& operator=(DtlsContext&&) noexcept;
  ~DtlsContext();
  const State& state() const { return *state_; }

 private:
  std::unique_ptr<State> state_;
};

// A server session of OpenSSL together with the BIO it reads from and writes to.
struct DtlsWire;  // the datagram being read, the path and the batch it sends through
struct FreeDtlsWire {
  void operator()(DtlsWire* wire) const;
};
struct DtlsSession {
  std::unique_ptr<DtlsWire, FreeDtlsWire> wire;  // before ssl: OpenSSL lets go of it first
  SslPtr ssl;
};

// The stateless half of the handshake: a ClientHello without a valid cookie is answered with a
// HelloVerifyRequest of 44 bytes (shorter than any ClientHello) and leaves nothing behind. A cookie
// is an HMAC over both endpoints and the minute, so only who receives at its address gets further.
// One per thread.
class DtlsGate {
 public:
  // `context` and `outgoing` outlive the gate and the sessions it lets through.
  DtlsGate(const DtlsContext& context, SendBatch& outgoing);

  // A session whose client has proven its address and whose ClientHello is waiting inside; nothing
  // when the datagram was answered or dropped.
  std::optional<DtlsSession> knock(const DtlsPath& path, stun::Bytes datagram);

 private:
  DtlsSession make_session();

  const DtlsContext& context_;
  std::uint64_t generation_ = 0;  // of the context, when next_ was made
  SendBatch& outgoing_;
  DtlsSession next_;  // listens until somebody gets through, then becomes theirs
};

// One client behind the cookie, on one loop: handshake, then messages as datagrams. Lost flights
// are repeated by a timer. It has no deadlines of its own: how long a handshake or a silence may
// take is the owner's decision.
class DtlsAssociation {
 public:
  // Called from inside receive() or from the loop, never from inside write() or finish(). Every
  // callback may destroy the association.
  class Handler {
   public:
    virtual void on_secured(DtlsAssociation& association) = 0;
    // One record's payload; lives for this call.
    virtual void on_message(DtlsAssociation& association, stun::Bytes payload) = 0;
    // The last call: the client said close_notify, or broke the protocol.
    virtual void on_closed(DtlsAssociation& association) = 0;

   protected:
    ~Handler() = default;
  };

  DtlsAssociation(Loop& loop, DtlsSession session, Handler& handler);
  ~DtlsAssociation();  // says close_notify when it is open
  DtlsAssociation(const DtlsAssociation&) = delete;
  DtlsAssociation& operator=(const DtlsAssociation&) = delete;

  // Takes a datagram of its client. An empty one only goes on with what the session holds: needed
  // once, after the gate.
  void receive(stun::Bytes datagram);

  // Encrypts and appends to the batch. False: not open, or the library failed (on_closed follows).
  bool write(stun::Bytes payload);

  bool open() const { return state_ == State::open; }

 private:
  enum class State : std::uint8_t { handshaking, open, closed, reported };

  bool handshake(const Lifeline::Watch& alive);  // false: nothing to read yet
  void read_all(const Lifeline::Watch& alive);
  void arm_retransmission();
  void on_timer();
  void report_closed();

  Handler& handler_;
  DtlsSession session_;
  State state_ = State::handshaking;
  Lifeline lifeline_;
  Timer timer_;  // retransmission; once closed, the report
};

}  // namespace bedside::net
