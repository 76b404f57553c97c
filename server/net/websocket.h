// RFC 6455 without sockets: the handshake and the framing of a server.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <tl/expected.hpp>
#include <utility>
#include <variant>
#include <vector>

#include "server/net/http_message.h"
#include "stun/bytes.h"

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

// Says of text that comes in pieces whether it is UTF-8, as early as it can be told.
class Utf8Reader {
 public:
  bool read(std::string_view text);  // false: it is none, for good
  bool complete() const { return missing_ == 0; }

 private:
  bool begin_character(std::uint8_t first);

  std::uint8_t missing_ = 0;  // bytes of the character at hand
  std::uint8_t least_ = 0x80;
  std::uint8_t most_ = 0xBF;  // what the next of them may be
};

// The server side of a WebSocket after the handshake, RFC 6455: bytes in, events and bytes out.
// Pings are answered; unmasked frames, bad opcodes, reserved bits and lengths that are longer than
// needed end it with 1002, text that is no UTF-8 with 1007, binary messages with 1003, messages
// beyond the limit (fragments added up, judged by what frames announce) with 1009. No compression.
// Sans-IO; an idle one owns no memory beyond itself, a busy one the message it reads.
class WebSocket {
 public:
  explicit WebSocket(std::size_t max_message = kMaxWebSocketMessage);
  WebSocket(const WebSocket&) = delete;
  WebSocket& operator=(const WebSocket&) = delete;

  void feed(stun::Bytes bytes);
  bool has_event() const { return next_ < events_.size(); }
  WebSocketEvent next_event();  // precondition: has_event()

  // Both do nothing once a close frame is out.
  void send_text(std::string_view text);
  void send_ping();
  // Sends a close frame; the reason is cut to 123 bytes. WebSocketClosed follows when the peer
  // answers. Idempotent.
  void close(std::uint16_t code, std::string_view reason);

  bool close_sent() const { return close_sent_; }
  // The bytes to send, taken out.
  std::string take_output() { return std::exchange(output_, {}); }

 private:
  // Each takes from `bytes` what it needs and says whether it has come to its end.
  bool read_head(stun::Bytes& bytes);
  bool read_payload(stun::Bytes& bytes);

  std::size_t head_size() const;  // as far as the bytes at hand tell
  void judge_opcode();
  void judge_length();
  void take_frame();
  void take_close(std::string_view payload);
  void send_frame(std::uint8_t opcode, std::string_view payload);
  void fail(std::uint16_t code);  // the peer's fault
  void end(std::uint16_t code);

  const std::size_t max_message_;
  // The frame being read.
  std::array<std::uint8_t, 14> head_{};
  std::uint8_t head_read_ = 0;
  std::uint64_t payload_left_ = 0;
  std::uint32_t mask_at_ = 0;
  bool in_payload_ = false;

  bool in_message_ = false;  // between the fragments of one
  std::string message_;      // of a text, what has come so far
  Utf8Reader utf8_;          // of it
  std::string control_;      // the payload of a control frame
  std::string output_;
  std::vector<WebSocketEvent> events_;
  std::size_t next_ = 0;  // of events_
  bool close_sent_ = false;
  bool ended_ = false;
};

}  // namespace bedside::net
