// Any bytes into the HTTP reader: the split of the bytes must not matter, and what comes out obeys
// the promises of HttpRequest. Whether it is asked for a WebSocket or not, the handshake answers.
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <string>

#include "server/net/http_reader.h"
#include "server/net/websocket.h"
#include "stun/bytes.h"

namespace {

using bedside::net::HttpReader;
using bedside::net::HttpRequest;
using bedside::stun::Bytes;

void require(bool promise) {
  if (!promise) std::abort();
}

bool has_control(const std::string& text, bool tabs) {
  return std::any_of(text.begin(), text.end(), [tabs](char c) {
    const auto value = static_cast<unsigned char>(c);
    return (value < 0x20 && !(tabs && c == '\t')) || value == 0x7f;
  });
}

// RFC 6455 §4.2.2: 101 to a GET that asks for it with a key, and the answer to that key.
void check_handshake(const HttpRequest& request) {
  const auto answer = bedside::net::accept_websocket(request);
  if (!answer) {
    const int status = answer.error().status;
    return require(status == 400 || status == 405 || status == 426);
  }
  require(answer->status == 101 && answer->body.empty());
  require(request.method == "GET" && bedside::net::wants_websocket(request));
  require(request.header("sec-websocket-version") == "13");
  require(request.header("sec-websocket-key").value_or("").size() == 24);
  const auto accept =
      std::find_if(answer->headers.begin(), answer->headers.end(),
                   [](const auto& field) { return field.first == "Sec-WebSocket-Accept"; });
  require(accept != answer->headers.end() && accept->second.size() == 28);
}

void check(const HttpRequest& request) {
  require(!request.method.empty() && request.method.size() <= 32);
  require(request.path == "*" || request.path.front() == '/');
  require(!has_control(request.method + request.path + request.query, false));
  require(request.headers.size() <= 64 && request.body.size() <= 64 * 1024);
  for (const auto& [name, value] : request.headers) {
    require(!name.empty() && !has_control(name, false) && !has_control(value, true));
  }
  require(!request.header("transfer-encoding"));
  (void)request.query_value("roomId");
  (void)request.cookie("session");
  check_handshake(request);
}

// Everything the reader makes of `bytes` fed `step` at a time, as text.
std::string transcript(Bytes bytes, std::size_t step) {
  HttpReader reader;
  std::string result;
  while (!bytes.empty()) {
    const std::size_t taken = reader.feed(bytes.first(std::min(step, bytes.size())));
    bytes = bytes.subspan(taken);
    if (reader.state() == HttpReader::State::refused) {
      return result + "refused " + std::string(reader.refusal().reason);
    }
    if (reader.state() == HttpReader::State::complete) {
      const HttpRequest request = reader.take();
      check(request);
      result += request.method + ' ' + request.path + '?' + request.query + ' ' + request.body;
      for (const auto& [name, value] : request.headers) result += '\n' + name + '=' + value;
    } else {
      require(taken > 0);
    }
  }
  return result + (reader.started() ? "unfinished" : "");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const Bytes bytes(data, size);
  const std::string whole = transcript(bytes, size + 1);
  require(transcript(bytes, 1) == whole);
  require(transcript(bytes, 7) == whole);
  return 0;
}
