#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <thread>

#include "faulty_vfs.h"
#include "store/canonical_reader.h"
#include "store_fixture.h"

namespace bedside::store {
namespace {

using std::chrono::milliseconds;
using testing::ElementsAre;
using testing::IsEmpty;

TEST(Commit, ReportsTheNumbersOfItsRecordsAndTheyAreThereByThen) {
  const TemporaryFolder folder;
  const auto store = open_or_die(folder.database());
  Commit two = commit_of("room.join");
  two.records.push_back(record_of("cred.issued"));
  EXPECT_EQ(commit_and_wait(*store, commit_of("room.created")).last_seq, 1U);
  const CommitResult result = commit_and_wait(*store, std::move(two));
  EXPECT_TRUE(result.ok());
  EXPECT_EQ(result.first_seq, 2U);
  EXPECT_EQ(result.last_seq, 3U);
  RawDatabase raw(folder.database());
  EXPECT_THAT(raw.types(), ElementsAre("room.created", "room.join", "cred.issued"));
}

TEST(Commit, RestoresRoomsAndPeopleAsTheyWere) {
  const TemporaryFolder folder;
  RoomRow room{"visit-1", "\"a-42\"", milliseconds(1), {}, {}};
  ParticipantRow grace = joined("visit-1", "p2").participant;
  ParticipantRow alan = joined("visit-1", "p1", "Alan").participant;
  {
    const auto store = open_or_die(folder.database());
    Commit commit;
    commit.changes = {RoomCreated{room},
                      ParticipantJoined{grace},
                      ParticipantJoined{alan},
                      ParticipantAttached{"p1", milliseconds(7)},
                      ParticipantAttached{"p2", milliseconds(8)},
                      ParticipantDetached{"p2", milliseconds(9)}};
    ASSERT_TRUE(commit_and_wait(*store, std::move(commit)).ok());
  }
  alan.attached_at = milliseconds(7);
  grace.lease_until = milliseconds(9);
  const auto store = open_or_die(folder.database());
  const auto state = store->load();
  ASSERT_TRUE(state) << state.error();
  EXPECT_THAT(state->rooms, ElementsAre(room));
  EXPECT_THAT(state->participants, ElementsAre(grace, alan));  // by order of joining
}

TEST(Commit, ForgetsNamesWithTheRoomTheVisitOrTheLeaving) {
  const TemporaryFolder folder;
  const auto store = open_or_die(folder.database());
  Commit commit;
  commit.changes = {room_created("a"),
                    room_created("b"),
                    joined("a", "p1", "Name1"),
                    joined("a", "p2", "Name2"),
                    joined("b", "p3", "Name3"),
                    ParticipantLeft{"p1"},
                    RoomEnded{"a", milliseconds(5), milliseconds(6)},
                    RoomForgotten{"b"}};
  ASSERT_TRUE(commit_and_wait(*store, std::move(commit)).ok());
  const auto state = store->load();
  ASSERT_TRUE(state);
  ASSERT_EQ(state->rooms.size(), 1U);
  EXPECT_EQ(state->rooms[0].ended_at, milliseconds(5));
  EXPECT_EQ(state->rooms[0].expires_at, milliseconds(6));
  EXPECT_THAT(state->participants, IsEmpty());
}

TEST(Commit, ThatContradictsTheStateLeavesNothingAndNoGap) {
  const TemporaryFolder folder;
  const auto store = open_or_die(folder.database());
  const auto with = [](Change change, const std::string& type) {
    Commit commit = commit_of(type);
    commit.changes = {SettingSet{"touched-by", type}, std::move(change)};
    return commit;
  };
  EXPECT_TRUE(commit_and_wait(*store, with(room_created("a"), "first")).ok());
  EXPECT_EQ(commit_and_wait(*store, with(room_created("a"), "again")).status,
            CommitStatus::conflict);
  EXPECT_EQ(commit_and_wait(*store, with(joined("nowhere", "p"), "no room")).status,
            CommitStatus::conflict);
  EXPECT_EQ(commit_and_wait(*store, with(AccountPasswordSet{"nobody", "x"}, "nobody")).status,
            CommitStatus::conflict);
  const CommitResult next = commit_and_wait(*store, commit_of("next"));
  EXPECT_EQ(next.first_seq, 2U);
  EXPECT_EQ(*reader_or_die(folder.database()).setting("touched-by").value(), "first");
  EXPECT_EQ(store->stats().failed, 3U);
}

TEST(Commit, ThatIsAtFaultTakesNothingFromOthersOfItsTransaction) {
  const TemporaryFolder folder;
  const auto store = open_or_die(folder.database());
  Gate gate;
  ASSERT_NO_FATAL_FAILURE(hold(*store, gate));
  std::vector<CommitResult> results;  // store thread, then us after close()
  const auto submit = [&](Commit commit, Change change) {
    commit.changes = {std::move(change)};
    ASSERT_TRUE(store->submit(std::move(commit),
                              [&](const CommitResult& result) { results.push_back(result); }));
  };
  submit(commit_of("first"), room_created("a"));
  submit(commit_of("again"), room_created("a"));
  submit(commit_of("large", std::string(kMaxAuditBody, 'x')), SettingSet{"k", "v"});
  submit(commit_of("last"), room_created("b"));
  gate.open();
  store->close();
  EXPECT_EQ(store->stats().batches, 2U);
  ASSERT_EQ(results.size(), 4U);
  EXPECT_EQ(results[0].first_seq, 2U);
  EXPECT_EQ(results[1].status, CommitStatus::conflict);
  EXPECT_EQ(results[2].status, CommitStatus::invalid);
  EXPECT_EQ(results[3].first_seq, 3U);
  EXPECT_THAT(RawDatabase(folder.database()).types(), ElementsAre("gate", "first", "last"));
  EXPECT_EQ(RawDatabase(folder.database()).value("SELECT count(*) FROM rooms"), "2");
  EXPECT_FALSE(reader_or_die(folder.database()).setting("k").value().has_value());
  expect_gapless(folder.database());
}

TEST(Commit, WithAnOversizeRecordIsInvalidAndTouchesNothing) {
  const TemporaryFolder folder;
  const auto store = open_or_die(folder.database());
  Commit commit = commit_of("a", std::string(kMaxAuditBody, 'x'));
  commit.changes = {SettingSet{"k", "v"}};
  EXPECT_EQ(commit_and_wait(*store, std::move(commit)).status, CommitStatus::invalid);
  EXPECT_EQ(commit_and_wait(*store, commit_of("b")).first_seq, 1U);
  EXPECT_FALSE(reader_or_die(folder.database()).setting("k").value().has_value());
}

JsonObject nested(int depth) {
  JsonObject made;
  for (int i = 1; i < depth; ++i) made = std::move(JsonObject().set("in", made));
  return made;
}

TEST(Commit, WithARecordThatNobodyWouldReadIsInvalidAndTouchesNothing) {
  const TemporaryFolder folder;
  const auto store = open_or_die(folder.database());
  Commit commit = commit_of("a");
  commit.changes = {SettingSet{"k", "v"}};
  commit.records.front().detail = nested(CanonicalObject::kMaxDepth + 1);
  EXPECT_EQ(commit_and_wait(*store, std::move(commit)).status, CommitStatus::invalid);
  EXPECT_FALSE(reader_or_die(folder.database()).setting("k").value().has_value());
  commit = commit_of("b");
  commit.records.front().detail = nested(CanonicalObject::kMaxDepth);
  EXPECT_EQ(commit_and_wait(*store, std::move(commit)).first_seq, 1U);
  EXPECT_TRUE(
      CanonicalObject::parse(RawDatabase(folder.database()).value("SELECT body FROM audit")));
}

TEST(Commit, MakesOneFirstAccountHoweverManyTry) {
  const TemporaryFolder folder;
  const auto store = open_or_die(folder.database());
  const auto create = [&](const std::string& name, bool only_first) {
    Commit commit = commit_of("user.created");
    commit.changes = {AccountCreated{{name, "scrypt$1", "admin", milliseconds(3)}, only_first}};
    return commit_and_wait(*store, std::move(commit)).status;
  };
  EXPECT_EQ(create("ada", true), CommitStatus::committed);
  EXPECT_EQ(create("eve", true), CommitStatus::conflict);
  EXPECT_EQ(create("ada", false), CommitStatus::conflict);
  EXPECT_EQ(create("bob", false), CommitStatus::committed);
  Commit reset;
  reset.changes = {AccountPasswordSet{"ada", "scrypt$2"}};
  EXPECT_TRUE(commit_and_wait(*store, std::move(reset)).ok());

  const Reader reader = reader_or_die(folder.database());
  EXPECT_EQ(*reader.account("ada").value(),
            (AccountRow{"ada", "scrypt$2", "admin", milliseconds(3)}));
  EXPECT_FALSE(reader.account("eve").value().has_value());
  EXPECT_EQ(reader.accounts()->size(), 2U);
}

TEST(Commit, MakesAnAccountOfAnInvitationOnceAndNeverDisablesTheLastOne) {
  const TemporaryFolder folder;
  const auto store = open_or_die(folder.database());
  const auto change = [&](Change one) {
    Commit commit = commit_of("user");
    commit.changes.push_back(std::move(one));
    return commit_and_wait(*store, std::move(commit)).status;
  };
  const auto account = [](const char* name) {
    return AccountRow{name, "scrypt$1", "admin", milliseconds(3)};
  };
  EXPECT_EQ(change(AccountCreated{account("ada"), true}), CommitStatus::committed);
  EXPECT_EQ(change(AccountDisabled{"ada", milliseconds(5)}), CommitStatus::conflict) << "the last";
  const InvitationRow invitation{"bob", {1, 2}, "ada", milliseconds(100)};
  EXPECT_EQ(change(AccountCreated{account("bob"), false, true}), CommitStatus::conflict);
  EXPECT_EQ(change(AccountInvited{{"ada", {1}, "", {}}, {}}), CommitStatus::conflict) << "taken";
  EXPECT_EQ(change(AccountInvited{invitation, milliseconds(10)}), CommitStatus::committed);
  EXPECT_EQ(reader_or_die(folder.database()).invitations().value(), std::vector{invitation});
  EXPECT_EQ(change(AccountCreated{account("bob"), false, true, {1, 3}}), CommitStatus::conflict)
      << "another invitation's code";
  AccountRow late = account("bob");
  late.created_at = milliseconds(100);
  EXPECT_EQ(change(AccountCreated{late, false, true, {1, 2}}), CommitStatus::conflict) << "over";
  EXPECT_EQ(change(AccountCreated{account("bob"), false, true, {1, 2}}), CommitStatus::committed);
  EXPECT_TRUE(reader_or_die(folder.database()).invitations()->empty());

  EXPECT_EQ(change(AccountInvited{{"dan", {1, 2}, "ada", milliseconds(100)}, milliseconds(10)}),
            CommitStatus::committed);
  EXPECT_EQ(change(AccountEntered{"ada"}), CommitStatus::committed);
  EXPECT_EQ(change(AccountDisabled{"ada", milliseconds(5)}), CommitStatus::committed);
  EXPECT_TRUE(reader_or_die(folder.database()).invitations()->empty()) << "what ada gave";
  EXPECT_EQ(change(AccountEntered{"ada"}), CommitStatus::conflict);
  EXPECT_EQ(change(AccountEntered{"eve"}), CommitStatus::conflict);
  EXPECT_EQ(change(AccountDisabled{"ada", milliseconds(6)}), CommitStatus::conflict)
      << "is already";
  EXPECT_EQ(change(AccountDisabled{"bob", milliseconds(6)}), CommitStatus::conflict) << "the last";
  EXPECT_EQ(change(AccountDisabled{"eve", milliseconds(6)}), CommitStatus::conflict);
  EXPECT_EQ(reader_or_die(folder.database()).account("ada").value()->disabled_at, milliseconds(5));

  for (int i = 0; i < kMaxInvitations; ++i) {
    const InvitationRow one{"n" + std::to_string(i), {1}, "", milliseconds(100)};
    EXPECT_EQ(change(AccountInvited{one, milliseconds(10)}), CommitStatus::committed);
  }
  const InvitationRow more{"more", {1}, "", milliseconds(500)};
  EXPECT_EQ(change(AccountInvited{more, milliseconds(10)}), CommitStatus::conflict);
  EXPECT_EQ(change(AccountInvited{more, milliseconds(100)}), CommitStatus::committed);
  EXPECT_EQ(reader_or_die(folder.database()).invitations()->size(), 1U) << "the others have ended";
}

TEST(Commit, GroupsWhatWaitsIntoFewTransactionsAndKeepsTheOrder) {
  const TemporaryFolder folder;
  const auto store = open_or_die(folder.database());
  Gate gate;
  ASSERT_NO_FATAL_FAILURE(hold(*store, gate));
  std::vector<std::uint64_t> order;  // store thread, then us after close()
  for (int i = 0; i < 600; ++i) {
    ASSERT_TRUE(store->submit(commit_of("n", std::to_string(i)), [&](const CommitResult& result) {
      order.push_back(result.first_seq);
    }));
  }
  EXPECT_EQ(store->stats().queued, 600U);
  gate.open();
  EXPECT_EQ(store->close(), 0U);
  EXPECT_EQ(store->stats().batches, 1U + 3U);  // 256 + 256 + 88
  EXPECT_EQ(store->stats().records, 601U);
  ASSERT_EQ(order.size(), 600U);
  for (std::size_t i = 0; i < order.size(); ++i) EXPECT_EQ(order[i], i + 2);
}

TEST(Commit, IsRefusedByAFullQueueUnlessItMustBeKept) {
  const TemporaryFolder folder;
  Options options;
  options.path = folder.database();
  options.max_queued = 2;
  options.max_queued_keep = 4;
  const auto store = open_or_die(std::move(options));
  Gate gate;
  ASSERT_NO_FATAL_FAILURE(hold(*store, gate));
  Commit leave = commit_of("leave");
  leave.keep = true;
  EXPECT_TRUE(store->submit(commit_of("1"), {}));
  EXPECT_TRUE(store->submit(commit_of("2"), {}));
  EXPECT_FALSE(store->submit(commit_of("refused"), {}));
  EXPECT_TRUE(store->submit(leave, {}));
  EXPECT_TRUE(store->submit(leave, {}));
  EXPECT_FALSE(store->submit(leave, {}));
  EXPECT_EQ(store->stats().refused, 2U);
  gate.open();
  store->close();
  RawDatabase raw(folder.database());
  EXPECT_THAT(raw.types(), ElementsAre("gate", "1", "2", "leave", "leave"));
}

TEST(Commit, ThatWasTakenIsWrittenByCloseAndNothingIsTakenAfterwards) {
  const TemporaryFolder folder;
  const auto store = open_or_die(folder.database());
  std::atomic<int> answered = 0;
  for (int i = 0; i < 300; ++i) {
    ASSERT_TRUE(store->submit(commit_of("x"), [&](const CommitResult& r) { answered += r.ok(); }));
  }
  store->close();
  EXPECT_EQ(answered, 300);
  EXPECT_FALSE(store->submit(commit_of("late"), {}));
  EXPECT_EQ(store->close(), 0U);
  // The WAL went into the file: a copy of the one file is complete.
  EXPECT_EQ(std::filesystem::file_size(folder.database() + "-wal"), 0U);
  RawDatabase raw(folder.database());
  EXPECT_EQ(raw.value("SELECT count(*) FROM audit"), "300");
}

TEST(Commit, FromManyThreadsLosesAndMixesNothing) {
  const TemporaryFolder folder;
  const auto store = open_or_die(folder.database());
  std::atomic<int> answered = 0;
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < 200; ++i) {
        Commit commit = commit_of("t" + std::to_string(t), std::to_string(i));
        while (!store->submit(commit, [&](const CommitResult& r) { answered += r.ok(); })) {
          std::this_thread::yield();
        }
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  store->close();
  EXPECT_EQ(answered, 800);
  expect_gapless(folder.database());
  RawDatabase raw(folder.database());
  for (int t = 0; t < 4; ++t) {
    const auto bodies = raw.column("SELECT CAST(body AS TEXT) FROM audit WHERE type = 't" +
                                   std::to_string(t) + "' ORDER BY seq");
    ASSERT_EQ(bodies.size(), 200U);
    for (std::size_t i = 0; i < bodies.size(); ++i) {
      EXPECT_THAT(bodies[i], testing::HasSubstr("\"object\":\"" + std::to_string(i) + "\""));
    }
  }
}

TEST(Commit, MovesTheWalIntoTheFileSoThatItStaysSmall) {
  const TemporaryFolder folder;
  const auto store = open_or_die(folder.database());
  const std::string filler(8000, 'x');
  for (int i = 0; i < 2000; ++i) ASSERT_TRUE(commit_and_wait(*store, commit_of("x", filler)).ok());
  // 2000 × (8 kB and index pages) went through it.
  EXPECT_LT(std::filesystem::file_size(folder.database() + "-wal"), 24U * 1024 * 1024);
  EXPECT_GT(std::filesystem::file_size(folder.database()), 8U * 1024 * 1024);
}

// No commit waits for ever, whether or not it was to be kept.
TEST(Commit, IsAnsweredWhenItWaitsBehindAFatalError) {
  const TemporaryFolder folder;
  FaultyVfs vfs;
  Options options;
  options.path = folder.database();
  options.vfs = vfs.name();
  const auto store = open_or_die(std::move(options));
  Gate gate;
  hold(*store, gate);
  vfs.fail(FaultyVfs::Fault::sync_error, 1, false);
  std::atomic<int> failed = 0;
  for (int i = 0; i < 500; ++i) {
    Commit commit = commit_of("x");
    commit.keep = i % 2 == 0;
    ASSERT_TRUE(store->submit(std::move(commit), [&](const CommitResult& result) {
      failed += result.status == CommitStatus::failed;
    }));
  }
  gate.open();
  store->close();
  EXPECT_EQ(failed, 500);
  EXPECT_TRUE(store->stats().fatal);
}

}  // namespace
}  // namespace bedside::store
