#include "server/net/websocket.h"

#include <algorithm>
#include <cassert>
#include <cstring>
#include <span>

namespace bedside::net {
namespace {

constexpr std::size_t kMaxControl = 125;  // bytes in a control frame, RFC 6455 §5.5
constexpr std::size_t kMaxCloseReason = kMaxControl - 2;
constexpr std::size_t kMaxServerHead = 10;

// RFC 6455 §5.2
enum Opcode : std::uint8_t {
  kContinuation = 0,
  kText = 1,
  kBinary = 2,
  kClose = 8,
  kPing = 9,
  kPong = 10
};
constexpr std::uint8_t kFinal = 0x80;
constexpr std::uint8_t kReserved = 0x70;
constexpr std::uint8_t kOpcodeBits = 0x0f;
constexpr std::uint8_t kControlBit = 0x08;
constexpr std::uint8_t kMasked = 0x80;
constexpr std::uint8_t kLengthBits = 0x7f;
constexpr std::uint8_t kLength16 = 126;
constexpr std::uint8_t kLength64 = 127;

// RFC 6455 §7.4.1
constexpr std::uint16_t kProtocolError = 1002;
constexpr std::uint16_t kUnsupportedData = 1003;
constexpr std::uint16_t kNoCode = 1005;
constexpr std::uint16_t kNotUtf8 = 1007;
constexpr std::uint16_t kTooBig = 1009;

bool is_control_frame(std::uint8_t first_byte) { return (first_byte & kControlBit) != 0; }

// §7.4.1, IANA's registry (1012 to 1014), and §7.4.2.
bool may_be_sent(std::uint16_t code) {
  return (code >= 1000 && code <= 1003) || (code >= 1007 && code <= 1014) ||
         (code >= 3000 && code <= 4999);
}

std::string code_bytes(std::uint16_t code) {
  return {static_cast<char>(code >> 8), static_cast<char>(code & 0xff)};
}

// Eight bytes at a time: `at` says which byte of the mask is the first one's.
void unmask(std::span<char> text, std::span<const std::uint8_t, 4> mask, std::size_t at) {
  std::array<std::uint8_t, 8> key{};
  for (std::size_t i = 0; i < key.size(); ++i) key[i] = mask[(at + i) % 4];
  std::uint64_t wide = 0;
  std::memcpy(&wide, key.data(), sizeof wide);
  std::size_t i = 0;
  for (; i + sizeof wide <= text.size(); i += sizeof wide) {
    std::uint64_t word = 0;
    std::memcpy(&word, &text[i], sizeof word);
    word ^= wide;
    std::memcpy(&text[i], &word, sizeof word);
  }
  for (; i < text.size(); ++i) text[i] = static_cast<char>(text[i] ^ key[i % 8]);
}

bool is_utf8(std::string_view text) {
  Utf8Reader reader;
  return reader.read(text) && reader.complete();
}

}  // namespace

// RFC 3629 §4: the first byte says how many follow, and what the second may be.
bool Utf8Reader::read(std::string_view text) {
  while (!text.empty()) {
    std::uint64_t eight = 0;
    if (missing_ == 0 && text.size() >= sizeof eight) {
      std::memcpy(&eight, text.data(), sizeof eight);
      if ((eight & 0x8080808080808080U) == 0) {  // all ASCII
        text.remove_prefix(sizeof eight);
        continue;
      }
    }
    const auto byte = static_cast<std::uint8_t>(text.front());
    text.remove_prefix(1);
    if (missing_ > 0) {
      if (byte < least_ || byte > most_) return false;
      --missing_;
      least_ = 0x80;
      most_ = 0xBF;
    } else if (byte >= 0x80 && !begin_character(byte)) {
      return false;
    }
  }
  return true;
}

bool Utf8Reader::begin_character(std::uint8_t first) {
  if (first < 0xC2 || first > 0xF4) return false;  // would be overlong, or beyond U+10FFFF
  missing_ = first < 0xE0 ? 1 : first < 0xF0 ? 2 : 3;
  least_ = first == 0xE0 ? 0xA0 : first == 0xF0 ? 0x90 : 0x80;  // no overlong forms
  most_ = first == 0xED ? 0x9F : first == 0xF4 ? 0x8F : 0xBF;   // no surrogates
  return true;
}

WebSocket::WebSocket(std::size_t max_message) : max_message_(max_message) {}

void WebSocket::feed(stun::Bytes bytes) {
  while (!ended_ && (in_payload_ ? read_payload(bytes) : read_head(bytes))) {
  }
}

WebSocketEvent WebSocket::next_event() {
  assert(has_event());
  WebSocketEvent event = std::move(events_[next_++]);
  if (!has_event()) {
    events_.clear();
    next_ = 0;
  }
  return event;
}

// ---- a frame, RFC 6455 §5.2

std::size_t WebSocket::head_size() const {
  constexpr std::size_t kMaskSize = 4;
  if (head_read_ < 2) return 2;
  const std::uint8_t length = head_[1] & kLengthBits;
  return 2 + kMaskSize + (length == kLength64 ? 8 : length == kLength16 ? 2 : 0);
}

bool WebSocket::read_head(stun::Bytes& bytes) {
  if (bytes.empty()) return false;
  const bool began = head_read_ < 2;
  const std::size_t taken = std::min(head_size() - head_read_, bytes.size());
  std::copy_n(bytes.begin(), taken, head_.begin() + head_read_);
  head_read_ = static_cast<std::uint8_t>(head_read_ + taken);
  bytes = bytes.subspan(taken);
  if (began && head_read_ >= 2) judge_opcode();  // as early as it can be told
  if (head_read_ < head_size()) return !bytes.empty();
  judge_length();
  in_payload_ = true;
  mask_at_ = 0;
  return true;
}

void WebSocket::judge_opcode() {
  const std::uint8_t opcode = head_[0] & kOpcodeBits;
  const bool final = (head_[0] & kFinal) != 0;
  const bool masked = (head_[1] & kMasked) != 0;
  if ((head_[0] & kReserved) != 0 || !masked) return fail(kProtocolError);
  switch (opcode) {
    case kContinuation:
      return in_message_ ? void() : fail(kProtocolError);
    case kText:
      return in_message_ ? fail(kProtocolError) : void();
    case kBinary:
      return fail(in_message_ ? kProtocolError : kUnsupportedData);
    case kClose:
    case kPing:
    case kPong:
      return final && (head_[1] & kLengthBits) <= kMaxControl ? void() : fail(kProtocolError);
    default:
      return fail(kProtocolError);
  }
}

void WebSocket::judge_length() {
  const std::uint8_t length = head_[1] & kLengthBits;
  payload_left_ = length;
  if (length >= kLength16) {
    payload_left_ = 0;
    for (std::size_t i = 2; i < head_size() - 4; ++i) payload_left_ = payload_left_ << 8 | head_[i];
    const std::uint64_t least = length == kLength16 ? kLength16 : 0x10000;
    if (payload_left_ < least || payload_left_ >> 63 != 0) return fail(kProtocolError);
  }
  if (is_control_frame(head_[0])) return;
  if (payload_left_ > max_message_ - message_.size()) return fail(kTooBig);
}

bool WebSocket::read_payload(stun::Bytes& bytes) {
  const auto taken = static_cast<std::size_t>(std::min<std::uint64_t>(payload_left_, bytes.size()));
  std::string& into = is_control_frame(head_[0]) ? control_ : message_;
  const std::size_t begin = into.size();
  into.append(stun::as_text(bytes.first(taken)));
  unmask(std::span(into).subspan(begin), std::span(head_).subspan(head_size() - 4).first<4>(),
         mask_at_);
  mask_at_ = static_cast<std::uint32_t>((mask_at_ + taken) % 4);
  payload_left_ -= taken;
  bytes = bytes.subspan(taken);
  if (&into == &message_ && !utf8_.read(std::string_view(into).substr(begin))) {
    fail(kNotUtf8);
    return false;
  }
  if (payload_left_ > 0) return false;
  in_payload_ = false;
  head_read_ = 0;
  take_frame();
  return true;
}

void WebSocket::take_frame() {
  const std::uint8_t opcode = head_[0] & kOpcodeBits;
  if (!is_control_frame(head_[0])) {
    in_message_ = (head_[0] & kFinal) == 0;
    if (in_message_) return;
    if (!utf8_.complete()) return fail(kNotUtf8);
    events_.emplace_back(WebSocketText{std::exchange(message_, {})});
    return;
  }
  const std::string payload = std::exchange(control_, {});
  if (opcode == kClose) return take_close(payload);
  if (opcode == kPong) {
    events_.emplace_back(WebSocketPong{});
  } else if (!close_sent_) {
    send_frame(kPong, payload);
  }
}

// RFC 6455 §5.5.1 and §7.4: a code that may be sent, and a reason in UTF-8.
void WebSocket::take_close(std::string_view payload) {
  if (payload.size() == 1) return fail(kProtocolError);  // half a code
  if (payload.empty()) {
    if (!close_sent_) send_frame(kClose, {});
    return end(kNoCode);
  }
  const stun::Bytes bytes = stun::as_bytes(payload);
  const std::uint16_t code = stun::load_u16(bytes, 0);
  if (!may_be_sent(code)) return fail(kProtocolError);
  if (!is_utf8(payload.substr(2))) return fail(kNotUtf8);
  if (!close_sent_) send_frame(kClose, payload.substr(0, 2));
  end(code);
}

// ---- what we say

void WebSocket::send_text(std::string_view text) {
  if (!close_sent_) send_frame(kText, text);
}

void WebSocket::send_ping() {
  if (!close_sent_) send_frame(kPing, {});
}

void WebSocket::close(std::uint16_t code, std::string_view reason) {
  if (close_sent_) return;
  std::string payload = code_bytes(code);
  payload.append(reason.substr(0, kMaxCloseReason));
  send_frame(kClose, payload);
}

void WebSocket::send_frame(std::uint8_t opcode, std::string_view payload) {
  const std::size_t size = payload.size();
  output_.reserve(output_.size() + kMaxServerHead + size);
  output_ += static_cast<char>(kFinal | opcode);
  if (size < kLength16) {
    output_ += static_cast<char>(size);
  } else {
    const bool long_one = size > 0xffff;
    output_ += static_cast<char>(long_one ? kLength64 : kLength16);
    for (int shift = long_one ? 56 : 8; shift >= 0; shift -= 8) {
      output_ += static_cast<char>(static_cast<std::uint64_t>(size) >> shift & 0xff);
    }
  }
  output_.append(payload);
  close_sent_ = close_sent_ || opcode == kClose;
}

void WebSocket::fail(std::uint16_t code) {
  if (!close_sent_) send_frame(kClose, code_bytes(code));
  end(code);
}

void WebSocket::end(std::uint16_t code) {
  close_sent_ = ended_ = true;
  message_ = {};
  events_.emplace_back(WebSocketClosed{code});
}

}  // namespace bedside::net
