// Random records, holds, proposals, purges and crashes against a model that knows nothing of trees
// and proofs: after each step the log has the records that the model has, and both verifiers call
// it whole. BEDSIDE_RETENTION_RUNS=N for more runs.
#include <gmock/gmock.h>

#include <cstdlib>
#include <map>
#include <random>

#include "python_verifier.h"
#include "sealed_store.h"
#include "store/holds.h"
#include "store/purge.h"
#include "store/verify.h"
#include "tests/support/seeded_random.h"

namespace bedside::store {
namespace {

using std::chrono::microseconds;

constexpr std::chrono::hours kModelYear{8'784};
constexpr int kSteps = 40;
constexpr const char* kPeople[] = {"ada", "bob", "cyd"};

struct ModelRecord {
  std::uint64_t seq = 0;
  microseconds wall{};
  std::string type, actor, object, room;
};

// What ought to be there, as simply as it can be said.
struct Model {
  std::map<std::uint64_t, ModelRecord> records;
  std::map<std::string, HoldRow> holds;
  std::optional<PurgeProposalRow> proposal;
  std::uint64_t purged = 0;

  static bool tells_of_retention(const std::string& type) {
    return type == "epoch.rotated" || type == "audit.purged" || type == "audit.purge_proposed" ||
           type == "audit.purge_withdrawn" || type == "audit.hold_set" ||
           type == "audit.hold_cleared";
  }
  bool held(const ModelRecord& record) const {
    return std::any_of(holds.begin(), holds.end(), [&](const auto& entry) {
      const HoldRow& hold = entry.second;
      return (hold.room.empty() || hold.room == record.room) &&
             (hold.person.empty() || hold.person == record.actor || hold.person == record.object) &&
             (!hold.from || record.wall >= *hold.from) && (!hold.to || record.wall < *hold.to);
    });
  }
  // False: this must be refused.
  bool purge(const std::string& by, std::uint64_t archived, microseconds now) {
    if (!proposal || proposal->proposed_by == by || now - proposal->proposed_at > kProposalLasts) {
      return false;
    }
    std::uint64_t end = std::min(proposal->through, archived);
    for (std::uint64_t seq = purged + 1; seq <= end; ++seq) {
      if (records.at(seq).wall > now - kModelYear * proposal->keep_years) end = seq - 1;
    }
    end -= end % 256;
    if (end <= purged) return false;
    std::erase_if(records, [&](const auto& entry) {
      const ModelRecord& record = entry.second;
      return record.seq <= end && !tells_of_retention(record.type) && !held(record);
    });
    purged = end;
    if (end == proposal->through - proposal->through % 256) proposal.reset();
    return true;
  }
};

class RetentionRun {
 public:
  // A dozen years, so that there is something to purge.
  explicit RetentionRun(std::uint64_t seed) : random_(seed) {
    store_->pass(-34 * kModelYear);  // all of it is over: nobody can purge in the future
    store_->open();
    for (int i = 0; i < 6; ++i) {
      append(200);
      store_->pass(2 * kModelYear);
    }
  }

  void step() {
    switch (random_.below(9)) {
      case 0:
      case 1:
      case 2:
        return append(20);
      case 3:
        return store_->pass(std::chrono::hours(24 * 30 * (1 + random_.below(60))));
      case 4:
        return set_hold();
      case 5:
        return clear_hold();
      case 6:
      case 7:
        propose();
        return random_.below(4) == 0 ? withdraw() : approve();
      default:
        return random_.below(3) == 0 ? crash() : approve();
    }
  }

  // The model's records and no others.
  void compare() {
    learn();
    std::vector<std::string> expected;
    for (const auto& [seq, record] : model_.records) expected.push_back(std::to_string(seq));
    // An epoch may begin by itself after what was learnt.
    const std::string known = std::to_string(known_);
    ASSERT_EQ(store_->raw().column("SELECT seq FROM audit WHERE seq <= " + known + " ORDER BY seq"),
              expected);
  }
  void verify(PythonVerifier& python) {
    VerifyOptions options;
    options.path = store_->database();
    const auto report = verify_log(options);
    ASSERT_TRUE(report) << report.error();
    ASSERT_EQ(report->problem, "") << "at " << report->first_bad_seq;
    EXPECT_EQ(report->purges.size(), purges_);
    EXPECT_EQ(python.judge(options.path + " -").substr(0, 6), "0 PASS");
  }
  std::uint64_t purges() const { return purges_; }

 private:
  std::string any_person() { return kPeople[random_.below(std::size(kPeople))]; }
  std::string any_room() { return "room-" + std::to_string(random_.below(4)); }

  CommitStatus commit(Commit commit) {
    return commit_and_wait(store_->store(), std::move(commit)).status;
  }
  // New rows, the store's own among them.
  void learn() {
    RawDatabase raw = store_->raw();
    const std::string newer = " FROM audit WHERE seq > " + std::to_string(known_) + " ORDER BY seq";
    const auto seqs = raw.column("SELECT seq" + newer);
    const auto walls = raw.column("SELECT t_wall_us" + newer);
    const auto types = raw.column("SELECT type" + newer);
    const auto actors = raw.column("SELECT substr(actor, instr(actor, ':') + 1)" + newer);
    const auto rooms = raw.column("SELECT room" + newer);
    const auto objects = raw.column("SELECT json_extract(CAST(body AS TEXT), '$.object')" + newer);
    for (std::size_t i = 0; i < seqs.size(); ++i) {
      known_ = std::stoull(seqs[i]);
      model_.records[known_] = {
          known_, microseconds(std::stoll(walls[i])), types[i], actors[i], objects[i], rooms[i]};
    }
  }
  void append(std::size_t least) {
    Commit many;
    for (std::size_t left = least + random_.below(120); left > 0; --left) {
      AuditRecord& record = many.records.emplace_back(record_of("room.join"));
      record.actor = {"participant", any_person(), "guest", ""};
      record.room = any_room();
      if (random_.below(3) == 0) record.object = any_person();
    }
    ASSERT_EQ(commit(std::move(many)), CommitStatus::committed);
  }
  void set_hold() {
    HoldRow hold;
    hold.hold_id = "hold-" + std::to_string(random_.below(6));
    if (random_.below(2) == 0) hold.room = any_room();
    if (random_.below(2) == 0) hold.person = any_person();
    if (random_.below(3) == 0) hold.from = store_->now() - kModelYear * random_.below(9);
    if (random_.below(3) == 0) hold.to = store_->now() - kModelYear * random_.below(9);
    const bool possible = model_.holds.count(hold.hold_id) == 0 &&
                          (!hold.room.empty() || !hold.person.empty() || hold.from || hold.to);
    Commit one = commit_of(std::string(kHoldSetRecord), hold.hold_id);
    one.records.front().detail.set("hold", hold_json(hold));
    one.changes.emplace_back(HoldSet{hold});
    ASSERT_EQ(commit(std::move(one)) == CommitStatus::committed, possible);
    if (possible) model_.holds[hold.hold_id] = hold;
  }
  void clear_hold() {
    const std::string id = "hold-" + std::to_string(random_.below(6));
    Commit one = commit_of(std::string(kHoldClearedRecord), id);
    one.changes.emplace_back(HoldCleared{id});
    ASSERT_EQ(commit(std::move(one)) == CommitStatus::committed, model_.holds.erase(id) == 1);
  }
  void propose() {
    learn();
    const PurgeProposalRow row{1 + random_.below(std::max<std::uint64_t>(known_ - 1, 1)),
                               6 + static_cast<int>(random_.below(2)), any_person(), store_->now()};
    Commit one = commit_of(std::string(kPurgeProposedRecord));
    one.records.front().actor = {"staff", row.proposed_by, "admin", "session"};
    one.records.front().detail.set("through", row.through).set("keep_years", row.keep_years);
    one.changes.emplace_back(PurgeProposed{row});
    ASSERT_EQ(commit(std::move(one)), CommitStatus::committed);
    model_.proposal = row;
  }
  void withdraw() {
    Commit one = commit_of(std::string(kPurgeWithdrawnRecord));
    one.changes.emplace_back(PurgeWithdrawn{});
    ASSERT_EQ(commit(std::move(one)), CommitStatus::committed);
    model_.proposal.reset();
  }
  void approve() {
    learn();
    const std::string by = any_person();
    const std::uint64_t archived = random_.below(4) == 0 ? random_.below(known_) : known_;
    Commit one = commit_of(std::string(kPurgeRecord));
    one.records.front().actor = {"staff", by, "admin", "session"};
    one.purge =
        PurgeOrder{by,
                   archived,
                   std::string(64, 'a'),
                   archived,
                   std::string(64, 'b'),
                   model_.proposal ? model_.proposal->proposed_at : std::chrono::microseconds()};
    const bool possible = model_.purge(by, archived, store_->now());
    ASSERT_EQ(commit(std::move(one)) == CommitStatus::committed, possible);
    if (possible) ++purges_;
  }
  // The files as they are at this moment, as a killed process leaves them.
  void crash() {
    auto next = std::make_unique<SealedStore>();
    next->pass(store_->now() - next->now());
    std::filesystem::copy(std::filesystem::path(store_->database()).parent_path(),
                          std::filesystem::path(next->database()).parent_path(),
                          std::filesystem::copy_options::recursive |
                              std::filesystem::copy_options::overwrite_existing);
    store_->close();
    store_ = std::move(next);
    store_->open();
  }

  testing_support::SeededRandom random_;
  std::unique_ptr<SealedStore> store_ = std::make_unique<SealedStore>();
  Model model_;
  std::uint64_t known_ = 0;
  std::uint64_t purges_ = 0;
};

TEST(RetentionProperty, KeepsWhatTheModelKeepsAndProvesIt) {
  const char* more = std::getenv("BEDSIDE_RETENTION_RUNS");
  const std::uint64_t runs = more == nullptr ? 2 : std::strtoull(more, nullptr, 10);
  PythonVerifier python;
  std::random_device seeds;
  std::uint64_t purges = 0;
  for (std::uint64_t i = 0; i < runs; ++i) {
    const std::uint64_t seed = seeds();
    SCOPED_TRACE("seed " + std::to_string(seed));
    RetentionRun run(seed);
    for (int step = 0; step < kSteps; ++step) {
      run.step();
      run.compare();
      if (step % 20 == 19) run.verify(python);
      if (testing::Test::HasFatalFailure()) return;
    }
    purges += run.purges();
  }
  std::printf("%llu purges in %llu runs\n", static_cast<unsigned long long>(purges),
              static_cast<unsigned long long>(runs));
}

}  // namespace
}  // namespace bedside::store
