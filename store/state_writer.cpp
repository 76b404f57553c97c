#include "store/state_writer.h"

#include <span>
#include <utility>

#include "store/holds.h"

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
  return RoomRow{
      row.text(0),         row.text(1),         std::chrono::milliseconds(row.integer(2)),
      optional_ms(row, 3), optional_ms(row, 4), row.integer(5) != 0};
}

ParticipantRow participant_of(const Statement& row) {
  return ParticipantRow{row.text(0),
                        row.text(1),
                        row.text(2),
                        row.text(3),
                        row.blob(4),
                        std::chrono::milliseconds(row.integer(5)),
                        std::chrono::milliseconds(row.integer(6)),
                        optional_ms(row, 7),
                        row.integer(8) != 0};
}

LinkRow link_of(const Statement& row) {
  return LinkRow{row.text(0), row.text(1), row.blob(2), std::chrono::milliseconds(row.integer(3))};
}

WitnessedLogRow witnessed_of(const Statement& row) {
  return {row.text(0), static_cast<std::uint64_t>(row.integer(1)), row.blob(2), row.text(3)};
}

DataKeyRow data_key_of(const Statement& row) { return {row.text(0), row.blob(1)}; }

ApiTokenRow token_of(const Statement& row) {
  return ApiTokenRow{row.text(0),
                     row.text(1),
                     row.text(2),
                     row.blob(3),
                     std::chrono::milliseconds(row.integer(4)),
                     optional_ms(row, 5)};
}

template <typename Row>
tl::expected<void, SqlError> load(const Database& database, const char* sql,
                                  Row (*row_of)(const Statement&), std::vector<Row>& out) {
  auto statement = database.prepare(sql);
  if (!statement) return tl::unexpected(std::move(statement.error()));
  auto rows = read_all<Row>(*statement, row_of);
  if (!rows) return tl::unexpected(std::move(rows.error()));
  out = std::move(*rows);
  return {};
}

}  // namespace

tl::expected<StateWriter, SqlError> StateWriter::prepare(const Database& database) {
  StateWriter writer;
  writer.database_ = &database;
  const std::pair<Statement*, const char*> all[] = {
      {&writer.create_room_,
       "INSERT INTO rooms(room_id, appointment, created_ms, ended_ms, expires_ms, locked)"
       " VALUES(?1, ?2, ?3, ?4, ?5, ?6)"},
      {&writer.keep_room_,
       "UPDATE rooms SET expires_ms = ?2 WHERE room_id = ?1 AND ended_ms IS NULL"},
      {&writer.lock_room_, "UPDATE rooms SET locked = ?2 WHERE room_id = ?1"},
      {&writer.issue_link_,
       "INSERT INTO links(room_id, role, secret_hash, expires_ms) VALUES(?1, ?2, ?3, ?4)"},
      {&writer.drop_link_, "DELETE FROM links WHERE room_id = ?1 AND secret_hash = ?2"},
      {&writer.end_room_, "UPDATE rooms SET ended_ms = ?2, expires_ms = ?3 WHERE room_id = ?1"},
      {&writer.empty_room_, "DELETE FROM participants WHERE room_id = ?1"},
      {&writer.forget_room_, "DELETE FROM rooms WHERE room_id = ?1"},  // its participants cascade
      {&writer.join_,
       "INSERT INTO participants(participant_id, room_id, display_name, role, token_hash, "
       "joined_ms,"
       " lease_until_ms, attached_ms, admitted) VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)"},
      {&writer.attach_, "UPDATE participants SET attached_ms = ?2 WHERE participant_id = ?1"},
      {&writer.admit_, "UPDATE participants SET admitted = 1 WHERE participant_id = ?1"},
      {&writer.detach_,
       "UPDATE participants SET attached_ms = NULL, lease_until_ms = ?2 WHERE participant_id = ?1"},
      {&writer.leave_, "DELETE FROM participants WHERE participant_id = ?1"},
      {&writer.forget_invitations_, "DELETE FROM account_invitations WHERE expires_ms <= ?1"},
      {&writer.invite_,
       "INSERT OR REPLACE INTO account_invitations SELECT ?1, ?2, ?3, ?4 WHERE NOT EXISTS"
       " (SELECT 1 FROM accounts WHERE name = ?1)"
       " AND (SELECT count(*) FROM account_invitations WHERE name <> ?1) < ?5"},
      {&writer.accept_invitation_,
       "DELETE FROM account_invitations WHERE name = ?1 AND code_hash = ?2 AND expires_ms > ?3"},
      {&writer.create_account_, "INSERT INTO accounts VALUES(?1, ?2, ?3, ?4, NULL)"},
      {&writer.create_first_account_,
       "INSERT INTO accounts SELECT ?1, ?2, ?3, ?4, NULL WHERE NOT EXISTS (SELECT 1 FROM "
       "accounts)"},
      {&writer.set_password_, "UPDATE accounts SET password_hash = ?2 WHERE name = ?1"},
      {&writer.disable_account_,
       "UPDATE accounts SET disabled_ms = ?2 WHERE name = ?1 AND disabled_ms IS NULL AND EXISTS"
       " (SELECT 1 FROM accounts WHERE name <> ?1 AND disabled_ms IS NULL)"},
      {&writer.end_given_invitations_, "DELETE FROM account_invitations WHERE invited_by = ?1"},
      {&writer.enter_account_,
       "UPDATE accounts SET disabled_ms = NULL WHERE name = ?1 AND disabled_ms IS NULL"},
      {&writer.create_token_, "INSERT INTO api_tokens VALUES(?1, ?2, ?3, ?4, ?5, ?6)"},
      {&writer.revoke_token_, "DELETE FROM api_tokens WHERE token_id = ?1"},
      {&writer.witness_first_, "INSERT INTO witnessed_logs VALUES(?1, ?2, ?3, ?4)"},
      {&writer.witness_next_,
       "UPDATE witnessed_logs SET size = ?2, root = ?3, note = ?4 WHERE origin = ?1 AND size = ?5"},
      {&writer.set_hold_,
       "INSERT INTO audit_holds SELECT ?1, ?2, ?3, ?4, ?5"
       " WHERE (SELECT count(*) FROM audit_holds) < ?6"},
      {&writer.clear_hold_, "DELETE FROM audit_holds WHERE hold_id = ?1"},
      {&writer.propose_purge_,
       "INSERT OR REPLACE INTO audit_purge_proposal VALUES(1, ?1, ?2, ?3, ?4)"},
      {&writer.withdraw_purge_, "DELETE FROM audit_purge_proposal"},
      {&writer.create_data_key_, "INSERT INTO audit_data_key VALUES(?1, ?2)"},
      {&writer.give_up_data_key_, "DELETE FROM audit_data_key WHERE month = ?1"},
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
  create_room_.bind(6, std::int64_t{room.locked ? 1 : 0});
  return create_room_.run();
}

tl::expected<void, SqlError> StateWriter::write(const RoomKept& change) {
  keep_room_.bind(1, std::string_view(change.room_id));
  keep_room_.bind(2, ms(change.expires_at));
  return keep_room_.run();
}

tl::expected<void, SqlError> StateWriter::write(const RoomLocked& change) {
  lock_room_.bind(1, std::string_view(change.room_id));
  lock_room_.bind(2, std::int64_t{change.locked ? 1 : 0});
  return lock_room_.run();
}

tl::expected<void, SqlError> StateWriter::write(const LinkIssued& change) {
  issue_link_.bind(1, std::string_view(change.link.room_id));
  issue_link_.bind(2, std::string_view(change.link.role));
  issue_link_.bind(3, std::span<const std::uint8_t>(change.link.secret_hash));
  issue_link_.bind(4, ms(change.link.expires_at));
  return issue_link_.run();
}

tl::expected<void, SqlError> StateWriter::write(const LinkDropped& change) {
  drop_link_.bind(1, std::string_view(change.room_id));
  drop_link_.bind(2, std::span<const std::uint8_t>(change.secret_hash));
  return drop_link_.run();
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
  join_.bind(9, std::int64_t{row.admitted ? 1 : 0});
  return join_.run();
}

tl::expected<void, SqlError> StateWriter::write(const ParticipantAttached& change) {
  attach_.bind(1, std::string_view(change.participant_id));
  attach_.bind(2, ms(change.attached_at));
  return attach_.run();
}

tl::expected<void, SqlError> StateWriter::write(const ParticipantAdmitted& change) {
  admit_.bind(1, std::string_view(change.participant_id));
  return admit_.run();
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

tl::expected<void, SqlError> StateWriter::write(const AccountInvited& change) {
  const InvitationRow& invitation = change.invitation;
  forget_invitations_.bind(1, ms(change.now));
  if (auto done = forget_invitations_.run(); !done) return done;
  invite_.bind(1, std::string_view(invitation.name));
  invite_.bind(2, std::span<const std::uint8_t>(invitation.code_hash));
  invite_.bind(3, std::string_view(invitation.invited_by));
  invite_.bind(4, ms(invitation.expires_at));
  invite_.bind(5, kMaxInvitations);
  if (auto done = invite_.run(); !done) return done;
  if (database_->changed_rows() == 1) return {};
  return tl::unexpected(SqlError{SqlError::Kind::constraint, "the name is taken"});
}

tl::expected<void, SqlError> StateWriter::write(const AccountCreated& change) {
  if (change.invited) {
    accept_invitation_.bind(1, std::string_view(change.account.name));
    accept_invitation_.bind(2, std::span<const std::uint8_t>(change.code_hash));
    accept_invitation_.bind(3, ms(change.account.created_at));
    if (auto done = accept_invitation_.run(); !done) return done;
    if (database_->changed_rows() != 1) {
      return tl::unexpected(SqlError{SqlError::Kind::constraint, "the invitation is gone"});
    }
  }
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

tl::expected<void, SqlError> StateWriter::write(const AccountDisabled& change) {
  disable_account_.bind(1, std::string_view(change.name));
  disable_account_.bind(2, ms(change.disabled_at));
  if (auto done = disable_account_.run(); !done) return done;
  if (database_->changed_rows() != 1) {
    return tl::unexpected(SqlError{SqlError::Kind::constraint, "no such account, or the last one"});
  }
  end_given_invitations_.bind(1, std::string_view(change.name));
  return end_given_invitations_.run();
}

tl::expected<void, SqlError> StateWriter::write(const AccountEntered& change) {
  enter_account_.bind(1, std::string_view(change.name));
  if (auto done = enter_account_.run(); !done) return done;
  if (database_->changed_rows() == 1) return {};
  return tl::unexpected(SqlError{SqlError::Kind::constraint, "no such account, or disabled"});
}

tl::expected<void, SqlError> StateWriter::write(const ApiTokenCreated& change) {
  const ApiTokenRow& token = change.token;
  create_token_.bind(1, std::string_view(token.token_id));
  create_token_.bind(2, std::string_view(token.name));
  create_token_.bind(3, std::string_view(token.scopes));
  create_token_.bind(4, std::span<const std::uint8_t>(token.secret_hash));
  create_token_.bind(5, ms(token.created_at));
  bind_optional(create_token_, 6, token.expires_at);
  return create_token_.run();
}

tl::expected<void, SqlError> StateWriter::write(const ApiTokenRevoked& change) {
  revoke_token_.bind(1, std::string_view(change.token_id));
  if (auto done = revoke_token_.run(); !done) return done;
  if (database_->changed_rows() == 1) return {};
  return tl::unexpected(SqlError{SqlError::Kind::constraint, "no such token"});
}

tl::expected<void, SqlError> StateWriter::write(const CheckpointWitnessed& change) {
  const WitnessedLogRow& log = change.log;
  const bool first = change.old_size == 0;
  Statement& statement = first ? witness_first_ : witness_next_;
  statement.bind(1, std::string_view(log.origin));
  statement.bind(2, log.size);
  statement.bind(3, std::span<const std::uint8_t>(log.root));
  statement.bind(4, std::string_view(log.note));
  if (!first) statement.bind(5, change.old_size);
  if (auto done = statement.run(); !done) return done;
  if (database_->changed_rows() == 1) return {};
  return tl::unexpected(SqlError{SqlError::Kind::constraint, "another checkpoint is known"});
}

tl::expected<void, SqlError> StateWriter::write(const HoldSet& change) {
  const HoldRow& hold = change.hold;
  const auto bind_text = [this](int index, const std::string& text) {
    if (text.empty()) return set_hold_.bind_null(index);
    set_hold_.bind(index, std::string_view(text));
  };
  const auto bind_instant = [this](int index, std::optional<std::chrono::microseconds> instant) {
    if (!instant) return set_hold_.bind_null(index);
    set_hold_.bind(index, std::int64_t{instant->count()});
  };
  set_hold_.bind(1, std::string_view(hold.hold_id));
  bind_text(2, hold.room);
  bind_text(3, hold.person);
  bind_instant(4, hold.from);
  bind_instant(5, hold.to);
  set_hold_.bind(6, kMaxHolds);
  if (auto done = set_hold_.run(); !done) return done;
  if (database_->changed_rows() == 1) return {};
  return tl::unexpected(SqlError{SqlError::Kind::constraint, "there are too many holds"});
}

tl::expected<void, SqlError> StateWriter::write(const HoldCleared& change) {
  clear_hold_.bind(1, std::string_view(change.hold_id));
  if (auto done = clear_hold_.run(); !done) return done;
  if (database_->changed_rows() > 0) return {};
  return tl::unexpected(SqlError{SqlError::Kind::constraint, "there is no such hold"});
}

tl::expected<void, SqlError> StateWriter::write(const PurgeProposed& change) {
  propose_purge_.bind(1, change.proposal.through);
  propose_purge_.bind(2, std::int64_t{change.proposal.keep_years});
  propose_purge_.bind(3, std::string_view(change.proposal.proposed_by));
  propose_purge_.bind(4, std::int64_t{change.proposal.proposed_at.count()});
  return propose_purge_.run();
}

tl::expected<void, SqlError> StateWriter::write(const PurgeWithdrawn&) {
  return withdraw_purge_.run();
}

tl::expected<void, SqlError> StateWriter::write(const DataKeyCreated& change) {
  create_data_key_.bind(1, std::string_view(change.key.month));
  create_data_key_.bind(2, std::span<const std::uint8_t>(change.key.wrapped));
  return create_data_key_.run();
}

tl::expected<void, SqlError> StateWriter::write(const DataKeyGivenUp& change) {
  give_up_data_key_.bind(1, std::string_view(change.month));
  if (auto done = give_up_data_key_.run(); !done) return done;
  if (database_->changed_rows() > 0) return {};
  return tl::unexpected(SqlError{SqlError::Kind::constraint, "this month has no key"});
}

tl::expected<void, SqlError> StateWriter::write(const SettingSet& change) {
  set_setting_.bind(1, std::string_view(change.key));
  set_setting_.bind(2, std::string_view(change.value));
  return set_setting_.run();
}

tl::expected<LoadedState, SqlError> load_state(const Database& database) {
  LoadedState state;
  auto done =
      load(database,
           "SELECT room_id, appointment, created_ms, ended_ms, expires_ms, locked FROM rooms"
           " ORDER BY created_ms, room_id",
           room_of, state.rooms);
  if (done) {
    done = load(database,
                "SELECT participant_id, room_id, display_name, role, token_hash, joined_ms,"
                " lease_until_ms, attached_ms, admitted FROM participants ORDER BY join_order",
                participant_of, state.participants);
  }
  if (done) {
    done = load(database,
                "SELECT room_id, role, secret_hash, expires_ms FROM links ORDER BY link_order",
                link_of, state.links);
  }
  if (done) {
    done = load(database,
                "SELECT token_id, name, scopes, secret_hash, created_ms, expires_ms FROM api_tokens"
                " ORDER BY created_ms, token_id",
                token_of, state.tokens);
  }
  if (done) {
    done = load(database, "SELECT origin, size, root, note FROM witnessed_logs ORDER BY origin",
                witnessed_of, state.witnessed);
  }
  if (done) {
    done = load(database, "SELECT month, wrapped FROM audit_data_key ORDER BY month", data_key_of,
                state.data_keys);
  }
  if (!done) return tl::unexpected(std::move(done.error()));
  return state;
}

}  // namespace bedside::store
