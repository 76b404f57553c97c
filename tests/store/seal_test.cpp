// What is acknowledged is sealed: a checkpoint over all records, signed by the present epoch.
#include "store/seal.h"

#include <gmock/gmock.h>

#include <filesystem>
#include <fstream>

#include "sealed_store.h"

namespace bedside::store {
namespace {

using testing::AnyOf;
using testing::ElementsAre;
using testing::HasSubstr;

constexpr std::chrono::microseconds kDay = std::chrono::hours(24);

TEST(Seal, EveryAcknowledgedRecordIsUnderASignedCheckpoint) {
  SealedStore sealed;
  sealed.open();
  EXPECT_EQ(sealed.newest().size, 1U) << "the first epoch announces itself";
  for (int i = 0; i < 5; ++i) {
    const CommitResult result = sealed.commit("room.created");
    ASSERT_TRUE(result.ok());
    EXPECT_EQ(sealed.newest().size, result.last_seq);
  }
}

TEST(Seal, ACommitWithoutRecordsNeedsNoCheckpoint) {
  SealedStore sealed;
  sealed.open();
  Commit commit;
  commit.changes.push_back(room_created("r"));
  ASSERT_TRUE(commit_and_wait(sealed.store(), std::move(commit)).ok());
  EXPECT_EQ(sealed.newest().size, 1U);
}

TEST(Seal, ARefusedCommitLeavesNoTraceInTheTree) {
  SealedStore sealed;
  sealed.open();
  Commit conflict = commit_of("room.created");
  conflict.changes.push_back(RoomEnded{"nobody made it", {}, {}});
  conflict.records.push_back(record_of(std::string(kMaxAuditBody + 1, 'x')));
  EXPECT_FALSE(commit_and_wait(sealed.store(), std::move(conflict)).ok());
  ASSERT_TRUE(sealed.commit("room.created").ok());
  EXPECT_EQ(sealed.newest().size, 2U);
}

TEST(Seal, EveryStartIsANewEpochWhoseKeyTheOldOneVouchesFor) {
  SealedStore sealed;
  sealed.open();
  sealed.commit("room.created");
  sealed.close();
  EXPECT_THAT(sealed.key_files(), ElementsAre("audit-epoch-1.key"));
  sealed.open();
  EXPECT_THAT(sealed.key_files(), ElementsAre("audit-epoch-2.key")) << "the old key is erased";
  const Epoch first = sealed.epoch(1);
  const Epoch second = sealed.epoch(2);
  EXPECT_FALSE(first.voucher);
  EXPECT_EQ(second.number, 2U);
  EXPECT_EQ(second.origin, first.origin);
  EXPECT_TRUE(verify(first.key, epoch_message(first.origin, 2, second.key, sealed.tree(2)),
                     second.voucher.value()));
  EXPECT_EQ(sealed.newest().epoch, 1U) << "the announcement itself is signed by the old key";
  sealed.commit("room.created");
  EXPECT_EQ(sealed.newest().epoch, 2U);
  EXPECT_EQ(sealed.store().stats().epoch, 2U);
}

TEST(Seal, AnEpochLastsADay) {
  SealedStore sealed;
  sealed.open();
  sealed.pass(kDay - std::chrono::microseconds(1));
  sealed.commit("room.created");
  sealed.commit("room.created");
  EXPECT_THAT(sealed.key_files(), ElementsAre("audit-epoch-1.key"));
  sealed.pass(std::chrono::microseconds(1));
  sealed.commit("room.created");  // the epoch begins after it
  sealed.commit("room.created");
  EXPECT_THAT(sealed.key_files(), ElementsAre("audit-epoch-2.key"));
  EXPECT_EQ(sealed.newest().epoch, 2U);
}

TEST(Seal, HourlyAndThousandthCheckpointsAreKeptOthersAreReplaced) {
  SealedStore sealed;
  sealed.open();
  for (int i = 0; i < 4; ++i) sealed.commit("room.created");
  EXPECT_EQ(sealed.raw().value("SELECT group_concat(size) FROM audit_checkpoint"), "1,5");
  sealed.pass(std::chrono::hours(1));
  sealed.commit("room.created");
  sealed.commit("room.created");
  EXPECT_EQ(sealed.raw().value("SELECT group_concat(size) FROM audit_checkpoint"), "1,6,7");
}

TEST(Seal, SubtreesAreStoredAndTheTreeGoesOnFromThem) {
  SealedStore sealed;
  sealed.open();
  Commit many;
  for (int i = 0; i < 300; ++i) many.records.push_back(record_of("room.join", std::to_string(i)));
  ASSERT_TRUE(commit_and_wait(sealed.store(), std::move(many)).ok());
  EXPECT_EQ(sealed.raw().value("SELECT count(*) FROM audit_subtree WHERE level = 8"), "1");
  sealed.close();
  sealed.open();
  sealed.commit("room.created");
  EXPECT_EQ(sealed.newest().size, 303U);
}

TEST(Seal, ALogFromBeforeThereWereSealsIsSealedAsItIs) {
  SealedStore sealed;
  {
    Options options;
    options.path = sealed.database();
    const auto old = open_or_die(std::move(options));
    Commit many;
    for (int i = 0; i < 600; ++i) many.records.push_back(record_of("room.join"));
    ASSERT_TRUE(commit_and_wait(*old, std::move(many)).ok());
  }
  sealed.open();
  EXPECT_EQ(sealed.newest().size, 601U);
  EXPECT_EQ(sealed.raw().value("SELECT count(*) FROM audit_subtree"), "2");
}

TEST(Seal, AChangedRecordStopsTheNextStart) {
  SealedStore sealed;
  sealed.open();
  sealed.commit("room.created");
  sealed.close();
  ASSERT_EQ(sealed.raw().run(
                "DROP TRIGGER audit_is_not_changed; UPDATE audit SET body = "
                "CAST(replace(CAST(body AS TEXT), 'created', 'deleted') AS BLOB) WHERE seq = 2"),
            "");
  EXPECT_THAT(sealed.refusal(), HasSubstr("bedside audit verify"));
}

TEST(Seal, ACrashBetweenKeyAndRecordIsNoHarm) {
  SealedStore sealed;
  sealed.open();
  sealed.commit("room.created");
  sealed.close();
  // The key of epoch 2 was made, its record never written.
  ASSERT_TRUE(EpochKeys(sealed.keys()).make(2));
  sealed.open();
  sealed.commit("room.created");
  EXPECT_EQ(sealed.newest().epoch, 2U);
}

TEST(Seal, AnEpochThatCannotBeginIsToldUntilItCan) {
  SealedStore sealed;
  sealed.open();
  EXPECT_FALSE(sealed.store().stats().epoch_overdue);
  const std::string away = sealed.keys() + ".away";
  std::filesystem::rename(sealed.keys(), away);
  std::ofstream(sealed.keys()) << "no folder";
  sealed.pass(kDay);
  sealed.commit("room.created");
  ASSERT_TRUE(sealed.commit("room.created").ok()) << "the old key signs on";
  EXPECT_TRUE(sealed.store().stats().epoch_overdue);
  EXPECT_THAT(sealed.store().epoch_trouble(), HasSubstr("audit-epoch-2.key"));
  EXPECT_EQ(sealed.store().stats().epoch, 1U);
  std::filesystem::remove(sealed.keys());
  std::filesystem::rename(away, sealed.keys());
  sealed.commit("room.created");
  sealed.commit("room.created");
  EXPECT_FALSE(sealed.store().stats().epoch_overdue);
  EXPECT_EQ(sealed.store().epoch_trouble(), "");
  EXPECT_EQ(sealed.store().stats().epoch, 2U);
}

TEST(Seal, ALostOrForeignKeyIsAnErrorThatNamesTheFile) {
  SealedStore sealed;
  sealed.open();
  sealed.close();
  const std::string file = sealed.keys() + "/audit-epoch-1.key";
  std::filesystem::rename(file, file + ".away");
  EXPECT_THAT(sealed.refusal(), HasSubstr(file));
  ASSERT_TRUE(EpochKeys(sealed.keys()).make(1));
  EXPECT_THAT(sealed.refusal(), HasSubstr("not the one that the log announces"));
  std::filesystem::rename(file + ".away", file);
  std::filesystem::permissions(file, std::filesystem::perms::others_read,
                               std::filesystem::perm_options::add);
  EXPECT_THAT(sealed.refusal(), HasSubstr("others may read it"));
}

TEST(Seal, ALogWithAStoredRootThatIsNoneIsNotContinued) {
  for (const char* change : {"root = CAST(root || x'00' AS BLOB)", "root = x''", "level = 8000"}) {
    SealedStore sealed;
    sealed.open();
    Commit commit;
    for (int i = 0; i < 300; ++i) commit.records.push_back(record_of("room.leave"));
    ASSERT_TRUE(commit_and_wait(sealed.store(), std::move(commit)).ok());
    sealed.close();
    {
      auto raw = sealed.raw();
      ASSERT_EQ(raw.run(std::string("PRAGMA ignore_check_constraints = ON;"
                                    "DROP TRIGGER audit_subtree_is_not_changed;"
                                    "UPDATE audit_subtree SET ") +
                        change),
                "");
    }
    // SQLite's own check of the file knows how long a root is, and nothing of levels.
    EXPECT_THAT(sealed.refusal(), AnyOf(HasSubstr("a root that was stored with the records"),
                                        HasSubstr("CHECK constraint failed in audit_subtree")))
        << change;
  }
}

// What was changed by somebody who has no key must not be signed with ours at the next start.
TEST(Seal, ALogWhoseLastCheckpointNobodySignedIsNotContinued) {
  const std::string edit =
      "DROP TRIGGER audit_is_not_changed;"
      "UPDATE audit SET outcome = 'denied', leaf = NULL,"
      " body = CAST(replace(CAST(body AS TEXT), '\"outcome\":\"ok\"', '\"outcome\":\"denied\"') AS "
      "BLOB)"
      " WHERE seq = (SELECT max(seq) FROM audit);";
  const std::string unsealed =
      "DROP TRIGGER audit_subtree_is_not_deleted; DROP TRIGGER audit_checkpoint_is_kept;"
      "DELETE FROM audit_checkpoint; DELETE FROM audit_subtree;";
  for (const std::string& change :
       {edit + unsealed, unsealed,
        std::string("DROP TRIGGER audit_checkpoint_is_not_changed;"
                    "UPDATE audit_checkpoint SET note = substr(note, 1, length(note) - 9) || "
                    "'AAAAAAA=' || char(10)")}) {
    SealedStore sealed;
    sealed.open();
    ASSERT_TRUE(commit_and_wait(sealed.store(), commit_of("room.leave")).ok());
    sealed.close();
    ASSERT_EQ(sealed.raw().run(change), "");
    EXPECT_THAT(sealed.refusal(), HasSubstr("not signed by the key of its epoch")) << change;
  }
}

TEST(Seal, ALogWhoseNewestThousandsWereChangedIsNotContinued) {
  SealedStore sealed;
  sealed.open();
  for (int batch = 0; batch < 3; ++batch) {
    Commit commit;
    for (int i = 0; i < 200; ++i) commit.records.push_back(record_of("room.leave"));
    ASSERT_TRUE(commit_and_wait(sealed.store(), std::move(commit)).ok());
  }
  sealed.close();
  sealed.open();
  sealed.close();
  // Long below the last stored root, of which the edge is made.
  {
    auto raw = sealed.raw();
    ASSERT_EQ(raw.run("DROP TRIGGER audit_is_not_changed;"
                      "UPDATE audit SET body = CAST(replace(CAST(body AS TEXT), 'room.leave',"
                      " 'room.leavf') AS BLOB)"
                      " WHERE seq = 100"),
              "");
  }
  EXPECT_THAT(sealed.refusal(), HasSubstr("records 1 to 256 are not those that were sealed"));
}

}  // namespace
}  // namespace bedside::store
