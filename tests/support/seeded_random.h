// Random test input that can be repeated: the seed is printed, and BEDSIDE_TEST_SEED replaces it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <random>
#include <vector>

namespace bedside::testing_support {

class SeededRandom {
 public:
  explicit SeededRandom(std::uint64_t seed) : seed_(seed) {
    if (const char* replaced = std::getenv("BEDSIDE_TEST_SEED")) {
      seed_ = std::strtoull(replaced, nullptr, 0);
    }
    std::printf("seed %llu\n", static_cast<unsigned long long>(seed_));
    engine_.seed(seed_);
  }

  std::uint64_t word() { return engine_(); }
  std::uint8_t byte() { return static_cast<std::uint8_t>(engine_()); }
  // 0 to limit - 1; the tiny bias does not matter to tests.
  std::size_t below(std::size_t limit) { return static_cast<std::size_t>(engine_() % limit); }
  bool one_in(std::size_t n) { return below(n) == 0; }
  std::vector<std::uint8_t> bytes(std::size_t count) {
    std::vector<std::uint8_t> result(count);
    for (std::uint8_t& b : result) b = byte();
    return result;
  }

 private:
  std::uint64_t seed_;
  std::mt19937_64 engine_;
};

}  // namespace bedside::testing_support
