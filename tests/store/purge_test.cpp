// Retention: what a purge takes, what it must leave, and that nothing else goes unnoticed.
#include "store/purge.h"

#include <gmock/gmock.h>

#include <algorithm>
#include <cctype>
#include <cstdio>
#include <fstream>

#include "python_verifier.h"
#include "sealed_store.h"
#include "store/audit_bundle.h"
#include "store/file_sink.h"
#include "store/holds.h"
#include "store/receipt.h"

namespace bedside::store {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

constexpr std::chrono::hours kYear{8'766};
constexpr int kOld = 600;
constexpr std::uint64_t kBlocks = 512;  // what of the old ones can go

// Two epochs of old records and eight years of silence, made once.
struct OldLog {
  OldLog() {
    store.open();
    for (int i = 0; i < kOld; i += 20) {
      if (i == kOld / 2) {
        kept_elsewhere =
            store.raw().value("SELECT note FROM audit_checkpoint ORDER BY size DESC LIMIT 1");
        store.close();
        store.open();
      }
      Commit commit;
      for (int j = i; j < i + 20; ++j) {
        commit.records.push_back(record_of("room.join"));
        commit.records.back().room = j % 50 == 7 ? "room-held" : "room-other";
        commit.records.back().actor = {"participant", j % 100 == 3 ? "ben" : "eve", "guest", ""};
        commit.records.back().where.ip_enc = {1, 2, 3};
      }
      commit.receipt = true;
      last_receipt = commit_and_wait(store.store(), std::move(commit)).receipt;
      if (i == 0) first_receipt = last_receipt;
      store.pass(std::chrono::minutes(10));
    }
    store.close();
  }
  SealedStore store;
  std::string kept_elsewhere;
  std::string first_receipt;
  std::string last_receipt;
};

// A copy of it, and a few new records.
class PurgeTest : public testing::Test {
 protected:
  PurgeTest() {
    std::filesystem::copy(std::filesystem::path(old().store.database()).parent_path(),
                          std::filesystem::path(store_.database()).parent_path(),
                          std::filesystem::copy_options::recursive |
                              std::filesystem::copy_options::overwrite_existing);
    store_.pass(8 * kYear);
    store_.open();
    Commit commit;
    for (int i = 0; i < 10; ++i) commit.records.push_back(record_of("room.join"));
    EXPECT_TRUE(commit_and_wait(store_.store(), std::move(commit)).ok());
  }
  static OldLog& old() {
    static OldLog made;
    return made;
  }
  static PythonVerifier& python() {
    static PythonVerifier one;
    return one;
  }

  CommitStatus propose(std::uint64_t through, int keep_years = 6, const std::string& by = "anna") {
    Commit commit = commit_of(std::string(kPurgeProposedRecord));
    commit.records.front().actor = {"staff", by, "admin", "session"};
    commit.records.front().detail.set("through", through).set("keep_years", keep_years);
    commit.changes.emplace_back(PurgeProposed{{through, keep_years, by, store_.now()}});
    return commit_and_wait(store_.store(), std::move(commit)).status;
  }
  CommitStatus approve(const std::string& by = "berta", std::uint64_t archived = kOld,
                       const std::string& digest = std::string(64, 'a'),
                       std::optional<std::chrono::microseconds> seen = {}) {
    Commit commit = commit_of(std::string(kPurgeRecord));
    commit.records.front().actor = {"staff", by, "admin", "session"};
    commit.purge = PurgeOrder{
        by, archived, digest, verified_, std::string(64, 'b'), seen.value_or(proposed_at())};
    return commit_and_wait(store_.store(), std::move(commit)).status;
  }
  // Of the proposal that is there.
  std::chrono::microseconds proposed_at() const {
    const std::string text = store_.raw().value("SELECT proposed_us FROM audit_purge_proposal");
    return std::chrono::microseconds(text.empty() ? 0 : std::stoll(text));
  }
  CommitStatus hold(const HoldRow& row) {
    Commit commit = commit_of(std::string(kHoldSetRecord), row.hold_id);
    commit.records.front().detail.set("hold", hold_json(row));
    commit.changes.emplace_back(HoldSet{row});
    return commit_and_wait(store_.store(), std::move(commit)).status;
  }
  CommitStatus clear_hold(const std::string& id) {
    Commit commit = commit_of(std::string(kHoldClearedRecord), id);
    commit.changes.emplace_back(HoldCleared{id});
    return commit_and_wait(store_.store(), std::move(commit)).status;
  }
  CommitStatus withdraw() {
    Commit commit = commit_of(std::string(kPurgeWithdrawnRecord));
    commit.changes.emplace_back(PurgeWithdrawn{});
    return commit_and_wait(store_.store(), std::move(commit)).status;
  }
  void purge(std::uint64_t through = kOld) {
    ASSERT_EQ(propose(through), CommitStatus::committed);
    ASSERT_EQ(approve(), CommitStatus::committed);
  }
  std::string bodies() const {
    return store_.raw().value("SELECT count(*) FROM audit WHERE seq <= 512 AND type = 'room.join'");
  }

  // "0", "1" or "2", as PythonVerifier, of one that was started for this.
  static std::string ask(const std::string& words) {
    FILE* pipe = popen(("python3 " BEDSIDE_VERIFIER " " + words + " 2>&1").c_str(), "r");
    std::string said;
    char buffer[256];
    while (fgets(buffer, sizeof buffer, pipe) != nullptr) said += buffer;
    return std::to_string(WEXITSTATUS(pclose(pipe))) + " " + said;
  }

  // Both verifiers, which have to agree.
  VerifyReport verdict(const std::string& file, const std::vector<std::string>& anchors = {},
                       const std::vector<std::string>& receipts = {}) {
    VerifyOptions options;
    options.path = file;
    options.genesis = store_.epoch(1).key;
    options.anchors = anchors;
    options.receipts = receipts;
    int number = 0;
    std::string given;
    const auto give = [&](const char* option, const std::string& text) {
      const std::string name = folder_.path() + "/given" + std::to_string(++number);
      std::ofstream(name) << text;
      given += std::string(" --") + option + " " + name;
    };
    // As an anchor file has them, with what a crash left.
    for (const std::string& each : anchors)
      give("anchor", "a torn line\n\n" + each + "\n" + each + "\n");
    for (const std::string& each : receipts) give("receipt", each);
    const auto report = file.ends_with(".tar") ? verify_bundle(options) : verify_log(options);
    EXPECT_TRUE(report) << report.error();
    const std::string key = to_hex(*options.genesis);
    said_ =
        given.empty() ? python().judge(file + " " + key) : ask(file + " --genesis " + key + given);
    const bool compared = report->unproven_anchors + report->unproven_receipts == 0;
    EXPECT_EQ(said_.substr(0, 1), !report->ok() ? "1"
                                  : compared    ? "0"
                                                : "3")
        << said_ << "\nagainst: " << report->problem;
    return *report;
  }
  VerifyReport verdict() { return verdict(store_.database()); }

  // What both say of a copy whose record was changed by somebody with the present key.
  VerifyReport sealed_again(const std::string& seq, const std::string& from,
                            const std::string& to) {
    const std::string copy = folder_.path() + "/copy.db";
    std::filesystem::copy_file(store_.database(), copy,
                               std::filesystem::copy_options::overwrite_existing);
    RawDatabase raw(copy);
    for (const char* trigger : {"audit_is_not_changed", "audit_checkpoint_is_kept"}) {
      EXPECT_EQ(raw.run("DROP TRIGGER " + std::string(trigger)), "");
    }
    EXPECT_EQ(raw.run("UPDATE audit SET body = CAST(replace(CAST(body AS TEXT), '" + from + "', '" +
                      to + "') AS BLOB) WHERE seq = " + seq),
              "");
    EXPECT_EQ(raw.run("UPDATE audit SET t_wall_us = json_extract(CAST(body AS TEXT), '$.t_wall_us')"
                      " WHERE seq = " +
                      seq),
              "");
    EXPECT_EQ(raw.run("UPDATE audit SET outcome = 'denied' WHERE seq = " + seq +
                      " AND CAST(body AS TEXT) LIKE '%\"denied\"%'"),
              "");
    const Hash leaf = leaf_hash(raw.value("SELECT body FROM audit WHERE seq = " + seq));
    EXPECT_EQ(raw.run("UPDATE audit SET leaf = x'" + to_hex(leaf) + "' WHERE seq = " + seq), "");
    MerkleEdge tree;
    std::vector<Subtree> ignored;
    const auto blocks = raw.column("SELECT hex(root) FROM audit_subtree WHERE level = 8");
    for (const std::string& text : blocks) {
      Subtree block{kStoredLevels, tree.size() / kPurgeBlock, {}};
      std::string lower = text;
      std::transform(lower.begin(), lower.end(), lower.begin(), ::tolower);
      EXPECT_TRUE(from_hex(lower, block.root));
      tree.append_subtree(block);
    }
    for (const std::string& body : raw.column("SELECT body FROM audit WHERE seq > " +
                                              std::to_string(tree.size()) + " ORDER BY seq")) {
      tree.append(leaf_hash(body), ignored);
    }
    const std::uint64_t epoch =
        std::stoull(raw.value("SELECT count(*) FROM audit WHERE type = 'epoch.rotated'"));
    const auto key = EpochKeys(store_.keys()).load(epoch);
    const Checkpoint checkpoint{store_.epoch(1).origin, tree.size(), tree.root(), epoch, 1};
    EXPECT_EQ(raw.run("DELETE FROM audit_checkpoint WHERE size >= " + seq), "");
    EXPECT_EQ(raw.run("INSERT INTO audit_checkpoint VALUES(" + std::to_string(tree.size()) + ", '" +
                      sign_checkpoint(checkpoint, *key).value() + "', 0)"),
              "");
    return verdict(copy);
  }

  std::string export_all() {
    ExportOptions options;
    options.database = store_.database();
    options.readme = options.verifier = "x";
    const auto survey = survey_export(options);
    EXPECT_TRUE(survey) << survey.error();
    Commit commit = commit_of(std::string(kExportRecord));
    commit.records.back().detail = survey->detail;
    const auto seq = commit_and_wait(store_.store(), std::move(commit)).first_seq;
    auto sink = FileSink::create(folder_.path() + "/export.tar");
    const auto nothing = [](auto&&...) { return std::nullopt; };
    const auto written = write_bundle(options, *survey, seq, nothing, **sink);
    EXPECT_TRUE(written) << written.error();
    EXPECT_TRUE((*sink)->finish());
    return folder_.path() + "/export.tar";
  }

  std::uint64_t verified_ = kOld;  // records of the archive
  SealedStore store_;
  TemporaryFolder folder_;
  std::string said_;
};

TEST_F(PurgeTest, IsRefusedWhileAColumnOfWhatWouldGoWasChanged) {
  ASSERT_EQ(hold({"hold-1", "room-a", "", {}, {}}), CommitStatus::committed);
  ASSERT_EQ(propose(kOld), CommitStatus::committed);
  ASSERT_EQ(store_.raw().run("DROP TRIGGER audit_is_not_changed;"
                             "UPDATE audit SET room = 'room-x' WHERE seq = 9"),
            "");
  EXPECT_EQ(approve(), CommitStatus::conflict);
  EXPECT_EQ(store_.raw().value("SELECT count(*) FROM audit WHERE seq <= 512"), "512");
}

TEST_F(PurgeTest, IsRefusedWhileTheHoldsAreNotThoseOfTheLog) {
  ASSERT_EQ(hold({"hold-1", "room-a", "", {}, {}}), CommitStatus::committed);
  ASSERT_EQ(propose(kOld), CommitStatus::committed);
  for (const char* forged :
       {"DELETE FROM audit_holds", "UPDATE audit_holds SET room = 'room-b'",
        "UPDATE audit_holds SET to_us = 1", "UPDATE audit_holds SET person = 'nobody'"}) {
    const std::string back =
        "DELETE FROM audit_holds;"
        "INSERT INTO audit_holds VALUES('hold-1', 'room-a', NULL, NULL, NULL)";
    ASSERT_EQ(store_.raw().run(forged), "");
    EXPECT_EQ(approve(), CommitStatus::conflict) << forged;
    ASSERT_EQ(store_.raw().run(back), "");
  }
  // An empty person is nobody in particular, for the purge and for both verifiers.
  ASSERT_EQ(store_.raw().run("UPDATE audit_holds SET person = ''"), "");
  ASSERT_EQ(approve(), CommitStatus::committed);
  EXPECT_EQ(verdict().problem, "");
}

TEST_F(PurgeTest, IsOfTheProposalThatWasSeen) {
  ASSERT_EQ(propose(kOld), CommitStatus::committed);
  const auto seen = proposed_at();
  ASSERT_EQ(withdraw(), CommitStatus::committed);
  store_.pass(std::chrono::seconds(1));
  ASSERT_EQ(propose(kOld), CommitStatus::committed);
  EXPECT_EQ(approve("berta", kOld, std::string(64, 'a'), seen), CommitStatus::conflict);
  EXPECT_EQ(approve(), CommitStatus::committed);
}

TEST_F(PurgeTest, IsNotApprovedByAnAccountMadeForIt) {
  ASSERT_EQ(propose(kOld), CommitStatus::committed);
  store_.pass(std::chrono::seconds(1));
  Commit made = commit_of("user.created");
  const auto now = std::chrono::duration_cast<std::chrono::milliseconds>(store_.now());
  made.changes.emplace_back(AccountCreated{{"berta", "scrypt$1", "admin", now}});
  ASSERT_TRUE(commit_and_wait(store_.store(), std::move(made)).ok());
  EXPECT_EQ(approve("berta"), CommitStatus::conflict);
  ASSERT_EQ(withdraw(), CommitStatus::committed);
  ASSERT_EQ(propose(kOld), CommitStatus::committed);
  EXPECT_EQ(approve("berta"), CommitStatus::committed);
}

TEST_F(PurgeTest, TakesOldBodiesAndLeavesWhatProvesTheOthers) {
  purge();
  EXPECT_EQ(bodies(), "0");
  EXPECT_EQ(store_.raw().value("SELECT count(*) FROM audit WHERE seq <= 512"), "2") << "keys";
  EXPECT_EQ(store_.raw().value("SELECT count(*) FROM audit_private WHERE seq <= 512"), "0");
  const VerifyReport report = verdict();
  EXPECT_EQ(report.problem, "");
  ASSERT_EQ(report.purges.size(), 1U);
  EXPECT_EQ(report.purges.front().through, kBlocks);
  EXPECT_EQ(report.purges.front().removed, kBlocks - 2);
  EXPECT_EQ(report.epochs, 3U);
  EXPECT_THAT(said_, HasSubstr("records 1 to 512 on 2012-11-"));
  EXPECT_THAT(said_, HasSubstr("proposed by anna, approved by berta"));
  EXPECT_THAT(said_, HasSubstr("older than 6 years; 510 removed, archive aaaa"));
}

TEST_F(PurgeTest, LeavesALogThatGoesOn) {
  purge();
  store_.close();
  ASSERT_EQ(store_.refusal(), "");
  store_.open();
  Commit many;
  for (int i = 0; i < 200; ++i) many.records.push_back(record_of("room.join"));
  ASSERT_EQ(commit_and_wait(store_.store(), std::move(many)).status, CommitStatus::committed);
  EXPECT_EQ(verdict().problem, "");
  const VerifyReport report = verdict(export_all());
  EXPECT_EQ(report.problem, "") << "epochs from before the purge are proven in it";
  ASSERT_EQ(report.purges.size(), 1U) << "an export says what it cannot have any more";
  EXPECT_EQ(report.purges.front().through, kBlocks);
  EXPECT_THAT(said_, HasSubstr("records 1 to 512 on 2012-11-"));
}

TEST_F(PurgeTest, KnowsWhatWasKeptElsewhere) {
  purge();
  const VerifyReport report =
      verdict(store_.database(), {old().kept_elsewhere}, {old().first_receipt, old().last_receipt});
  EXPECT_EQ(report.problem, "");
  EXPECT_EQ(report.receipts, 2U);
  EXPECT_EQ(report.purged_anchors + report.anchors, 3U);
}

TEST_F(PurgeTest, NeedsTwoPersonsAProposalAndOldRecords) {
  const std::string before = bodies();
  EXPECT_EQ(approve(), CommitStatus::conflict) << "nothing was proposed";
  EXPECT_EQ(propose(kOld, 5), CommitStatus::conflict) << "below the floor";
  ASSERT_EQ(propose(kOld), CommitStatus::committed);
  EXPECT_EQ(approve("anna"), CommitStatus::conflict) << "the same person";
  EXPECT_EQ(approve(""), CommitStatus::conflict);
  ASSERT_EQ(propose(kOld, 10), CommitStatus::committed);
  EXPECT_EQ(approve(), CommitStatus::conflict) << "nothing is that old";
  ASSERT_EQ(propose(100), CommitStatus::committed);
  EXPECT_EQ(approve(), CommitStatus::conflict) << "less than a block";
  ASSERT_EQ(propose(kOld), CommitStatus::committed);
  EXPECT_EQ(withdraw(), CommitStatus::committed);
  EXPECT_EQ(approve(), CommitStatus::conflict);
  ASSERT_EQ(propose(kOld), CommitStatus::committed);
  EXPECT_EQ(approve("berta", kOld, ""), CommitStatus::conflict) << "no archive";
  verified_ = 0;
  EXPECT_EQ(approve(), CommitStatus::conflict) << "an archive that nobody verified";
  verified_ = kOld;
  EXPECT_EQ(approve("berta", 255), CommitStatus::conflict) << "the archive has less";
  store_.pass(kProposalLasts + std::chrono::seconds(1));
  EXPECT_EQ(approve(), CommitStatus::conflict) << "too late";
  Commit alone = commit_of(std::string(kPurgeRecord));
  EXPECT_EQ(commit_and_wait(store_.store(), std::move(alone)).status, CommitStatus::conflict);
  EXPECT_EQ(bodies(), before);
  const VerifyReport report = verdict();
  EXPECT_EQ(report.problem, "");
  EXPECT_TRUE(report.purges.empty());
}

TEST_F(PurgeTest, NeverTakesWhatIsYoung) {
  ASSERT_EQ(propose(1'000'000), CommitStatus::committed);
  ASSERT_EQ(approve("berta", 1'000'000), CommitStatus::committed);
  EXPECT_EQ(verdict().purges.back().through, kBlocks);
  EXPECT_EQ(approve("berta", 1'000'000), CommitStatus::conflict)
      << "the rest of it is not old enough";
}

TEST_F(PurgeTest, LeavesWhatIsHeldUntilTheHoldIsCleared) {
  ASSERT_EQ(hold({"h1", "room-held", "", {}, {}}), CommitStatus::committed);
  ASSERT_EQ(hold({"h2", "", "ben", {}, {}}), CommitStatus::committed);
  EXPECT_EQ(hold({"h2", "", "eve", {}, {}}), CommitStatus::conflict);
  EXPECT_EQ(hold({"h3", "", "", {}, {}}), CommitStatus::conflict) << "of everything";
  purge(300);
  EXPECT_EQ(
      store_.raw().value("SELECT count(*) FROM audit WHERE seq <= 256 AND room = 'room-held'"),
      "5");
  EXPECT_EQ(store_.raw().value(
                "SELECT count(*) FROM audit WHERE seq <= 256 AND actor = 'participant:ben'"),
            "3");
  EXPECT_EQ(store_.raw().value("SELECT count(*) FROM audit WHERE seq <= 256"), "9");
  EXPECT_EQ(verdict().problem, "");
  EXPECT_EQ(verdict(export_all()).problem, "");
  ASSERT_EQ(clear_hold("h1"), CommitStatus::committed);
  EXPECT_EQ(clear_hold("h1"), CommitStatus::conflict);
  purge(600);
  EXPECT_EQ(store_.raw().value("SELECT count(*) FROM audit WHERE seq <= 512 AND room = 'room-held'"
                               " AND actor <> 'participant:ben'"),
            "0");
  const VerifyReport report = verdict();
  EXPECT_EQ(report.problem, "");
  ASSERT_EQ(report.purges.size(), 2U);
  EXPECT_EQ(report.purges.back().through, kBlocks);
  EXPECT_EQ(report.purges.back().from, 257U);
}

TEST_F(PurgeTest, HoldsATimeRange) {
  const auto at = store_.raw().value("SELECT t_wall_us FROM audit WHERE seq = 100");
  const std::chrono::microseconds from(std::stoll(at));
  ASSERT_EQ(hold({"h", "", "", from, from + std::chrono::minutes(1)}), CommitStatus::committed);
  purge();
  EXPECT_EQ(bodies(), "20") << "those of one commit";
  EXPECT_EQ(verdict().problem, "");
}

TEST_F(PurgeTest, ErasesTheKeysOfMonthsThatAreGone) {
  const std::vector<std::string> months = {"2012-12", "2013-01", "2013-02", "2013-03"};
  store_.pass(std::chrono::sys_days(std::chrono::year(2012) / 12 / 10).time_since_epoch() -
              store_.now());
  for (const std::string& month : months) {
    Commit commit;
    commit.changes.emplace_back(DataKeyCreated{{month, {1}}});
    for (int i = 0; i < 200; ++i) {
      commit.records.push_back(record_of("room.join"));
      commit.records.back().room = i == 7 ? "room-" + month : "room-other";
      commit.records.back().where.ip_enc = {1, 2, 3};
    }
    ASSERT_EQ(commit_and_wait(store_.store(), std::move(commit)).status, CommitStatus::committed);
    store_.pass(std::chrono::hours(31 * 24));
  }
  store_.pass(6 * kYear + std::chrono::hours(90 * 24));
  const auto keys = [&] { return store_.raw().column("SELECT month FROM audit_data_key"); };
  ASSERT_EQ(hold({"h", "room-2012-12", "", {}, {}}), CommitStatus::committed);
  ASSERT_EQ(propose(1'400), CommitStatus::committed);
  ASSERT_EQ(approve("berta", 1'400), CommitStatus::committed);
  EXPECT_THAT(keys(), ElementsAre("2012-12", "2013-02", "2013-03"))
      << "of what is held, and of what may still be in use beyond the purge";
  EXPECT_THAT(store_.raw().value("SELECT body FROM audit WHERE type = 'audit.purged'"),
              HasSubstr(R"("data_keys_erased":1)"));
  EXPECT_EQ(verdict().problem, "");
  EXPECT_EQ(verdict(export_all()).problem, "");

  ASSERT_EQ(clear_hold("h"), CommitStatus::committed);
  Commit more;
  for (int i = 0; i < 256; ++i) more.records.push_back(record_of("room.join"));
  ASSERT_EQ(commit_and_wait(store_.store(), std::move(more)).status, CommitStatus::committed);
  store_.pass(6 * kYear + std::chrono::hours(90 * 24));
  ASSERT_EQ(propose(1'600), CommitStatus::committed);
  ASSERT_EQ(approve("berta", 1'600), CommitStatus::committed);
  EXPECT_THAT(keys(), IsEmpty());
  EXPECT_EQ(verdict().problem, "");
}

// 28 February 2024 to 28 February 2030 has two leap days.
TEST_F(PurgeTest, KeepsForYearsOfAnyCalendar) {
  constexpr std::chrono::hours kTwoLeapDays{(6 * 365 + 2) * 24};
  SealedStore store;
  store.open();
  Commit commit;
  for (int i = 0; i < 300; ++i) commit.records.push_back(record_of("room.join"));
  ASSERT_TRUE(commit_and_wait(store.store(), std::move(commit)).ok());
  const auto plan = [&] {
    constexpr std::uint64_t kAll = 1'000'000;
    return reader_or_die(store.database()).plan_purge(kAll, kMinKeepYears, store.now(), kAll);
  };
  store.pass(kTwoLeapDays);
  EXPECT_EQ(plan()->records, 0U);
  store.pass(std::chrono::hours(5 * 24));
  EXPECT_EQ(plan()->records, 255U);  // of a block of 256; the first is of the seal itself
}

TEST_F(PurgeTest, IsTheOnlyWayToDelete) {
  purge();
  RawDatabase raw = store_.raw();
  EXPECT_THAT(raw.run("DELETE FROM audit WHERE seq = 1"), HasSubstr("never deleted"));
  EXPECT_THAT(raw.run("DELETE FROM audit WHERE seq = 513"), HasSubstr("never deleted"));
  EXPECT_THAT(raw.run("DELETE FROM audit_subtree WHERE level = 0"), HasSubstr("never deleted"));
}

TEST_F(PurgeTest, HidesNothingThatWasDoneToTheRest) {
  ASSERT_EQ(hold({"h", "room-held", "", {}, {}}), CommitStatus::committed);
  purge();
  ASSERT_EQ(verdict().problem, "");
  store_.close();
  const std::string copy = folder_.path() + "/copy.db";
  for (const char* attack : {
           "DELETE FROM audit WHERE seq = (SELECT min(seq) FROM audit WHERE room = 'room-held')",
           "UPDATE audit SET body = CAST(replace(body, 'room-held', 'room-hald') AS BLOB),"
           " room = 'room-hald' WHERE room = 'room-held' AND seq < 100",
           "UPDATE audit SET seq = seq + 1 WHERE seq = (SELECT min(seq) FROM audit"
           " WHERE room = 'room-held')",
           "UPDATE audit SET room = 'x' WHERE room = 'room-held' AND seq < 100",
           "DELETE FROM audit WHERE seq = 1",
           "DELETE FROM audit WHERE seq = 513",
           "DELETE FROM audit WHERE seq BETWEEN 513 AND 599",
           "DELETE FROM audit WHERE type = 'audit.purged'",
           "UPDATE audit SET type = 'room.join' WHERE type = 'audit.purged'",
           "UPDATE audit SET body = CAST(replace(body, 'berta', 'carla') AS BLOB)"
           " WHERE type = 'audit.purged'",
           "DELETE FROM audit_subtree WHERE level = 8 AND idx = 0",
           "UPDATE audit_subtree SET root = zeroblob(32) WHERE level = 8 AND idx = 1",
           "UPDATE audit_subtree SET root = zeroblob(32) WHERE level = 3",
           "DELETE FROM audit_subtree WHERE level = 5",
           "INSERT INTO audit_subtree VALUES(0, 77, zeroblob(32))",
           "UPDATE audit_checkpoint SET size = 257 WHERE size = 1",
       }) {
    std::filesystem::copy_file(store_.database(), copy,
                               std::filesystem::copy_options::overwrite_existing);
    RawDatabase raw(copy);
    for (const char* trigger :
         {"audit_is_not_deleted", "audit_is_not_changed", "audit_subtree_is_not_deleted",
          "audit_subtree_is_not_changed", "audit_checkpoint_is_not_changed"}) {
      ASSERT_EQ(raw.run("DROP TRIGGER " + std::string(trigger)), "");
    }
    raw.run("PRAGMA foreign_keys = OFF");
    ASSERT_EQ(raw.run(attack), "") << attack;
    EXPECT_FALSE(verdict(copy).ok()) << attack;
  }
}

TEST_F(PurgeTest, ThatNobodyDeclaredIsFound) {
  store_.close();
  RawDatabase raw = store_.raw();
  raw.run("PRAGMA foreign_keys = OFF");
  ASSERT_EQ(raw.run("DROP TRIGGER audit_is_not_deleted"), "");
  ASSERT_EQ(raw.run("DELETE FROM audit WHERE seq <= 512 AND type <> 'epoch.rotated'"), "");
  const VerifyReport report = verdict();
  EXPECT_EQ(report.first_bad_seq, 2U);
  EXPECT_THAT(report.problem, HasSubstr("missing"));
}

// Holds that were taken away with a database editor are missed at once.
TEST_F(PurgeTest, IsFoundWhenAHoldWasForged) {
  ASSERT_EQ(hold({"h", "room-held", "", {}, {}}), CommitStatus::committed);
  for (const char* forgery : {"DELETE FROM audit_holds", "UPDATE audit_holds SET room = 'other'",
                              "UPDATE audit_holds SET to_us = 1"}) {
    store_.close();
    const std::string copy = folder_.path() + "/before.db";
    std::filesystem::copy_file(store_.database(), copy,
                               std::filesystem::copy_options::overwrite_existing);
    ASSERT_EQ(RawDatabase(copy).run(forgery), "");
    EXPECT_THAT(verdict(copy).problem, HasSubstr("no record tells of it")) << forgery;
    store_.open();
  }
  ASSERT_EQ(store_.raw().run("UPDATE audit_holds SET room = 'other'"), "");
  ASSERT_EQ(propose(kOld), CommitStatus::committed);
  EXPECT_EQ(approve(), CommitStatus::conflict) << "sealed records remember what the table does not";
}

// Somebody who has the present key writes the record of a purge anew and seals the log again.
TEST_F(PurgeTest, IsHeldToWhatItDeclaresEvenWithTheKey) {
  ASSERT_EQ(hold({"h", "room-held", "", {}, {}}), CommitStatus::committed);
  purge();
  store_.close();
  const std::string seq = store_.raw().value("SELECT seq FROM audit WHERE type = 'audit.purged'");
  const DeclaredPurge purge =
      *read_purge(store_.raw().value("SELECT body FROM audit WHERE seq = " + seq));
  const std::string root = to_hex(purge.root);
  const std::string number = std::to_string(purge.removed);
  ASSERT_EQ(sealed_again(seq, "\"removed\":" + number, "\"removed\":" + number).problem, "")
      << "the attack itself leaves no trace";
  const std::pair<std::string, std::string> lies[] = {
      {"\"removed\":" + number, "\"removed\":" + std::to_string(purge.removed - 1)},
      {"\"kept\":" + std::to_string(purge.kept), "\"kept\":1"},
      {root, std::string(64, '0')},
      {purge.kept_digest, std::string(64, '0')},
      {purge.holds_digest, std::string(64, '0')},
      {"\"holds\":1", "\"holds\":0"},
      {"\"through\":512", "\"through\":256"},
      {"\"through\":512", "\"through\":768"},
      {"\"from\":1", "\"from\":257"},
      {"\"keep_years\":6", "\"keep_years\":7"},
      {"\"keep_years\":6", "\"keep_years\":5"},
      {"\"approved_by\":\"berta\"", "\"approved_by\":\"carla\""},
      {"\"proposed_by\":\"anna\"", "\"proposed_by\":\"carla\""},
      {"\"archive_sha256\":\"aa", "\"archive_sha256\":\"xx"},
      {"\"newest_us\":1", "\"newest_us\":2"},
      {"\"newest_us\":1", "\"newest_us\":"},
      {"\"t_wall_us\":1", "\"t_wall_us\":9"},
      {"\"outcome\":\"ok\"", "\"outcome\":\"denied\""},
  };
  for (const auto& [from, to] : lies) EXPECT_FALSE(sealed_again(seq, from, to).ok()) << to;
}

TEST(ReadPurge, AsksForTwoPersonsWholeBlocksAndSixYears) {
  JsonObject said;
  said.set("from", 1).set("through", 512).set("kept", 0).set("kept_sha256", "");
  said.set("keep_years", 6).set("newest_us", -7 * kYear / std::chrono::microseconds(1));
  said.set("archive_sha256", std::string(64, '0'));
  said.set("root", std::string(64, '0')).set("proposed_by", "a").set("approved_by", "b");
  const auto reads = [](const JsonObject& purge) {
    AuditRecord record;
    record.type = kPurgeRecord;
    record.detail.set("purge", purge);
    return read_purge(audit_body(record, Stamp{600, {}, {}, "", "", false})).has_value();
  };
  EXPECT_TRUE(reads(said));
  EXPECT_FALSE(reads(JsonObject(said).set("approved_by", "a")));
  EXPECT_FALSE(reads(JsonObject(said).set("approved_by", "")));
  EXPECT_FALSE(reads(JsonObject(said).set("keep_years", 5)));
  EXPECT_FALSE(reads(JsonObject(said).set("keep_years", 8))) << "something was younger";
  EXPECT_FALSE(reads(JsonObject(said).set("archive_sha256", "")));
  EXPECT_FALSE(reads(JsonObject(said).set("through", 500)));
  EXPECT_FALSE(reads(JsonObject(said).set("through", 768)));
}

}  // namespace
}  // namespace bedside::store
