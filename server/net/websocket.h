// RFC 6455 without sockets: the handshake and the framing of a server.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <string_view>
#include <tl/expected.hpp>
#include <variant>

#include "server/net/http_message.h"
#include "stun/bytes.h"

struct wslay_event_context;

namespace bedside::net {

// Whether the request asks for a WebSocket (Connection: Upgrade and Upgrade: websocket).
bool wants_websocket(const HttpRequest& request);

// The opening handshake, RFC 6455 §4.2: the 101 answer, or the refusal (400; 405 for a method other
// than GET; 426 with Sec-WebSocket-Version: 13 for another version). No subprotocol and no
// extension is ever selected. Whether path and Origin are welcome is the caller's decision.
tl::expected<HttpResponse, HttpResponse> accept_websocket(const HttpRequest& request);

inline constexpr std::size_t kMaxWebSocketMessage = std::size_t{64} * 1024;

struct WebSocketText {
  std::string text;  // valid UTF-8
};
struct WebSocketPong {};
// The conversation is over: what is in output() still goes out, then the TCP connection ends.
struct WebSocketClosed {
  std::uint16_t code =
      1006;  // what the peer sent (1005: none), or what we sent when it is its fault
};
using WebSocketEvent = std::variant<WebSocketText, WebSocketPong, WebSocketClosed>;

// The server side of a WebSocket after the handshake, RFC 6455: bytes in, events and bytes out.
// Pings are answered; unmasked frames, bad opcodes and reserved bits end it with 1002, text that is
// no UTF-8 with 1007, binary messages with 1003, messages beyond the limit (fragments added up)
// with 1009. No compression. Sans-IO; one message is the memory it needs.
class WebSocket {
 public:
  explicit WebSocket(std::size_t max_message = kMaxWebSocketMessage);
  ~WebSocket();
  WebSocket(const WebSocket&) = delete;
  WebSocket& operator=(const WebSocket&) = delete;

  void feed(stun::Bytes bytes);
  bool has_event() const { return !events_.empty(); }
  WebSocketEvent next_event();  // precondition: has_event()

  // Both do nothing once a close frame is out.
  void send_text(std::string_view text);
  void send_ping();
  // Sends a close frame; the reason is cut to 123 bytes. WebSocketClosed follows when the peer
  // answers. Idempotent.
  void close(std::uint16_t code, std::string_view reason);

  bool close_sent() const;
  // The bytes to send, taken out.
  std::string take_output();

 private:
  friend struct WebSocketCallbacks;
  struct FreeContext {
    void operator()(wslay_event_context* context) const;
  };
  void pump_output();
  void end(std::uint16_t code);

  std::unique_ptr<wslay_event_context, FreeContext> context_;
  stun::Bytes input_;  // only during feed()
  std::string output_;
  std::deque<WebSocketEvent> events_;
  std::uint16_t fault_ = 0;  // of the peer, that wslay does not answer as it should: 1002 or 1007
  bool ended_ = false;
};

}  // namespace bedside::net
