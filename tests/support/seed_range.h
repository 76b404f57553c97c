// Which worlds a simulation runs through. By default what every build runs:
//
//   BEDSIDE_TEST_SEED=17                          one world again
//   BEDSIDE_SIM_FROM=1000 BEDSIDE_SIM_SEEDS=500   five hundred from there on
#pragma once

#include <cstdint>
#include <cstdlib>

namespace bedside::testing_support {

struct SeedRange {
  std::uint64_t first = 1;
  std::uint64_t count = 0;

  static std::uint64_t number_from(const char* variable, std::uint64_t otherwise) {
    const char* text = std::getenv(variable);
    return text == nullptr ? otherwise : std::strtoull(text, nullptr, 0);
  }
  static SeedRange from_environment(std::uint64_t usual_count) {
    if (std::getenv("BEDSIDE_TEST_SEED") != nullptr) {
      return {number_from("BEDSIDE_TEST_SEED", 1), 1};
    }
    return {number_from("BEDSIDE_SIM_FROM", 1), number_from("BEDSIDE_SIM_SEEDS", usual_count)};
  }
};

}  // namespace bedside::testing_support
