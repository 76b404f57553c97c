// Anchors of the audit log: the file, the keeper, the webhook.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <httplib.h>

#include <atomic>
#include <fstream>
#include <future>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "server/anchor_keeper.h"
#include "server/anchor_places.h"
#include "store/store.h"
#include "tests/net/test_certificate.h"
#include "tests/server/scratch_folder.h"

namespace bedside::server {
namespace {

using std::chrono::hours;
using std::chrono::minutes;
using ::testing::HasSubstr;

// A sealed log that can be grown, copied and put back.
class SealedLog {
 public:
  SealedLog() {
    std::filesystem::create_directories(folder_.path() / "keys");
    open();
  }
  std::string database() const { return (folder_.path() / "bedside.db").string(); }
  std::filesystem::path file(const char* name) const { return folder_.path() / name; }

  void grow(std::size_t records) {
    for (std::size_t done = 0; done < records;) {
      store::Commit commit;
      for (; commit.records.size() < 200 && done < records; ++done) {
        store::AuditRecord record;
        record.type = "test";
        record.object = std::to_string(++written_);
        commit.records.push_back(std::move(record));
      }
      std::promise<bool> written;
      store_->submit(std::move(commit),
                     [&](const store::CommitResult& result) { written.set_value(result.ok()); });
      ASSERT_TRUE(written.get_future().get());
    }
  }
  void close() { store_->close(); }
  void open() {
    store::Options options;
    options.path = database();
    options.keys = (folder_.path() / "keys").string();
    auto opened = store::Store::open(std::move(options));
    ASSERT_TRUE(opened) << opened.error().text;
    store_ = std::move(*opened);
  }
  void save(const char* as) {
    close();
    std::filesystem::copy(folder_.path() / "keys", file(as),
                          std::filesystem::copy_options::recursive);
    std::filesystem::copy(database(), file(as) / "bedside.db");
    open();
  }
  void put_back(const char* from) {
    close();
    std::filesystem::remove_all(folder_.path() / "keys");
    for (const char* tail : {"", "-wal", "-shm"}) std::filesystem::remove(database() + tail);
    std::filesystem::copy(file(from), folder_.path() / "keys");
    std::filesystem::rename(folder_.path() / "keys" / "bedside.db", database());
    open();
  }
  store::Reader reader() const { return std::move(*store::Reader::open(database())); }
  std::uint64_t size() const {
    const auto note = reader().newest_checkpoint();
    return store::read_tree_head(**note)->size;
  }

 private:
  ScratchFolder folder_;
  std::unique_ptr<store::Store> store_;
  std::size_t written_ = 0;
};

std::string content_of(const std::filesystem::path& file) {
  std::ifstream in(file, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

void append(const std::filesystem::path& file, const std::string& text) {
  std::ofstream(file, std::ios::binary | std::ios::app) << text;
}

TEST(AnchorFile, KeepsEachCheckpointOnceAndReadsTheNewestBack) {
  SealedLog log;
  log.grow(3);
  const auto file = log.file("anchor");
  EXPECT_EQ(newest_in_anchor_file(file).value(), std::nullopt);
  const auto place = make_anchor_file(file);
  EXPECT_EQ(place->keep(log.reader()).value(), log.size());
  EXPECT_EQ(place->keep(log.reader()).value(), log.size());
  EXPECT_EQ(notes_in(content_of(file)).size(), 1U);
  log.grow(5);
  EXPECT_EQ(place->keep(log.reader()).value(), log.size());
  EXPECT_EQ(notes_in(content_of(file)).size(), 2U);
  EXPECT_EQ(newest_in_anchor_file(file).value(), *log.reader().newest_checkpoint());
  EXPECT_EQ(contradiction(log.reader(), **newest_in_anchor_file(file)), std::nullopt);
}

TEST(AnchorFile, LosesOnlyTheNoteThatACrashCutOffAnywhere) {
  SealedLog log;
  log.grow(3);
  const auto whole = log.file("whole");
  ASSERT_TRUE(make_anchor_file(whole)->keep(log.reader()));
  const std::string first = content_of(whole);
  log.grow(1);
  const std::string second = **log.reader().newest_checkpoint();
  for (std::size_t cut = 0; cut < first.size(); ++cut) {
    const auto file = log.file("cut");
    std::filesystem::remove(file);
    append(file, first + first.substr(0, cut));
    ASSERT_TRUE(make_anchor_file(file)->keep(log.reader()));
    const auto notes = notes_in(content_of(file));
    ASSERT_GE(notes.size(), 2U) << cut;
    EXPECT_EQ(notes.front(), first.substr(0, first.size() - 1)) << cut;
    EXPECT_EQ(notes.back(), second) << cut;
    EXPECT_EQ(newest_in_anchor_file(file).value(), second) << cut;
  }
}

TEST(AnchorFile, OnADiskThatIsGoneIsAProblemAndNoCrash) {
  SealedLog log;
  log.grow(1);
  const auto kept = make_anchor_file(log.file("no such folder") / "anchor")->keep(log.reader());
  ASSERT_FALSE(kept);
  EXPECT_THAT(kept.error().what, HasSubstr("No such file"));
  EXPECT_FALSE(kept.error().contradiction);
}

TEST(Contradiction, IsSeenWhenTheDatabaseIsRolledBackOrWrittenAnew) {
  SealedLog log;
  log.grow(10);
  log.save("yesterday");
  log.grow(10);
  const std::string note = **log.reader().newest_checkpoint();
  EXPECT_EQ(contradiction(log.reader(), note), std::nullopt);
  log.put_back("yesterday");
  EXPECT_THAT(*contradiction(log.reader(), note), HasSubstr("rolled back"));
  log.grow(30);  // more records than before, but others
  EXPECT_THAT(*contradiction(log.reader(), note), HasSubstr("not those sealed before"));
  SealedLog another;
  another.grow(40);
  EXPECT_THAT(*contradiction(another.reader(), note), HasSubstr("another audit log"));
  EXPECT_THAT(*contradiction(log.reader(), "nonsense"), HasSubstr("no checkpoint"));
}

// A place that fails when told to.
class FakePlace final : public AnchorPlace {
 public:
  explicit FakePlace(bool& works, int& asked) : works_(works), asked_(asked) {}
  const std::string& name() const override { return name_; }
  tl::expected<std::uint64_t, AnchorProblem> keep(const store::Reader& log) override {
    ++asked_;
    if (!works_) return tl::unexpected(AnchorProblem{"it does not answer"});
    return store::read_tree_head(*log.newest_checkpoint().value())->size;
  }

 private:
  bool& works_;
  int& asked_;
  std::string name_ = "fake";
};

struct KeeperTest : ::testing::Test {
  std::unique_ptr<AnchorKeeper> keeper() {
    std::vector<std::unique_ptr<AnchorPlace>> places;
    places.push_back(std::make_unique<FakePlace>(works, asked));
    return std::make_unique<AnchorKeeper>(log.database(), std::move(places),
                                          [this](const AnchorState& s) { told.push_back(s); });
  }
  SealedLog log;
  bool works = true;
  int asked = 0;
  std::vector<AnchorState> told;
  AnchorKeeper::Time now = AnchorKeeper::Time() + hours(1000);
};

TEST_F(KeeperTest, AnchorsAtStartThenEveryHourOrThousandRecordsWhenThereIsSomethingNew) {
  const auto keeper = this->keeper();
  log.grow(5);
  keeper->step(now);
  EXPECT_EQ(asked, 1);
  EXPECT_EQ(keeper->states().at(0).size, log.size());
  log.grow(5);
  keeper->step(now + minutes(59));
  EXPECT_EQ(asked, 1);
  keeper->step(now + minutes(60));
  EXPECT_EQ(asked, 2);
  keeper->step(now + hours(5));  // nothing new
  EXPECT_EQ(asked, 2);
  log.grow(1);
  keeper->step(now + hours(5));
  EXPECT_EQ(asked, 3);
  log.grow(kAnchorRecords - 1);
  keeper->step(now + hours(5) + minutes(1));
  EXPECT_EQ(asked, 3);
  log.grow(1);
  keeper->step(now + hours(5) + minutes(1));
  EXPECT_EQ(asked, 4);
  ASSERT_EQ(told.size(), 1U);
  EXPECT_EQ(told[0].problem, "");
}

TEST_F(KeeperTest, TriesAPlaceThatFailsAgainEverLessOftenAndTellsOnce) {
  const auto keeper = this->keeper();
  log.grow(5);
  works = false;
  std::vector<int> when;
  for (int minute = 0; minute < 300; ++minute) {
    const int before = asked;
    keeper->step(now + minutes(minute));
    if (asked != before) when.push_back(minute);
  }
  EXPECT_THAT(when, ::testing::ElementsAre(0, 1, 3, 7, 15, 31, 63, 123, 183, 243));
  ASSERT_EQ(told.size(), 1U);
  EXPECT_EQ(told[0].problem, "it does not answer");
  works = true;
  keeper->step(now + minutes(303));
  ASSERT_EQ(told.size(), 2U);
  EXPECT_EQ(told[1].problem, "");
  EXPECT_EQ(told[1].size, log.size());
}

TEST_F(KeeperTest, BringsTheLastCheckpointToTheFileAtTheStop) {
  std::vector<std::unique_ptr<AnchorPlace>> places;
  places.push_back(make_anchor_file(log.file("anchor")));
  AnchorKeeper keeper(log.database(), std::move(places), {});
  keeper.start();
  log.grow(7);
  log.close();
  EXPECT_TRUE(keeper.finish(std::chrono::seconds(30)));
  EXPECT_EQ(newest_in_anchor_file(log.file("anchor")).value(), *log.reader().newest_checkpoint());
}

TEST(AnchorWebhook, PostsTheNoteAndTakesNothingButAYesForOne) {
  httplib::Server server;
  std::string got;
  int status = 204;
  server.Post("/anchor", [&](const httplib::Request& request, httplib::Response& response) {
    got = request.body;
    response.status = status;
  });
  const int port = server.bind_to_any_port("127.0.0.1");
  std::thread thread([&] { server.listen_after_bind(); });
  SealedLog log;
  log.grow(2);
  const auto place = make_anchor_webhook("http://127.0.0.1:" + std::to_string(port) + "/anchor");
  ASSERT_TRUE(place);
  EXPECT_EQ(place->keep(log.reader()).value(), log.size());
  EXPECT_EQ(got, **log.reader().newest_checkpoint());
  status = 500;
  EXPECT_THAT(place->keep(log.reader()).error().what, HasSubstr("status 500"));
  server.stop();
  thread.join();
  EXPECT_THAT(place->keep(log.reader()).error().what, HasSubstr("does not answer"));
}

TEST(AnchorWebhook, EndsAnAnswerWithoutEnd) {
  httplib::Server server;
  server.Post("/anchor", [](const httplib::Request&, httplib::Response& response) {
    response.set_chunked_content_provider("text/plain", [](std::size_t, httplib::DataSink& sink) {
      const std::string some(4096, 'x');
      return sink.write(some.data(), some.size());
    });
  });
  const int port = server.bind_to_any_port("127.0.0.1");
  std::thread thread([&] { server.listen_after_bind(); });
  SealedLog log;
  log.grow(2);
  const auto place = make_anchor_webhook("http://127.0.0.1:" + std::to_string(port) + "/anchor");
  const auto kept = place->keep(log.reader());
  EXPECT_THAT(kept ? "kept" : kept.error().what, HasSubstr("does not answer"));
  server.stop();
  thread.join();
}

// Whoever stands between could otherwise say yes to everything and keep nothing.
TEST(AnchorWebhook, SendsNothingToACertificateThatNobodyVouchesFor) {
  const tests::TestCertificate certificate;
  httplib::SSLServer server(certificate.certificate().c_str(), certificate.key().c_str());
  ASSERT_TRUE(server.is_valid());
  std::atomic<int> got = 0;
  server.Post("/anchor", [&](const httplib::Request&, httplib::Response&) { ++got; });
  const int port = server.bind_to_any_port("127.0.0.1");
  std::thread thread([&] { server.listen_after_bind(); });
  httplib::SSLClient credulous("127.0.0.1", port);
  credulous.enable_server_certificate_verification(false);
  EXPECT_TRUE(credulous.Post("/anchor", "x", "text/plain"));
  EXPECT_EQ(got, 1) << "it answers";
  SealedLog log;
  log.grow(2);
  const auto place = make_anchor_webhook("https://127.0.0.1:" + std::to_string(port) + "/anchor");
  ASSERT_TRUE(place);
  const auto kept = place->keep(log.reader());
  EXPECT_THAT(kept ? "kept" : kept.error().what, HasSubstr("does not answer"));
  EXPECT_EQ(got, 1);
  server.stop();
  thread.join();
}

TEST(AnchorUrl, IsHttpsOrThisMachine) {
  for (const char* good : {"https://a.example/x", "https://a.example", "http://127.0.0.1:80/x",
                           "http://localhost/x", "http://[::1]:8080/x", "https://[2001:db8::1]/"}) {
    EXPECT_TRUE(read_anchor_url(good)) << good;
  }
  for (const char* bad : {"", "a.example", "http://a.example/x", "ftp://127.0.0.1/", "https://",
                          "https://user@a.example/", "https://a.example/x y", "https:///x",
                          "http://127.0.0.1.example/", "https://a.example/#x"}) {
    EXPECT_FALSE(read_anchor_url(bad)) << bad;
  }
}

}  // namespace
}  // namespace bedside::server
