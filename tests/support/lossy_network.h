// A network for simulations: loses, delays, reorders and duplicates what it carries, all decided by
// a seeded generator.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <random>
#include <utility>
#include <vector>

namespace bedside::testing_support {

struct NetworkConditions {
  unsigned lost_percent = 5;
  unsigned duplicated_percent = 3;
  std::chrono::milliseconds least_delay{5};
  std::chrono::milliseconds most_delay{120};  // reorders whatever is sent closer together than this
};

template <typename Parcel>
class LossyNetwork {
 public:
  using Instant = std::chrono::nanoseconds;

  LossyNetwork(std::uint64_t seed, const NetworkConditions& conditions)
      : random_(seed), conditions_(conditions) {}

  void send(const Parcel& parcel, Instant now) {
    if (below(100) < conditions_.lost_percent) return;
    post(parcel, now);
    if (below(100) < conditions_.duplicated_percent) post(parcel, now);
  }

  // What has arrived by now, in order of arrival.
  std::vector<Parcel> take(Instant now) {
    const auto arrived = std::stable_partition(
        under_way_.begin(), under_way_.end(), [&](const auto& entry) { return entry.first > now; });
    std::stable_sort(arrived, under_way_.end(),
                     [](const auto& a, const auto& b) { return a.first < b.first; });
    std::vector<Parcel> parcels;
    for (auto it = arrived; it != under_way_.end(); ++it) parcels.push_back(std::move(it->second));
    under_way_.erase(arrived, under_way_.end());
    return parcels;
  }

  std::size_t under_way() const { return under_way_.size(); }

 private:
  std::uint64_t below(std::uint64_t bound) { return random_() % bound; }
  void post(const Parcel& parcel, Instant now) {
    const auto spread = (conditions_.most_delay - conditions_.least_delay).count() + 1;
    const std::chrono::milliseconds delay =
        conditions_.least_delay +
        std::chrono::milliseconds(below(static_cast<std::uint64_t>(spread)));
    under_way_.emplace_back(now + delay, parcel);
  }

  std::mt19937_64 random_;
  NetworkConditions conditions_;
  std::vector<std::pair<Instant, Parcel>> under_way_;
};

}  // namespace bedside::testing_support
