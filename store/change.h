#pragma once

// The state the store keeps, and the changes it accepts. Values only: no thread, no lifetime.
// Instants are wall clock, milliseconds since the Unix epoch (what protocol answers carry).

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

namespace bedside::store {

struct RoomRow {
  std::string room_id;
  std::string
      appointment_json;  // the first appointmentId with its JSON type kept: `42` or `"a-42"`
  std::chrono::milliseconds created_at{};
  std::optional<std::chrono::milliseconds> ended_at;
  // While active: when it ends by itself. Once ended: when it is to be forgotten.
  std::optional<std::chrono::milliseconds> expires_at;
  bool locked = false;
  friend bool operator==(const RoomRow&, const RoomRow&) = default;
};

// The display name is state of a running visit. It is never written to the audit table, and the row
// (with the name) is deleted when the participant leaves, the room ends or is forgotten.
struct ParticipantRow {
  std::string participant_id;
  std::string room_id;
  std::string display_name;
  std::string role;
  std::vector<std::uint8_t>
      token_hash;  // of the participant's bearer secret; empty: none was issued
  std::chrono::milliseconds joined_at{};
  std::chrono::milliseconds lease_until{};  // counts until then without being attached
  // Set: a WebSocket or poll session is open, or was when the process died.
  std::optional<std::chrono::milliseconds> attached_at;
  bool admitted = true;  // false: in the waiting room
  friend bool operator==(const ParticipantRow&, const ParticipantRow&) = default;
};

// A link into a room. The secret in it is known to nobody but its owners.
struct LinkRow {
  std::string room_id;
  std::string role;
  std::vector<std::uint8_t> secret_hash;
  std::chrono::milliseconds expires_at{};
  friend bool operator==(const LinkRow&, const LinkRow&) = default;
};

// A program's right to use the API.
struct ApiTokenRow {
  std::string token_id;  // names it in lists and in the audit log; no secret
  std::string name;      // what the operator calls it
  std::string scopes;    // separated by one space
  std::vector<std::uint8_t> secret_hash;
  std::chrono::milliseconds created_at{};
  std::optional<std::chrono::milliseconds> expires_at;  // absent: until it is revoked
  friend bool operator==(const ApiTokenRow&, const ApiTokenRow&) = default;
};

// Another log, as this server has seen it as its witness: the newest checkpoint it has cosigned.
struct WitnessedLogRow {
  std::string origin;
  std::uint64_t size = 0;
  std::vector<std::uint8_t> root;
  std::string note;
  friend bool operator==(const WitnessedLogRow&, const WitnessedLogRow&) = default;
};

// Records that no purge takes: those that meet all conditions which are given; at least one is.
struct HoldRow {
  std::string hold_id;
  std::string room;                               // pseudonym; empty: any
  std::string person;                             // who acted or was acted on; empty: anybody
  std::optional<std::chrono::microseconds> from;  // wall clock, inclusive
  std::optional<std::chrono::microseconds> to;    // exclusive
  friend bool operator==(const HoldRow&, const HoldRow&) = default;
};

// What one person proposes and another one has to approve.
struct PurgeProposalRow {
  std::uint64_t through = 0;  // the last record; what is younger than keep_years stays in any case
  int keep_years = 0;
  std::string proposed_by;
  std::chrono::microseconds proposed_at{};  // wall clock; lasts kProposalLasts
  friend bool operator==(const PurgeProposalRow&, const PurgeProposalRow&) = default;
};

// The key of one month's personal values in the audit log, wrapped: this database alone opens none.
// Deleting the row erases those values.
struct DataKeyRow {
  std::string month;  // "2026-11"
  std::vector<std::uint8_t> wrapped;
  friend bool operator==(const DataKeyRow&, const DataKeyRow&) = default;
};

// Lets one person make an account of that name, once.
struct InvitationRow {
  std::string name;
  std::vector<std::uint8_t> code_hash;  // SHA-256; the code itself is shown once
  std::string invited_by;               // an account; empty: somebody at the server
  std::chrono::milliseconds expires_at{};
  friend bool operator==(const InvitationRow&, const InvitationRow&) = default;
};
inline constexpr std::int64_t kMaxInvitations = 16;

// The records that go, and whatever else there is up to the last of them, are in an archive
// already.
struct PurgeOrder {
  std::string approved_by;                  // an account; not the one that proposed it
  std::uint64_t archived_through = 0;       // the purge goes no further
  std::string archive_digest;               // SHA-256 of the archive as it is kept, hexadecimal
  std::uint64_t archive_records = 0;        // that its verifier found there, all of them whole
  std::string archive_root;                 // of the log they are proven to be in, hexadecimal
  std::chrono::microseconds proposed_at{};  // of the proposal that was seen; another one is refused
};

struct AccountRow {
  std::string name;
  std::string password_hash;  // a scrypt string with its parameters; never a password
  std::string role;
  std::chrono::milliseconds created_at{};
  // Since then nobody can log in with it. It stays: nobody else gets its name.
  std::optional<std::chrono::milliseconds> disabled_at = {};
  friend bool operator==(const AccountRow&, const AccountRow&) = default;
};

// Fails as a conflict when the room exists.
struct RoomCreated {
  RoomRow room;
};
// Its expiry moves. No effect on an unknown room.
struct RoomKept {
  std::string room_id;
  std::chrono::milliseconds expires_at{};
};
struct RoomLocked {
  std::string room_id;
  bool locked = false;
};
// Fails as a conflict when the room does not exist.
struct LinkIssued {
  LinkRow link;
};
struct LinkDropped {
  std::string room_id;
  std::vector<std::uint8_t> secret_hash;
};
// Marks the room as ended and deletes its participants. No effect on an unknown room.
struct RoomEnded {
  std::string room_id;
  std::chrono::milliseconds ended_at{};
  std::optional<std::chrono::milliseconds> expires_at;
};
// Deletes the room and whatever belongs to it. No effect on an unknown room.
struct RoomForgotten {
  std::string room_id;
};
// Fails as a conflict when the participant exists or the room does not.
struct ParticipantJoined {
  ParticipantRow participant;
};
// No effect on an unknown participant, as with the two below.
struct ParticipantAttached {
  std::string participant_id;
  std::chrono::milliseconds attached_at{};
};
// Out of the waiting room, into the visit.
struct ParticipantAdmitted {
  std::string participant_id;
};
// Away, but may come back.
struct ParticipantDetached {
  std::string participant_id;
  std::chrono::milliseconds lease_until{};
};
// Gone for good: deletes the row.
struct ParticipantLeft {
  std::string participant_id;
};
// In the place of an older one of the same name. Fails as a conflict when an account has it, or
// kMaxInvitations wait.
struct AccountInvited {
  InvitationRow invitation;
  std::chrono::milliseconds now{};  // those that ended before are forgotten
};
// Fails as a conflict when the name exists; for the first also when any account exists (two
// browsers racing with the set-up code make one account), for an invited one when the invitation
// with this code is gone, or over by the time the account is made. The invitation ends.
struct AccountCreated {
  AccountRow account;
  bool only_first = false;
  bool invited = false;
  std::vector<std::uint8_t> code_hash = {};  // of the invitation
};
// Fails as a conflict when the account does not exist.
struct AccountPasswordSet {
  std::string name;
  std::string password_hash;
};
// Fails as a conflict when there is no such account, when it is disabled, and when nobody else
// could log in any more. The invitations that it gave end.
struct AccountDisabled {
  std::string name;
  std::chrono::milliseconds disabled_at{};
};
// Changes nothing, but fails as a conflict when there is no such account or it is disabled: what is
// beside it in its commit happens only to somebody who may log in.
struct AccountEntered {
  std::string name;
};
// Fails as a conflict when the id or the secret exists.
struct ApiTokenCreated {
  ApiTokenRow token;
};
// Fails as a conflict when there is no such token.
struct ApiTokenRevoked {
  std::string token_id;
};
// Fails as a conflict when the checkpoint known for this origin has another size than `old_size`
// (0: none is known): of two requests that came at once, one is judged anew.
struct CheckpointWitnessed {
  WitnessedLogRow log;
  std::uint64_t old_size = 0;
};
// Conflict when the id exists.
struct HoldSet {
  HoldRow hold;
};
// Conflict when there is none.
struct HoldCleared {
  std::string hold_id;
};
// In the place of one that was there. Conflict when it would keep less than six years.
struct PurgeProposed {
  PurgeProposalRow proposal;
};
struct PurgeWithdrawn {};
// Fails as a conflict when the month has one.
struct DataKeyCreated {
  DataKeyRow key;
};
// Nobody can read the personal values of that month any more. Conflict when it has no key.
struct DataKeyGivenUp {
  std::string month;
};
struct SettingSet {
  std::string key;
  std::string value;
};

using Change =
    std::variant<RoomCreated, RoomKept, RoomLocked, LinkIssued, LinkDropped, RoomEnded,
                 RoomForgotten, ParticipantJoined, ParticipantAttached, ParticipantAdmitted,
                 ParticipantDetached, ParticipantLeft, AccountInvited, AccountCreated,
                 AccountPasswordSet, AccountDisabled, AccountEntered, ApiTokenCreated,
                 ApiTokenRevoked, CheckpointWitnessed, HoldSet, HoldCleared, PurgeProposed,
                 PurgeWithdrawn, DataKeyCreated, DataKeyGivenUp, SettingSet>;

// What a restarted server needs to go on: rooms by creation, participants by order of joining,
// links and API tokens oldest first.
struct LoadedState {
  std::vector<RoomRow> rooms;
  std::vector<ParticipantRow> participants;
  std::vector<LinkRow> links;
  std::vector<ApiTokenRow> tokens;
  std::vector<WitnessedLogRow> witnessed;
  std::vector<DataKeyRow> data_keys;
};

}  // namespace bedside::store
