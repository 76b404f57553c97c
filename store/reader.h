#pragma once

// Reading the database beside its writer: the audit list, accounts, settings, state.

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <tl/expected.hpp>
#include <vector>

#include "store/audit_record.h"
#include "store/change.h"
#include "store/merkle.h"
#include "store/purge.h"

namespace bedside::store {

class Database;

// A read-only connection for worker threads. It never writes and never checkpoints (two connections
// that checkpoint at once can corrupt a WAL database in SQLite before 3.51.3). Used by one thread
// at a time; open one per thread. Each call is its own short snapshot: a reader never holds the WAL
// back. Errors are sentences for the log.

// Newest first. All filters are joined by "and"; an unset one does not restrict.
struct AuditQuery {
  std::optional<std::chrono::microseconds> from;  // wall clock, inclusive
  std::optional<std::chrono::microseconds> to;    // wall clock, exclusive
  std::string type_prefix;                        // "room." or "room.created"
  std::string room;                               // pseudonym, exact
  std::optional<Outcome> outcome;
  std::uint64_t before_seq = 0;  // the key of the last row already shown; 0: from the newest
  std::size_t limit = 50;        // clamped to 1..kMaxAuditPage
};
inline constexpr std::size_t kMaxAuditPage = 500;

// The columns are for lists; `body` is the truth (canonical JSON, see audit_record.h).
struct AuditRow {
  std::uint64_t seq = 0;
  std::chrono::microseconds wall{};
  std::string type;
  std::string outcome;
  std::string reason;
  std::string actor;  // "kind:id"
  std::string room;
  std::string body;
};

// The log's newest checkpoint, and the proof that the log of `old_size` records is its beginning.
struct LogGrowth {
  std::string checkpoint;  // as a signed note
  Hash old_root{};
  std::vector<Hash> proof;
};

struct Retention {
  std::vector<HoldRow> holds;
  std::optional<PurgeProposalRow> proposal;  // it may be too old (kProposalLasts)
  std::vector<DeclaredPurge> purges;         // oldest first
};

class Reader {
 public:
  // vfs: as in store::Options, for tests.
  static tl::expected<Reader, std::string> open(const std::string& path,
                                                const std::string& vfs = {});
  Reader(Reader&&) noexcept;
  Reader& operator=(Reader&&) noexcept;
  ~Reader();

  tl::expected<std::vector<AuditRow>, std::string> audit(const AuditQuery& query) const;
  tl::expected<std::optional<AuditRow>, std::string> audit_row(std::uint64_t seq) const;
  // The types that occur, sorted: what a filter can offer.
  tl::expected<std::vector<std::string>, std::string> audit_types() const;
  // Whether a record is by or about this id, or about this room (a pseudonym). Reads the whole log
  // when none is.
  tl::expected<bool, std::string> knows(std::string_view id) const;
  tl::expected<bool, std::string> knows_room(std::string_view room) const;
  // The encrypted full address of a record; empty when there is none (or it was erased).
  tl::expected<std::vector<std::uint8_t>, std::string> audit_ip(std::uint64_t seq) const;

  // The newest checkpoint as a signed note; nothing when the log is not sealed.
  tl::expected<std::optional<std::string>, std::string> newest_checkpoint() const;
  // An error, too, when the log has fewer records than that, or no seal.
  tl::expected<LogGrowth, std::string> growth_since(std::uint64_t old_size) const;

  tl::expected<std::optional<AccountRow>, std::string> account(const std::string& name) const;
  tl::expected<std::vector<AccountRow>, std::string> accounts() const;
  // By name; those that have ended included.
  tl::expected<std::vector<InvitationRow>, std::string> invitations() const;
  tl::expected<Retention, std::string> retention() const;
  // What a purge of records up to `wanted` would do at `now` (purge.h).
  tl::expected<PurgePlan, std::string> plan_purge(std::uint64_t wanted, int keep_years,
                                                  std::chrono::microseconds now,
                                                  std::uint64_t most) const;
  tl::expected<std::optional<std::string>, std::string> setting(const std::string& key) const;
  tl::expected<LoadedState, std::string> state() const;

 private:
  explicit Reader(std::unique_ptr<Database> database);
  std::unique_ptr<Database> database_;
};

}  // namespace bedside::store
