#include "server/net/websocket.h"

#include <gtest/gtest.h>

#include <string>
#include <string_view>
#include <vector>

#include "stun/bytes.h"
#include "tests/net/websocket_frames.h"

namespace bedside::net {
namespace {

using namespace tests;  // NOLINT(google-build-using-namespace): the frame vocabulary

HttpRequest handshake() {
  HttpRequest request;
  request.method = "GET";
  request.path = "/api/webrtc-ws";
  request.headers = {{"host", "a"},
                     {"upgrade", "websocket"},
                     {"connection", "keep-alive, Upgrade"},
                     {"sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="},
                     {"sec-websocket-version", "13"},
                     {"sec-websocket-extensions", "permessage-deflate"},
                     {"sec-websocket-protocol", "chat"}};
  return request;
}

void replace(HttpRequest& request, std::string_view name, std::string_view value) {
  for (auto& field : request.headers) {
    if (field.first == name) field.second = value;
  }
}

TEST(WebSocketHandshake, AnswersTheExampleOfTheRfc) {
  const auto answer = accept_websocket(handshake());
  ASSERT_TRUE(answer);
  EXPECT_EQ(to_bytes(*answer, {}),
            "HTTP/1.1 101 Switching Protocols\r\n"
            "Upgrade: websocket\r\n"
            "Connection: Upgrade\r\n"
            "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n")
      << "and neither an extension nor a subprotocol";
}

TEST(WebSocketHandshake, RefusesWhatIsNoHandshake) {
  HttpRequest request = handshake();
  request.method = "POST";
  EXPECT_EQ(accept_websocket(request).error().status, 405);

  request = handshake();
  replace(request, "connection", "keep-alive");
  EXPECT_FALSE(wants_websocket(request));
  EXPECT_EQ(accept_websocket(request).error().status, 400);

  request = handshake();
  replace(request, "upgrade", "h2c");
  EXPECT_EQ(accept_websocket(request).error().status, 400);
}

TEST(WebSocketHandshake, NamesTheVersionItSpeaks) {
  HttpRequest request = handshake();
  replace(request, "sec-websocket-version", "8");
  const auto answer = accept_websocket(request);
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().status, 426);
  EXPECT_NE(to_bytes(answer.error(), {}).find("Sec-WebSocket-Version: 13\r\n"), std::string::npos);
}

TEST(WebSocketHandshake, WantsAKeyOfSixteenBytes) {
  for (const char* key :
       {"", "dGhlIHNhbXBsZSBub25jZQ", "dGhlIHNhbXBsZSBub25jZQ=!", "dGhlIHNhbXBsZSBub25j",
        "dGhlIHNhbXBsZSBub25jZXM=", "dGhlIHNhbXBsZSBub25jZR==", "!!hlIHNhbXBsZSBub25jZQ=="}) {
    HttpRequest request = handshake();
    replace(request, "sec-websocket-key", key);
    EXPECT_FALSE(accept_websocket(request)) << key;
  }
}

// What came out of a socket, by kind.
struct Drained {
  std::vector<std::string> texts;
  int pongs = 0;
  std::uint16_t closed = 0;
  std::string output;
};

Drained drain(WebSocket& socket) {
  Drained result;
  while (socket.has_event()) {
    const WebSocketEvent event = socket.next_event();
    if (const auto* text = std::get_if<WebSocketText>(&event)) result.texts.push_back(text->text);
    if (std::holds_alternative<WebSocketPong>(event)) ++result.pongs;
    if (const auto* closed = std::get_if<WebSocketClosed>(&event)) result.closed = closed->code;
  }
  result.output = socket.take_output();
  return result;
}

Drained feed(WebSocket& socket, std::string_view bytes) {
  socket.feed(stun::as_bytes(bytes));
  return drain(socket);
}

// The close code a fresh socket ends with when it is fed `bytes`, checked on the wire as well.
std::uint16_t close_code_after(std::string_view bytes) {
  WebSocket socket;
  const Drained result = feed(socket, bytes);
  EXPECT_TRUE(result.texts.empty());
  const std::string expected = close_payload(result.closed);
  EXPECT_EQ(result.output.substr(0, 1), "\x88");
  EXPECT_EQ(result.output.substr(2, 2), expected);
  return result.closed;
}

TEST(WebSocket, CarriesTextBothWaysAtEverySplit) {
  const std::string frames =
      client_frame(kText, R"({"type":"join"})") + client_frame(kText, std::string(300, 'x'));
  for (std::size_t split = 0; split <= frames.size(); ++split) {
    WebSocket socket;
    Drained first = feed(socket, std::string_view(frames).substr(0, split));
    const Drained second = feed(socket, std::string_view(frames).substr(split));
    first.texts.insert(first.texts.end(), second.texts.begin(), second.texts.end());
    ASSERT_EQ(first.texts.size(), 2U) << split;
    EXPECT_EQ(first.texts[0], R"({"type":"join"})");
  }
  WebSocket socket;
  socket.send_text("hello");
  EXPECT_EQ(socket.take_output(), server_frame(kText, "hello"));
}

TEST(WebSocket, JoinsFragmentsAndAnswersPingsBetweenThem) {
  WebSocket socket;
  EXPECT_TRUE(feed(socket, client_frame(kText, "one ", {.fin = false})).texts.empty());
  EXPECT_EQ(feed(socket, client_frame(kPing, "now")).output, server_frame(kPong, "now"));
  EXPECT_TRUE(feed(socket, client_frame(kContinuation, "two ", {.fin = false})).texts.empty());
  const Drained last = feed(socket, client_frame(kContinuation, "three"));
  ASSERT_EQ(last.texts.size(), 1U);
  EXPECT_EQ(last.texts[0], "one two three");
}

TEST(WebSocket, TellsOfPongs) {
  WebSocket socket;
  socket.send_ping();
  EXPECT_EQ(socket.take_output(), server_frame(kPing, ""));
  EXPECT_EQ(feed(socket, client_frame(kPong, "")).pongs, 1);
}

TEST(WebSocket, RefusesUnmaskedFrames) {
  EXPECT_EQ(close_code_after(client_frame(kText, "x", {.masked = false})), 1002);
  EXPECT_EQ(close_code_after(client_frame(kPing, "", {.masked = false})), 1002);
}

TEST(WebSocket, RefusesBrokenFraming) {
  EXPECT_EQ(close_code_after(client_frame(kText, "x", {.reserved = 4})), 1002);
  EXPECT_EQ(close_code_after(client_frame(3, "x")), 1002) << "an opcode nobody defined";
  EXPECT_EQ(close_code_after(client_frame(11, "x")), 1002);
  EXPECT_EQ(close_code_after(client_frame(kContinuation, "x")), 1002) << "continues nothing";
  EXPECT_EQ(close_code_after(client_frame(kPing, "x", {.fin = false})), 1002);
  EXPECT_EQ(close_code_after(client_frame(kPing, std::string(126, 'x'))), 1002);
  EXPECT_EQ(close_code_after(client_frame(kText, "a", {.fin = false}) + client_frame(kText, "b")),
            1002)
      << "a new message inside another";
}

TEST(WebSocket, RefusesTextThatIsNoUtf8) {
  EXPECT_EQ(close_code_after(client_frame(kText, "\xff")), 1007);
  EXPECT_EQ(close_code_after(client_frame(kText, "\xc3")), 1007) << "cut in a character";
  EXPECT_EQ(close_code_after(client_frame(kText, "\xed\xa0\x80")), 1007) << "a surrogate";
  WebSocket socket;
  EXPECT_TRUE(feed(socket, client_frame(kText, "\xc3", {.fin = false})).texts.empty());
  EXPECT_EQ(feed(socket, client_frame(kContinuation, "\xa4")).texts.at(0), "\xc3\xa4");
}

// Every boundary of RFC 3629 §4, on both sides.
TEST(WebSocket, KnowsTheEdgesOfUtf8) {
  for (const char* good :
       {"\xc2\x80", "\xdf\xbf", "\xe0\xa0\x80", "\xed\x9f\xbf", "\xee\x80\x80", "\xef\xbf\xbf",
        "\xf0\x90\x80\x80", "\xf4\x8f\xbf\xbf", "1234567\xc3\xa4"}) {
    WebSocket socket;
    EXPECT_EQ(feed(socket, client_frame(kText, good)).texts, std::vector<std::string>{good});
  }
  for (const char* bad :
       {"\x80", "\xbf", "\xc0\x80", "\xc1\xbf", "\xe0\x9f\xbf", "\xed\xa0\x80", "\xf0\x8f\xbf\xbf",
        "\xf4\x90\x80\x80", "\xf5\x80\x80\x80", "\xc3(", "\xe2\x82(", "\xf0\x9f\x98(",
        "\xf0\x9f\x98", "12345678\xff", "1234567\xc3"}) {
    EXPECT_EQ(close_code_after(client_frame(kText, bad)), 1007) << bad;
  }
}

TEST(WebSocket, RefusesLengthsThatAreLongerThanNeeded) {
  EXPECT_EQ(close_code_after(std::string("\x81\xfe\x00\x01\x11\x22\x33\x44x", 9)), 1002);
  EXPECT_EQ(close_code_after(std::string("\x81\xff\0\0\0\0\0\0\xff\xff\x11\x22\x33\x44", 14)),
            1002);
  EXPECT_EQ(close_code_after(std::string("\x81\xff\x80\0\0\0\0\1\0\0\x11\x22\x33\x44", 14)), 1002)
      << "the highest bit must be 0";
}

TEST(WebSocket, SendsLongTextsWithTheLengthTheyNeed) {
  for (const auto& [size, head] : {std::pair<std::size_t, std::string>{125, "\x81\x7d"},
                                   {126, std::string("\x81\x7e\x00\x7e", 4)},
                                   {65535, "\x81\x7e\xff\xff"},
                                   {65536, std::string("\x81\x7f\0\0\0\0\0\1\0\0", 10)}}) {
    WebSocket socket;
    socket.send_text(std::string(size, 'x'));
    EXPECT_EQ(socket.take_output(), head + std::string(size, 'x'));
  }
}

TEST(WebSocket, RefusesBinaryMessages) {
  EXPECT_EQ(close_code_after(client_frame(kBinary, "x")), 1003);
}

TEST(WebSocket, RefusesMessagesBeyondTheLimitHoweverTheyAreCut) {
  const std::string half(40 * 1024, 'x');
  EXPECT_EQ(close_code_after(client_frame(kText, std::string(kMaxWebSocketMessage + 1, 'x'))),
            1009);
  EXPECT_EQ(close_code_after(client_frame(kText, half, {.fin = false}) +
                             client_frame(kContinuation, half)),
            1009);
  // Judged by the announced length: nobody waits for 4 EiB.
  EXPECT_EQ(close_code_after(std::string("\x81\xff\x40\0\0\0\0\0\0\0\x11\x22\x33\x44x", 15)), 1009);
  WebSocket socket;
  EXPECT_EQ(
      feed(socket, client_frame(kText, std::string(kMaxWebSocketMessage, 'x'))).texts.at(0).size(),
      kMaxWebSocketMessage);
}

TEST(WebSocket, AnswersACloseAndTellsItsCode) {
  WebSocket socket;
  const Drained result = feed(socket, client_frame(kClose, close_payload(1000, "bye")));
  EXPECT_EQ(result.closed, 1000);
  EXPECT_EQ(result.output, server_frame(kClose, close_payload(1000)));
  EXPECT_TRUE(socket.close_sent());
  WebSocket other;
  EXPECT_EQ(feed(other, client_frame(kClose, "")).closed, 1005);
}

TEST(WebSocket, RefusesCloseFramesThatBreakTheRules) {
  EXPECT_EQ(close_code_after(client_frame(kClose, "\x03")), 1002) << "half a code";
  EXPECT_EQ(close_code_after(client_frame(kClose, close_payload(1005))), 1002);
  EXPECT_EQ(close_code_after(client_frame(kClose, close_payload(999))), 1002);
  EXPECT_EQ(close_code_after(client_frame(kClose, close_payload(1000, "\xff"))), 1007);
  for (const char* reason : {"\xff", "a\xc3", "\xc0\xaf", "\xed\xa0\x80", "\xf4\x90\x80\x80"}) {
    const std::string frame = client_frame(kClose, close_payload(1000, reason));
    WebSocket pieces;
    std::string output;
    std::uint16_t closed = 0;
    for (const char& byte : frame) {
      const Drained drained = feed(pieces, {&byte, 1});
      output += drained.output;
      if (drained.closed != 0) closed = drained.closed;
    }
    EXPECT_EQ(closed, 1007) << reason;
    EXPECT_EQ(output, server_frame(kClose, close_payload(1007))) << reason;
  }
  WebSocket good;
  EXPECT_EQ(
      feed(good, client_frame(kClose, close_payload(1000, "\xc3\xa4\xe2\x82\xac\xf0\x9f\x91\x8b")))
          .closed,
      1000);
}

TEST(WebSocket, SendsNothingAfterItsCloseFrame) {
  WebSocket socket;
  socket.close(4001, std::string(200, 'r'));
  const std::string output = socket.take_output();
  EXPECT_EQ(output, server_frame(kClose, close_payload(4001, std::string(123, 'r'))));
  socket.send_text("late");
  socket.send_ping();
  socket.close(1000, "");
  EXPECT_EQ(socket.take_output(), "");
  EXPECT_EQ(feed(socket, client_frame(kPing, "late")).output, "");
  const Drained answered = feed(socket, client_frame(kClose, close_payload(4001)));
  EXPECT_EQ(answered.closed, 4001);
  EXPECT_EQ(answered.output, "");
}

TEST(WebSocket, HearsNothingAfterTheEnd) {
  WebSocket socket;
  feed(socket, client_frame(kClose, ""));
  const Drained late = feed(socket, client_frame(kText, "x"));
  EXPECT_TRUE(late.texts.empty());
  EXPECT_EQ(late.closed, 0);
  EXPECT_EQ(late.output, "");
}

}  // namespace
}  // namespace bedside::net
