// The opening handshake, RFC 6455 §4.2.
#include <openssl/evp.h>
#include <openssl/sha.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <utility>

#include "server/net/websocket.h"

namespace bedside::net {
namespace {

constexpr std::size_t kKeySize = 16;

// Exactly 16 bytes in canonical base64: 22 characters and "==", the last with four zero bits.
bool is_key(std::string_view text) {
  std::array<unsigned char, kKeySize + 2> decoded{};
  if (text.size() != 24 || text.substr(22) != "==" || text[21] == '=') return false;
  if (EVP_DecodeBlock(decoded.data(), reinterpret_cast<const unsigned char*>(text.data()), 24) !=
      static_cast<int>(decoded.size())) {
    return false;
  }
  std::array<unsigned char, 25> encoded{};
  EVP_EncodeBlock(encoded.data(), decoded.data(), static_cast<int>(kKeySize));
  return std::memcmp(encoded.data(), text.data(), 24) == 0;
}

std::string accept_value(std::string_view key) {  // RFC 6455 §4.2.2 step 5.4
  const std::string text = std::string(key) + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
  std::array<unsigned char, SHA_DIGEST_LENGTH> digest{};
  SHA1(reinterpret_cast<const unsigned char*>(text.data()), text.size(), digest.data());
  std::array<unsigned char, 29> encoded{};
  EVP_EncodeBlock(encoded.data(), digest.data(), static_cast<int>(digest.size()));
  return reinterpret_cast<const char*>(encoded.data());
}

bool any_token(const HttpRequest& request, std::string_view field, std::string_view token) {
  return std::any_of(request.headers.begin(), request.headers.end(), [&](const auto& header) {
    return header.first == field && has_token(header.second, token);
  });
}

}  // namespace

bool wants_websocket(const HttpRequest& request) {
  return any_token(request, "connection", "upgrade") && any_token(request, "upgrade", "websocket");
}

tl::expected<HttpResponse, HttpResponse> accept_websocket(const HttpRequest& request) {
  if (request.method != "GET") {
    HttpResponse refusal = HttpResponse::text(405, "A WebSocket begins with GET\n");
    refusal.set("Allow", "GET");
    return tl::unexpected(std::move(refusal));
  }
  if (!wants_websocket(request)) {
    return tl::unexpected(HttpResponse::text(400, "This is not a WebSocket handshake\n"));
  }
  if (request.header("sec-websocket-version") != "13") {
    HttpResponse refusal = HttpResponse::text(426, "Only WebSocket version 13 is spoken here\n");
    refusal.set("Sec-WebSocket-Version", "13");
    return tl::unexpected(std::move(refusal));
  }
  const auto key = request.header("sec-websocket-key");
  if (!key || !is_key(*key)) {
    return tl::unexpected(
        HttpResponse::text(400, "Sec-WebSocket-Key must be 16 bytes in base64\n"));
  }
  HttpResponse answer;
  answer.status = 101;
  answer.set("Upgrade", "websocket");
  answer.set("Connection", "Upgrade");
  answer.set("Sec-WebSocket-Accept", accept_value(*key));
  return answer;
}

}  // namespace bedside::net
