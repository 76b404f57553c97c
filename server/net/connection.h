// A TCP connection, plain or TLS, that can move between threads.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "server/net/fd.h"
#include "server/net/lifeline.h"
#include "server/net/loop.h"
#include "server/net/tcp_listener.h"
#include "server/net/timer.h"
#include "server/net/tls.h"
#include "stun/bytes.h"
#include "stun/endpoint.h"

namespace bedside::net {

enum class TlsMode : std::uint8_t {
  off,
  on,
  detect,  // a first byte of 0x16 (a TLS handshake record) starts TLS, anything else is plain
};

// A TCP connection between two owners: closed when destroyed, may move to another thread. Carries
// the TLS session and the bytes that were read already but not yet understood.
struct DetachedConnection {
  Fd fd;
  SslPtr ssl;  // null: plain TCP
  std::vector<std::uint8_t> early;
  bool peer_ended = false;  // the peer has sent its FIN after `early`
  stun::Endpoint peer;
  stun::Endpoint local;

  bool tls() const { return ssl != nullptr; }
};

enum class CloseReason : std::uint8_t {
  finished,     // after finish(): everything was handed to the kernel and the peer closed too
  peer_reset,   // the peer is gone
  tls_failed,   // the handshake or a record was not acceptable
  slow_reader,  // the peer did not take our bytes: the queue overflowed or did not move
};

enum class WriteClass : std::uint8_t {
  data,     // media: dropped as a whole when the queue is beyond its data limit
  control,  // answers: must arrive, the connection is closed when they do not fit
};

struct ConnectionLimits {
  std::size_t queue_data =
      std::size_t{256} * 1024;  // bytes waiting; new data beyond this is dropped
  std::size_t queue_control = std::size_t{1024} * 1024;
  // The kernel must take 8 KiB (or all there is) in each such span, or the peer is a slow_reader.
  std::chrono::nanoseconds write_stall = std::chrono::seconds(30);
  std::chrono::nanoseconds linger = std::chrono::seconds(2);  // finish(): patience for the peer
};

// One TCP connection on one loop, plain or TLS. Reads as bytes arrive, writes at once what the
// kernel takes and queues the rest within limits. Never blocks, never calls its handler from inside
// a call of its owner, except that on_bytes may be followed by more on_bytes.
class Connection {
 public:
  // Called on the loop's thread. Every callback may destroy the connection.
  class Handler {
   public:
    // `bytes` lives for this call. All of them are taken, unless release() gives them away.
    virtual void on_bytes(Connection& connection, stun::Bytes bytes) = 0;
    // The TLS handshake is complete (or was found to be unnecessary): before any bytes. Not called
    // for TlsMode::off nor for an adopted connection.
    virtual void on_secured(Connection& /*connection*/) {}
    // The peer will send no more (FIN or close_notify); it may still read.
    virtual void on_peer_ended(Connection& connection) { connection.finish(); }
    // The queue has become empty after it was not.
    virtual void on_drained(Connection& /*connection*/) {}
    // The last call. The connection is over and only waits for being destroyed.
    virtual void on_closed(Connection& connection, CloseReason reason) = 0;

   protected:
    ~Handler() = default;
  };

  // A freshly accepted one. `tls` may be null with TlsMode::off; otherwise it must live until
  // on_secured.
  Connection(Loop& loop, AcceptedSocket accepted, TlsMode mode, const TlsContext* tls,
             Handler& handler, const ConnectionLimits& limits = {});
  // One that was released by another owner: its early bytes come first, on the next wake-up.
  Connection(Loop& loop, DetachedConnection detached, Handler& handler,
             const ConnectionLimits& limits = {});
  ~Connection();  // closes at once
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  // Copies what cannot be sent now. False: nothing was taken, because data was dropped, control
  // overflowed (on_closed follows), or the connection is finished.
  bool write(stun::Bytes bytes, WriteClass write_class = WriteClass::control);

  // Sends what is queued, then our FIN (close_notify before it with TLS), and discards what the
  // peer still sends until it closes or `linger` has passed: an early close would become a reset
  // that destroys the last answer. on_closed follows. Nothing is read or written from now on.
  void finish();

  // Closes at once, queued bytes are lost. on_closed follows.
  void abort(CloseReason reason);

  // Gives the connection away together with `unread`, what on_bytes was called with (or the rest
  // of it). Only while nothing is queued for writing. This object is over, without on_closed.
  DetachedConnection release(stun::Bytes unread = {});

  void pause_reading();  // the kernel's window closes after a while: backpressure
  void resume_reading();
  bool reading() const { return reading_; }
  bool open() const { return state_ == State::open; }

  std::size_t queued() const { return queue_.size() - queue_head_; }  // bytes
  std::uint64_t dropped_data() const { return dropped_data_; }        // refused data writes
  bool tls() const { return ssl_ != nullptr; }
  const stun::Endpoint& peer() const { return peer_; }
  const stun::Endpoint& local() const { return local_; }

 private:
  enum class State : std::uint8_t {
    detecting,
    handshaking,
    open,
    finishing,
    lingering,
    closed,
    released
  };
  enum class Io : std::uint8_t { ok, again, ended, failed };
  struct IoResult {
    Io io;
    std::size_t size;
  };

  void on_readable();
  void on_writable();
  void on_overdue();
  void begin_tls();
  bool detect();     // false: nothing decided
  bool handshake();  // false: not complete
  void read_some(const Lifeline::Watch& alive);
  IoResult read(stun::MutableBytes into);
  void discard_input();
  IoResult write_now(stun::Bytes bytes);
  void send_queue(const Lifeline::Watch& alive);
  void send_end();
  void fail(CloseReason reason);
  void update_watches();

  Handler& handler_;
  const ConnectionLimits limits_;
  Fd fd_;
  SslPtr ssl_;
  const TlsContext* tls_context_ = nullptr;  // only until the first byte decided
  stun::Endpoint peer_;
  stun::Endpoint local_;
  State state_ = State::open;
  CloseReason close_reason_ = CloseReason::finished;
  bool reading_ = true;
  bool peer_ended_ = false;
  bool peer_end_reported_ = false;
  bool handshake_wants_write_ = false;
  bool write_wants_read_ = false;
  bool read_wants_write_ = false;
  Lifeline lifeline_;
  std::uint64_t dropped_data_ = 0;
  std::vector<std::uint8_t> early_;
  std::vector<std::uint8_t> queue_;
  std::size_t queue_head_ = 0;
  std::size_t sent_since_check_ = 0;
  FdWatch read_watch_;
  FdWatch write_watch_;
  Timer timer_;  // write stall while open, linger afterwards
  Timer soon_;   // looks again on the next wake-up though no descriptor became ready
};

}  // namespace bedside::net
