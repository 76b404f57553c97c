#include "store/audit_writer.h"

#include <openssl/rand.h>

#include <array>
#include <fstream>
#include <utility>

#include "store/canonical_reader.h"

namespace bedside::store {
namespace {

void bind_or_null(Statement& statement, int index, std::string_view text) {
  if (text.empty()) {
    statement.bind_null(index);
  } else {
    statement.bind(index, text);
  }
}

// A record that contradicts the table is no mistake of the commit: somebody else writes this file,
// or we have a bug. Either way this connection must stop, not skip the record.
tl::unexpected<SqlError> refuse(SqlError error) {
  if (error.kind == SqlError::Kind::constraint) error.kind = SqlError::Kind::other;
  return tl::unexpected(std::move(error));
}

}  // namespace

std::string machine_boot_id() {
  std::ifstream file("/proc/sys/kernel/random/boot_id");
  std::string id;
  if (std::getline(file, id) && id.size() == 36) return id;
  std::array<unsigned char, 16> random{};
  RAND_bytes(random.data(), static_cast<int>(random.size()));
  constexpr std::string_view kHex = "0123456789abcdef";
  id = "random-";
  for (const unsigned char byte : random) {
    id += kHex[byte >> 4];
    id += kHex[byte & 0xF];
  }
  return id;
}

tl::expected<AuditWriter, SqlError> AuditWriter::prepare(const Database& database,
                                                         std::string build,
                                                         std::optional<Seal> seal) {
  AuditWriter writer;
  writer.seal_ = std::move(seal);
  writer.build_ = std::move(build);
  writer.boot_id_ = machine_boot_id();
  auto last = database.integer("SELECT max(seq) FROM audit");
  if (!last) return tl::unexpected(std::move(last.error()));
  writer.next_seq_ = static_cast<std::uint64_t>(*last) + 1;
  auto insert = database.prepare("INSERT INTO audit VALUES(NULL, ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)");
  if (!insert) return tl::unexpected(std::move(insert.error()));
  writer.insert_ = std::move(*insert);
  auto insert_private = database.prepare("INSERT INTO audit_private VALUES(?1, ?2, ?3)");
  if (!insert_private) return tl::unexpected(std::move(insert_private.error()));
  writer.insert_private_ = std::move(*insert_private);
  return writer;
}

tl::expected<void, SqlError> AuditWriter::append(const AuditRecord& record, Stamp stamp) {
  stamp.seq = next_seq_;
  if (stamp.boot_id.empty()) stamp.boot_id = boot_id_;
  if (stamp.build.empty()) stamp.build = build_;
  newest_body_ = audit_body(record, stamp);
  const std::string& body = newest_body_;
  if (body.size() > kMaxAuditBody) {
    return tl::unexpected(SqlError{SqlError::Kind::too_big, "audit record too large"});
  }
  // A body that no verifier reads would be a damaged record for ever.
  if (record.detail.depth() > CanonicalObject::kMaxDepth) {
    return tl::unexpected(SqlError{SqlError::Kind::too_big, "audit record nested too deeply"});
  }
  const std::string actor =
      record.actor.kind.empty() ? "" : record.actor.kind + ":" + record.actor.id;
  insert_.bind(1, std::int64_t{stamp.wall.count()});
  insert_.bind(2, std::string_view(record.type));
  insert_.bind(3, to_string(record.outcome));
  bind_or_null(insert_, 4, record.reason);
  bind_or_null(insert_, 5, actor);
  bind_or_null(insert_, 6, record.room);
  insert_.bind_blob(7, body);
  const Hash leaf = leaf_hash(body);
  insert_.bind(8, std::span<const std::uint8_t>(leaf));
  if (auto done = insert_.run(); !done) return refuse(done.error());
  if (auto next = expect_next(); !next) return next;
  if (!record.where.ip_enc.empty()) {
    if (auto done = append_private("ip", record.where.ip_enc); !done) return refuse(done.error());
  }
  for (const PrivateField& value : record.private_fields) {
    if (auto done = append_private(value.field, value.ciphertext); !done) {
      return refuse(done.error());
    }
  }
  if (seal_) seal_->append(leaf);
  ++next_seq_;
  return {};
}

// SQLite numbers a row one more than the largest, so that nothing here can leave a gap.
tl::expected<void, SqlError> AuditWriter::expect_next() const {
  const auto given = static_cast<std::uint64_t>(insert_.inserted_rowid());
  if (given == next_seq_) return {};
  return tl::unexpected(SqlError{SqlError::Kind::other,
                                 "the next audit record should be " + std::to_string(next_seq_) +
                                     ", but the table is at " + std::to_string(given) +
                                     ": another program has written into it"});
}

AuditWriter::Mark AuditWriter::mark() const {
  return {next_seq_, seal_ ? std::optional(seal_->mark()) : std::nullopt};
}

void AuditWriter::rewind(Mark mark) {
  next_seq_ = mark.next_seq;
  if (seal_) seal_->rewind(std::move(*mark.seal));
}

tl::expected<void, SqlError> AuditWriter::sign(std::chrono::microseconds wall) {
  if (!seal_) return {};
  return seal_->sign(wall);
}

void AuditWriter::committed() {
  if (seal_) seal_->committed();
}

tl::expected<void, SqlError> AuditWriter::append_private(std::string_view field,
                                                         std::span<const std::uint8_t> ciphertext) {
  insert_private_.bind(1, next_seq_);
  insert_private_.bind(2, field);
  insert_private_.bind(3, ciphertext);
  return insert_private_.run();
}

}  // namespace bedside::store
