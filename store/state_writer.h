#pragma once

// Changes become SQL, and rows become state again.

#include <string>

#include "store/change.h"
#include "store/database.h"

namespace bedside::store {

// Applies one change inside the open transaction. Store's thread. A contradiction with the state is
// a SqlError of kind constraint.
class StateWriter {
 public:
  static tl::expected<StateWriter, SqlError> prepare(const Database& database);
  tl::expected<void, SqlError> apply(const Change& change);

 private:
  tl::expected<void, SqlError> write(const RoomCreated& change);
  tl::expected<void, SqlError> write(const RoomKept& change);
  tl::expected<void, SqlError> write(const RoomLocked& change);
  tl::expected<void, SqlError> write(const LinkIssued& change);
  tl::expected<void, SqlError> write(const LinkDropped& change);
  tl::expected<void, SqlError> write(const RoomEnded& change);
  tl::expected<void, SqlError> write(const RoomForgotten& change);
  tl::expected<void, SqlError> write(const ParticipantJoined& change);
  tl::expected<void, SqlError> write(const ParticipantAttached& change);
  tl::expected<void, SqlError> write(const ParticipantAdmitted& change);
  tl::expected<void, SqlError> write(const ParticipantDetached& change);
  tl::expected<void, SqlError> write(const ParticipantLeft& change);
  tl::expected<void, SqlError> write(const AccountInvited& change);
  tl::expected<void, SqlError> write(const AccountCreated& change);
  tl::expected<void, SqlError> write(const AccountPasswordSet& change);
  tl::expected<void, SqlError> write(const AccountDisabled& change);
  tl::expected<void, SqlError> write(const AccountEntered& change);
  tl::expected<void, SqlError> write(const ApiTokenCreated& change);
  tl::expected<void, SqlError> write(const ApiTokenRevoked& change);
  tl::expected<void, SqlError> write(const CheckpointWitnessed& change);
  tl::expected<void, SqlError> write(const HoldSet& change);
  tl::expected<void, SqlError> write(const HoldCleared& change);
  tl::expected<void, SqlError> write(const PurgeProposed& change);
  tl::expected<void, SqlError> write(const PurgeWithdrawn& change);
  tl::expected<void, SqlError> write(const DataKeyCreated& change);
  tl::expected<void, SqlError> write(const DataKeyGivenUp& change);
  tl::expected<void, SqlError> write(const SettingSet& change);

  const Database* database_ = nullptr;
  Statement create_room_;
  Statement keep_room_;
  Statement lock_room_;
  Statement issue_link_;
  Statement drop_link_;
  Statement end_room_;
  Statement empty_room_;
  Statement forget_room_;
  Statement join_;
  Statement attach_;
  Statement admit_;
  Statement detach_;
  Statement leave_;
  Statement forget_invitations_;
  Statement invite_;
  Statement accept_invitation_;
  Statement create_account_;
  Statement create_first_account_;
  Statement set_password_;
  Statement disable_account_;
  Statement end_given_invitations_;
  Statement enter_account_;
  Statement create_token_;
  Statement revoke_token_;
  Statement witness_first_;
  Statement witness_next_;
  Statement set_hold_;
  Statement clear_hold_;
  Statement propose_purge_;
  Statement withdraw_purge_;
  Statement create_data_key_;
  Statement give_up_data_key_;
  Statement set_setting_;
};

// The rows as last committed on this connection.
tl::expected<LoadedState, SqlError> load_state(const Database& database);

}  // namespace bedside::store
