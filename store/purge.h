#pragma once

// Retention: the bodies of old records are deleted, everything that proves the others stays. What
// goes ends with a complete subtree of 256 records, whose root is stored. Records that must be kept
// (announcements of keys, earlier purges, what is held) keep their proofs: the hashes beside their
// paths are stored as subtrees of levels below 8, for purged blocks only.

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <tl/expected.hpp>
#include <vector>

#include "store/canonical_json.h"
#include "store/change.h"
#include "store/database.h"
#include "store/merkle.h"

namespace bedside::store {

inline constexpr std::string_view kPurgeRecord = "audit.purged";
// detail: through, keep_years; the actor is the one who proposes.
inline constexpr std::string_view kPurgeProposedRecord = "audit.purge_proposed";
inline constexpr std::string_view kPurgeWithdrawnRecord = "audit.purge_withdrawn";
inline constexpr std::uint64_t kPurgeBlock = std::uint64_t{1} << kStoredLevels;
// HIPAA (45 CFR 164.316(b)(2)) asks for six years.
inline constexpr int kMinKeepYears = 6;
inline constexpr int kMaxKeepYears = 1'000;  // of what a record may declare
// In one transaction; what is left of a proposal goes with the next ones.
inline constexpr std::uint64_t kMaxPurgedAtOnce = 256 * kPurgeBlock;
// A proposal that nobody approved in this time is void.
inline constexpr std::chrono::hours kProposalLasts{7 * 24};

// What the record of a purge says; the verifiers hold the log to it.
struct DeclaredPurge {
  std::uint64_t seq = 0;      // of the record
  std::uint64_t from = 0;     // after what was purged before
  std::uint64_t through = 0;  // bodies up to this one are gone, apart from those that are kept
  std::uint64_t removed = 0;  // by this purge
  std::uint64_t kept = 0;     // of all up to `through`
  std::string kept_digest;    // SHA-256 of their numbers, each with a line break, in hexadecimal
  std::uint64_t holds = 0;    // that were in force
  std::string holds_digest;   // holds.h
  Hash root{};                // of the first `through` records
  std::int64_t keep_years = 0;
  std::int64_t newest_us = 0;  // wall clock of the youngest record of the range
  std::string archive_digest;  // SHA-256 of the archive that was made before, hexadecimal
  std::string proposed_by;
  std::string approved_by;
  std::int64_t wall_us = 0;
  friend bool operator==(const DeclaredPurge&, const DeclaredPurge&) = default;
};

// Nothing when it is no such record, or one that does not say what it must: two persons, at least
// kMinKeepYears and nothing younger than it says, whole blocks, an archive.
std::optional<DeclaredPurge> read_purge(std::string_view body);
// False for an account that was made after `moment`: whoever proposes a purge could make it for its
// approval. True for a name that has none.
tl::expected<bool, SqlError> older_than(const Database& database, std::string_view account,
                                        std::chrono::microseconds moment);
// By more than a day: who could date a purge so could purge what is young.
bool dated_in_future(const DeclaredPurge& purge, std::chrono::system_clock::time_point now);
// Oldest first; those that read_purge() takes.
tl::expected<std::vector<DeclaredPurge>, SqlError> purges_of(const Database& database);
tl::expected<std::optional<DeclaredPurge>, SqlError> newest_purge(const Database& database);

// What a purge would do now.
struct PurgePlan {
  std::uint64_t from = 0;
  std::uint64_t through = 0;  // less than `from`: nothing is old enough
  std::uint64_t records = 0;  // that would go, those included that a cleared hold kept until now
  std::uint64_t held = 0;     // that stay because of holds
  std::int64_t oldest_us = 0;
  std::int64_t newest_us = 0;
};
// Of records up to `wanted` that are older than keep_years; at most `most` new ones.
tl::expected<PurgePlan, SqlError> plan_purge(const Database& database, std::uint64_t wanted,
                                             int keep_years, std::chrono::microseconds now,
                                             std::uint64_t most);

tl::expected<std::optional<PurgeProposalRow>, SqlError> purge_proposal(const Database& database);

// Carries out the proposal that is stored, or a part of it, inside the open transaction. Returns
// what the record of it says in detail.purge. A SqlError of kind constraint: there is no proposal,
// it is of the same person or too old, nothing of it is old enough, or there is no archive that was
// verified. Store's thread.
tl::expected<JsonObject, SqlError> purge_log(Database& database, const PurgeOrder& order,
                                             std::chrono::microseconds now);

}  // namespace bedside::store
