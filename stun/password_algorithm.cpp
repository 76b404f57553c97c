#include "stun/password_algorithm.h"

#include <algorithm>

namespace bedside::stun {

std::optional<AlgorithmChoice> algorithm_choice(const MessageView& request) noexcept {
  const auto offer = request.find(Attribute::password_algorithms);
  const auto choice = request.find(Attribute::password_algorithm);
  if (!offer && !choice) return AlgorithmChoice{};
  if (!offer || !choice) return std::nullopt;
  const bool unchanged = std::equal(offer->value.begin(), offer->value.end(),
                                    kOfferedAlgorithms.begin(), kOfferedAlgorithms.end());
  if (!unchanged || choice->value.size() != 4) return std::nullopt;
  const auto algorithm = static_cast<PasswordAlgorithm>(load_u16(choice->value, 0));
  const bool known = algorithm == PasswordAlgorithm::md5 || algorithm == PasswordAlgorithm::sha256;
  const bool has_parameters = load_u16(choice->value, 2) != 0;
  if (!known || has_parameters) return std::nullopt;
  return AlgorithmChoice{algorithm, true};
}

}  // namespace bedside::stun
