#pragma once

// One audit record becomes rows.

#include <chrono>
#include <cstdint>
#include <string>

#include "store/audit_record.h"
#include "store/database.h"

namespace bedside::store {

// Appends records with gapless numbers inside the open transaction. Store's thread.
class AuditWriter {
 public:
  static tl::expected<AuditWriter, SqlError> prepare(const Database& database, std::string build);

  // The number the next record gets. After a rollback the caller puts the old one back.
  std::uint64_t next_seq() const { return next_seq_; }
  void rewind(std::uint64_t next_seq) { next_seq_ = next_seq; }

  // `too_big` when the body is larger than kMaxAuditBody: the commit's fault. Anything else is
  // final.
  tl::expected<void, SqlError> append(const AuditRecord& record, std::chrono::microseconds wall,
                                      std::chrono::microseconds boot, bool late);

 private:
  tl::expected<void, SqlError> append_address(const AuditRecord& record);

  std::string build_;
  std::string boot_id_;
  std::uint64_t next_seq_ = 1;
  Statement insert_;
  Statement insert_private_;
};

// Identifies this boot of the machine: with it, t_boot_us values can be compared and a wall clock
// that was set shows. Random when the kernel does not tell.
std::string machine_boot_id();

}  // namespace bedside::store
