#include "server/net/websocket.h"

#include <wslay/wslay.h>

#include <algorithm>
#include <cassert>
#include <cstdlib>
#include <utility>

namespace bedside::net {
namespace {

constexpr std::size_t kMaxCloseReason = 123;  // a control frame holds 125 bytes, RFC 6455 §5.5

// RFC 3629 §4: no overlong forms, no surrogates, nothing above U+10FFFF.
bool is_utf8(std::string_view text) {
  while (!text.empty()) {
    const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
    const unsigned lead = byte(0);
    const std::size_t size = lead < 0x80   ? 1
                             : lead < 0xc2 ? 0
                             : lead < 0xe0 ? 2
                             : lead < 0xf0 ? 3
                                           : 4;
    if (size == 0 || lead > 0xf4 || size > text.size()) return false;
    for (std::size_t i = 1; i < size; ++i) {
      if ((byte(i) & 0xc0U) != 0x80U) return false;
    }
    const unsigned second = size > 2 ? byte(1) : 0x90;
    const bool overlong = (lead == 0xe0 && second < 0xa0) || (lead == 0xf0 && second < 0x90);
    const bool beyond = (lead == 0xed && second > 0x9f) || (lead == 0xf4 && second > 0x8f);
    if (overlong || beyond) return false;
    text.remove_prefix(size);
  }
  return true;
}

}  // namespace

// What wslay calls. noexcept: an exception must not travel through C code.
struct WebSocketCallbacks {
  // What is wrong with the peer's close frame, 0 when nothing is: wslay lets half a code pass, and
  // of a reason that comes in pieces it does not look at all bytes.
  static std::uint16_t fault_of(const wslay_event_on_msg_recv_arg& message) noexcept {
    if (message.msg_length == 1) return WSLAY_CODE_PROTOCOL_ERROR;
    const std::string_view all(reinterpret_cast<const char*>(message.msg), message.msg_length);
    if (all.size() <= 2 || is_utf8(all.substr(2))) return 0;
    return WSLAY_CODE_INVALID_FRAME_PAYLOAD_DATA;
  }

  static std::uint16_t close_code_of(const wslay_event_on_msg_recv_arg& message) noexcept {
    return message.status_code == 0 ? std::uint16_t{WSLAY_CODE_NO_STATUS_RCVD}
                                    : message.status_code;
  }

  static ssize_t receive(wslay_event_context* context, std::uint8_t* buffer, std::size_t size,
                         int /*flags*/, void* self) noexcept {
    auto& input = static_cast<WebSocket*>(self)->input_;
    if (input.empty()) {
      wslay_event_set_error(context, WSLAY_ERR_WOULDBLOCK);
      return -1;
    }
    const std::size_t taken = std::min(size, input.size());
    std::copy_n(input.begin(), taken, buffer);
    input = input.subspan(taken);
    return static_cast<ssize_t>(taken);
  }

  static ssize_t send(wslay_event_context* /*context*/, const std::uint8_t* data, std::size_t size,
                      int /*flags*/, void* self) noexcept {
    static_cast<WebSocket*>(self)->output_.append(reinterpret_cast<const char*>(data), size);
    return static_cast<ssize_t>(size);
  }

  static void message(wslay_event_context* context, const wslay_event_on_msg_recv_arg* message,
                      void* self) noexcept {
    auto& socket = *static_cast<WebSocket*>(self);
    switch (message->opcode) {
      case WSLAY_TEXT_FRAME:
        socket.events_.emplace_back(WebSocketText{
            std::string(reinterpret_cast<const char*>(message->msg), message->msg_length)});
        break;
      case WSLAY_BINARY_FRAME:
        wslay_event_shutdown_read(context);
        wslay_event_queue_close(context, WSLAY_CODE_UNSUPPORTED_DATA, nullptr, 0);
        break;
      case WSLAY_PONG:
        socket.events_.emplace_back(WebSocketPong{});
        break;
      case WSLAY_CONNECTION_CLOSE:  // answered by wslay, unless there is a fault
        socket.fault_ = fault_of(*message);
        if (socket.fault_ == 0) socket.end(close_code_of(*message));
        break;
      default:  // pings are answered by wslay
        break;
    }
  }
};

void WebSocket::FreeContext::operator()(wslay_event_context* context) const {
  wslay_event_context_free(context);
}

WebSocket::WebSocket(std::size_t max_message) {
  wslay_event_callbacks callbacks{};
  callbacks.recv_callback = &WebSocketCallbacks::receive;
  callbacks.send_callback = &WebSocketCallbacks::send;
  callbacks.on_msg_recv_callback = &WebSocketCallbacks::message;
  wslay_event_context* context = nullptr;
  if (wslay_event_context_server_init(&context, &callbacks, this) != 0) std::abort();  // no memory
  context_.reset(context);
  wslay_event_config_set_max_recv_msg_length(context, max_message);
}

WebSocket::~WebSocket() = default;

void WebSocket::feed(stun::Bytes bytes) {
  if (ended_) return;
  input_ = bytes;
  const bool broken = wslay_event_recv(context_.get()) != 0;
  input_ = {};
  // The frame itself made no sense. wslay has queued a close frame without a code; the peer shall
  // learn the reason.
  const bool we_closed = wslay_event_get_close_sent(context_.get()) != 0;
  if (broken && !ended_ && !we_closed) fault_ = WSLAY_CODE_PROTOCOL_ERROR;
  if (fault_ != 0) {
    if (!we_closed) output_.append({'\x88', '\x02', '\x03', static_cast<char>(fault_ & 0xff)});
    return end(fault_);
  }
  pump_output();
  if (ended_) return;
  if (broken) {
    end(WSLAY_CODE_ABNORMAL_CLOSURE);
  } else if (wslay_event_get_read_enabled(context_.get()) == 0) {
    end(wslay_event_get_status_code_sent(context_.get()));  // the peer broke a rule
  }
}

WebSocketEvent WebSocket::next_event() {
  assert(has_event());
  WebSocketEvent event = std::move(events_.front());
  events_.pop_front();
  return event;
}

void WebSocket::send_text(std::string_view text) {
  if (close_sent()) return;
  const wslay_event_msg message{WSLAY_TEXT_FRAME,
                                reinterpret_cast<const std::uint8_t*>(text.data()), text.size()};
  wslay_event_queue_msg(context_.get(), &message);
  pump_output();
}

void WebSocket::send_ping() {
  if (close_sent()) return;
  const wslay_event_msg message{WSLAY_PING, nullptr, 0};
  wslay_event_queue_msg(context_.get(), &message);
  pump_output();
}

void WebSocket::close(std::uint16_t code, std::string_view reason) {
  if (close_sent()) return;
  wslay_event_queue_close(context_.get(), code,
                          reinterpret_cast<const std::uint8_t*>(reason.data()),
                          std::min(reason.size(), kMaxCloseReason));
  pump_output();
}

bool WebSocket::close_sent() const {
  return ended_ || wslay_event_get_close_sent(context_.get()) != 0;
}

std::string WebSocket::take_output() { return std::exchange(output_, {}); }

void WebSocket::pump_output() {
  while (wslay_event_want_write(context_.get()) != 0) {
    if (wslay_event_send(context_.get()) != 0) return;
  }
}

void WebSocket::end(std::uint16_t code) {
  if (ended_) return;
  ended_ = true;
  events_.emplace_back(WebSocketClosed{code});
}

}  // namespace bedside::net
