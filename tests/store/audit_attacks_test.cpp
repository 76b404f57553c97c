// Attacks at random places and random mutations, on databases and on exports, against both
// verifiers at once: each must find every one, both must say the same, and neither may complain
// about a log that is whole. BEDSIDE_AUDIT_ATTACKS=N makes it N times as long (./run
// audit-attacks).
#include <gmock/gmock.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <functional>
#include <optional>
#include <random>

#include "python_verifier.h"
#include "sealed_store.h"
#include "store/audit_bundle.h"
#include "store/file_sink.h"
#include "tests/support/seeded_random.h"

namespace bedside::store {
namespace {

constexpr int kEpochRecords = 90;
constexpr std::uint64_t kAllRecords = 3 * (kEpochRecords + 1);

std::uint64_t times_as_long() {
  const char* text = std::getenv("BEDSIDE_AUDIT_ATTACKS");
  return text == nullptr ? 1 : std::max<std::uint64_t>(1, std::strtoull(text, nullptr, 10));
}

// A log of three epochs and an export of all of it, made once.
class AuditAttacks : public testing::Test {
 protected:
  struct Made {
    SealedStore store;
    TemporaryFolder folder;
    PythonVerifier python;
    std::vector<Epoch> epochs;
    std::optional<SigningKey> present;  // of epoch 3, which seals the log under attack
    std::string anchor;
    std::string bundle;
    std::uint64_t bundle_size = 0;
  };
  static Made& made() {
    static Made one;
    static const bool ready = prepare(one);
    EXPECT_TRUE(ready);
    return one;
  }

  static bool prepare(Made& one) {
    for (int epoch = 0; epoch < 3; ++epoch) {
      one.store.open();
      Commit commit;
      for (int i = 0; i < kEpochRecords; ++i) {
        commit.records.push_back(record_of("room.join", "p" + std::to_string(i)));
        commit.records.back().actor = {"participant", "p", "guest", "token"};
        commit.records.back().room = "a-room";
        commit.records.back().reason = "asked";
        if (i % 9 != 8) continue;
        one.store.pass(std::chrono::minutes(1));
        EXPECT_TRUE(commit_and_wait(one.store.store(), std::exchange(commit, {})).ok());
      }
      one.store.close();
    }
    for (std::uint64_t number = 1; number <= 3; ++number) {
      one.epochs.push_back(one.store.epoch(number));
    }
    one.present.emplace(EpochKeys(one.store.keys()).load(3).value());
    one.anchor = one.folder.path() + "/anchor";
    std::ofstream(one.anchor) << one.store.raw().value(
        "SELECT note FROM audit_checkpoint ORDER BY size DESC LIMIT 1");
    one.bundle = one.folder.path() + "/export.tar";
    return make_export(one);
  }

  // Of a copy: the log itself stays as it is.
  static bool make_export(Made& one) {
    SealedStore& store = one.store;
    const std::string kept = one.folder.path() + "/kept.db";
    std::filesystem::copy_file(store.database(), kept);
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
    one.bundle_size = std::filesystem::file_size(one.bundle);
    log_file_ = kept;
    return written && finished;
  }

  // The verdict of both; a disagreement fails the test.
  static bool passes(const std::string& path, bool bundle, bool anchored = true) {
    VerifyOptions options;
    options.path = path;
    options.genesis = made().epochs.front().key;
    std::string question = path + " " + to_hex(*options.genesis);
    if (anchored) {
      std::ifstream file(made().anchor);
      options.anchors = {{std::istreambuf_iterator<char>(file), {}}};
      question += " " + made().anchor;
    }
    const auto report = bundle ? verify_bundle(options) : verify_log(options);
    const std::string said = made().python.judge(question);
    const bool unreadable = !report.has_value();
    const bool ok = report && report->ok();
    EXPECT_EQ(said.substr(0, 1), ok ? "0" : (said.starts_with("2") && unreadable ? "2" : "1"))
        << said << "against: " << (report ? report->problem : report.error());
    return ok;
  }

  std::uint64_t below(std::uint64_t limit) { return random_.below(limit); }
  std::uint64_t any_seq() { return 1 + below(kAllRecords); }
  // A record that announces no epoch.
  std::uint64_t plain_seq() {
    const std::uint64_t seq = 2 + below(kAllRecords - 1);
    return (seq - 1) % (kEpochRecords + 1) == 0 ? seq - 1 + 2 : seq;
  }

  static std::string log_file_;
  testing_support::SeededRandom random_{std::random_device{}()};
};
std::string AuditAttacks::log_file_;

// A copy somebody with a database editor works on.
class AttackedLog {
 public:
  explicit AttackedLog(const std::string& log) : raw_(copy_of(log, folder_.path() + "/copy.db")) {
    run("PRAGMA synchronous=OFF; PRAGMA journal_mode=MEMORY;");
    for (const auto& name : raw_.column("SELECT name FROM sqlite_schema WHERE type = 'trigger'")) {
      run("DROP TRIGGER " + name);
    }
  }
  std::string file() const { return folder_.path() + "/copy.db"; }
  void run(const std::string& sql) { EXPECT_EQ(raw_.run(sql), "") << sql; }
  RawDatabase& raw() { return raw_; }

  void edit(std::uint64_t seq) {
    const std::string at = " WHERE seq = " + std::to_string(seq);
    run("UPDATE audit SET reason = 'forced', body = CAST(replace(CAST(body AS TEXT), "
        "'\"reason\":\"asked\"', '\"reason\":\"forced\"') AS BLOB)" +
        at);
  }
  // What an attacker who can hash but not sign does next.
  MerkleEdge restore_roots() {
    MerkleEdge tree;
    std::vector<Subtree> complete;
    run("UPDATE audit SET leaf = NULL");  // as in a log of before there were any
    run("DELETE FROM audit_subtree");
    for (const auto& text : raw_.column("SELECT body FROM audit ORDER BY seq")) {
      tree.append(leaf_hash(text), complete);
    }
    for (const Subtree& each : complete) {
      run("INSERT INTO audit_subtree VALUES(" + std::to_string(each.level) + "," +
          std::to_string(each.index) + ", x'" + to_hex(each.root) + "')");
    }
    return tree;
  }
  void sign_again(const SigningKey& key, const std::string& origin, std::uint64_t epoch) {
    const MerkleEdge tree = restore_roots();
    const Checkpoint checkpoint{origin, tree.size(), tree.root(), epoch, 1};
    run("DELETE FROM audit_checkpoint WHERE size > 1");
    run("INSERT INTO audit_checkpoint VALUES(" + std::to_string(tree.size()) + ", '" +
        sign_checkpoint(checkpoint, key).value() + "', 0)");
  }

 private:
  static std::string copy_of(const std::string& log, const std::string& to) {
    std::filesystem::copy_file(log, to);
    return to;
  }
  TemporaryFolder folder_;
  RawDatabase raw_;
};

struct Attack {
  const char* name;
  std::function<void(AttackedLog&, std::uint64_t seq, const SigningKey& present,
                     const std::string& origin)>
      run;
};

std::string number(std::uint64_t value) { return std::to_string(value); }

// The record stays, but one index does not have it: lists and filters leave it out.
void hide(AttackedLog& log, std::uint64_t seq) {
  const std::string index = seq % 2 == 0 ? "audit_by_type" : "audit_by_time";
  const std::string made =
      log.raw().value("SELECT sql FROM sqlite_schema WHERE name = '" + index + "'");
  const auto become = [&](const std::string& text) {
    log.run("PRAGMA writable_schema=ON; UPDATE sqlite_schema SET sql = '" + text +
            "' WHERE name = '" + index + "'; PRAGMA writable_schema=RESET");
  };
  become(made + " WHERE seq <> " + number(seq));
  log.run("REINDEX " + index);
  become(made);
}

// The classes of the specification, at record `seq`.
std::vector<Attack> attacks() {
  const auto sql = [](const std::string& before, const std::string& after = {}) {
    return [=](AttackedLog& log, std::uint64_t seq, const SigningKey&, const std::string&) {
      log.run(before + (before.ends_with(" ") ? number(seq) : "") + after);
    };
  };
  return {
      {"edit", [](AttackedLog& log, auto seq, auto&, auto&) { log.edit(seq); }},
      {"delete", sql("DELETE FROM audit WHERE seq = ")},
      {"insert",
       [](AttackedLog& log, auto seq, auto&, auto&) {
         log.run("UPDATE audit SET seq = -seq WHERE seq >= " + number(seq));
         log.run("UPDATE audit SET seq = 1 - seq WHERE seq < 0");
         log.run(
             "INSERT INTO audit SELECT " + number(seq) +
             ", t_wall_us, type, outcome, reason, actor, room, body, leaf FROM audit WHERE seq = " +
             number(seq + 1));
       }},
      {"reorder",
       [](AttackedLog& log, auto seq, auto&, auto&) {
         log.run("UPDATE audit SET seq = -1 WHERE seq = " + number(seq));
         log.run("UPDATE audit SET seq = " + number(seq) + " WHERE seq = " + number(seq - 1));
         log.run("UPDATE audit SET seq = " + number(seq - 1) + " WHERE seq = -1");
       }},
      {"truncate", [](AttackedLog& log, auto seq, auto&,
                      auto&) { log.run("DELETE FROM audit WHERE seq >= " + number(seq)); }},
      {"roll back",
       [](AttackedLog& log, auto seq, auto&, auto&) {
         const std::string size =
             log.raw().value("SELECT max(size) FROM audit_checkpoint WHERE size < " + number(seq));
         log.run("DELETE FROM audit WHERE seq > " + size);
         log.run("DELETE FROM audit_checkpoint WHERE size > " + size);
         log.restore_roots();
       }},
      {"rewrite without the key",
       [](AttackedLog& log, auto seq, auto&, auto& origin) {
         log.edit(seq);
         log.sign_again(SigningKey::generate().value(), origin, 3);
       }},
      {"rewrite with the present key",
       [](AttackedLog& log, auto seq, auto& present, auto& origin) {
         log.edit(seq);
         log.sign_again(present, origin, 3);
       }},
      {"index columns", sql("UPDATE audit SET outcome = 'denied' WHERE seq = ")},
      {"hide in an index", [](AttackedLog& log, auto seq, auto&, auto&) { hide(log, seq); }},
      {"swap an epoch's key",
       [](AttackedLog& log, auto seq, auto& present, auto& origin) {
         const std::string epoch = log.raw().value(
             "SELECT seq FROM audit WHERE type = 'epoch.rotated' AND seq <= " + number(seq) +
             " ORDER BY seq DESC LIMIT 1");
         const std::string body = log.raw().value("SELECT body FROM audit WHERE seq = " + epoch);
         const auto key = SigningKey::generate().value();
         log.run("UPDATE audit SET body = CAST(replace(CAST(body AS TEXT), '" +
                 to_hex(read_epoch(body)->key) + "', '" + to_hex(key.public_key()) +
                 "') AS BLOB) WHERE seq = " + epoch);
         log.sign_again(present, origin, 3);
       }},
      {"split view",
       [](AttackedLog& log, auto seq, auto& present, auto& origin) {
         log.run("DELETE FROM audit WHERE seq >= " + number(std::max<std::uint64_t>(seq, 184)));
         log.sign_again(present, origin, 3);
       }},
      {"blank a hash", [](AttackedLog& log, auto seq, auto&, auto&) {
         log.run(seq % 2 == 0 ? "UPDATE audit_subtree SET root = zeroblob(32)"
                              : "UPDATE audit_checkpoint SET note = ''");
       }}};
}

// For whoever reads the output of the long version; both verifiers, because passes() holds them to
// the same verdict.
void tell(const char* what, std::uint64_t right, std::uint64_t of) {
  std::printf("%-32s %6llu of %llu judged rightly by both verifiers\n", what,
              static_cast<unsigned long long>(right), static_cast<unsigned long long>(of));
}

TEST_F(AuditAttacks, EveryClassIsFoundAtEveryPlace) {
  const auto& one = made();
  for (const Attack& attack : attacks()) {
    std::uint64_t found = 0;
    for (std::uint64_t round = 0; round < times_as_long(); ++round) {
      const std::uint64_t seq = plain_seq();
      AttackedLog log(log_file_);
      attack.run(log, seq, *one.present, one.epochs.front().origin);
      const bool passed = passes(log.file(), false);
      EXPECT_FALSE(passed) << attack.name << " at " << seq;
      found += passed ? 0U : 1U;
    }
    tell(attack.name, found, times_as_long());
  }
}

TEST_F(AuditAttacks, EveryMutationOfADatabaseIsFound) {
  made();
  const std::uint64_t rounds = 20 * times_as_long();
  std::uint64_t found = 0;
  for (std::uint64_t round = 0; round < rounds; ++round) {
    AttackedLog log(log_file_);
    if (below(2) == 0) log.run("UPDATE audit SET leaf = NULL");  // the roots have to do
    const std::string seq = number(any_seq());
    const std::string body = log.raw().value("SELECT body FROM audit WHERE seq = " + seq);
    std::string mutated = body;
    mutated[below(mutated.size())] ^= static_cast<char>(1U << below(7));
    std::string hex;
    for (const char c : mutated) hex += to_hex(std::vector{static_cast<std::uint8_t>(c)});
    const std::string size =
        log.raw().value("SELECT size FROM audit_checkpoint LIMIT 1 OFFSET " + number(below(4)));
    const std::array changes = {
        "UPDATE audit SET body = x'" + hex + "' WHERE seq = " + seq,
        "UPDATE audit SET t_wall_us = t_wall_us + 1 WHERE seq = " + seq,
        "UPDATE audit SET type = type || 'x' WHERE seq = " + seq,
        "UPDATE audit SET reason = coalesce(reason, '') || 'x' WHERE seq = " + seq,
        "UPDATE audit SET actor = NULL, room = 'x' WHERE seq = " + seq,
        "UPDATE audit SET leaf = randomblob(32) WHERE seq = " + seq,
        std::string("UPDATE audit_subtree SET root = randomblob(32)"),
        "UPDATE audit_checkpoint SET note = replace(note, 'time 1', 'time 2') WHERE size = " + size,
        "UPDATE audit_checkpoint SET size = size + 1 WHERE size = " + size};
    const std::string& change = changes[below(changes.size())];
    log.run(change);
    const bool passed = passes(log.file(), false);
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
    const bool passed = passes(path, true, false);
    EXPECT_FALSE(passed) << "kind " << kind << " at " << at;
    found += passed ? 0U : 1U;
    ++round;
  }
  tell("random mutations of an export", found, rounds);
}

TEST_F(AuditAttacks, NobodyComplainsAboutWhatIsWhole) {
  const auto& one = made();
  EXPECT_TRUE(passes(log_file_, false));
  EXPECT_TRUE(passes(one.bundle, true, false));
  const std::uint64_t rounds = 2 * times_as_long();
  std::uint64_t whole = 0;
  for (std::uint64_t round = 0; round < rounds; ++round) {
    SealedStore clean;
    for (std::uint64_t epoch = 0; epoch <= below(3); ++epoch) {
      clean.open();
      Commit commit;
      for (std::uint64_t i = below(300); i > 0; --i) {
        commit.records.push_back(record_of("room.leave", number(random_.word())));
        if (commit.records.size() <= below(40)) continue;
        clean.pass(std::chrono::seconds(below(4000)));
        EXPECT_TRUE(commit_and_wait(clean.store(), std::exchange(commit, {})).ok());
      }
      clean.close();
    }
    VerifyOptions options;
    options.path = clean.database();
    options.genesis = clean.epoch(1).key;
    const auto report = verify_log(options);
    EXPECT_EQ(report->problem, "");
    const std::string said = made().python.judge(options.path + " " + to_hex(*options.genesis));
    EXPECT_THAT(said, testing::StartsWith("0 PASS"));
    whole += report->ok() && said.starts_with("0 PASS") ? 1U : 0U;
  }
  tell("clean logs", whole, rounds);
}

}  // namespace
}  // namespace bedside::store
