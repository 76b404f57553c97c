#include "server/config_record.h"

#include <map>
#include <optional>
#include <utility>

#include "server/audit_types.h"
#include "server/config_reload.h"
#include "store/canonical_reader.h"

namespace bedside::server {
namespace {

using Digests = std::map<std::string, std::string>;  // by key
using store::CanonicalObject;

tl::expected<std::vector<store::AuditRow>, std::string> newest(const store::Reader& reader,
                                                               std::string_view type,
                                                               std::size_t limit,
                                                               std::uint64_t before) {
  store::AuditQuery query;
  query.type_prefix = type;
  query.limit = limit;
  query.before_seq = before;
  return reader.audit(query);
}

std::optional<std::string> digest_at_start(const CanonicalObject& config, const std::string& key) {
  return config.text(key);
}
std::optional<std::string> digest_after(const CanonicalObject& changes, const std::string& key) {
  const auto change = changes.object(key);
  return change ? change->text("after") : std::nullopt;
}

// What is in `found` already is newer.
template <typename Digest>
void take(Digests& found, const std::vector<ConfigDigest>& keys, const CanonicalObject& object,
          Digest digest) {
  for (const ConfigDigest& wanted : keys) {
    if (auto there = digest(object, wanted.key)) found.emplace(wanted.key, std::move(*there));
  }
}

// The changes that were made while it ran, from the newest back to `start`.
tl::expected<void, std::string> take_changes(const store::Reader& reader, std::uint64_t start,
                                             const std::vector<ConfigDigest>& keys,
                                             Digests& found) {
  for (std::uint64_t before = 0;;) {
    auto page = newest(reader, audit_type::kConfigChanged, store::kMaxAuditPage, before);
    if (!page) return tl::unexpected(std::move(page.error()));
    for (const store::AuditRow& row : *page) {
      if (row.seq < start) return {};
      const auto body = CanonicalObject::parse(row.body);
      const auto detail = body ? body->object("detail") : std::nullopt;
      if (detail) take(found, keys, *detail, digest_after);
    }
    if (page->empty()) return {};
    before = page->back().seq;
  }
}

}  // namespace

std::vector<ConfigDigest> config_digests(const AuditTrail& trail, const Config& config) {
  std::vector<ConfigDigest> digests;
  for (const ConfigValue& each : config_values(config)) {
    digests.push_back({each.key, trail.config_digest(each.key, each.value)});
  }
  return digests;
}

tl::expected<std::vector<ConfigChange>, std::string> changed_since(
    const store::Reader& reader, const std::vector<ConfigDigest>& now) {
  std::vector<ConfigChange> changes;
  const auto starts = newest(reader, audit_type::kServiceStart, 1, 0);
  if (!starts) return tl::unexpected(starts.error());
  if (starts->empty()) return changes;
  const auto body = CanonicalObject::parse(starts->front().body);
  const auto detail = body ? body->object("detail") : std::nullopt;
  const auto config = detail ? detail->object("config") : std::nullopt;
  if (!config) return changes;  // of a version that did not record it
  Digests before;
  if (auto taken = take_changes(reader, starts->front().seq, now, before); !taken) {
    return tl::unexpected(std::move(taken.error()));
  }
  take(before, now, *config, digest_at_start);
  for (const ConfigDigest& each : now) {
    const std::string& was = before[each.key];
    if (was != each.digest) changes.push_back({each.key, was, each.digest});
  }
  return changes;
}

}  // namespace bedside::server
