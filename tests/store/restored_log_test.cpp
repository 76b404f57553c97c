// A log that goes on from a backup: the loss is declared, both verifiers see it, nothing else slips
// through with it.
#include <gmock/gmock.h>
#include <sys/wait.h>

#include <cstdio>
#include <fstream>

#include "sealed_store.h"
#include "store/audit_bundle.h"
#include "store/epoch_chain.h"
#include "store/file_sink.h"
#include "store/verify.h"

namespace bedside::store {
namespace {

using testing::HasSubstr;

constexpr int kUnconfirmed = 3;  // the verifiers' exit code for a restore nobody confirmed

// Than the fixture's clock, which stands still.
constexpr std::chrono::microseconds kLater{1'800'000'000'000'000};

std::string newest_note(const std::string& file) {
  return RawDatabase(file).value("SELECT note FROM audit_checkpoint ORDER BY size DESC LIMIT 1");
}

// 21 records, a backup of them, ten more that are lost with the machine.
class RestoredLogTest : public testing::Test {
 protected:
  RestoredLogTest() {
    lost_.open();
    for (int i = 0; i < 20; ++i) lost_.commit("room.join");
    lost_.close();
    std::filesystem::create_directories(path("restored/keys"));
    std::filesystem::copy_file(lost_.database(), database());
    kept_before_ = newest_note(lost_.database());
    lost_.open();
    for (int i = 0; i < 9; ++i) lost_.commit("room.join");
    lost_.close();
    kept_after_ = newest_note(lost_.database());
  }

  std::string path(const std::string& name) const { return folder_.path() + "/" + name; }
  std::string database() const { return path("restored/bedside.db"); }

  tl::expected<std::unique_ptr<Store>, OpenError> open(std::optional<Restored> restored) {
    Options options;
    options.path = database();
    options.keys = path("restored/keys");
    options.restored = restored;
    options.clock = [] { return Clock{kLater, kLater}; };
    return Store::open(std::move(options));
  }
  void restore(std::optional<std::uint64_t> lost_to) {
    auto store = open(Restored{lost_to});
    ASSERT_TRUE(store) << store.error().text;
    for (int i = 0; i < 5; ++i) ASSERT_TRUE(commit_and_wait(**store, commit_of("room.join")).ok());
  }
  Epoch epoch_after() const {
    return read_epoch(
               RawDatabase(database())
                   .value("SELECT body FROM audit WHERE type = 'epoch.rotated' AND seq = 22"))
        .value();
  }
  std::string export_all() {
    ExportOptions options;
    options.database = database();
    options.readme = options.verifier = "x";
    const auto survey = survey_export(options);
    EXPECT_TRUE(survey) << survey.error();
    std::uint64_t seq = 0;
    {
      auto store = open({});
      Commit commit = commit_of(std::string(kExportRecord));
      commit.records.back().detail = survey->detail;
      seq = commit_and_wait(**store, std::move(commit)).first_seq;
    }
    auto sink = FileSink::create(path("export.tar"));
    const auto nothing = [](auto&&...) { return std::nullopt; };
    EXPECT_TRUE(write_bundle(options, *survey, seq, nothing, **sink));
    EXPECT_TRUE((*sink)->finish());
    return path("export.tar");
  }

  // Both verifiers, which have to agree.
  VerifyReport verdict(const std::string& file, const std::vector<std::string>& anchors = {},
                       const std::vector<PublicKey>& restored = {}) {
    VerifyOptions options;
    options.path = file;
    options.genesis = lost_.epoch(1).key;
    options.anchors = anchors;
    options.restored = restored;
    std::string command =
        "python3 " BEDSIDE_VERIFIER " " + file + " --genesis " + to_hex(*options.genesis);
    for (std::size_t i = 0; i < anchors.size(); ++i) {
      const std::string name = path("anchor" + std::to_string(i));
      std::ofstream(name) << anchors[i];
      command += " --anchor " + name;
    }
    for (const PublicKey& key : restored) command += " --restored-key " + to_hex(key);
    const auto report = file.ends_with(".tar") ? verify_bundle(options) : verify_log(options);
    EXPECT_TRUE(report) << report.error();
    FILE* pipe = popen((command + " 2>&1").c_str(), "r");
    said_.clear();
    char buffer[256];
    while (fgets(buffer, sizeof buffer, pipe) != nullptr) said_ += buffer;
    const int passed = report->gaps.empty() || !restored.empty() ? 0 : kUnconfirmed;
    EXPECT_EQ(WEXITSTATUS(pclose(pipe)), report->ok() ? passed : 1)
        << said_ << "\nagainst: " << report->problem;
    return *report;
  }

  TemporaryFolder folder_;
  SealedStore lost_;
  std::string kept_before_;
  std::string kept_after_;
  std::string said_;  // by the verifier in Python
};

TEST_F(RestoredLogTest, IsNotContinuedByAccident) {
  const auto opened = open({});
  ASSERT_FALSE(opened);
  EXPECT_THAT(opened.error().text, HasSubstr("audit-epoch-1.key"));
}

TEST_F(RestoredLogTest, GoesOnUnderANewNameWithADeclaredGap) {
  restore(31);
  const VerifyReport report = verdict(database());
  EXPECT_EQ(report.problem, "");
  ASSERT_EQ(report.gaps.size(), 1U);
  EXPECT_EQ(report.gaps[0].gap, (Gap{22, 31}));
  EXPECT_NE(report.gaps[0].origin, report.origin);
  EXPECT_EQ(report.gaps[0].key, epoch_after().key);
  EXPECT_FALSE(epoch_after().voucher);
  EXPECT_THAT(said_, HasSubstr("PASS WITH A DECLARED GAP"));
  EXPECT_THAT(said_, HasSubstr("records from 22 to 31 are lost"));
}

TEST_F(RestoredLogTest, StartsAgainLikeAnyOther) {
  restore({});
  ASSERT_TRUE(open({}));
  const VerifyReport report = verdict(database());
  EXPECT_EQ(report.problem, "");
  EXPECT_EQ(report.epochs, 3U);
  EXPECT_EQ(report.gaps.size(), 1U);
}

TEST_F(RestoredLogTest, IsConfirmedByTheKeyThatWasNotedAndByNoOther) {
  restore(31);
  EXPECT_TRUE(verdict(database(), {}, {epoch_after().key}).ok());
  const VerifyReport report = verdict(database(), {}, {lost_.epoch(1).key});
  EXPECT_EQ(report.first_bad_seq, 22U);
  EXPECT_THAT(report.problem, HasSubstr("none of those that were noted"));
}

TEST_F(RestoredLogTest, ExplainsCheckpointsOfTheLostRecordsAndOnlyThose) {
  restore(31);
  const VerifyReport report = verdict(database(), {kept_before_, kept_after_});
  EXPECT_EQ(report.problem, "");
  EXPECT_EQ(report.anchors, 1U);
  EXPECT_EQ(report.lost_anchors, 1U);
}

TEST_F(RestoredLogTest, CannotDeclareLessThanWasKeptElsewhere) {
  restore(25);
  EXPECT_TRUE(verdict(database(), {kept_before_}).ok());
  const VerifyReport report = verdict(database(), {kept_after_});
  EXPECT_EQ(report.first_bad_seq, 22U);
  EXPECT_THAT(report.problem, HasSubstr("smaller loss"));
}

TEST_F(RestoredLogTest, ProvesItsExports) {
  restore(25);
  const std::string file = export_all();
  const VerifyReport report = verdict(file);
  EXPECT_EQ(report.problem, "");
  ASSERT_EQ(report.gaps.size(), 1U);
  EXPECT_EQ(report.gaps[0].gap, (Gap{22, 25}));
  EXPECT_TRUE(verdict(file, {}, {epoch_after().key}).ok());
  EXPECT_FALSE(verdict(file, {}, {lost_.epoch(1).key}).ok());
  EXPECT_FALSE(verdict(file, {kept_after_}).ok());
}

TEST_F(RestoredLogTest, IsAsSealedAsBefore) {
  restore(31);
  RawDatabase raw(database());
  ASSERT_EQ(raw.run("DROP TRIGGER audit_is_not_changed"), "");
  for (const char* seq : {"3", "21", "22", "25"}) {
    const std::string where = std::string(" WHERE seq = ") + seq;
    const std::string old = raw.value("SELECT hex(body) FROM audit" + where);
    ASSERT_EQ(raw.run("UPDATE audit SET body = CAST(replace(body, '\"v\":1', '\"v\":2') AS BLOB)" +
                      where),
              "");
    EXPECT_FALSE(verdict(database()).ok()) << seq;
    ASSERT_EQ(raw.run("UPDATE audit SET body = x'" + old + "'" + where), "");
  }
  EXPECT_TRUE(verdict(database()).ok());
}

TEST(EpochChain, TakesNoRestoreThatDoesNotFitItsPlace) {
  Epoch first;
  first.number = 1;
  first.origin = "a";
  Epoch after = first;
  after.number = 2;
  after.origin = "b";
  after.gap = Gap{10, {}};
  const auto complaint = [&](const Epoch& next, std::uint64_t seq) {
    EpochChain chain({}, {});
    EXPECT_FALSE(chain.announce(first, 1, {}));
    return chain.announce(next, seq, {}).value_or("");
  };
  EXPECT_EQ(complaint(after, 10), "");
  EXPECT_THAT(complaint(after, 11), HasSubstr("does not fit"));
  after.origin = "a";
  EXPECT_THAT(complaint(after, 10), HasSubstr("does not fit")) << "the old name";
  after.gap.reset();
  after.origin = "b";
  EXPECT_THAT(complaint(after, 10), HasSubstr("does not vouch")) << "no restore was declared";
}

}  // namespace
}  // namespace bedside::store
