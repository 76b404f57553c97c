#pragma once

// One audit record becomes rows.

#include <chrono>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "store/audit_record.h"
#include "store/database.h"
#include "store/seal.h"

namespace bedside::store {

// Appends records with gapless numbers inside the open transaction, and seals it. Store's thread.
class AuditWriter {
 public:
  // Without a seal records are written unsealed: for tests of everything else.
  static tl::expected<AuditWriter, SqlError> prepare(const Database& database, std::string build,
                                                     std::optional<Seal> seal);

  // The number the next record gets.
  std::uint64_t next_seq() const { return next_seq_; }
  // After a rollback the caller goes back to where the transaction, or its part, began.
  struct Mark {
    std::uint64_t next_seq = 0;
    std::optional<Seal::Mark> seal;
  };
  Mark mark() const;
  void rewind(Mark mark);

  // The last statement before COMMIT, and what follows it.
  tl::expected<void, SqlError> sign(std::chrono::microseconds wall);
  void committed();

  // Of the record appended last.
  const std::string& newest_body() const { return newest_body_; }

  Seal* seal() { return seal_ ? &*seal_ : nullptr; }
  const Seal* seal() const { return seal_ ? &*seal_ : nullptr; }

  // `too_big` when the body is larger than kMaxAuditBody or nested deeper than anybody reads: the
  // commit's fault. Anything else is final.
  // `stamp.seq` is given here; boot and build, where they are empty, are those that run now.
  tl::expected<void, SqlError> append(const AuditRecord& record, Stamp stamp);
  const std::string& boot_id() const { return boot_id_; }
  const std::string& build() const { return build_; }

 private:
  tl::expected<void, SqlError> expect_next() const;
  tl::expected<void, SqlError> append_private(std::string_view field,
                                              std::span<const std::uint8_t> ciphertext);

  std::string build_;
  std::string boot_id_;
  std::uint64_t next_seq_ = 1;
  std::string newest_body_;
  std::optional<Seal> seal_;
  Statement insert_;
  Statement insert_private_;
};

// Identifies this boot of the machine: with it, t_boot_us values can be compared and a wall clock
// that was set shows. Random when the kernel does not tell.
std::string machine_boot_id();

}  // namespace bedside::store
