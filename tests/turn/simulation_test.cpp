#include <gtest/gtest.h>

#include <cstdio>

#include "tests/support/seed_range.h"
#include "tests/turn/relay_simulation.h"

namespace bedside::turn::testing {
namespace {

constexpr std::uint64_t kUsualSeeds = 200;
constexpr int kSteps = 1500;

TEST(Simulation, Holds_its_promises_in_a_bad_world) {
  const auto seeds = testing_support::SeedRange::from_environment(kUsualSeeds);
  RelaySimulation::Figures seen;
  for (std::uint64_t seed = seeds.first; seed < seeds.first + seeds.count; ++seed) {
    RelaySimulation simulation(seed);
    for (int step = 0; step < kSteps; ++step) {
      ASSERT_TRUE(simulation.step())
          << "seed " << seed << ", step " << step << ": " << simulation.problem();
    }
    seen += simulation.figures();
  }
  std::printf("%llu worlds: %llu allocations, %llu answers, %llu packets to peers, %llu back\n",
              static_cast<unsigned long long>(seeds.count),
              static_cast<unsigned long long>(seen.allocations),
              static_cast<unsigned long long>(seen.answers),
              static_cast<unsigned long long>(seen.to_peers),
              static_cast<unsigned long long>(seen.to_clients));
  if (seeds.count < 20) return;
  // Worlds in which nothing happens prove nothing.
  EXPECT_GT(seen.allocations, 4 * seeds.count);
  EXPECT_GT(seen.answers, 100 * seeds.count);
  EXPECT_GT(seen.to_peers, 10 * seeds.count);
  EXPECT_GT(seen.to_clients, 10 * seeds.count);
  EXPECT_GT(seen.port_failures, seeds.count / 4);
  EXPECT_GT(seen.by_channel, seeds.count);
}

}  // namespace
}  // namespace bedside::turn::testing
