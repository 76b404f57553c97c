#include "store/state_writer.h"

#include <span>
#include <utility>

namespace bedside::store {
namespace {

std::int64_t ms(std::chrono::milliseconds instant) { return instant.count(); }

void bind_optional(Statement& statement, int index,
                   const std::optional<std::chrono::milliseconds>& instant) {
  if (instant) {
    statement.bind(index, ms(*instant));
  } else {
    statement.bind_null(index);
  }
}

std::optional<std::chrono::milliseconds> optional_ms(const Statement& row, int column) {
  if (row.is_null(column)) return std::nullopt;
  return std::chrono::milliseconds(row.integer(column));
}

RoomRow room_of(const Statement& row) {
  return RoomRow{row.text(0), row.text(1), std::chrono::milliseconds(row.integer(2)),
                 optional_ms(row, 3), optional_ms(row, 4)};
}

ParticipantRow participant_of(const Statement& row) {
  return ParticipantRow{row.text(0),
                        row.text(1),
                        row.text(2),
                        row.text(3),
                        row.blob(4),
                        std::chrono::milliseconds(row.integer(5)),
                        std::chrono::milliseconds(row.integer(6)),
                        optional_ms(row, 7)};
}

}  // namespace

tl::expected<StateWriter, SqlError> StateWriter::prepare(const Database& database) {
  StateWriter writer;
  writer.database_ = &database;
  const std::pair<Statement*, const char*> all[] = {
      {&writer.create_room_, "INSERT INTO rooms VALUES(?1, ?2, ?3, ?4, ?5)"},
      {&writer.end_room_, "UPDATE rooms SET ended_ms = ?2, expires_ms = ?3 WHERE room_id = ?1"},
      {&writer.empty_room_, "DELETE FROM participants WHERE room_id = ?1"},
      {&writer.forget_room_, "DELETE FROM rooms WHERE room_id = ?1"},  // its participants cascade
      {&writer.join_,
       "INSERT INTO participants(participant_id, room_id, display_name, role, token_hash, "
       "joined_ms,"
       " lease_until_ms, attached_ms) VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)"},
      {&writer.attach_, "UPDATE participants SET attached_ms = ?2 WHERE participant_id = ?1"},
      {&writer.detach_,
       "UPDATE participants SET attached_ms = NULL, lease_until_ms = ?2 WHERE participant_id = ?1"},
      {&writer.leave_, "DELETE FROM participants WHERE participant_id = ?1"},
      {&writer.create_account_, "INSERT INTO accounts VALUES(?1, ?2, ?3, ?4)"},
      {&writer.create_first_account_,
       "INSERT INTO accounts SELECT ?1, ?2, ?3, ?4 WHERE NOT EXISTS (SELECT 1 FROM accounts)"},
      {&writer.set_password_, "UPDATE accounts SET password_hash = ?2 WHERE name = ?1"},
      {&writer.set_setting_,
       "INSERT INTO settings VALUES(?1, ?2)"
       " ON CONFLICT(key) DO UPDATE SET value = excluded.value"},
  };
  for (const auto& [statement, sql] : all) {
    auto prepared = database.prepare(sql);
    if (!prepared) return tl::unexpected(std::move(prepared.error()));
    *statement = std::move(*prepared);
  }
  return writer;
}

tl::expected<void, SqlError> StateWriter::apply(const Change& change) {
  return std::visit([this](const auto& one) { return write(one); }, change);
}

tl::expected<void, SqlError> StateWriter::write(const RoomCreated& change) {
  const RoomRow& room = change.room;
  create_room_.bind(1, std::string_view(room.room_id));
  create_room_.bind(2, std::string_view(room.appointment_json));
  create_room_.bind(3, ms(room.created_at));
  bind_optional(create_room_, 4, room.ended_at);
  bind_optional(create_room_, 5, room.expires_at);
  return create_room_.run();
}

tl::expected<void, SqlError> StateWriter::write(const RoomEnded& change) {
  end_room_.bind(1, std::string_view(change.room_id));
  end_room_.bind(2, ms(change.ended_at));
  bind_optional(end_room_, 3, change.expires_at);
  if (auto done = end_room_.run(); !done) return done;
  empty_room_.bind(1, std::string_view(change.room_id));
  return empty_room_.run();
}

tl::expected<void, SqlError> StateWriter::write(const RoomForgotten& change) {
  forget_room_.bind(1, std::string_view(change.room_id));
  return forget_room_.run();
}

tl::expected<void, SqlError> StateWriter::write(const ParticipantJoined& change) {
  const ParticipantRow& row = change.participant;
  join_.bind(1, std::string_view(row.participant_id));
  join_.bind(2, std::string_view(row.room_id));
  join_.bind(3, std::string_view(row.display_name));
  join_.bind(4, std::string_view(row.role));
  join_.bind(5, std::span<const std::uint8_t>(row.token_hash));
  join_.bind(6, ms(row.joined_at));
  join_.bind(7, ms(row.lease_until));
  bind_optional(join_, 8, row.attached_at);
  return join_.run();
}

tl::expected<void, SqlError> StateWriter::write(const ParticipantAttached& change) {
  attach_.bind(1, std::string_view(change.participant_id));
  attach_.bind(2, ms(change.attached_at));
  return attach_.run();
}

tl::expected<void, SqlError> StateWriter::write(const ParticipantDetached& change) {
  detach_.bind(1, std::string_view(change.participant_id));
  detach_.bind(2, ms(change.lease_until));
  return detach_.run();
}

tl::expected<void, SqlError> StateWriter::write(const ParticipantLeft& change) {
  leave_.bind(1, std::string_view(change.participant_id));
  return leave_.run();
}

tl::expected<void, SqlError> StateWriter::write(const AccountCreated& change) {
  Statement& insert = change.only_first ? create_first_account_ : create_account_;
  insert.bind(1, std::string_view(change.account.name));
  insert.bind(2, std::string_view(change.account.password_hash));
  insert.bind(3, std::string_view(change.account.role));
  insert.bind(4, ms(change.account.created_at));
  if (auto done = insert.run(); !done) return done;
  if (database_->changed_rows() == 1) return {};
  return tl::unexpected(SqlError{SqlError::Kind::constraint, "an account exists already"});
}

tl::expected<void, SqlError> StateWriter::write(const AccountPasswordSet& change) {
  set_password_.bind(1, std::string_view(change.name));
  set_password_.bind(2, std::string_view(change.password_hash));
  if (auto done = set_password_.run(); !done) return done;
  if (database_->changed_rows() == 1) return {};
  return tl::unexpected(SqlError{SqlError::Kind::constraint, "no such account"});
}

tl::expected<void, SqlError> StateWriter::write(const SettingSet& change) {
  set_setting_.bind(1, std::string_view(change.key));
  set_setting_.bind(2, std::string_view(change.value));
  return set_setting_.run();
}

tl::expected<LoadedState, SqlError> load_state(const Database& database) {
  LoadedState state;
  auto rooms = database.prepare(
      "SELECT room_id, appointment, created_ms, ended_ms, expires_ms FROM rooms"
      " ORDER BY created_ms, room_id");
  if (!rooms) return tl::unexpected(std::move(rooms.error()));
  auto room_rows = read_all<RoomRow>(*rooms, room_of);
  if (!room_rows) return tl::unexpected(std::move(room_rows.error()));
  auto people = database.prepare(
      "SELECT participant_id, room_id, display_name, role, token_hash, joined_ms, lease_until_ms,"
      " attached_ms FROM participants ORDER BY join_order");
  if (!people) return tl::unexpected(std::move(people.error()));
  auto person_rows = read_all<ParticipantRow>(*people, participant_of);
  if (!person_rows) return tl::unexpected(std::move(person_rows.error()));
  state.rooms = std::move(*room_rows);
  state.participants = std::move(*person_rows);
  return state;
}

}  // namespace bedside::store
