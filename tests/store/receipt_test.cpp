// Receipts: what whoever asked for a change keeps of its record, against both verifiers.
#include "store/receipt.h"

#include <gmock/gmock.h>
#include <sys/wait.h>

#include <cstdio>
#include <fstream>
#include <future>

#include "sealed_store.h"
#include "store/audit_bundle.h"
#include "store/canonical_reader.h"
#include "store/file_sink.h"
#include "store/verify.h"

namespace bedside::store {
namespace {

using testing::HasSubstr;

class ReceiptTest : public testing::Test {
 protected:
  ReceiptTest() { store_.open(); }

  static Commit asking(const std::string& type, int records = 1) {
    Commit commit;
    for (int i = 0; i < records; ++i) commit.records.push_back(record_of(type));
    commit.receipt = true;
    return commit;
  }
  std::string receipt_of(const std::string& type, int records = 1) {
    return commit_and_wait(store_.store(), asking(type, records)).receipt;
  }

  // Both verifiers, which have to agree.
  VerifyReport verdict(const std::string& file, const std::vector<std::string>& receipts) {
    VerifyOptions options;
    options.path = file;
    options.genesis = store_.epoch(1).key;
    options.receipts = receipts;
    std::string command =
        "python3 " BEDSIDE_VERIFIER " " + file + " --genesis " + to_hex(*options.genesis);
    for (std::size_t i = 0; i < receipts.size(); ++i) {
      const std::string name = folder_.path() + "/receipt" + std::to_string(i);
      std::ofstream(name) << receipts[i];
      command += " --receipt " + name;
    }
    const auto report = file.ends_with(".tar") ? verify_bundle(options) : verify_log(options);
    EXPECT_TRUE(report) << report.error();
    std::string said;
    FILE* pipe = popen((command + " 2>&1").c_str(), "r");
    char buffer[256];
    while (fgets(buffer, sizeof buffer, pipe) != nullptr) said += buffer;
    EXPECT_EQ(WEXITSTATUS(pclose(pipe)), !report->ok()                   ? 1
                                         : report->unproven_receipts > 0 ? 3
                                                                         : 0)
        << said << "\nagainst: " << report->problem;
    return *report;
  }

  std::string export_all(const std::string& room = {}) {
    ExportOptions options;
    options.filter.room = room;
    options.database = store_.database();
    options.readme = options.verifier = "x";
    const auto survey = survey_export(options);
    EXPECT_TRUE(survey) << survey.error();
    Commit commit = commit_of(std::string(kExportRecord));
    commit.records.back().detail = survey->detail;
    const auto seq = commit_and_wait(store_.store(), std::move(commit)).first_seq;
    auto sink = FileSink::create(folder_.path() + "/export.tar");
    const auto nothing = [](auto&&...) { return std::nullopt; };
    EXPECT_TRUE(write_bundle(options, *survey, seq, nothing, **sink));
    EXPECT_TRUE((*sink)->finish());
    return folder_.path() + "/export.tar";
  }

  SealedStore store_;
  TemporaryFolder folder_;
};

TEST_F(ReceiptTest, ProvesItsRecordWhereverItIsInTheTree) {
  std::vector<std::string> receipts;
  // Through the boundaries of 2, 256 and 512, in commits of one and of several records.
  for (int i = 0; i < 180; ++i) receipts.push_back(receipt_of("room.created", i % 5 + 1));
  for (const std::string& text : receipts) {
    const auto promise = check_receipt(text);
    ASSERT_TRUE(promise) << promise.error();
    EXPECT_EQ(Receipt::parse(text)->text(), text);
  }
  const std::vector<std::string> some = {receipts[0], receipts[80], receipts[179]};
  const VerifyReport report = verdict(store_.database(), some);
  EXPECT_EQ(report.problem, "");
  EXPECT_EQ(report.receipts, 3U);
  const VerifyReport of_export = verdict(export_all(), some);
  EXPECT_EQ(of_export.problem, "");
  EXPECT_EQ(of_export.receipts, 3U);
  EXPECT_EQ(of_export.unproven_receipts, 0U);
}

// The transaction is written twice, across the end of a block of the tree, and promises one thing.
TEST_F(ReceiptTest, HoldsBesideCommitsThatAreRefused) {
  Commit before;
  before.records.assign(252, record_of("room.created"));
  ASSERT_TRUE(commit_and_wait(store_.store(), std::move(before)).ok());
  Gate gate;
  ASSERT_NO_FATAL_FAILURE(hold(store_.store(), gate));
  std::vector<CommitResult> results;  // store thread, then us after close()
  const auto submit = [&](Commit commit) {
    ASSERT_TRUE(store_.store().submit(
        std::move(commit), [&](const CommitResult& result) { results.push_back(result); }));
  };
  Commit contradicts = asking("room.ended");
  contradicts.changes = {AccountPasswordSet{"nobody", "x"}};
  submit(asking("room.join", 2));
  submit(contradicts);
  submit(asking("room.join", 5));
  submit(asking(std::string(kMaxAuditBody, 'x')));
  submit(asking("room.join"));
  gate.open();
  store_.store().close();
  ASSERT_EQ(results.size(), 5U);
  EXPECT_EQ(results[1].status, CommitStatus::conflict);
  EXPECT_EQ(results[3].status, CommitStatus::invalid);
  std::vector<std::string> receipts;
  for (const std::size_t i : {0U, 2U, 4U}) {
    receipts.push_back(results[i].receipt);
    const auto promise = check_receipt(receipts.back());
    ASSERT_TRUE(promise) << promise.error();
    EXPECT_EQ(Receipt::parse(receipts.back())->index + 1, results[i].first_seq);
  }
  EXPECT_EQ(results[4].last_seq, 262U);
  EXPECT_EQ(verdict(store_.database(), receipts).problem, "");
}

TEST_F(ReceiptTest, OfARecordThatIsNotInAnExportIsNotProvenByIt) {
  const std::string text = receipt_of("room.created");
  store_.commit("room.ended");
  const VerifyReport report = verdict(export_all("another room"), {text});
  EXPECT_EQ(report.problem, "");
  EXPECT_EQ(report.receipts, 0U);
  EXPECT_EQ(report.unproven_receipts, 1U);
}

// Whoever has the present key can sign another record of a number, but not take a receipt back.
TEST_F(ReceiptTest, OfAnotherRecordThanTheExportHasIsNoticed) {
  const std::string text = receipt_of("room.created");
  const Receipt given = *Receipt::parse(text);
  ASSERT_EQ(given.index, 1U);
  const auto note = parse_note(given.checkpoint);
  Checkpoint checkpoint = *Checkpoint::parse(note->text);
  std::string body = given.body;
  body.replace(body.find("room.created"), 12, "room.deleted");
  checkpoint.size = 2;
  checkpoint.root = node_hash(given.proof.front(), leaf_hash(body));
  checkpoint.time_us += 1;
  const auto key = EpochKeys(store_.keys()).load(checkpoint.epoch);
  const Receipt other{body, 1, {given.proof.front()}, sign_checkpoint(checkpoint, *key).value()};
  store_.commit("room.ended");
  EXPECT_TRUE(check_receipt(other.text()));
  EXPECT_THAT(verdict(export_all(), {other.text()}).problem, HasSubstr("another record"));
}

TEST_F(ReceiptTest, IsOfTheFirstRecordOfItsCommitAmongMany) {
  std::vector<std::future<CommitResult>> results;
  for (int i = 0; i < 200; ++i) {
    auto promise = std::make_unique<std::promise<CommitResult>>();
    results.push_back(promise->get_future());
    Commit commit = asking("room.created", 2);
    commit.receipt = i % 3 == 0;
    auto* raw = promise.release();
    ASSERT_TRUE(store_.store().submit(std::move(commit), [raw](const CommitResult& result) {
      raw->set_value(result);
      delete raw;
    }));
  }
  for (int i = 0; i < 200; ++i) {
    const CommitResult result = results[static_cast<std::size_t>(i)].get();
    EXPECT_EQ(result.receipt.empty(), i % 3 != 0);
    if (result.receipt.empty()) continue;
    ASSERT_TRUE(check_receipt(result.receipt));
    EXPECT_EQ(Receipt::parse(result.receipt)->index + 1, result.first_seq);
  }
}

TEST_F(ReceiptTest, IsOfNoValueOnceAnythingInItChanged) {
  receipt_of("room.created");
  const std::string text = receipt_of("room.ended");
  receipt_of("room.created");
  const std::string file = export_all();
  const Receipt receipt = *Receipt::parse(text);
  const auto holds = [&](const std::string& each) {
    VerifyOptions options;
    options.path = store_.database();
    options.receipts = {each};
    return verify_log(options)->ok();
  };
  const auto refused = [&](const Receipt& changed, const std::string& what) {
    EXPECT_FALSE(verdict(file, {changed.text()}).ok()) << what;
    EXPECT_FALSE(holds(changed.text())) << what;
  };
  Receipt changed = receipt;
  changed.body.replace(changed.body.find("room.ended"), 10, "room.ender");
  refused(changed, "body");
  changed = receipt;
  ++changed.index;
  refused(changed, "index");
  changed = receipt;
  changed.proof.back()[0] ^= 1;
  refused(changed, "proof");
  changed = receipt;
  changed.proof.pop_back();
  refused(changed, "shorter proof");
  changed = receipt;
  changed.checkpoint.replace(changed.checkpoint.find("\ntime ") + 6, 1, "9");
  refused(changed, "signature");
  EXPECT_TRUE(verdict(store_.database(), {text}).ok());
  EXPECT_TRUE(verdict(file, {text}).ok());
  // One character anywhere; what is still a receipt is refused for its signature or its proof.
  for (std::size_t at = 0; at < text.size(); at += 29) {
    std::string other = text;
    other[at] = other[at] == 'x' ? 'y' : 'x';
    EXPECT_FALSE(holds(other)) << at;
  }
}

TEST_F(ReceiptTest, OfAnotherLogIsRefused) {
  SealedStore other;
  other.open();
  const CommitResult result = commit_and_wait(other.store(), asking("room.created"));
  EXPECT_TRUE(check_receipt(result.receipt)) << "in itself it is whole";
  store_.commit("room.created");
  store_.commit("room.created");
  EXPECT_FALSE(verdict(store_.database(), {result.receipt}).ok());
  EXPECT_FALSE(verdict(export_all(), {result.receipt}).ok());
}

TEST_F(ReceiptTest, ShowsThatItsRecordWasTakenOutOfTheLog) {
  const std::string text = receipt_of("room.created");
  EXPECT_TRUE(verdict(store_.database(), {text}).ok());
  SealedStore rewritten;  // by somebody who noted no key
  rewritten.open();
  for (int i = 0; i < 3; ++i) rewritten.commit("room.joined");
  VerifyOptions options;
  options.path = rewritten.database();
  EXPECT_TRUE(verify_log(options)->ok());
  options.receipts = {text};
  EXPECT_FALSE(verify_log(options)->ok());
}

// The number in the body is what people read.
TEST(Receipt, IsOfTheRecordWithItsNumber) {
  const auto key = SigningKey::from_seed(std::vector<std::uint8_t>(32, 7)).value();
  for (const std::string number : {"1", "2"}) {
    const std::string body = R"({"seq":)" + number + R"(,"type":"a"})";
    const Checkpoint checkpoint{"origin", 1, leaf_hash(body), 1, 1};
    const Receipt receipt{body, 0, {}, sign_checkpoint(checkpoint, key).value()};
    EXPECT_EQ(check_receipt(receipt.text()).has_value(), number == "1") << number;
  }
}

TEST(ReceiptSize, IsBelow1500BytesBesideTheBodyAtAMillionRecords) {
  constexpr std::uint64_t kRecords = 1'000'000;
  std::size_t largest = 0;
  for (const std::uint64_t index : {std::uint64_t{0}, kRecords / 2, kRecords - 1}) {
    Receipt receipt;
    receipt.index = index;
    receipt.proof = *inclusion_proof(index, kRecords, [](int, std::uint64_t) { return Hash{}; });
    const auto key = SigningKey::generate();
    const Checkpoint checkpoint{
        "bedside/audit/" + std::string(32, 'a'), kRecords, {}, 3'650, 1'800'000'000'000'000};
    receipt.checkpoint = *sign_checkpoint(checkpoint, *key);
    largest = std::max(largest, receipt.text().size());
  }
  std::printf("receipt at %llu records: %zu bytes beside the body\n",
              static_cast<unsigned long long>(kRecords), largest);
  EXPECT_LE(largest, 1500U);
}

}  // namespace
}  // namespace bedside::store
