// Any text where HTTP values are read and written: queries, cookies, escapes, lists, and header
// fields of answers, which nothing may split.
#include <algorithm>
#include <cstdlib>
#include <string>

#include "server/net/http_message.h"

namespace {

using namespace bedside::net;

void require(bool promise) {
  if (!promise) std::abort();
}

bool has_control(const std::string& text) {
  return std::any_of(text.begin(), text.end(), [](char c) {
    const auto value = static_cast<unsigned char>(c);
    return value < 0x20 || value == 0x7f;
  });
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string text(data, data + size);
  const std::size_t half = size / 2;
  const std::string name = text.substr(0, half);
  const std::string value = text.substr(half);

  for (const bool plus : {false, true}) {
    const auto decoded = percent_decode(text, plus);
    require(!decoded || decoded->size() <= text.size());
    // A control character can only come through as it was, never out of an escape.
    require(!decoded || has_control(text) || !has_control(*decoded));
  }
  HttpRequest request;
  request.query = text;
  request.headers = {{"cookie", text}};
  (void)request.query_value("roomId");
  const auto cookie = request.cookie("session");
  require(!cookie || cookie->size() + 8 <= text.size());
  (void)has_token(text, "upgrade");

  HttpResponse response = HttpResponse::text(200, "x");
  const bool taken = response.set(name, value);
  require(!taken || (!name.empty() && !has_control(name) && !has_control(value)));
  const std::string bytes = to_bytes(response, {});
  // One empty line, and it is the one before the body.
  require(bytes.find("\r\n\r\n") == bytes.size() - 5);
  return 0;
}
