// Any stream, cut in any way, gives the same frames as the uncut stream. The first byte chooses the
// sizes of the pieces.
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <vector>

#include "turn/stream_framer.h"

namespace {

using bedside::turn::StreamFramer;
using Frames = std::vector<std::vector<std::uint8_t>>;

struct Outcome {
  Frames frames;
  bool broken = false;
};

template <typename NextSize>
Outcome cut(const std::vector<std::uint8_t>& stream, NextSize next_size) {
  Outcome outcome;
  StreamFramer framer;
  std::size_t at = 0;
  while (at < stream.size() && !framer.broken()) {
    const std::size_t size = std::min<std::size_t>(next_size(), stream.size() - at);
    const auto begin = stream.begin() + static_cast<std::ptrdiff_t>(at);
    std::vector<std::uint8_t> piece(begin, begin + static_cast<std::ptrdiff_t>(size));
    framer.feed(piece);
    while (const auto frame = framer.next()) {
      if (frame->size() > bedside::turn::limits::kMaxFrame) std::abort();
      outcome.frames.emplace_back(frame->begin(), frame->end());
    }
    at += size;
  }
  outcome.broken = framer.broken();
  return outcome;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  std::uint32_t state = data[0] + 1U;
  const std::vector<std::uint8_t> stream(data + 1, data + size);
  const Outcome whole = cut(stream, [&] { return stream.size(); });
  const Outcome bytes = cut(stream, [] { return std::size_t{1}; });
  const Outcome pieces = cut(stream, [&] {
    state = state * 1664525U + 1013904223U;
    return std::size_t{1} + (state >> 16) % 40U;
  });
  if (whole.frames != bytes.frames || whole.frames != pieces.frames) std::abort();
  if (whole.broken != bytes.broken || whole.broken != pieces.broken) std::abort();
  return 0;
}
