// Attacks at random places and random mutations, on databases and on exports, against both
// verifiers at once: each must find every one, both must say the same, and neither may complain
// about a log that is whole. BEDSIDE_AUDIT_ATTACKS=N makes it N times as long (./run
// audit-attacks).
#include <gmock/gmock.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <functional>
#include <optional>
#include <random>

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

// One Python process that judges file after file.
class PythonVerifier {
 public:
  PythonVerifier() {
    std::array<int, 2> to{};
    std::array<int, 2> from{};
    if (pipe(to.data()) != 0 || pipe(from.data()) != 0) std::abort();
    posix_spawn_file_actions_t actions{};
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, to[0], STDIN_FILENO);
    posix_spawn_file_actions_adddup2(&actions, from[1], STDOUT_FILENO);
    for (const int fd : {to[0], to[1], from[0], from[1]}) {
      posix_spawn_file_actions_addclose(&actions, fd);
    }
    std::string words[] = {"python3", BEDSIDE_VERIFIER, "--many"};
    std::array<char*, 4> arguments{words[0].data(), words[1].data(), words[2].data(), nullptr};
    if (posix_spawnp(&child_, "python3", &actions, nullptr, arguments.data(), environ) != 0) {
      std::abort();
    }
    posix_spawn_file_actions_destroy(&actions);
    close(to[0]);
    close(from[1]);
    in_ = fdopen(to[1], "w");
    out_ = fdopen(from[0], "r");
  }
  ~PythonVerifier() {
    std::fclose(in_);
    std::fclose(out_);
    int status = 0;
    waitpid(child_, &status, 0);
  }
  PythonVerifier(const PythonVerifier&) = delete;
  PythonVerifier& operator=(const PythonVerifier&) = delete;

  // "0 PASS …", "1 FAIL …" or "2 …".
  std::string judge(const std::string& question) {
    std::fprintf(in_, "%s\n", question.c_str());
    std::fflush(in_);
    std::array<char, 1024> line{};
    return fgets(line.data(), line.size(), out_) == nullptr ? "" : line.data();
  }

 private:
  pid_t child_ = 0;
  FILE* in_ = nullptr;
  FILE* out_ = nullptr;
};

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
         log.run("INSERT INTO audit SELECT " + number(seq) +
                 ", t_wall_us, type, outcome, reason, actor, room, body FROM audit WHERE seq = " +
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

TEST_F(AuditAttacks, EveryClassIsFoundAtEveryPlace) {
  const auto& one = made();
  for (std::uint64_t round = 0; round < times_as_long(); ++round) {
    for (const Attack& attack : attacks()) {
      const std::uint64_t seq = plain_seq();
      AttackedLog log(log_file_);
      attack.run(log, seq, *one.present, one.epochs.front().origin);
      EXPECT_FALSE(passes(log.file(), false)) << attack.name << " at " << seq;
    }
  }
}

TEST_F(AuditAttacks, EveryMutationOfADatabaseIsFound) {
  made();
  for (std::uint64_t round = 0; round < 20 * times_as_long(); ++round) {
    AttackedLog log(log_file_);
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
        std::string("UPDATE audit_subtree SET root = randomblob(32)"),
        "UPDATE audit_checkpoint SET note = replace(note, 'time 1', 'time 2') WHERE size = " + size,
        "UPDATE audit_checkpoint SET size = size + 1 WHERE size = " + size};
    const std::string& change = changes[below(changes.size())];
    log.run(change);
    EXPECT_FALSE(passes(log.file(), false)) << change;
  }
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
  for (std::uint64_t round = 0; round < 20 * times_as_long(); ++round) {
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
    EXPECT_FALSE(passes(path, true, false)) << "kind " << kind << " at " << at;
  }
}

TEST_F(AuditAttacks, NobodyComplainsAboutWhatIsWhole) {
  const auto& one = made();
  EXPECT_TRUE(passes(log_file_, false));
  EXPECT_TRUE(passes(one.bundle, true, false));
  for (std::uint64_t round = 0; round < 2 * times_as_long(); ++round) {
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
    EXPECT_THAT(made().python.judge(options.path + " " + to_hex(*options.genesis)),
                testing::StartsWith("0 PASS"));
  }
}

}  // namespace
}  // namespace bedside::store
