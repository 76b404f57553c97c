// TCP allocations (RFC 6062) and behaviour discovery (RFC 5780) driven by an arbitrary program:
// Connect, ConnectionBind, peers' connections, bytes and closes, with valid integrity and with
// damage, and Binding requests that want their answers elsewhere. The book of the simulation is
// kept beside it.
#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>

#include "tests/turn/tcp_simulation.h"

namespace {

namespace stun = bedside::stun;

// As many bytes a choice as its bound needs; past the end everything is zero.
class Program final : public bedside::turn::testing::Choices {
 public:
  Program(const std::uint8_t* data, std::size_t size) : bytes_(data, size) {}
  bool ended() const { return bytes_.empty(); }
  std::uint64_t below(std::uint64_t bound) override {
    std::uint64_t value = 0;
    for (std::uint64_t left = bound - 1; left > 0; left >>= 8U) value = value << 8U | byte();
    return value % bound;
  }

 private:
  std::uint8_t byte() {
    if (bytes_.empty()) return 0;
    const std::uint8_t value = bytes_[0];
    bytes_ = bytes_.subspan(1);
    return value;
  }

  stun::Bytes bytes_;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  Program program(data, size);
  bedside::turn::testing::TcpSimulation simulation(program);
  while (!program.ended()) {
    if (simulation.step()) continue;
    std::fprintf(stderr, "%s\n", simulation.problem().c_str());
    std::abort();
  }
  return 0;
}
