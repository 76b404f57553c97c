#include "turn/stream_framer.h"

#include <algorithm>
#include <cassert>

#include "stun/message.h"
#include "turn/channel_data.h"

namespace bedside::turn {

void StreamFramer::feed(stun::Bytes input) noexcept {
  assert(input_.empty());  // the previous read was not drained
  input_ = input;
}

std::optional<stun::Bytes> StreamFramer::next() {
  if (partial_delivered_) {
    partial_delivered_ = false;
    partial_.clear();
    if (partial_.capacity() > kKeptCapacity) partial_.shrink_to_fit();
  }
  if (broken_ || input_.empty()) return std::nullopt;
  if (!partial_.empty()) return finish_partial();

  const Size size = measure(input_);
  if (broken_) return std::nullopt;
  if (size.needed > input_.size() || size.frame == 0) {
    partial_.assign(input_.begin(), input_.end());
    input_ = {};
    return std::nullopt;
  }
  const stun::Bytes frame = input_.first(size.frame);
  input_ = input_.subspan(size.needed);
  return frame;
}

std::optional<stun::Bytes> StreamFramer::finish_partial() {
  while (true) {
    const Size size = measure(partial_);
    if (broken_) return std::nullopt;
    if (size.needed <= partial_.size()) {
      partial_delivered_ = true;
      return stun::Bytes(partial_).first(size.frame);
    }
    if (input_.empty()) return std::nullopt;
    const auto piece = input_.first(std::min(size.needed - partial_.size(), input_.size()));
    partial_.insert(partial_.end(), piece.begin(), piece.end());
    input_ = input_.subspan(piece.size());
  }
}

StreamFramer::Size StreamFramer::measure(stun::Bytes start) noexcept {
  constexpr std::size_t kLengthKnown = 4;
  constexpr std::size_t kCookieKnown = 8;
  const PacketKind kind = classify(start[0], accept_rfc5766_);
  if (kind == PacketKind::other) {
    broken_ = true;
    return {};
  }
  if (start.size() < kLengthKnown) return {0, kLengthKnown};
  const std::size_t length = stun::load_u16(start, 2);
  if (kind == PacketKind::channel_data) {
    const std::size_t frame = limits::kChannelHeaderSize + length;
    return {frame, stun::padded(frame)};  // RFC 8656 §12.5: padded on streams
  }
  // The cookie is checked as soon as it is there: 64 KiB of something else need not be collected.
  const bool wrong_cookie =
      start.size() >= kCookieKnown && stun::load_u32(start, 4) != stun::kMagicCookie;
  if (length % 4 != 0 || wrong_cookie) {
    broken_ = true;
    return {};
  }
  if (start.size() < kCookieKnown) return {0, kCookieKnown};
  return {stun::kHeaderSize + length, stun::kHeaderSize + length};
}

}  // namespace bedside::turn
