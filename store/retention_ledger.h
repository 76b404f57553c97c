#pragma once

// What a log itself says about its retention: which holds there were, what was proposed and by
// whom, what was purged. A verifier shows it every record, oldest first; a purge that these records
// do not allow is found here. One thread at a time.

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "store/canonical_reader.h"
#include "store/purge.h"

namespace bedside::store {

class RetentionLedger {
 public:
  // What is wrong with this record, as a sentence; nothing, too, for records about other things.
  [[nodiscard]] std::optional<std::string> follow(const CanonicalObject& body,
                                                  std::string_view text);
  // At the end of the log: whether the purges add up to what is missing (`kept`: what is left of
  // the purged records), and whether these are the holds that the records tell of.
  [[nodiscard]] std::optional<std::string> objection(std::uint64_t kept,
                                                     const std::string& digest_in_table) const;

  // Of the holds that are in force by what was followed (holds.h).
  std::string digest_of_holds() const;

  const std::vector<DeclaredPurge>& purges() const { return purges_; }

 private:
  struct Proposal {
    std::uint64_t through = 0;
    std::int64_t keep_years = 0;
    std::string by;
  };

  std::optional<std::string> set_hold(const CanonicalObject& body);
  std::optional<std::string> clear_hold(const CanonicalObject& body);
  void propose(const CanonicalObject& body);
  std::optional<std::string> purge(const CanonicalObject& body, std::string_view text);

  std::map<std::string, std::string> holds_;  // id → as it was sealed
  std::optional<Proposal> proposal_;
  std::vector<DeclaredPurge> purges_;
  std::uint64_t removed_ = 0;
};

}  // namespace bedside::store
