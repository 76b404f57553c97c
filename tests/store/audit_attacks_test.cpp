// Attacks at random places and random mutations, on databases and on exports, against both
// verifiers at once: each must find every one that can be found, both must name the same record,
// and neither may complain about a log that is whole. BEDSIDE_AUDIT_ATTACKS=N makes it N times as
// long (./run audit-attacks).
#include <array>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <optional>
#include <random>

#include "attack_classes.h"
#include "python_verifier.h"
#include "store/audit_bundle.h"
#include "store/file_sink.h"
#include "tests/support/seeded_random.h"

namespace bedside::store {
namespace {

std::uint64_t times_as_long() {
  const char* text = std::getenv("BEDSIDE_AUDIT_ATTACKS");
  return text == nullptr ? 1 : std::max<std::uint64_t>(1, std::strtoull(text, nullptr, 10));
}

// A log of some epochs and an export of all of it, made once.
class AuditAttacks : public testing::Test {
 protected:
  struct Made {
    SealedStore store;
    TemporaryFolder folder;
    PythonVerifier python;
    SealedFacts facts;
    std::string bundle;
  };
  static Made& made() {
    static Made one;
    static const bool ready = prepare(one);
    EXPECT_TRUE(ready);
    return one;
  }

  static bool prepare(Made& one) {
    std::uint64_t participants = 0;
    for (std::uint64_t epoch = 0; epoch < SealedFacts::kEpochs; ++epoch) {
      one.store.open();
      for (std::uint64_t i = 0; i < SealedFacts::kCommits; ++i) {
        Commit commit;
        while (commit.records.size() < SealedFacts::kCommit) {
          // No two are alike: to exchange them is an attack.
          commit.records.push_back(record_of("room.join", "p" + number(++participants)));
          commit.records.back().actor = {"participant", "p", "guest", "token"};
          commit.records.back().room = "a-room";
          commit.records.back().reason = "asked";
        }
        one.store.pass(kKeptCheckpointEvery);
        EXPECT_TRUE(commit_and_wait(one.store.store(), std::move(commit)).ok());
      }
      one.store.close();
    }
    for (std::uint64_t epoch = 1; epoch <= SealedFacts::kEpochs; ++epoch) {
      one.facts.epochs.push_back(one.store.epoch(epoch));
    }
    one.facts.present.emplace(EpochKeys(one.store.keys()).load(SealedFacts::kEpochs).value());
    for (const auto& note :
         one.store.raw().column("SELECT note FROM audit_checkpoint ORDER BY size")) {
      one.facts.notes.push_back(note);
      one.facts.sizes.push_back(Checkpoint::parse(parse_note(note).value().text).value().size);
    }
    EXPECT_EQ(one.facts.sizes.size(), SealedFacts::kEpochs * (SealedFacts::kCommits + 1));
    EXPECT_EQ(one.facts.sizes.back(), SealedFacts::kRecords);
    return make_export(one);
  }

  // Of a copy: the log itself stays as it is.
  static bool make_export(Made& one) {
    SealedStore& store = one.store;
    one.facts.file = one.folder.path() + "/kept.db";
    std::filesystem::copy_file(store.database(), one.facts.file);
    one.bundle = one.folder.path() + "/export.tar";
    store.open();
    ExportOptions options;
    options.database = store.database();
    options.readme = "Read me.\n";
    options.verifier = "print()\n";
    const auto survey = survey_export(options).value();
    Commit commit = commit_of(std::string(kExportRecord));
    commit.records.front().detail = survey.detail;
    const auto seq = commit_and_wait(store.store(), std::move(commit)).first_seq;
    auto sink = FileSink::create(one.bundle).value();
    const bool written = write_bundle(options, survey, seq, {}, *sink).has_value();
    const bool finished = sink->finish().has_value();
    store.close();
    return written && finished;
  }

  // The verdict of both on a database or an export; a disagreement fails the test.
  static bool passes(const std::string& path, const std::string& anchor = {}) {
    VerifyOptions options;
    options.path = path;
    options.genesis = made().facts.epochs.front().key;
    std::string question = path + " " + to_hex(*options.genesis);
    if (!anchor.empty()) {
      const std::string file = made().folder.path() + "/anchor";
      std::ofstream(file) << anchor;
      options.anchors = {anchor};
      question += " " + file;
    }
    made().python.ask(question);
    const auto report = path.ends_with(".tar") ? verify_bundle(options) : verify_log(options);
    expect_agreement(report, made().python.answer());
    return report && report->ok();
  }

  std::uint64_t below(std::uint64_t limit) { return random_.below(limit); }
  std::uint64_t any_seq() { return 1 + below(SealedFacts::kRecords); }
  Place any_place() {
    std::uint64_t seq = any_seq();
    while (SealedFacts::announces(seq)) seq = any_seq();
    return {seq, random_.word()};
  }

  testing_support::SeededRandom random_{std::random_device{}()};
};

// For whoever reads the output of the long version; both verifiers, because passes() holds them to
// the same verdict.
void tell(const char* what, std::uint64_t right, std::uint64_t of, const std::string& more = {}) {
  std::printf("%-32s %6llu of %llu judged rightly by both verifiers%s\n", what,
              static_cast<unsigned long long>(right), static_cast<unsigned long long>(of),
              more.c_str());
  std::fflush(stdout);  // it takes minutes to the next line
}

// Without a checkpoint kept elsewhere, with the newest one, and where that is what it takes, with
// any other: an older one must show what it covers and cannot show what it does not.
TEST_F(AuditAttacks, EveryClassIsFoundAtEveryPlace) {
  const SealedFacts& facts = made().facts;
  for (const Attack& attack : attack_classes()) {
    std::uint64_t right = 0;
    std::uint64_t hidden = 0;
    for (std::uint64_t round = 0; round < times_as_long(); ++round) {
      const Place place = any_place();
      const std::uint64_t from = attack.hidden_from(facts, place);
      AttackedLog log(facts);
      attack.run(log, place);
      const bool alone = passes(log.file()) == (from != 0);
      const bool newest = !passes(log.file(), facts.notes.back());
      const std::size_t which = below(facts.notes.size());
      const bool older =
          from == 0 || passes(log.file(), facts.notes[which]) == (facts.sizes[which] < from);
      EXPECT_TRUE(alone) << (from == 0 ? "not found" : "found") << " without an anchor";
      EXPECT_TRUE(newest) << "not found with the newest checkpoint";
      EXPECT_TRUE(older) << "with the checkpoint of " << facts.sizes[which];
      if (alone && newest && older) {
        ++right;
      } else {
        ADD_FAILURE() << attack.name << " at " << place.seq << ", form " << place.form;
      }
      hidden += from == 0 ? 0U : 1U;
    }
    tell(attack.name, right, times_as_long(),
         ", " + number(hidden) + " of them with an anchor only");
  }
}

TEST_F(AuditAttacks, EveryMutationOfADatabaseIsFound) {
  const SealedFacts& facts = made().facts;
  const std::uint64_t rounds = 20 * times_as_long();
  std::uint64_t found = 0;
  for (std::uint64_t round = 0; round < rounds; ++round) {
    AttackedLog log(facts);
    log.run("PRAGMA ignore_check_constraints=ON");
    if (below(2) == 0) log.run("UPDATE audit SET leaf = NULL");  // the roots have to do
    const std::string seq = number(any_seq());
    std::string mutated = log.value("SELECT body FROM audit WHERE seq = " + seq);
    mutated[below(mutated.size())] ^= static_cast<char>(1U << below(8));
    const std::size_t which = below(facts.sizes.size());
    const std::string size = number(facts.sizes[which]);
    std::string note = facts.notes[which];
    note[below(note.size())] ^= static_cast<char>(1U << below(7));
    const std::string block = number(below(SealedFacts::kRecords / kPurgeBlock));
    const std::array changes = {
        "UPDATE audit SET body = " + blob(mutated) + " WHERE seq = " + seq,
        "UPDATE audit SET t_wall_us = t_wall_us + 1 WHERE seq = " + seq,
        "UPDATE audit SET type = type || 'x' WHERE seq = " + seq,
        "UPDATE audit SET reason = coalesce(reason, '') || 'x' WHERE seq = " + seq,
        "UPDATE audit SET actor = NULL, room = 'x' WHERE seq = " + seq,
        "UPDATE audit SET leaf = randomblob(32) WHERE seq = " + seq,
        "UPDATE audit_subtree SET root = randomblob(32) WHERE idx = " + block,
        "UPDATE audit_subtree SET idx = idx + 7 WHERE idx = " + block,
        "UPDATE audit_subtree SET level = level + 4294967296 WHERE idx = " + block,
        "UPDATE audit_subtree SET root = CAST(root || x'00' AS BLOB) WHERE idx = " + block,
        "UPDATE audit SET leaf = CAST(coalesce(leaf, '') || x'00' AS BLOB) WHERE seq = " + seq,
        "UPDATE audit_checkpoint SET note = CAST(" + blob(note) + " AS TEXT) WHERE size = " + size,
        "UPDATE audit_checkpoint SET note = replace(note, 'time 1', 'time 2') WHERE size = " + size,
        "UPDATE audit_checkpoint SET size = size + 2 WHERE size = " + size};
    const std::string& change = changes[below(changes.size())];
    log.run(change);
    const bool passed = passes(log.file());
    EXPECT_FALSE(passed) << change;
    found += passed ? 0U : 1U;
  }
  tell("random mutations of a database", found, rounds);
}

TEST_F(AuditAttacks, EveryMutationOfAnExportIsFound) {
  const auto& one = made();
  std::ifstream in(one.bundle, std::ios::binary);
  const std::string whole{std::istreambuf_iterator<char>(in), {}};
  const std::string path = one.folder.path() + "/mutated.tar";
  const auto files = read_tar(one.bundle).value();
  // The last two bytes of a header's checksum are its end, which readers of archives do not look
  // at.
  const auto is_idle = [&](std::uint64_t at) {
    return std::any_of(files.begin(), files.end(), [&](const auto& file) {
      const std::uint64_t header = file.second.offset - 512;
      return at == header + 154 || at == header + 155;
    });
  };
  const std::uint64_t rounds = 20 * times_as_long();
  std::uint64_t found = 0;
  for (std::uint64_t round = 0; round < rounds;) {
    std::string mutated = whole;
    const std::uint64_t at = below(whole.size() - 1024);
    const std::uint64_t kind = below(8);
    if (kind == 0) {
      mutated.resize(at);
    } else if (kind == 1) {
      mutated.erase(at, 1 + below(600));
    } else if (is_idle(at)) {
      continue;
    } else {
      mutated[at] ^= static_cast<char>(1U << below(8));
    }
    std::ofstream(path, std::ios::binary) << mutated;
    const bool passed = passes(path);
    EXPECT_FALSE(passed) << "kind " << kind << " at " << at;
    found += passed ? 0U : 1U;
    ++round;
  }
  tell("random mutations of an export", found, rounds);
}

// A log of one to three epochs by people who do this and that now and then.
class CleanLog {
 public:
  explicit CleanLog(testing_support::SeededRandom& random) {
    for (std::uint64_t epoch = 0; epoch <= random.below(3); ++epoch) {
      store_.open();
      Commit commit;
      for (std::uint64_t i = random.below(300); i > 0; --i) {
        commit.records.push_back(record_of("room.leave", number(random.word())));
        if (commit.records.size() <= random.below(40)) continue;
        store_.pass(std::chrono::seconds(random.below(4000)));
        EXPECT_TRUE(commit_and_wait(store_.store(), std::exchange(commit, {})).ok());
      }
      store_.close();
    }
    options_.path = store_.database();
    options_.genesis = store_.epoch(1).key;
  }
  void ask(PythonVerifier& python) const {
    python.ask(options_.path + " " + to_hex(*options_.genesis));
  }
  // Whether both said that it is whole.
  bool passes(PythonVerifier& python) const {
    const auto report = verify_log(options_);
    const std::string said = python.answer();
    expect_agreement(report, said);
    EXPECT_TRUE(report && report->ok()) << (report ? report->problem : report.error());
    return report && report->ok() && said.starts_with("0 PASS");
  }

 private:
  SealedStore store_;
  VerifyOptions options_;
};

// The second verifier starts a program for each signature, and these logs have new ones each. So
// two of them work while the next log is made.
TEST_F(AuditAttacks, NobodyComplainsAboutWhatIsWhole) {
  EXPECT_TRUE(passes(made().facts.file));
  EXPECT_TRUE(passes(made().facts.file, made().facts.notes.back()));
  EXPECT_TRUE(passes(made().bundle));
  const std::uint64_t rounds = 2 * times_as_long();
  std::array<PythonVerifier, 2> pythons;
  std::array<std::optional<CleanLog>, 2> asked;
  std::uint64_t whole = 0;
  for (std::uint64_t round = 0; round < rounds + 2; ++round) {
    std::optional<CleanLog>& log = asked[round % 2];
    PythonVerifier& python = pythons[round % 2];
    if (log) whole += log->passes(python) ? 1U : 0U;
    log.reset();
    if (round >= rounds) continue;
    log.emplace(random_);
    log->ask(python);
  }
  tell("clean logs", whole, rounds);
}

}  // namespace
}  // namespace bedside::store
