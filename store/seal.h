#pragma once

// The seal over the audit log: each transaction that writes records also writes a checkpoint over
// all of them, signed by the key of the present epoch. So what is acknowledged is sealed.

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <tl/expected.hpp>
#include <vector>

#include "store/audit_record.h"
#include "store/checkpoint.h"
#include "store/database.h"
#include "store/epoch_keys.h"
#include "store/merkle.h"

namespace bedside::store {

// How long an epoch lasts at most, and which checkpoints are kept beside the newest one.
inline constexpr std::chrono::hours kEpochLength{24};
inline constexpr std::chrono::hours kKeptCheckpointEvery{1};
inline constexpr std::uint64_t kKeptCheckpointRecords = 1'000;

// The type of the record by which a key is announced; its detail has epoch, origin, public_key and
// the signature of the epoch before it. That is missing in the first one, and in one that begins
// after a restore: there the detail has lost_from and perhaps lost_to instead.
inline constexpr std::string_view kEpochRecord = "epoch.rotated";

// The records that a restored backup did not have: the log goes on with the number `from`, under a
// new origin, and says so.
struct Gap {
  std::uint64_t from = 0;
  std::optional<std::uint64_t> to;  // the last one known to be lost; absent: nobody knows
  friend bool operator==(const Gap&, const Gap&) = default;
};

// What whoever restores a backup knows about the end of the log that was lost.
struct Restored {
  std::optional<std::uint64_t> lost_to;
};

// An epoch as its record announces it.
struct Epoch {
  std::uint64_t number = 0;
  std::string origin;
  PublicKey key{};
  std::optional<Signature> voucher;  // by the key before; none: the first, or after a restore
  std::optional<Gap> gap;            // it begins after a restore
};
std::optional<Epoch> read_epoch(std::string_view body);

// Store's thread. The database outlives it.
class Seal {
 public:
  // Rebuilds the right edge from the stored subtrees and the newest bodies and loads the key of the
  // present epoch, if there is one yet. Records from before there were seals are included. Errors
  // are sentences: a log whose newest checkpoint is not that of its records is not continued.
  // Restored: the key of the present epoch is not needed, because the next one begins a log of a
  // new name. Nobody can sign on under the old one, where witnesses may have seen a longer log.
  static tl::expected<Seal, std::string> open(const Database& database, EpochKeys keys,
                                              std::optional<Restored> restored = {});

  // What a transaction, or a part of it, may have to take back.
  struct Mark {
    MerkleEdge edge;
    std::size_t completed = 0;
  };
  Mark mark() const { return {edge_, completed_.size()}; }
  void rewind(Mark mark);

  // A record was inserted in the open transaction; its leaf hash (merkle.h).
  void append(const Hash& leaf);
  // The transaction is about to commit: its subtrees and its checkpoint. Nothing to do when no
  // record was appended. Then, and only after COMMIT: committed().
  tl::expected<void, SqlError> sign(std::chrono::microseconds wall);
  void committed();
  // What may be kept of a record of the transaction that was committed last: its receipt as text
  // (receipt.h).
  std::optional<std::string> receipt(std::uint64_t seq, std::string body) const;

  // True: the present epoch has lasted long enough, or there is none yet.
  bool epoch_due(std::chrono::microseconds wall) const;
  // A new key is on disk and this record announces it. Commit the record alone, then call
  // begin_epoch, which erases the old key. When the commit fails, the present epoch goes on.
  tl::expected<AuditRecord, std::string> announce_epoch();
  tl::expected<void, std::string> begin_epoch(std::chrono::microseconds wall);

  std::uint64_t epoch() const { return present_ ? present_->number : 0; }
  const std::string& origin() const { return origin_; }
  const std::string& newest_checkpoint() const { return newest_; }

 private:
  struct Signer {
    std::uint64_t number = 0;
    SigningKey key;
    std::chrono::microseconds since{};
  };

  Seal(EpochKeys keys, std::optional<Restored> restored)
      : keys_(std::move(keys)), restored_(restored) {}
  tl::expected<void, SqlError> prepare(const Database& database);
  tl::expected<void, SqlError> restore_edge(const Database& database);
  tl::expected<void, std::string> restore_epoch(const Database& database);
  tl::expected<void, std::string> check_newest(const Database& database);
  tl::expected<void, std::string> check_signature(const Database& database) const;
  tl::expected<void, std::string> check_recent(const Database& database) const;
  bool to_be_kept(const Checkpoint& checkpoint) const;
  std::optional<Hash> node(int level, std::uint64_t index) const;

  EpochKeys keys_;
  std::optional<Restored> restored_;  // until the epoch after the restore has begun
  std::uint64_t last_epoch_ = 0;      // announced
  std::string origin_;
  MerkleEdge edge_;
  MerkleEdge before_;         // the tree before the present transaction, or the last one
  std::vector<Hash> leaves_;  // which appended these
  bool settled_ = true;       // no record was appended since the last commit
  std::uint64_t signed_size_ = 0;
  std::string newest_;
  std::uint64_t kept_size_ = 0;
  std::chrono::microseconds kept_at_{};
  struct Signed {
    std::uint64_t size = 0;
    std::string note;
    bool kept = false;
    std::chrono::microseconds at{};
  };
  std::optional<Signed> pending_;  // signed, not committed
  std::optional<Signer> present_;
  std::optional<Signer> next_;
  std::vector<Subtree> completed_;  // not in the database yet
  Statement insert_subtree_;
  Statement forget_checkpoint_;
  Statement insert_checkpoint_;
};

}  // namespace bedside::store
