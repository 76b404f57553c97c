// TCP allocations and behaviour discovery under random programs.
#include "tests/turn/tcp_simulation.h"

#include <gtest/gtest.h>

#include <cstdint>

namespace bedside::turn::testing {
namespace {

constexpr int kTcpSeeds = 60;
constexpr int kTcpSteps = 250;

class Chance final : public Choices {
 public:
  explicit Chance(std::uint64_t seed) : random_(seed) {}
  std::uint64_t below(std::uint64_t bound) override { return random_.below(bound); }

 private:
  SeededRandom random_;
};

TEST(TcpSimulation, The_relay_and_its_verdicts_agree_on_what_is_open) {
  TcpSimulation::Figures total;
  for (std::uint64_t seed = 1; seed <= kTcpSeeds; ++seed) {
    Chance chance(seed);
    TcpSimulation simulation(chance);
    for (int i = 0; i < kTcpSteps; ++i) {
      ASSERT_TRUE(simulation.step()) << simulation.problem() << ", seed " << seed << " step " << i;
    }
    total.joined += simulation.figures().joined;
    total.attempts += simulation.figures().attempts;
    total.discovered += simulation.figures().discovered;
  }
  EXPECT_GT(total.joined, std::uint64_t{kTcpSeeds}) << "the programs bind too few to say anything";
  EXPECT_GT(total.attempts, std::uint64_t{kTcpSeeds});
  EXPECT_GT(total.discovered, std::uint64_t{kTcpSeeds});
}

}  // namespace
}  // namespace bedside::turn::testing
