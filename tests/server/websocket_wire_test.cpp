// RFC 6455 frame by frame, sent to a running front door: what is answered, what ends the
// conversation, and with which close code.
#include <gtest/gtest.h>

#include <initializer_list>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "tests/net/websocket_frames.h"
#include "tests/server/control_rig.h"
#include "tests/server/wire_client.h"

namespace bedside::server {
namespace {

using std::string_view_literals::operator""sv;
using tests::client_frame;
using tests::close_payload;

struct ServerFrame {
  unsigned opcode = 0;  // with FIN and RSV bits: 0x81 is a whole text message
  std::string payload;
};

// The frames in `bytes`, whole ones only.
std::vector<ServerFrame> frames_of(std::string_view bytes) {
  std::vector<ServerFrame> frames;
  while (bytes.size() >= 2) {
    std::size_t size = static_cast<unsigned char>(bytes[1]);
    std::size_t header = 2;
    if (size == 126 && bytes.size() >= 4) {
      size = static_cast<unsigned char>(bytes[2]) * 256U + static_cast<unsigned char>(bytes[3]);
      header = 4;
    }
    if (bytes.size() < header + size) break;
    frames.push_back(
        {static_cast<unsigned char>(bytes[0]), std::string(bytes.substr(header, size))});
    bytes.remove_prefix(header + size);
  }
  return frames;
}

// A frame whose length is written as `length_bytes` say, whatever its payload needs.
std::string with_length(std::uint8_t opcode, std::string_view length_bytes,
                        std::string_view payload) {
  std::string frame(1, static_cast<char>(0x80 | opcode));
  frame.append(length_bytes).append("\0\0\0\0"sv.data(), 4).append(payload);
  return frame;
}

struct FrameCase {
  const char* name;
  std::string bytes;
  int texts = 0;             // answered with so many text messages; -1: with any number
  std::string pong;          // and with this pong; "-": with none
  std::uint16_t closed = 0;  // and then closed with this code; 0: goes on, 1005: with no code
};

constexpr const char* kNoPong = "-";
constexpr auto npos = std::string::npos;
// Its answer names it: whatever came before has been answered by then.
constexpr std::string_view kFence = R"({"type":"media-state","requestId":"fence"})";
using Shape = tests::FrameShape;

std::string text(std::string_view payload, Shape shape = {}) {
  return client_frame(tests::kText, payload, shape);
}
std::string more(std::string_view payload, bool last) {
  return client_frame(tests::kContinuation, payload, {.fin = last});
}
std::string opening(std::string_view payload) { return text(payload, {.fin = false}); }
std::string ping(std::string_view payload, Shape shape = {}) {
  return client_frame(tests::kPing, payload, shape);
}

std::vector<FrameCase> framing() {
  const std::string longest(125, 'p');
  std::vector<FrameCase> cases{
      {"Text", text("{}"), 1, kNoPong},
      {"TextsTogether", text("{}") + text("{}") + text("{}"), 3, kNoPong},
      {"EmptyText", text(""), 1, kNoPong},
      {"LengthIn16Bits", text(std::string(126, ' ')), 1, kNoPong},
      {"LengthIn64Bits", text(std::string(65536, ' ')), 1, kNoPong},
      {"Ping", ping("here"), 0, "here"},
      {"EmptyPing", ping(""), 0, ""},
      {"LongestPing", ping(longest), 0, longest},
      {"PongNobodyAskedFor", client_frame(tests::kPong, "x"), 0, kNoPong},
      {"Fragments", opening("{") + more("", false) + more("}", true), 1, kNoPong},
      {"EmptyFragments", opening("") + more("", false) + more("", true), 1, kNoPong},
      {"PingBetweenFragments", opening("{") + ping("now") + more("}", true), 1, "now"},
      {"Unmasked", text("{}", {.masked = false}), 0, kNoPong, 1002},
      {"UnmaskedPing", ping("", {.masked = false}), 0, kNoPong, 1002},
      {"UnmaskedClose", client_frame(tests::kClose, close_payload(1000), {.masked = false}), 0,
       kNoPong, 1002},
      {"PingTooLong", ping(std::string(126, 'p')), 0, kNoPong, 1002},
      {"FragmentedPing", ping("x", {.fin = false}), 0, kNoPong, 1002},
      {"FragmentedPong", client_frame(tests::kPong, "x", {.fin = false}), 0, kNoPong, 1002},
      {"FragmentedClose", client_frame(tests::kClose, close_payload(1000), {.fin = false}), 0,
       kNoPong, 1002},
      {"ContinuationOfNothing", more("{}", true), 0, kNoPong, 1002},
      {"TextInsideAnother", opening("{") + text("}"), 0, kNoPong, 1002},
      {"ContinuationAfterTheLast", opening("{") + more("}", true) + more("{}", true), -1, kNoPong,
       1002},
      {"TextThenABrokenFrame", text("{}") + client_frame(3, ""), -1, kNoPong, 1002},
      {"Binary", client_frame(tests::kBinary, "x"), 0, kNoPong, 1003},
      {"BinaryInFragments", client_frame(tests::kBinary, "x", {.fin = false}) + more("y", true), 0,
       kNoPong, 1003},
      // RFC 6455 §5.2: the shortest form of a length, and no sign bit.
      {"LengthOf2In16Bits", with_length(tests::kText, "\xfe\0\2"sv, "{}"), 0, kNoPong, 1002},
      {"LengthOf125In16Bits", with_length(tests::kText, "\xfe\0\x7d"sv, std::string(125, ' ')), 0,
       kNoPong, 1002},
      {"LengthOf2In64Bits", with_length(tests::kText, "\xff\0\0\0\0\0\0\0\2"sv, "{}"), 0, kNoPong,
       1002},
      {"LengthOf65535In64Bits", with_length(tests::kText, "\xff\0\0\0\0\0\0\xff\xff"sv, ""), 0,
       kNoPong, 1002},
      {"LengthWithASignBit", with_length(tests::kText, "\xff\x80\0\0\0\0\1\0\0"sv, ""), 0, kNoPong,
       1002},
      {"PingLengthIn16Bits", with_length(tests::kPing, "\xfe\0\1"sv, "x"), 0, kNoPong, 1002},
      {"TooLong", text(std::string(65537, ' ')), 0, kNoPong, 1009},
      {"TooLongInFragments",
       opening(std::string(40'000, ' ')) + more(std::string(40'000, ' '), true), 0, kNoPong, 1009},
      {"AnnouncedTooLong", with_length(tests::kText, "\xff\x40\0\0\0\0\0\0\0"sv, "{"), 0, kNoPong,
       1009},
  };
  for (const std::uint8_t bits :
       {std::uint8_t{1}, std::uint8_t{2}, std::uint8_t{4}, std::uint8_t{7}}) {
    cases.push_back({"ReservedBitsOfText", text("{}", {.reserved = bits}), 0, kNoPong, 1002});
    cases.push_back({"ReservedBitsOfPing", ping("", {.reserved = bits}), 0, kNoPong, 1002});
  }
  for (const std::uint8_t opcode :
       std::initializer_list<std::uint8_t>{3, 4, 5, 6, 7, 11, 12, 13, 14, 15}) {
    cases.push_back({"OpcodeNobodyDefined", client_frame(opcode, "x"), 0, kNoPong, 1002});
  }
  return cases;
}

std::vector<FrameCase> utf8() {
  return {
      {"Valid", text("\"\xc3\xa4\xe2\x82\xac\xf0\x9f\x91\x8b\""), 1, kNoPong},
      {"ValidAcrossFragments",
       opening("\"\xf0") + more("\x9f", false) + more("\x91", false) + more("\x8b\"", true), 1,
       kNoPong},
      {"LastCodePoint", text("\"\xf4\x8f\xbf\xbf\""), 1, kNoPong},
      {"NoLeadByte", text("\x80"), 0, kNoPong, 1007},
      {"NeverALeadByte", text("\xff"), 0, kNoPong, 1007},
      {"CutCharacter", text("\xe2\x82"), 0, kNoPong, 1007},
      {"Overlong", text("\xc0\xaf"), 0, kNoPong, 1007},
      {"OverlongInThree", text("\xe0\x80\xaf"), 0, kNoPong, 1007},
      {"Surrogate", text("\xed\xa0\x80"), 0, kNoPong, 1007},
      {"BeyondTheLastCodePoint", text("\xf4\x90\x80\x80"), 0, kNoPong, 1007},
      {"InvalidAcrossFragments", opening("\xc3") + more("(", true), 0, kNoPong, 1007},
      {"CutAtTheLastFragment", opening("a") + more("\xc3", true), 0, kNoPong, 1007},
      {"InvalidBeforeTheLastFragment", opening("\xff"), 0, kNoPong, 1007},
      {"ReasonOfAClose", client_frame(tests::kClose, close_payload(1000, "\xff")), 0, kNoPong,
       1007},
  };
}

std::vector<FrameCase> closing() {
  std::vector<FrameCase> cases{
      {"CloseWithoutACode", client_frame(tests::kClose, ""), 0, kNoPong, 1005},
      {"CloseWithHalfACode", client_frame(tests::kClose, "\x03"), 0, kNoPong, 1002},
      {"CloseWithAReason", client_frame(tests::kClose, close_payload(1000, "done")), 0, kNoPong,
       1000},
      {"CloseWithTheLongestReason",
       client_frame(tests::kClose, close_payload(1000, std::string(123, 'r'))), 0, kNoPong, 1000},
      {"CloseTooLong", client_frame(tests::kClose, close_payload(1000, std::string(124, 'r'))), 0,
       kNoPong, 1002},
      {"CloseInsideAMessage", opening("{") + client_frame(tests::kClose, close_payload(1000)), 0,
       kNoPong, 1000},
      {"NothingIsAnsweredAfterAClose",
       client_frame(tests::kClose, close_payload(1000)) + text("{}") + ping("late"), 0, kNoPong,
       1000},
  };
  for (const std::uint16_t code : std::initializer_list<std::uint16_t>{
           1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 3000, 3999, 4000, 4999}) {
    cases.push_back(
        {"CodeThatMayBeSent", client_frame(tests::kClose, close_payload(code)), 0, kNoPong, code});
  }
  for (const std::uint16_t code : std::initializer_list<std::uint16_t>{
           0, 1, 999, 1004, 1005, 1006, 1015, 1016, 1100, 1999, 2000, 2999, 5000, 65535}) {
    cases.push_back({"CodeThatMustNotBeSent", client_frame(tests::kClose, close_payload(code)), 0,
                     kNoPong, 1002});
  }
  return cases;
}

class WebSocketWire : public testing::TestWithParam<Over> {
 protected:
  static void SetUpTestSuite() {
    ControlOptions options;
    options.max_connections_per_source = 10'000;
    rig = std::make_unique<ControlRig>(options, &test_tls());
  }
  static void TearDownTestSuite() { rig.reset(); }
  static std::string handshake(const std::string& fields = "Upgrade: websocket\r\n",
                               const std::string& line = "GET /api/webrtc-ws HTTP/1.1") {
    return line + "\r\nHost: a\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n" +
           "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n" + fields + "\r\n";
  }
  static std::unique_ptr<WireClient> connect() {
    const bool secure = GetParam() != Over::tcp;
    return std::make_unique<WireClient>(secure ? rig->tls_port() : rig->port(), GetParam());
  }
  // A WebSocket; the answer to its handshake is taken already.
  static std::unique_ptr<WireClient> upgrade() {
    auto client = connect();
    EXPECT_EQ(client->ask(handshake()).status, 101);
    client->take_received();
    return client;
  }

  static void run(const FrameCase& tested, bool byte_by_byte) {
    SCOPED_TRACE(std::string(tested.name) + (byte_by_byte ? " byte by byte" : "") + ", " +
                 testing::PrintToString(tested.bytes.substr(0, 12)));
    const auto client = upgrade();
    byte_by_byte ? client->send_byte_by_byte(tested.bytes) : client->send(tested.bytes);
    if (tested.closed == 0) {
      client->send(text(kFence));
      EXPECT_TRUE(client->until([&] { return client->received().find("fence") != npos; }));
    } else {
      EXPECT_TRUE(client->wait_for_end());
    }
    check(tested, frames_of(client->received()));
  }

  static void check(const FrameCase& tested, const std::vector<ServerFrame>& frames) {
    int texts = 0;
    std::string pong = kNoPong;
    std::uint16_t closed = 0;
    for (const ServerFrame& frame : frames) {
      EXPECT_EQ(closed, 0) << "something follows the close frame";
      const bool fence = frame.payload.find("fence") != npos;
      if (frame.opcode == 0x80 + tests::kText && !fence) ++texts;
      if (frame.opcode == 0x80 + tests::kPong) pong = frame.payload;
      if (frame.opcode != 0x80 + tests::kClose) continue;
      closed = 1005;
      if (frame.payload.size() < 2) continue;
      closed = static_cast<std::uint16_t>(static_cast<unsigned char>(frame.payload[0]) * 256 +
                                          static_cast<unsigned char>(frame.payload[1]));
    }
    if (tested.texts >= 0) {
      EXPECT_EQ(texts, tested.texts);
    }
    EXPECT_EQ(pong, tested.pong);
    EXPECT_EQ(closed, tested.closed);
  }

  static std::unique_ptr<ControlRig> rig;
};
std::unique_ptr<ControlRig> WebSocketWire::rig;

INSTANTIATE_TEST_SUITE_P(Over, WebSocketWire, testing::Values(Over::tcp, Over::tls),
                         [](const auto& tested) { return std::string(name_of(tested.param)); });

TEST_P(WebSocketWire, FramesAreWhatTheRfcSays) {
  for (const FrameCase& tested : framing()) {
    run(tested, false);
    if (tested.bytes.size() < 1000) run(tested, true);
  }
}

TEST_P(WebSocketWire, TextIsUtf8AlsoAcrossFragments) {
  for (const FrameCase& tested : utf8()) {
    run(tested, false);
    run(tested, true);
  }
}

TEST_P(WebSocketWire, CloseCodesAreEchoedOrRefused) {
  for (const FrameCase& tested : closing()) {
    run(tested, false);
    run(tested, true);
  }
}

TEST_P(WebSocketWire, FramesMayComeWithTheHandshake) {
  const auto client = connect();
  client->send(handshake() + ping("early") + text(kFence));
  ASSERT_TRUE(client->until([&] { return client->received().find("fence") != npos; }));
  const std::string& all = client->received();
  const auto frames = frames_of(std::string_view(all).substr(all.find("\r\n\r\n") + 4));
  ASSERT_EQ(frames.size(), 2U);
  EXPECT_EQ(frames[0].payload, "early");
}

TEST_P(WebSocketWire, OnlyAProperHandshakeOpensOne) {
  struct Handshake {
    int status;
    std::string bytes;
  };
  const std::string upgrade = "Upgrade: websocket\r\n";
  const std::string keyless =
      "GET /api/webrtc-ws HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\n" + upgrade;
  const std::vector<Handshake> handshakes{
      {101, handshake()},
      {101, handshake("Upgrade: WebSocket\r\n")},
      {101, handshake(upgrade, "GET / HTTP/1.1")},
      {101, handshake(upgrade + "Sec-WebSocket-Extensions: permessage-deflate\r\n")},
      {426, handshake("")},
      {426, handshake("Upgrade: h2c\r\n")},
      {426, handshake(upgrade, "GET /api/webrtc-ws HTTP/1.0")},
      {404, handshake(upgrade, "GET /elsewhere HTTP/1.1")},
      {405, handshake(upgrade, "POST /api/webrtc-ws HTTP/1.1")},
      {403, handshake(upgrade + "Origin: https://evil.example\r\n")},
      {403, handshake(upgrade + "Origin: null\r\n")},
      {400, handshake(upgrade + "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n")},
      {400, handshake(upgrade + "Sec-WebSocket-Version: 13\r\n")},
      {400, keyless + "Sec-WebSocket-Version: 13\r\n\r\n"},
      {400, keyless + "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: c2hvcnQ=\r\n\r\n"},
      {426,
       keyless + "Sec-WebSocket-Version: 8\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"},
      {426, keyless + "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"},
  };
  for (const Handshake& tested : handshakes) {
    const WireAnswer answer = connect()->ask(tested.bytes);
    EXPECT_EQ(answer.status, tested.status) << tested.bytes;
    EXPECT_EQ(answer.header("sec-websocket-accept"),
              tested.status == 101 ? "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=" : "");
    EXPECT_EQ(answer.header("sec-websocket-extensions"), "");
    EXPECT_EQ(answer.header("sec-websocket-protocol"), "");
  }
}

}  // namespace
}  // namespace bedside::server
