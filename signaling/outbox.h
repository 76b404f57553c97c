// What one participant is to receive: numbered, kept for a replay, bounded.
//
// The WebSocket and the long poll differ only in who empties the outbox: a poll names what it has
// (`after`), a socket is fed from a cursor. Messages stay until a client says it has them or the
// room is needed, so that a client may change its transport at any moment.
//
// Limits: kOutboxMessages and kOutboxBytes. Delivered messages are dropped first, oldest first.
// When what was never delivered does not fit, everything is dropped and `lost()` turns true: the
// owner then asks `restart` with a `resync` message, which says what is true now.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace bedside::signaling {

class Outbox {
 public:
  // Numbers start at `first`. A restored session starts far above any number its client may have
  // seen.
  explicit Outbox(std::uint64_t first = 1) : next_(first), sent_(first - 1) {}

  // Appends `object` (a JSON object without seq) under the next number.
  void push(std::string_view object);

  // True when a replay after `after` is complete: nothing missing, nothing from another session.
  bool can_resume(std::uint64_t after) const;

  // The client has everything up to `after`; delivery goes on from there. Call only when
  // can_resume.
  void resume(std::uint64_t after);

  // Drops everything and pushes `object` as the first message of what follows.
  void restart(std::string_view object);

  // True when the client has not heard the last `restart` and all that followed is kept. Then it is
  // repeated instead of restarted: a request that arrives twice must not lose what was said between
  // its two arrivals.
  bool can_repeat(std::uint64_t after) const {
    return size() > 0 && front().seq == restarted_ && after < restarted_;
  }
  void repeat() { sent_ = restarted_ - 1; }

  // Next messages to deliver, about `max_bytes` of them (at least one when there is one).
  std::vector<std::string> take(std::size_t max_bytes);

  bool lost() const { return lost_; }
  bool has_unsent() const { return sent_ + 1 < next_; }
  std::uint64_t last() const { return next_ - 1; }
  // The highest number given to a transport.
  std::uint64_t delivered() const { return sent_; }
  // The highest `after` the client has named.
  std::uint64_t acknowledged() const { return acknowledged_; }
  std::size_t bytes() const { return bytes_; }
  std::size_t size() const { return kept_.size() - dropped_; }

 private:
  struct Kept {
    std::uint64_t seq;
    std::string text;
  };
  const Kept& front() const { return kept_[dropped_]; }
  void drop_front();
  void drop_all();

  // Consecutive numbers, the last is next_ - 1; the first `dropped_` are empty and wait for enough
  // company to be moved over. A deque would cost half a KiB for every silent participant.
  std::vector<Kept> kept_;
  std::size_t dropped_ = 0;
  std::size_t bytes_ = 0;
  std::uint64_t next_;
  std::uint64_t sent_;           // highest number given to a transport
  std::uint64_t restarted_ = 0;  // the number with which the last restart began
  std::uint64_t acknowledged_ = 0;
  bool lost_ = false;
};

}  // namespace bedside::signaling
