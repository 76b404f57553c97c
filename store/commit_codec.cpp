#include "store/commit_codec.h"

#include <algorithm>
#include <array>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <variant>

#include "store/canonical_reader.h"

namespace bedside::store {
namespace {

// Of the layout below; another one is not read.
constexpr std::uint64_t kLayout = 3;

// In the order of Change; names, so that a change added in between does not give old bytes a new
// meaning.
constexpr std::array<std::string_view, std::variant_size_v<Change>> kChangeNames = {
    "RoomCreated",
    "RoomKept",
    "RoomLocked",
    "LinkIssued",
    "LinkDropped",
    "RoomEnded",
    "RoomForgotten",
    "ParticipantJoined",
    "ParticipantAttached",
    "ParticipantAdmitted",
    "ParticipantDetached",
    "ParticipantLeft",
    "AccountInvited",
    "AccountCreated",
    "AccountPasswordSet",
    "AccountDisabled",
    "AccountEntered",
    "ApiTokenCreated",
    "ApiTokenRevoked",
    "CheckpointWitnessed",
    "HoldSet",
    "HoldCleared",
    "PurgeProposed",
    "PurgeWithdrawn",
    "DataKeyCreated",
    "DataKeyGivenUp",
    "SettingSet"};
static_assert(!kChangeNames.back().empty());

// Numbers little-endian in eight bytes; texts and lists after their length.
class Encoder {
 public:
  static constexpr bool kReads = false;
  std::vector<std::uint8_t> bytes;

  void number(std::uint64_t& value) {
    for (int i = 0; i < 8; ++i) bytes.push_back(static_cast<std::uint8_t>(value >> (8 * i)));
  }
  void text(std::string& value) { put(value); }
  void blob(std::vector<std::uint8_t>& value) { put(value); }

 private:
  template <typename Bytes>
  void put(const Bytes& value) {
    std::uint64_t size = value.size();
    number(size);
    bytes.insert(bytes.end(), value.begin(), value.end());
  }
};

class Decoder {
 public:
  static constexpr bool kReads = true;
  explicit Decoder(std::span<const std::uint8_t> bytes) : rest_(bytes) {}

  void number(std::uint64_t& value) {
    const auto bytes = take(8);
    value = 0;
    for (std::size_t i = 0; i < bytes.size(); ++i) value |= std::uint64_t{bytes[i]} << (8 * i);
  }
  void text(std::string& value) {
    const auto bytes = sized();
    value.assign(bytes.begin(), bytes.end());
  }
  void blob(std::vector<std::uint8_t>& value) {
    const auto bytes = sized();
    value.assign(bytes.begin(), bytes.end());
  }
  // Every element takes at least one byte: more cannot be there.
  std::size_t count() {
    std::uint64_t value = 0;
    number(value);
    if (value > rest_.size()) fail();
    return failed_ ? 0 : static_cast<std::size_t>(value);
  }
  void fail() { failed_ = true; }
  bool failed() const { return failed_; }
  bool done() const { return !failed_ && rest_.empty(); }

 private:
  std::span<const std::uint8_t> take(std::size_t size) {
    if (failed_ || size > rest_.size()) {
      fail();
      return {};
    }
    const auto taken = rest_.first(size);
    rest_ = rest_.subspan(size);
    return taken;
  }
  std::span<const std::uint8_t> sized() {
    std::uint64_t size = 0;
    number(size);
    if (size > rest_.size()) fail();
    return failed_ ? std::span<const std::uint8_t>{} : take(static_cast<std::size_t>(size));
  }

  std::span<const std::uint8_t> rest_;
  bool failed_ = false;
};

// ---- one `fields` per type: the same line reads and writes

template <typename Io>
void fields(Io& io, std::uint64_t& value) {
  io.number(value);
}
template <typename Io>
void fields(Io& io, std::string& value) {
  io.text(value);
}
template <typename Io>
void fields(Io& io, std::vector<std::uint8_t>& value) {
  io.blob(value);
}
template <typename Io>
void fields(Io& io, bool& value) {
  std::uint64_t number = value ? 1 : 0;
  io.number(number);
  value = number != 0;
}
template <typename Io, typename Period>
void fields(Io& io, std::chrono::duration<std::int64_t, Period>& value) {
  auto number = static_cast<std::uint64_t>(value.count());
  io.number(number);
  value = std::chrono::duration<std::int64_t, Period>(static_cast<std::int64_t>(number));
}
template <typename Io, typename T>
void fields(Io& io, std::optional<T>& value) {
  bool there = value.has_value();
  fields(io, there);
  if (!there) return value.reset();
  if (!value) value.emplace();
  fields(io, *value);
}
template <typename Io, typename First, typename... Rest>
requires(sizeof...(Rest) > 0) void fields(Io& io, First& first, Rest&... rest) {
  fields(io, first);
  (fields(io, rest), ...);
}
template <typename Io>
void fields(Io& io, Outcome& value) {
  auto number = static_cast<std::uint64_t>(value);
  io.number(number);
  value = static_cast<Outcome>(std::min<std::uint64_t>(number, 3));
}
template <typename Io>
void fields(Io& io, JsonObject& value) {
  std::string text = value.text();
  io.text(text);
  if constexpr (Io::kReads) {
    auto object = read_json_object(text);
    if (object) {
      value = std::move(*object);
    } else {
      io.fail();
    }
  }
}

template <typename Io>
void fields(Io& io, RoomRow& row) {
  fields(io, row.room_id, row.appointment_json, row.created_at, row.ended_at, row.expires_at,
         row.locked);
}
template <typename Io>
void fields(Io& io, ParticipantRow& row) {
  fields(io, row.participant_id, row.room_id, row.display_name, row.role, row.token_hash);
  fields(io, row.joined_at, row.lease_until, row.attached_at, row.admitted);
}
template <typename Io>
void fields(Io& io, LinkRow& row) {
  fields(io, row.room_id, row.role, row.secret_hash, row.expires_at);
}
template <typename Io>
void fields(Io& io, ApiTokenRow& row) {
  fields(io, row.token_id, row.name, row.scopes, row.secret_hash, row.created_at, row.expires_at);
}
template <typename Io>
void fields(Io& io, WitnessedLogRow& row) {
  fields(io, row.origin, row.size, row.root, row.note);
}
template <typename Io>
void fields(Io& io, AccountRow& row) {
  fields(io, row.name, row.password_hash, row.role, row.created_at, row.disabled_at);
}

template <typename Io>
void fields(Io& io, RoomCreated& change) {
  fields(io, change.room);
}
template <typename Io>
void fields(Io& io, RoomKept& change) {
  fields(io, change.room_id, change.expires_at);
}
template <typename Io>
void fields(Io& io, RoomLocked& change) {
  fields(io, change.room_id, change.locked);
}
template <typename Io>
void fields(Io& io, LinkIssued& change) {
  fields(io, change.link);
}
template <typename Io>
void fields(Io& io, LinkDropped& change) {
  fields(io, change.room_id, change.secret_hash);
}
template <typename Io>
void fields(Io& io, RoomEnded& change) {
  fields(io, change.room_id, change.ended_at, change.expires_at);
}
template <typename Io>
void fields(Io& io, RoomForgotten& change) {
  fields(io, change.room_id);
}
template <typename Io>
void fields(Io& io, ParticipantJoined& change) {
  fields(io, change.participant);
}
template <typename Io>
void fields(Io& io, ParticipantAttached& change) {
  fields(io, change.participant_id, change.attached_at);
}
template <typename Io>
void fields(Io& io, ParticipantAdmitted& change) {
  fields(io, change.participant_id);
}
template <typename Io>
void fields(Io& io, ParticipantDetached& change) {
  fields(io, change.participant_id, change.lease_until);
}
template <typename Io>
void fields(Io& io, ParticipantLeft& change) {
  fields(io, change.participant_id);
}
template <typename Io>
void fields(Io& io, AccountInvited& change) {
  InvitationRow& row = change.invitation;
  fields(io, row.name, row.code_hash, row.invited_by, row.expires_at, change.now);
}
template <typename Io>
void fields(Io& io, AccountCreated& change) {
  fields(io, change.account, change.only_first, change.invited, change.code_hash);
}
template <typename Io>
void fields(Io& io, AccountDisabled& change) {
  fields(io, change.name, change.disabled_at);
}
template <typename Io>
void fields(Io& io, AccountEntered& change) {
  fields(io, change.name);
}
template <typename Io>
void fields(Io& io, AccountPasswordSet& change) {
  fields(io, change.name, change.password_hash);
}
template <typename Io>
void fields(Io& io, ApiTokenCreated& change) {
  fields(io, change.token);
}
template <typename Io>
void fields(Io& io, ApiTokenRevoked& change) {
  fields(io, change.token_id);
}
template <typename Io>
void fields(Io& io, CheckpointWitnessed& change) {
  fields(io, change.log, change.old_size);
}
template <typename Io>
void fields(Io& io, HoldSet& change) {
  HoldRow& hold = change.hold;
  fields(io, hold.hold_id, hold.room, hold.person, hold.from, hold.to);
}
template <typename Io>
void fields(Io& io, HoldCleared& change) {
  fields(io, change.hold_id);
}
template <typename Io>
void fields(Io& io, PurgeProposed& change) {
  auto years = static_cast<std::uint64_t>(change.proposal.keep_years);
  fields(io, change.proposal.through, years, change.proposal.proposed_by,
         change.proposal.proposed_at);
  change.proposal.keep_years = static_cast<int>(years);
}
template <typename Io>
void fields(Io& /*io*/, PurgeWithdrawn& /*change*/) {}
template <typename Io>
void fields(Io& io, DataKeyCreated& change) {
  fields(io, change.key.month, change.key.wrapped);
}
template <typename Io>
void fields(Io& io, DataKeyGivenUp& change) {
  fields(io, change.month);
}
template <typename Io>
void fields(Io& io, SettingSet& change) {
  fields(io, change.key, change.value);
}

template <std::size_t... I>
bool become(Change& change, std::string_view name, std::index_sequence<I...>) {
  return ((name == kChangeNames[I] && (change.emplace<I>(), true)) || ...);
}
template <typename Io>
void fields(Io& io, Change& change) {
  std::string name(kChangeNames[change.index()]);
  io.text(name);
  if constexpr (Io::kReads) {
    if (!become(change, name, std::make_index_sequence<std::variant_size_v<Change>>())) io.fail();
    if (io.failed()) return;
  }
  std::visit([&io](auto& what) { fields(io, what); }, change);
}

template <typename Io, typename T>
void list(Io& io, std::vector<T>& values) {
  if constexpr (Io::kReads) {
    const std::size_t count = io.count();
    for (std::size_t i = 0; i < count && !io.failed(); ++i) fields(io, values.emplace_back());
  } else {
    std::uint64_t count = values.size();
    io.number(count);
    for (T& value : values) fields(io, value);
  }
}

template <typename Io>
void fields(Io& io, PrivateField& value) {
  fields(io, value.field, value.ciphertext);
}

template <typename Io>
void fields(Io& io, AuditRecord& record) {
  Actor& actor = record.actor;
  Where& where = record.where;
  fields(io, record.type, record.outcome, record.reason, record.session);
  fields(io, actor.kind, actor.id, actor.role, actor.auth);
  fields(io, where.listener, where.ip_class, where.ip_prefix, where.ip_commitment, where.ip_enc);
  fields(io, record.room, record.object, record.purpose, record.request_id, record.detail);
  list(io, record.private_fields);
}

template <typename Io>
void fields(Io& io, StampedCommit& stamped) {
  std::uint64_t layout = kLayout;
  fields(io, layout, stamped.at.wall, stamped.at.boot);
  if constexpr (Io::kReads) {
    if (layout != kLayout) return io.fail();
  }
  fields(io, stamped.boot_id, stamped.build);
  fields(io, stamped.commit.keep, stamped.commit.emergency);
  list(io, stamped.commit.changes);
  list(io, stamped.commit.records);
}

}  // namespace

std::vector<std::uint8_t> encode_commit(const StampedCommit& stamped) {
  Encoder encoder;
  StampedCommit copy = stamped;  // the fields of both directions are one list, and that writes
  fields(encoder, copy);
  return std::move(encoder.bytes);
}

std::optional<StampedCommit> decode_commit(std::span<const std::uint8_t> bytes) {
  Decoder decoder(bytes);
  StampedCommit stamped;
  fields(decoder, stamped);
  if (!decoder.done()) return std::nullopt;
  return stamped;
}

}  // namespace bedside::store
