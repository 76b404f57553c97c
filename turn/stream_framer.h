// Cuts the byte stream of a TCP or TLS client into STUN messages and ChannelData (RFC 8489 §6.2.2,
// RFC 8656 §12.5). Any split and any merge of pieces is fine.
//
// Use: feed() once per read, then next() until it gives nothing. Pieces that lie whole in the fed
// bytes are handed out in place; only a piece cut by the end of a read is copied. So the fed bytes
// must stay until next() has given nothing, and a frame lives until the following call of next().
// Memory: what a client has really sent of one unfinished frame (never what its header promises),
// at most kMaxFrame; the buffer grows by doubling, and above kKeptCapacity it is given back after
// use. One thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "stun/bytes.h"
#include "turn/limits.h"

namespace bedside::turn {

class StreamFramer {
 public:
  explicit StreamFramer(bool accept_rfc5766_channels = false) noexcept
      : accept_rfc5766_(accept_rfc5766_channels) {}

  void feed(stun::Bytes input) noexcept;

  // One frame: a STUN message, or ChannelData without its stream padding. Nothing: feed more, or
  // broken().
  [[nodiscard]] std::optional<stun::Bytes> next();

  // What was fed and not handed out yet: for whoever takes the stream over after a frame.
  [[nodiscard]] stun::Bytes unread() const noexcept { return input_; }

  // The stream is neither STUN nor ChannelData (wrong first byte, cookie, or a length that is not a
  // multiple of 4). There is no way to find the next frame: close the connection (checklist B.57).
  [[nodiscard]] bool broken() const noexcept { return broken_; }
  [[nodiscard]] bool has_partial() const noexcept { return !partial_.empty(); }

 private:
  static constexpr std::size_t kKeptCapacity =
      4096;  // media packets fit, so no heap while relaying

  struct Size {
    std::size_t frame = 0;   // what is handed out
    std::size_t needed = 0;  // in the stream, with padding; or what it takes to measure further
  };
  // Looks at the first bytes of a frame; sets broken_ when they cannot be one.
  [[nodiscard]] Size measure(stun::Bytes start) noexcept;
  [[nodiscard]] std::optional<stun::Bytes> finish_partial();

  stun::Bytes input_;
  std::vector<std::uint8_t> partial_;
  bool partial_delivered_ = false;  // partial_ was handed out and is cleared by the next call
  bool broken_ = false;
  bool accept_rfc5766_;
};

}  // namespace bedside::turn
