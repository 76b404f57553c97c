// Any bytes into a WebSocket: the split of the bytes must not matter, nothing comes after the
// end, and what goes out stays in proportion to what came in.
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <variant>

#include "server/net/websocket.h"
#include "stun/bytes.h"

namespace {

using bedside::stun::Bytes;
namespace net = bedside::net;

constexpr std::size_t kLimit = 4096;

void require(bool promise) {
  if (!promise) std::abort();
}

std::string transcript(Bytes bytes, std::size_t step) {
  net::WebSocket socket(kLimit);
  std::string result;
  bool closed = false;
  const std::size_t size = bytes.size();
  while (!bytes.empty()) {
    socket.feed(bytes.first(std::min(step, bytes.size())));
    bytes = bytes.subspan(std::min(step, bytes.size()));
    while (socket.has_event()) {
      require(!closed);
      const net::WebSocketEvent event = socket.next_event();
      if (const auto* text = std::get_if<net::WebSocketText>(&event)) {
        require(text->text.size() <= kLimit);
        result += "text " + text->text + '\n';
      } else if (const auto* end = std::get_if<net::WebSocketClosed>(&event)) {
        result += "closed " + std::to_string(end->code) + '\n';
        closed = true;
      } else {
        result += "pong\n";
      }
    }
  }
  require(!closed || socket.close_sent());
  const std::string output = socket.take_output();
  require(output.size() <= size + 256);
  return result;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const Bytes bytes(data, size);
  const std::string whole = transcript(bytes, size + 1);
  require(transcript(bytes, 1) == whole);
  require(transcript(bytes, 5) == whole);
  return 0;
}
