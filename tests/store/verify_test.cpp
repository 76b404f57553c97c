// Every attack on a sealed log that audit logs know, at several places, against both verifiers: the
// one in C++ and the independent one in Python.
#include "store/verify.h"

#include <gmock/gmock.h>
#include <sys/wait.h>

#include <cstdio>
#include <fstream>

#include "python_verifier.h"
#include "sealed_store.h"
#include "store/canonical_reader.h"

namespace bedside::store {
namespace {

using testing::HasSubstr;

constexpr int kPerEpoch = 130;
constexpr std::uint64_t kRecords = 3 * (kPerEpoch + 1);

// Three epochs of records. Made once; every test works on a copy.
class SealedLog {
 public:
  static const SealedLog& get() {
    static SealedLog log;
    return log;
  }
  const std::string& file() const { return file_; }
  const std::string& keys() const { return keys_; }
  const Epoch& epoch(std::uint64_t number) const { return epochs_.at(number - 1); }
  const std::string& newest() const { return newest_; }
  // Of the second epoch, as somebody kept it who should not have.
  const SigningKey& kept_key() const { return *kept_key_; }

 private:
  SealedLog() {
    for (int epoch = 0; epoch < 3; ++epoch) {
      store_.open();
      if (epoch == 1) kept_key_ = EpochKeys(store_.keys()).load(2).value();
      for (int i = 0; i < kPerEpoch; ++i) {
        Commit commit = commit_of("room.join", "p" + std::to_string(epoch * kPerEpoch + i));
        commit.records.front().actor = {"participant", "p", "guest", "token"};
        commit.records.front().room = "a-room";
        commit.records.front().reason = "asked";
        store_.pass(std::chrono::minutes(1));
        EXPECT_TRUE(commit_and_wait(store_.store(), std::move(commit)).ok());
      }
      store_.close();
    }
    file_ = store_.database();
    keys_ = store_.keys();
    newest_ = store_.raw().value("SELECT note FROM audit_checkpoint ORDER BY size DESC LIMIT 1");
    for (std::uint64_t number = 1; number <= 3; ++number) epochs_.push_back(store_.epoch(number));
  }

  SealedStore store_;
  std::string file_;
  std::string keys_;
  std::string newest_;
  std::vector<Epoch> epochs_;
  std::optional<SigningKey> kept_key_;
};

// A copy somebody with a database editor works on.
class Attacked {
 public:
  Attacked() : file_(folder_.path() + "/copy.db") {
    std::filesystem::copy_file(SealedLog::get().file(), file_);
    for (const char* trigger : {"audit_is_not_changed", "audit_is_not_deleted",
                                "audit_subtree_is_not_changed", "audit_subtree_is_not_deleted",
                                "audit_checkpoint_is_not_changed", "audit_checkpoint_is_kept"}) {
      run(std::string("DROP TRIGGER ") + trigger);
    }
  }

  void run(const std::string& sql) { ASSERT_EQ(editor().run(sql), "") << sql; }
  std::string value(const std::string& sql) { return editor().value(sql); }
  std::string body(std::uint64_t seq) {
    return value("SELECT body FROM audit WHERE seq = " + std::to_string(seq));
  }
  // A new body, canonical like the old one.
  void set_body(std::uint64_t seq, const std::string& body) {
    run("UPDATE audit SET body = CAST('" + body + "' AS BLOB) WHERE seq = " + std::to_string(seq));
  }
  void edit(std::uint64_t seq, const std::string& from, const std::string& to) {
    std::string text = body(seq);
    const std::size_t at = text.find(from);
    ASSERT_NE(at, std::string::npos) << text;
    set_body(seq, text.replace(at, from.size(), to));
  }
  // Another reason, in the body and in its column.
  void force(std::uint64_t seq) {
    edit(seq, "\"reason\":\"asked\"", "\"reason\":\"forced\"");
    run("UPDATE audit SET reason = 'forced' WHERE seq = " + std::to_string(seq));
  }
  // What an attacker who can hash but not sign does next: roots that fit.
  void restore_roots() {
    MerkleEdge tree;
    std::vector<Subtree> complete;
    run("UPDATE audit SET leaf = NULL");  // as in a log of before there were any
    run("DELETE FROM audit_subtree");
    for (const auto& text : editor().column("SELECT body FROM audit ORDER BY seq")) {
      tree.append(leaf_hash(text), complete);
    }
    for (const Subtree& subtree : complete) {
      run("INSERT INTO audit_subtree VALUES(" + std::to_string(subtree.level) + "," +
          std::to_string(subtree.index) + ", x'" + to_hex(subtree.root) + "')");
    }
    root_ = tree.root();
    size_ = tree.size();
  }
  // The newest checkpoint, over what is there now, by that key.
  void sign_again(const SigningKey& key, std::uint64_t epoch) {
    restore_roots();
    const Checkpoint checkpoint{SealedLog::get().epoch(1).origin, size_, root_, epoch, 1};
    run("DELETE FROM audit_checkpoint WHERE size >= " + std::to_string(size_));
    run("INSERT INTO audit_checkpoint VALUES(" + std::to_string(size_) + ", '" +
        sign_checkpoint(checkpoint, key).value() + "', 0)");
  }

  // The same without a key: the new root under the old signature.
  void change_signed_root() {
    const std::string size = "WHERE size = " + std::to_string(kRecords);
    std::string note = value("SELECT note FROM audit_checkpoint " + size);
    const auto parsed = parse_note(note).value();
    const std::string old = base64(Checkpoint::parse(parsed.text)->root);
    restore_roots();
    note.replace(note.find(old), old.size(), base64(root_));
    run("UPDATE audit_checkpoint SET note = '" + note + "' " + size);
  }

  // Both verifiers agree, or the test fails.
  VerifyReport verdict(bool pinned = false, const std::string& anchor = {}) {
    editor_.reset();
    VerifyOptions options;
    options.path = file_;
    if (pinned) options.genesis = SealedLog::get().epoch(1).key;
    std::string question = file_ + ' ' + (pinned ? to_hex(*options.genesis) : "-");
    if (!anchor.empty()) {
      options.anchors = {anchor};
      std::ofstream(folder_.path() + "/anchor") << anchor;
      question += ' ' + folder_.path() + "/anchor";
    }
    const auto report = verify_log(options);
    if (!report) {
      ADD_FAILURE() << report.error();
      return {};
    }
    static PythonVerifier python;
    expect_agreement(report, python.judge(question));
    return *report;
  }
  // With every change in it.
  const std::string& file() {
    editor_.reset();
    return file_;
  }

 private:
  // Hundreds of changes by one connection: opening one takes longer than a change.
  RawDatabase& editor() {
    if (!editor_) {
      editor_.emplace(file_);
      EXPECT_EQ(editor_->run("PRAGMA synchronous = OFF"), "");
    }
    return *editor_;
  }

  TemporaryFolder folder_;
  std::string file_;
  std::optional<RawDatabase> editor_;
  Hash root_{};
  std::uint64_t size_ = 0;
};

// Places in all three epochs, their ends among them; none of them announces an epoch.
constexpr std::uint64_t kPlaces[] = {2, 100, 131, 133, 256, 257, 262, 264, 392, 393};

TEST(Verify, ACleanLogPasses) {
  Attacked log;
  const VerifyReport report = log.verdict(true, SealedLog::get().newest());
  EXPECT_EQ(report.problem, "");
  EXPECT_EQ(report.records, kRecords);
  EXPECT_EQ(report.epochs, 3U);
  EXPECT_EQ(report.anchors, 1U);
  EXPECT_GE(report.checkpoints, 4U);
}

TEST(Verify, AnEditedRecordIsNamed) {
  for (const std::uint64_t seq : kPlaces) {
    Attacked log;
    log.force(seq);
    EXPECT_EQ(log.verdict().first_bad_seq, seq);
  }
}

TEST(Verify, ARecordWhoseLeafHashWasTakenAwayIsNamed) {
  for (const std::uint64_t seq : kPlaces) {
    Attacked log;
    log.run("UPDATE audit SET leaf = NULL WHERE seq = " + std::to_string(seq));
    EXPECT_EQ(log.verdict().first_bad_seq, seq);
  }
}

// Which of the records up to the next root is the one, nobody can tell who has only the root.
TEST(Verify, AnEditWithItsLeafHashIsNoticedAtTheNextRoot) {
  for (const std::uint64_t seq : kPlaces) {
    Attacked log;
    log.force(seq);
    log.run("UPDATE audit SET leaf = x'" + to_hex(leaf_hash(log.body(seq))) +
            "' WHERE seq = " + std::to_string(seq));
    for (const char* roots : {"old", "new"}) {
      const VerifyReport report = log.verdict();
      EXPECT_FALSE(report.ok()) << seq << ", roots: " << roots;
      EXPECT_LT(report.intact, seq) << roots;
      EXPECT_GE(report.first_bad_seq, seq) << roots;
      log.restore_roots();
    }
  }
}

TEST(Verify, AColumnThatSaysSomethingElseThanTheBodyIsNamed) {
  for (const char* change :
       {"t_wall_us = 1", "type = 'room.leave'", "outcome = 'denied'", "reason = 'other'",
        "reason = NULL", "actor = 'staff:ann'", "room = 'b'", "room = CAST(x'ff' AS TEXT)",
        "type = CAST(x'c3' AS TEXT)"}) {
    Attacked log;
    log.run(std::string("UPDATE audit SET ") + change + " WHERE seq = 200");
    EXPECT_EQ(log.verdict().first_bad_seq, 200U) << change;
  }
}

TEST(Verify, ABodyIsAsDeepForBoth) {
  std::string body = "1";
  for (int depth = 0; depth <= CanonicalObject::kMaxDepth + 1; ++depth) {
    body = "{\"in\":" + body + '}';
    Attacked log;
    log.set_body(200, body);
    EXPECT_EQ(log.verdict().first_bad_seq, 200U);
    const bool readable = CanonicalObject::parse(body).has_value();
    EXPECT_EQ(readable, depth <= CanonicalObject::kMaxDepth);
    const std::string said = PythonVerifier().judge(log.file() + " -");
    EXPECT_EQ(said.find("not in canonical form") == said.npos, readable) << said;
  }
}

TEST(Verify, AHoldThatIsNoTextIsNoticed) {
  Attacked log;
  log.run(
      "INSERT INTO audit_holds(hold_id, room) VALUES(CAST(x'ff' AS TEXT), CAST(x'fe' AS TEXT))");
  EXPECT_THAT(log.verdict().problem, HasSubstr("holds were set or cleared"));
}

TEST(Verify, ADeletedRecordIsMissed) {
  for (const std::uint64_t seq : kPlaces) {
    Attacked log;
    log.run("DELETE FROM audit WHERE seq = " + std::to_string(seq));
    const VerifyReport report = log.verdict();
    EXPECT_EQ(report.first_bad_seq, seq);
  }
}

TEST(Verify, ADeletedRecordWhoseGapIsClosedIsNoticed) {
  for (const std::uint64_t seq : kPlaces) {
    Attacked log;
    log.run("DELETE FROM audit WHERE seq = " + std::to_string(seq));
    for (std::uint64_t next = seq + 1; next <= kRecords; ++next) {
      const std::string old = "\"seq\":" + std::to_string(next) + ",";
      log.edit(next, old, "\"seq\":" + std::to_string(next - 1) + ",");
    }
    log.run("UPDATE audit SET seq = seq - 1 WHERE seq > " + std::to_string(seq));
    log.restore_roots();
    EXPECT_FALSE(log.verdict().ok()) << seq;
  }
}

TEST(Verify, AnInsertedRecordIsNoticed) {
  for (const std::uint64_t seq : {std::uint64_t{2}, std::uint64_t{200}, kRecords + 1}) {
    Attacked log;
    log.run("UPDATE audit SET seq = -seq WHERE seq >= " + std::to_string(seq));
    log.run("UPDATE audit SET seq = 1 - seq WHERE seq < 0");
    log.run("INSERT INTO audit SELECT " + std::to_string(seq) +
            ", t_wall_us, type, outcome, reason, actor, room, body, leaf FROM audit WHERE seq = " +
            std::to_string(seq > 2 ? seq - 1 : seq + 1));
    EXPECT_FALSE(log.verdict().ok()) << seq;
  }
}

TEST(Verify, ReorderedRecordsAreNoticed) {
  for (const std::uint64_t seq : {std::uint64_t{2}, std::uint64_t{150}, kRecords - 1}) {
    Attacked log;
    const auto here = std::to_string(seq);
    const auto next = std::to_string(seq + 1);
    log.run("UPDATE audit SET seq = -1 WHERE seq = " + here);
    log.run("UPDATE audit SET seq = " + here + " WHERE seq = " + next);
    log.run("UPDATE audit SET seq = " + next + " WHERE seq = -1");
    EXPECT_EQ(log.verdict().first_bad_seq, seq);
  }
}

TEST(Verify, BlankedSealsAreNoticed) {
  for (const char* change :
       {"DELETE FROM audit_checkpoint", "UPDATE audit_checkpoint SET note = ''",
        "DELETE FROM audit_subtree", "UPDATE audit_subtree SET root = zeroblob(32)",
        "INSERT INTO audit_subtree VALUES(8, 1, zeroblob(32))",
        "DELETE FROM audit_checkpoint WHERE size = (SELECT max(size) FROM audit_checkpoint)",
        "UPDATE audit_checkpoint SET note = replace(note, 'epoch 3', 'epoch 2')",
        "UPDATE audit_checkpoint SET size = size + 1"}) {
    Attacked log;
    log.run(change);
    EXPECT_FALSE(log.verdict().ok()) << change;
  }
}

// Cut or padded to 32 bytes, or with its level cut to 32 bits, it would be the right one.
TEST(Verify, ARootOfAnotherSizeOrLevelIsNone) {
  for (const char* change : {"root = CAST(root || x'00' AS BLOB)", "root = substr(root, 1, 31)",
                             "root = x''", "level = level + 4294967296", "level = -1"}) {
    Attacked log;
    log.run("PRAGMA ignore_check_constraints = ON");
    log.run(std::string("UPDATE audit_subtree SET ") + change + " WHERE idx = 0");
    EXPECT_EQ(log.verdict().problem, "a stored root is not readable") << change;
  }
}

TEST(Verify, ASwappedEpochKeyIsNotVouchedFor) {
  Attacked log;
  const auto key = SigningKey::from_seed(std::vector<std::uint8_t>(32, 7)).value();
  log.edit(132, to_hex(SealedLog::get().epoch(2).key), to_hex(key.public_key()));
  log.sign_again(key, 3);
  EXPECT_EQ(log.verdict().first_bad_seq, 132U);
}

TEST(Verify, ASignatureByAnotherKeyIsNone) {
  Attacked log;
  log.sign_again(SigningKey::from_seed(std::vector<std::uint8_t>(32, 7)).value(), 3);
  EXPECT_THAT(log.verdict().problem, HasSubstr("not signed by the key of its epoch"));
}

TEST(Verify, ASignatureOfSomethingElseIsNone) {
  Attacked log;
  log.force(kRecords);
  log.change_signed_root();
  EXPECT_THAT(log.verdict().problem, HasSubstr("not signed by the key of its epoch"));
}

TEST(Verify, AKeySignsNothingAfterItsEpoch) {
  Attacked log;
  log.sign_again(SealedLog::get().kept_key(), 2);
  EXPECT_THAT(log.verdict().problem, HasSubstr("an epoch that was over"));
}

// Whoever has the present key can sign a later order of events, but not make a clock run backwards.
TEST(Verify, TimeThatRunsBackwardsWithinABootIsNamed) {
  const auto present = EpochKeys(SealedLog::get().keys()).load(3).value();
  for (const auto& [seq, earlier] :
       {std::pair(std::uint64_t{393}, true), {393, false}, {300, true}}) {
    Attacked log;
    if (earlier) log.edit(seq, "\"t_boot_us\":11", "\"t_boot_us\":10");
    log.sign_again(present, 3);
    const VerifyReport report = log.verdict();
    EXPECT_EQ(report.first_bad_seq, earlier ? seq : 0U) << report.problem;
    EXPECT_THAT(report.problem, HasSubstr(earlier ? "time since boot" : ""));
  }
}

// It is no reason for a FAIL, but an auditor wants to know.
TEST(Verify, AClockThatWasSetAndNobodyToldIsShown) {
  PythonVerifier python;
  for (const bool told : {true, false}) {
    SealedStore store;
    store.open();
    ASSERT_TRUE(store.commit("room.join").ok());
    store.set_clock(std::chrono::hours(-2));
    store.pass(std::chrono::seconds(1));
    ASSERT_TRUE(store.commit("room.leave").ok());
    if (told) {
      Commit step = commit_of("time.step");
      step.records.front().detail.set("by_ms", -7'200'000);
      ASSERT_TRUE(commit_and_wait(store.store(), std::move(step)).ok());
    }
    store.close();
    VerifyOptions options;
    options.path = store.database();
    const auto report = verify_log(options);
    ASSERT_EQ(report->problem, "");
    const std::string said = python.judge(options.path);
    EXPECT_EQ(report->untold_step.has_value(), !told);
    EXPECT_THAT(said, testing::StartsWith("0 PASS"));
    EXPECT_EQ(said.find("was set by -7200.0 s before record 3") != std::string::npos, !told)
        << said;
    if (told) continue;
    EXPECT_EQ(report->untold_step->seq, 3U);
    EXPECT_EQ(report->untold_step->by_us, -7'200'000'000);
  }
}

// Forward security: the erased key of each epoch has signed the records before the next one.
TEST(Verify, WithThePresentKeyEarlierEpochsCannotBeRewritten) {
  const auto present = EpochKeys(SealedLog::get().keys()).load(3).value();
  for (const std::uint64_t seq : kPlaces) {
    Attacked log;
    log.edit(seq, "\"reason\":\"asked\"", "\"reason\":\"forced\"");
    log.run("UPDATE audit SET reason = 'forced' WHERE seq = " + std::to_string(seq));
    log.run("DELETE FROM audit_checkpoint WHERE size > 1");
    log.sign_again(present, 3);
    const bool this_epoch = seq > 2 * (kPerEpoch + 1);
    EXPECT_EQ(log.verdict().ok(), this_epoch) << seq << ": the present epoch needs an anchor";
    EXPECT_FALSE(log.verdict(false, SealedLog::get().newest()).ok()) << seq;
  }
}

TEST(Verify, ATruncatedTailShowsWithAnAnchorOnly) {
  Attacked log;
  const std::string size = log.value(
      "SELECT size FROM audit_checkpoint WHERE kept = 1 AND size < 390 ORDER BY size DESC LIMIT 1");
  log.run("DELETE FROM audit WHERE seq > " + size);
  log.run("DELETE FROM audit_checkpoint WHERE size > " + size);
  log.restore_roots();
  EXPECT_TRUE(log.verdict(true).ok()) << "as it was at that time: no mistake in itself";
  EXPECT_FALSE(log.verdict(true, SealedLog::get().newest()).ok());
}

TEST(Verify, ALogWrittenAnewShowsByItsFirstKeyOrAnAnchor) {
  SealedStore other;  // the attacker's
  other.open();
  for (int i = 0; i < 10; ++i) other.commit("room.join");
  other.close();
  Attacked log;
  std::filesystem::copy_file(other.database(), log.file(),
                             std::filesystem::copy_options::overwrite_existing);
  EXPECT_TRUE(log.verdict().ok()) << "consistent in itself";
  EXPECT_EQ(log.verdict(true).first_bad_seq, 1U);
  EXPECT_FALSE(log.verdict(false, SealedLog::get().newest()).ok()) << "another view of the log";
}

TEST(Verify, ABodyThatIsNotCanonicalIsNamed) {
  Attacked log;
  std::string text = log.body(77);
  log.set_body(77, text.insert(1, " "));
  EXPECT_EQ(log.verdict().first_bad_seq, 77U);
}

TEST(Verify, AFileThatIsNoneIsAnErrorNotAVerdict) {
  VerifyOptions options;
  options.path = "/nowhere/bedside.db";
  EXPECT_FALSE(verify_log(options));
}

}  // namespace
}  // namespace bedside::store
