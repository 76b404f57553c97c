// The two clocks of the signaling core, passed in by the caller with every input.
//
// `mono` never jumps and drives every deadline; its origin is any steady clock. `wall` is Unix time
// and appears only in what people or the disk see (createdAt, expiry of an ended room).
#pragma once

#include <chrono>

namespace bedside::signaling {

struct Now {
  std::chrono::milliseconds mono{0};
  std::chrono::milliseconds wall{0};
};

}  // namespace bedside::signaling
