#include <gtest/gtest.h>

#include <cstdio>
#include <cstdlib>
#include <random>

#include "tests/turn/relay_simulation.h"

namespace bedside::turn::testing {
namespace {

// BEDSIDE_TEST_SEED repeats one world; otherwise fixed worlds and a new one each time.
std::vector<std::uint64_t> seeds() {
  if (const char* wanted = std::getenv("BEDSIDE_TEST_SEED")) {
    return {std::strtoull(wanted, nullptr, 0)};
  }
  return {1, 2, 3, 4, 5, std::random_device()()};
}

TEST(Simulation, Holds_its_promises_in_a_bad_world) {
  for (const std::uint64_t seed : seeds()) {
    std::printf("seed %llu\n", static_cast<unsigned long long>(seed));
    RelaySimulation simulation(seed);
    for (int step = 0; step < 8000; ++step) {
      ASSERT_TRUE(simulation.step())
          << "seed " << seed << ", step " << step << ": " << simulation.problem();
    }
    // A world in which nothing happens proves nothing.
    EXPECT_GT(simulation.figures().allocations, 20U);
    EXPECT_GT(simulation.figures().answers, 500U);
    EXPECT_GT(simulation.figures().to_peers, 50U);
    EXPECT_GT(simulation.figures().to_clients, 50U);
  }
}

}  // namespace
}  // namespace bedside::turn::testing
