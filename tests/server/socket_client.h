#pragma once

// A WebSocket client for tests, RFC 6455 over a blocking loopback socket. Waits at most a few
// seconds.

#include <cstdint>
#include <deque>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "server/net/fd.h"

struct wslay_event_context;

namespace bedside::tests {

class SocketClient {
 public:
  using Json = nlohmann::json;

  // Connects and shakes hands. `headers` are complete lines, e.g. "Origin: http://x\r\n"; `from` is
  // the loopback address to come from.
  SocketClient(std::uint16_t port, const std::string& path, const std::string& headers = {},
               const std::string& from = "127.0.0.1");
  ~SocketClient();
  SocketClient(const SocketClient&) = delete;
  SocketClient& operator=(const SocketClient&) = delete;

  int status() const { return status_; }  // 101 when the handshake succeeded

  void send(const Json& message) { send_text(message.dump()); }
  void send_text(std::string_view text);
  // The next message; null when the server closed the socket or nothing came in time.
  Json next();
  // Messages up to one of this type, which is the last.
  std::vector<Json> until(std::string_view type);
  // The close code, waiting for it: 0 when the socket is still open after the patience.
  int close_code();
  // Says goodbye with a close frame.
  void close();
  // Drops the connection without a word.
  void vanish() { fd_.reset(); }

 private:
  struct Callbacks;
  struct FreeContext {
    void operator()(wslay_event_context* context) const;
  };
  void shake_hands(const std::string& path, std::uint16_t port, const std::string& headers);
  bool wait_readable() const;
  bool turn();  // reads once; false at the end
  void flush();

  net::Fd fd_;
  int status_ = 0;
  std::string early_;  // came with the handshake's answer
  std::deque<std::string> inbox_;
  int close_code_ = 0;
  std::unique_ptr<wslay_event_context, FreeContext> context_;
};

}  // namespace bedside::tests
