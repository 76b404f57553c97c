// HTTP/1.1 and WebSocket over one connection, with its deadlines.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "server/net/connection.h"
#include "server/net/http_message.h"
#include "server/net/http_reader.h"
#include "server/net/lifeline.h"
#include "server/net/loop.h"
#include "server/net/timer.h"
#include "server/net/websocket.h"

namespace bedside::net {

struct HttpTimeouts {
  std::chrono::nanoseconds request = std::chrono::seconds(10);  // first byte to the last one → 408
  std::chrono::nanoseconds idle = std::chrono::seconds(60);     // between requests
  std::chrono::nanoseconds half_closed = std::chrono::seconds(5);  // answer after the peer's FIN
  std::chrono::nanoseconds ping = std::chrono::seconds(20);        // WebSocket keep-alive
  int missed_pings = 2;  // so many pings without a pong: the socket is dropped (1006)
  std::chrono::nanoseconds close = std::chrono::seconds(2);  // the peer's answer to our close frame
};

class HttpConnection;

// The side that gives HTTP a meaning. Called on the loop's thread. Every callback may destroy the
// connection and may answer at once; none is called from inside respond(), upgrade() and so on.
class HttpHandler {
 public:
  // Exactly one respond() or upgrade() is owed, now or later; the next request waits for it.
  virtual void on_request(HttpConnection& connection, HttpRequest request) = 0;
  // A text message of an upgraded connection.
  virtual void on_socket_message(HttpConnection& connection, std::string_view text) = 0;
  // Those messages that came together have all been told: browsers send candidates in bursts, and
  // what a burst causes is cheaper sent at once.
  virtual void on_socket_burst_end(HttpConnection& /*connection*/) {}
  // The last call, exactly one: the peer is gone, or a close of ours is complete. An answer still
  // owed is owed no more. `code` is the WebSocket close code (1006 without a close frame), 0 when
  // the connection never was a WebSocket. The owner destroys the connection, in here or later.
  virtual void on_closed(HttpConnection& connection, std::uint16_t code) = 0;
  // An answer that the connection gives by itself, to what is no proper request or WebSocket
  // handshake; `head` is null when not even the request's head came. The handler may count it and
  // add headers; it must not destroy the connection here.
  virtual void on_refused(HttpConnection& /*connection*/, const HttpRequest* /*head*/,
                          HttpResponse& /*answer*/) {}
  // The same for the 101 of a WebSocket.
  virtual void on_upgraded(HttpConnection& /*connection*/, HttpResponse& /*answer*/) {}

 protected:
  ~HttpHandler() = default;
};

// One HTTP/1.1 connection and, after upgrade(), one WebSocket. Requests are answered one at a time,
// in order; pipelined ones wait in at most one read buffer, then the client feels backpressure.
// Broken requests are answered and closed here. Pings and their misses are handled here.
//
// Slow readers: one HTTP answer may wait whole; WebSocket messages up to 1 MiB, beyond that or when
// nothing moves for 30 s the connection is dropped.
class HttpConnection final : private Connection::Handler {
 public:
  // A name for table look-ups, so that a late answer finds nobody instead of a dead pointer.
  using Id = std::uint64_t;

  HttpConnection(Loop& loop, DetachedConnection detached, Id id, HttpHandler& handler,
                 const HttpTimeouts& timeouts = {}, const HttpLimits& limits = {});
  ~HttpConnection();  // closes at once
  HttpConnection(const HttpConnection&) = delete;
  HttpConnection& operator=(const HttpConnection&) = delete;

  Id id() const { return id_; }
  bool tls() const { return connection_.tls(); }
  const stun::Endpoint& peer() const { return connection_.peer(); }
  const stun::Endpoint& local() const { return connection_.local(); }

  // Answers the request at hand; ignored when none is owed.
  void respond(const HttpResponse& response);
  bool answer_owed() const { return mode_ == Mode::answering; }

  // Turns into a WebSocket: `request` is the one at hand. False: the handshake was not acceptable,
  // the refusal has been sent and nothing is owed any more.
  bool upgrade(const HttpRequest& request);
  bool is_websocket() const { return socket_ != nullptr; }

  // False when the socket is closing or does not keep up (then on_closed follows).
  bool send_text(std::string_view text);
  bool send_texts(std::span<const std::string> texts);  // in one go
  // Sends the close frame; on_closed follows with the code when the peer answered or did not.
  void close_socket(std::uint16_t code, std::string_view reason);

  // Graceful end: a WebSocket is closed with 1001, an idle connection at once, an owed answer is
  // sent with "Connection: close". on_closed follows in each case.
  void stop();

 private:
  enum class Mode : std::uint8_t { reading, answering, websocket, ending };
  enum class Phase : std::uint8_t { idle, request, half_closed, ping, close };

  void on_bytes(Connection& connection, stun::Bytes bytes) override;
  void on_peer_ended(Connection& connection) override;
  void on_drained(Connection& connection) override;
  void on_closed(Connection& connection, CloseReason reason) override;

  void enter(Phase phase);
  void on_overdue();
  void await_request();
  void read_pending();
  void read_requests();
  void read_socket(stun::Bytes bytes);
  void send_response(const HttpResponse& response);
  void refuse(const HttpRefusal& refusal);
  bool send_socket_output();
  void end();

  const Id id_;
  HttpHandler& handler_;
  const HttpTimeouts timeouts_;
  std::unique_ptr<HttpReader> reader_;  // null: a WebSocket
  std::vector<std::uint8_t> pending_;   // bytes of later requests
  Mode mode_ = Mode::reading;
  Phase phase_ = Phase::request;
  bool keep_alive_ = true;
  bool head_request_ = false;
  bool stopping_ = false;
  bool peer_ended_ = false;
  bool reading_requests_ = false;
  int pings_unanswered_ = 0;
  std::uint16_t close_code_ = 0;
  Lifeline lifeline_;
  std::unique_ptr<WebSocket> socket_;
  PhaseTimer timer_;
  Timer read_on_;  // what arrived while an answer was owed
  Connection connection_;
};

}  // namespace bedside::net
