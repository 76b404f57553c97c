// Exports that prove themselves, against both verifiers.
#include <gmock/gmock.h>

#include <cstdio>
#include <fstream>
#include <functional>
#include <random>

#include "python_verifier.h"
#include "sealed_store.h"
#include "store/audit_bundle.h"
#include "store/canonical_reader.h"
#include "store/digest.h"
#include "store/file_sink.h"
#include "store/log_proofs.h"

namespace bedside::store {
namespace {

using testing::HasSubstr;

constexpr int kVisits = 300;
const std::vector<std::uint8_t> kSalt(16, 7);

// Python's default format, and times with fractions of a second: an extended header for each file.
constexpr const char* kRepack = R"(
import sys, tarfile
source, target, file, key, value = sys.argv[1:]
everywhere = {} if file else {key: value}
with tarfile.open(source) as old, tarfile.open(target, "w", pax_headers=everywhere) as new:
    for member in old:
        content = old.extractfile(member)
        member.mtime += 0.5
        if file and member.name.endswith("/" + file):
            member.pax_headers = {key: value}
        new.addfile(member, content)
)";

std::string commitment_of(std::string_view value) {
  return to_hex(Sha256().add(std::span<const std::uint8_t>(kSalt)).add(value).finish());
}

// A log of two epochs and more than one block, and exports of it.
class BundleTest : public testing::Test {
 protected:
  BundleTest() {
    for (int epoch = 0; epoch < 2; ++epoch) {
      store_.open();
      Commit commit;
      for (int i = 0; i < kVisits / 2; ++i) {
        AuditRecord record = record_of("room.join", "p" + std::to_string(i));
        record.actor = {"participant", "p" + std::to_string(i), "guest", "token"};
        record.room = i % 3 == 0 ? "room-a" : "room-b";
        record.where.ip_commitment = commitment_of("192.0.2.7");
        record.where.ip_enc = {1, 2, 3};
        record.detail.set("display", commitment_of("Ada"));
        record.private_fields = {{"display", {4, 5, 6}}};
        commit.records.push_back(std::move(record));
        if (i % 10 != 9) continue;
        store_.pass(std::chrono::seconds(10));
        EXPECT_TRUE(commit_and_wait(store_.store(), std::exchange(commit, {})).ok());
      }
      if (epoch == 0) store_.close();
    }
    options_.database = store_.database();
    options_.readme = "Read me.\n";
    options_.verifier = "print('verified')\n";
    options_.renderings.push_back({"types.txt", "type\n", [](std::string_view body) {
                                     return *CanonicalObject::parse(body)->text("type") + "\n";
                                   }});
  }

  // Surveys, records and writes. `lie` changes what is recorded.
  std::string make_export(const std::function<void(JsonObject&)>& lie = nullptr) {
    auto survey = survey_export(options_);
    if (!survey) {
      ADD_FAILURE() << survey.error();
      return {};
    }
    if (lie) lie(survey->detail);
    Commit commit;
    commit.records.push_back(record_of(std::string(kExportRecord)));
    commit.records.back().detail = survey->detail;
    const CommitResult recorded = commit_and_wait(store_.store(), std::move(commit));
    store_.commit("room.leave");
    const std::string path = folder_.path() + "/" + std::to_string(recorded.first_seq) + ".tar";
    auto sink = FileSink::create(path);
    const auto written = write_bundle(options_, *survey, recorded.first_seq, disclose_, **sink);
    EXPECT_TRUE(written) << written.error();
    EXPECT_TRUE((*sink)->finish());
    return path;
  }

  // Both verifiers agree, or the test fails.
  VerifyReport verdict(const std::string& path, bool pinned = true,
                       const std::string& anchor = {}) {
    VerifyOptions options;
    options.path = path;
    if (pinned) options.genesis = store_.epoch(1).key;
    std::string question = path + ' ' + (pinned ? to_hex(*options.genesis) : "-");
    if (!anchor.empty()) {
      options.anchors = {anchor};
      std::ofstream(folder_.path() + "/anchor") << anchor;
      question += ' ' + folder_.path() + "/anchor";
    }
    const auto report = verify_bundle(options);
    if (!report) {
      ADD_FAILURE() << report.error();
      return {};
    }
    static PythonVerifier python;
    expect_agreement(report, python.judge(question));
    return *report;
  }

  // The same export with a file changed by `edit`; nothing: without it.
  template <typename Edit>
  std::string changed(const std::string& path, const std::string& name, Edit edit) {
    const auto files = read_tar(path);
    const std::string made = path + ".changed.tar";
    std::filesystem::remove(made);
    auto sink = FileSink::create(made);
    TarWriter tar(**sink, "bedside-audit", 0);
    std::ifstream in(path, std::ios::binary);
    for (const auto& [each, entry] : *files) {
      std::string content(static_cast<std::size_t>(entry.size), '\0');
      in.seekg(static_cast<std::streamoff>(entry.offset));
      in.read(content.data(), static_cast<std::streamsize>(content.size()));
      if (each == name) content = edit(content);
      EXPECT_TRUE(tar.begin(each) && tar.add(content) && tar.end());
    }
    EXPECT_TRUE(tar.finish());
    EXPECT_TRUE((*sink)->finish());
    return made;
  }
  std::string content(const std::string& path, const std::string& name) {
    std::string found;
    changed(path, name, [&](const std::string& text) { return found = text; });
    return found;
  }
  static std::string without_line(std::string text, std::size_t number) {
    std::size_t at = 0;
    for (; number > 0; --number) at = text.find('\n', at) + 1;
    return text.erase(at, text.find('\n', at) + 1 - at);
  }
  static std::string replaced(std::string text, const std::string& from, const std::string& to) {
    const std::size_t at = text.find(from);
    EXPECT_NE(at, std::string::npos) << from;
    return text.replace(at, from.size(), to);
  }

  // As somebody packs it anew who took lines out of it, with the tools that they have.
  std::string repacked_by_tar(const std::string& path, const std::string& format) {
    const std::string unpacked = folder_.path() + "/unpacked-" + format;
    const std::string made = path + "." + format + ".tar";
    std::filesystem::create_directory(unpacked);
    EXPECT_EQ(run_program({"tar", "-xf", path, "-C", unpacked}), 0);
    EXPECT_EQ(
        run_program({"tar", "--format=" + format, "-cf", made, "-C", unpacked, "bedside-audit"}),
        0);
    return made;
  }
  // With an extended header of one file, or (no file) a global one, that says key=value.
  std::string repacked_by_python(const std::string& path, const std::string& file,
                                 const std::string& key, const std::string& value) {
    const std::string made = path + ".python.tar";
    EXPECT_EQ(run_program({"python3", "-c", kRepack, path, made, file, key, value}), 0);
    return made;
  }

  TemporaryFolder folder_;
  SealedStore store_;
  ExportOptions options_;
  DiscloseField disclose_;
};

TEST_F(BundleTest, TheWholeLogPassesOffline) {
  const VerifyReport report = verdict(make_export());
  EXPECT_EQ(report.problem, "");
  EXPECT_EQ(report.records, std::uint64_t{kVisits} + 2);
  EXPECT_EQ(report.epochs, 2U);
  EXPECT_EQ(report.checkpoints, 3U) << "that of each announcement, and the newest";
}

TEST_F(BundleTest, AllRecordsHaveTheBytesThatWereSealed) {
  const std::string records = content(make_export(), "records.ndjson");
  std::string sealed;
  for (const auto& body : store_.raw().column(
           "SELECT body FROM audit WHERE type <> 'audit.exported' AND type <> 'room.leave'")) {
    sealed += body + "\n";
  }
  EXPECT_EQ(records, sealed);
}

TEST_F(BundleTest, ItHasWhatMatchesAndNothingElse) {
  options_.filter.room = "room-a";
  EXPECT_EQ(verdict(make_export()).records, 100U);
  options_.filter.person = "p3";
  EXPECT_EQ(verdict(make_export()).records, 2U);
  options_.filter = {};
  options_.filter.from =
      std::chrono::microseconds(1'100'000'000'000'000) + std::chrono::seconds(20);
  options_.filter.to = *options_.filter.from + std::chrono::seconds(30);
  EXPECT_EQ(verdict(make_export()).records, 30U);
}

TEST_F(BundleTest, MoreThanWasAllowedIsNoExport) {
  options_.most_records = 300;
  EXPECT_FALSE(survey_export(options_));
}

TEST_F(BundleTest, OpenedValuesAreTheSealedOnesAndAnyMayBeTakenOut) {
  disclose_ = [](std::uint64_t seq, std::string_view field, auto) -> std::optional<DisclosedField> {
    if (seq > 20) return std::nullopt;
    return DisclosedField{kSalt, field == "ip" ? "192.0.2.7" : "Ada"};
  };
  const std::string path = make_export();
  EXPECT_THAT(content(path, "disclosed.ndjson"), HasSubstr("192.0.2.7"));
  EXPECT_THAT(content(path, "disclosed.ndjson"), HasSubstr("\"field\":\"display\""));
  EXPECT_EQ(verdict(path).problem, "");
  for (const std::size_t line : {0U, 7U, 18U}) {
    const std::string redacted = changed(path, "disclosed.ndjson", [&](const std::string& text) {
      return without_line(text, line);
    });
    EXPECT_EQ(verdict(redacted).problem, "") << line;
  }
  EXPECT_EQ(verdict(changed(path, "disclosed.ndjson", [](const auto&) { return ""; })).problem, "");
  for (const auto& lie : {std::pair("192.0.2.7", "192.0.2.8"), {"Ada", "Eve"}}) {
    const std::string forged = changed(path, "disclosed.ndjson", [&](const std::string& text) {
      return replaced(text, lie.first, lie.second);
    });
    EXPECT_EQ(verdict(forged).first_bad_seq, 2U) << lie.first;
  }
}

// Whatever somebody made of the lines: verdict() holds both verifiers to the same record.
TEST_F(BundleTest, OpenedValuesThatAreOutOfOrderOrNoneAreNoticedByBothAlike) {
  disclose_ = [](std::uint64_t seq, std::string_view field, auto) -> std::optional<DisclosedField> {
    if (seq > 20) return std::nullopt;
    return DisclosedField{kSalt, field == "ip" ? "192.0.2.7" : "Ada"};
  };
  const std::string path = make_export();
  const auto with = [&](const auto& change) {
    return verdict(changed(path, "disclosed.ndjson", change));
  };
  const auto moved = with([](const std::string& text) {
    const std::size_t line = text.find('\n') + 1;
    return text.substr(line) + text.substr(0, line);
  });
  EXPECT_EQ(moved.problem, "values were opened of records that are not here");
  using Change = std::pair<const char*, const char*>;
  for (const Change& change : {Change{"\"seq\":2,", "\"seq\":\"2\","}, Change{"\"seq\":2,", ""},
                               Change{"{", " {"}, Change{"}\n", "}"}}) {
    EXPECT_FALSE(with([&](const std::string& text) {
                   return replaced(text, change.first, change.second);
                 }).ok())
        << change.first;
  }
  const auto cut = with([](const std::string& text) { return text.substr(0, text.size() - 1); });
  EXPECT_THAT(cut.problem, HasSubstr("cut off"));
  const std::uint64_t seed = std::random_device{}();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937_64 random(seed);
  int noticed = 0;  // all but a hexadecimal digit in the other case
  for (int i = 0; i < 200; ++i) {
    noticed += with([&](std::string text) {
                 char& byte = text[random() % text.size()];
                 byte = static_cast<char>(byte ^ static_cast<char>(1U << (random() % 7)));
                 return text;
               }).ok()
                   ? 0
                   : 1;
  }
  EXPECT_GT(noticed, 150);
}

TEST_F(BundleTest, OneThatWasPackedAnewByOtherToolsPasses) {
  disclose_ = [](auto, auto, auto) { return DisclosedField{kSalt, "Ada"}; };
  options_.filter.room = "room-a";
  const std::string path = changed(make_export(), "disclosed.ndjson", [](const auto&) {
    return std::string();  // what may be taken out
  });
  for (const char* format : {"ustar", "pax", "gnu"}) {
    EXPECT_EQ(verdict(repacked_by_tar(path, format)).problem, "") << format;
  }
  for (const char* file : {"checkpoint", ""}) {
    for (const char* key : {"comment", "uname", "ctime"}) {
      const std::string made = repacked_by_python(path, file, key, "1\n2=3");
      EXPECT_EQ(verdict(made).problem, "") << file << ' ' << key;
    }
  }
}

TEST_F(BundleTest, AnExtendedHeaderMovesNoBytesBetweenFiles) {
  options_.filter.room = "room-a";
  const std::string path = make_export();
  for (const char* file : {"records.ndjson", "README.txt", ""}) {
    for (const auto& [key, value] : std::initializer_list<std::pair<const char*, const char*>>{
             {"path", "bedside-audit/types.txt"},
             {"linkpath", "types.txt"},
             {"size", "1"},
             {"GNU.sparse.name", "types.txt"},
             {"SCHILY.realsize", "1"}}) {
      EXPECT_THAT(verdict(repacked_by_python(path, file, key, value)).problem,
                  HasSubstr("extended header"))
          << file << ' ' << key;
    }
  }
}

// A server that records something else than it gave away.
TEST_F(BundleTest, ARecordThatDoesNotFitTheExportIsNoticed) {
  const auto one_room = [](JsonObject& detail) {
    JsonObject filter;
    detail.set("filter", filter.set("room", "room-a"));
  };
  EXPECT_THAT(verdict(make_export(one_room)).problem,
              HasSubstr("does not belong into this export"));
  const auto more = [](JsonObject& detail) { detail.set("records", 1000); };
  EXPECT_THAT(verdict(make_export(more)).problem, HasSubstr("1000 records were exported"));
  options_.filter.room = "room-a";
  EXPECT_EQ(verdict(make_export(one_room)).problem, "");
}

TEST_F(BundleTest, WhatWasChangedIsNoticed) {
  const std::string path = make_export();
  const std::tuple<const char*, std::function<std::string(const std::string&)>> attacks[] = {
      {"records.ndjson", [](auto text) { return replaced(text, "room-a", "room-c"); }},
      {"records.ndjson", [](auto text) { return without_line(text, 100); }},
      {"records.ndjson", [](auto text) { return text + text.substr(0, text.find('\n') + 1); }},
      {"records.ndjson", [](auto text) { return text.substr(0, text.size() - 1); }},
      {"proofs.ndjson", [](auto text) { return without_line(text, 100); }},
      {"proofs.ndjson", [](auto text) { return replaced(text, "\"index\":7", "\"index\":8"); }},
      {"proofs.ndjson", [](auto text) { return replaced(text, "\"index\":7", "\"index\":\"x\""); }},
      {"proofs.ndjson", [](auto text) { return replaced(text, "\"index\":7,", ""); }},
      {"proofs.ndjson",
       [](auto text) { return replaced(text, "{\"index\":7,", "[{\"index\":7,"); }},
      {"checkpoint", [](auto text) { return replaced(text, "epoch 2", "epoch 1"); }},
      {"checkpoints.ndjson", [](auto text) { return replaced(text, "epoch 1", "epoch 2"); }},
      {"epochs.ndjson", [](auto text) { return without_line(text, 0); }},
      {"epochs.ndjson", [](auto text) { return without_line(text, 1); }},
      {"epochs.ndjson", [](auto) { return std::string(); }},
      {"export.json", [](auto text) { return replaced(text, "audit.exported", "audit.deported"); }},
      {"export.json", [](auto text) { return text + text; }},
      {"README.txt", [](auto text) { return text + "Do not check it.\n"; }},
      {"types.txt", [](auto text) { return replaced(text, "room.join", "room.kick"); }}};
  for (const auto& [file, edit] : attacks) {
    EXPECT_FALSE(verdict(changed(path, file, edit)).ok()) << file;
  }
}

TEST_F(BundleTest, AnExportOfAnotherLogShowsByItsFirstKeyOrAnAnchor) {
  const std::string before =
      store_.raw().value("SELECT note FROM audit_checkpoint ORDER BY size DESC LIMIT 1");
  const std::string path = make_export();
  const std::string first_epoch =
      store_.raw().value("SELECT note FROM audit_checkpoint WHERE kept = 1 AND size = " +
                         std::to_string(kVisits / 2 + 2));
  EXPECT_EQ(verdict(path, true, first_epoch).anchors, 1U);
  const VerifyReport not_compared = verdict(path, true, before);
  EXPECT_EQ(not_compared.problem, "");
  EXPECT_EQ(not_compared.unproven_anchors, 1U);
  SealedStore other;
  other.open();
  other.commit("room.join");
  const std::string theirs =
      other.raw().value("SELECT note FROM audit_checkpoint ORDER BY size DESC LIMIT 1");
  EXPECT_FALSE(verdict(path, true, theirs).ok());
  options_.database = other.database();
  EXPECT_FALSE(survey_export(options_).value().detail.empty());
}

TEST_F(BundleTest, ProofsInTurnAreThoseOfTheTree) {
  auto database = Database::open(store_.database(), Database::Mode::read_only, {}).value();
  ASSERT_TRUE(database.run("BEGIN"));
  auto proofs = LogProofs::open(database).value();
  auto tree = LogTree::open(database).value();
  const std::uint64_t size = proofs.checkpoint().size;
  for (std::uint64_t index = 0; index < size; ++index) {
    ASSERT_EQ(proofs.inclusion(index), tree.inclusion(index + 1, size)) << index;
  }
  EXPECT_FALSE(proofs.inclusion(size));
}

// What one proof costs in a file, spelled in base64.
TEST(BundleSize, AProofOfTenMillionRecordsHasLessThanOneAndAHalfKilobytes) {
  for (const std::uint64_t size : {1'000'000ULL, 10'000'000ULL, 16'777'216ULL}) {
    const auto proof = inclusion_proof(size / 3, size, [](int, std::uint64_t) { return Hash{}; });
    JsonObject line;
    line.set("index", size / 3).set("proof", spell_proof(*proof));
    EXPECT_LE(line.text().size(), 1536U) << size;
    EXPECT_GE(proof->size(), 20U);
  }
}

}  // namespace
}  // namespace bedside::store
