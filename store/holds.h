#pragma once

// Holds: records that no purge takes, because somebody has to be able to read them (a complaint, an
// investigation). The rows decide what a purge leaves; the sealed records of setting and clearing
// them tell the verifiers which there were. Any thread with its own connection.

#include <functional>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <tl/expected.hpp>
#include <vector>

#include "store/canonical_json.h"
#include "store/canonical_reader.h"
#include "store/change.h"
#include "store/database.h"

namespace bedside::store {

// detail.hold of the first; both name the hold as their object.
inline constexpr std::string_view kHoldSetRecord = "audit.hold_set";
inline constexpr std::string_view kHoldClearedRecord = "audit.hold_cleared";
// A verifier remembers each.
inline constexpr std::int64_t kMaxHolds = 1'000;

JsonObject hold_json(const HoldRow& hold);

// Which records all holds together keep.
class HeldRecords {
 public:
  explicit HeldRecords(std::vector<HoldRow> holds);
  bool empty() const { return people_.empty() && others_.empty(); }
  bool keeps(const CanonicalObject& body) const;

 private:
  std::set<std::string, std::less<>> people_;  // of holds that name a person and nothing else
  std::vector<HoldRow> others_;
};

// By id. Empty, too, for a database from before there were holds.
tl::expected<std::vector<HoldRow>, SqlError> holds_of(const Database& database);

// SHA-256 of each one's JSON and a line break, by id; in hexadecimal.
std::string digest_of_holds(const std::vector<HoldRow>& holds);

}  // namespace bedside::store
