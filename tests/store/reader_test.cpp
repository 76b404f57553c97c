#include "store/reader.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <random>
#include <thread>

#include "store/database.h"
#include "store_fixture.h"

namespace bedside::store {
namespace {

using std::chrono::microseconds;
using testing::ElementsAre;
using testing::IsEmpty;

std::vector<std::uint64_t> seqs(const Reader& reader, const AuditQuery& query) {
  const auto rows = reader.audit(query);
  EXPECT_TRUE(rows) << rows.error();
  std::vector<std::uint64_t> result;
  for (const AuditRow& row : *rows) result.push_back(row.seq);
  return result;
}

// A log whose clock was also set back once, so that time and number do not run alike.
class ReaderTest : public testing::Test {
 protected:
  struct Line {
    std::string type;
    std::string room;
    Outcome outcome;
    std::int64_t wall;
  };

  void fill(const std::vector<Line>& lines) {
    Options options;
    options.path = folder_.database();
    std::atomic<std::int64_t> now = 0;
    options.clock = [&] { return Clock{microseconds(now), microseconds(0)}; };
    const auto store = open_or_die(std::move(options));
    for (const Line& line : lines) {
      now = line.wall;
      Commit commit = commit_of(line.type);
      commit.records[0].room = line.room;
      commit.records[0].outcome = line.outcome;
      ASSERT_TRUE(store->submit(std::move(commit), {}));
    }
  }

  TemporaryFolder folder_;
};

TEST_F(ReaderTest, FiltersAndPagesNewestFirst) {
  fill({{"room.created", "r1", Outcome::ok, 10},
        {"room.join", "r1", Outcome::ok, 20},
        {"room.join", "r2", Outcome::denied, 30},
        {"auth.login", "", Outcome::denied, 15},  // the clock was set back
        {"rooms", "r1", Outcome::ok, 40}});
  const Reader reader = reader_or_die(folder_.database());
  AuditQuery query;
  EXPECT_THAT(seqs(reader, query), ElementsAre(5, 4, 3, 2, 1));
  query.limit = 2;
  EXPECT_THAT(seqs(reader, query), ElementsAre(5, 4));
  query.before_seq = 4;
  EXPECT_THAT(seqs(reader, query), ElementsAre(3, 2));
  query = {};
  query.type_prefix = "room.";
  EXPECT_THAT(seqs(reader, query), ElementsAre(3, 2, 1));
  query.type_prefix = "room.join";
  EXPECT_THAT(seqs(reader, query), ElementsAre(3, 2));
  query.type_prefix = "nothing";
  EXPECT_THAT(seqs(reader, query), IsEmpty());
  query = {};
  query.room = "r1";
  EXPECT_THAT(seqs(reader, query), ElementsAre(5, 2, 1));
  query.type_prefix = "room.";
  EXPECT_THAT(seqs(reader, query), ElementsAre(2, 1));
  query = {};
  query.outcome = Outcome::denied;
  EXPECT_THAT(seqs(reader, query), ElementsAre(4, 3));
  query.outcome = Outcome::ok;
  EXPECT_THAT(seqs(reader, query), ElementsAre(5, 2, 1));
  query = {};
  query.from = microseconds(15);
  query.to = microseconds(40);
  EXPECT_THAT(seqs(reader, query), ElementsAre(4, 3, 2));
  EXPECT_THAT(*reader.audit_types(),
              ElementsAre("auth.login", "room.created", "room.join", "rooms"));
}

TEST_F(ReaderTest, TakesFilterTextAsTextOnly) {
  fill({{"a", "r", Outcome::ok, 1}});
  const Reader reader = reader_or_die(folder_.database());
  for (const char* text : {"' OR 1=1 --", "%", "_", "*", "\"", "a\xff"}) {
    AuditQuery query;
    query.type_prefix = text;
    EXPECT_THAT(seqs(reader, query), IsEmpty()) << text;
    query = {};
    query.room = text;
    EXPECT_THAT(seqs(reader, query), IsEmpty()) << text;
  }
}

// Every combination of filters against the same question asked of plain vectors.
TEST_F(ReaderTest, AgreesWithAFullScanForRandomQueries) {
  const auto seed = std::random_device{}();
  RecordProperty("seed", std::to_string(seed));
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937 random(seed);
  const auto below = [&](std::size_t n) { return std::size_t{random()} % n; };
  const std::vector<std::string> types = {"a.b", "a.c", "a", "b", "b.a"};
  const std::vector<std::string> rooms = {"", "r1", "r2"};
  std::vector<Line> lines;
  for (int i = 0; i < 500; ++i) {
    lines.push_back({types[below(5)], rooms[below(3)], static_cast<Outcome>(below(4)),
                     static_cast<std::int64_t>(below(1000))});
  }
  fill(lines);
  const Reader reader = reader_or_die(folder_.database());
  for (int i = 0; i < 500; ++i) {
    AuditQuery query;
    if (below(2))
      query.type_prefix = std::vector<std::string>{"a", "a.", "a.b", "b", "x"}[below(5)];
    if (below(2)) query.room = rooms[below(3)];
    if (below(2)) query.outcome = static_cast<Outcome>(below(4));
    if (below(2)) query.from = microseconds(below(1000));
    if (below(2)) query.to = microseconds(below(1000));
    if (below(2)) query.before_seq = below(502);
    query.limit = 1 + below(60);
    std::vector<std::uint64_t> expected;
    for (std::size_t n = lines.size(); n >= 1 && expected.size() < query.limit; --n) {
      const Line& line = lines[n - 1];
      if (line.type.compare(0, query.type_prefix.size(), query.type_prefix) != 0) continue;
      if (!query.room.empty() && line.room != query.room) continue;
      if (query.outcome && line.outcome != *query.outcome) continue;
      if (query.from && line.wall < query.from->count()) continue;
      if (query.to && line.wall >= query.to->count()) continue;
      if (query.before_seq != 0 && n >= query.before_seq) continue;
      expected.push_back(n);
    }
    ASSERT_EQ(seqs(reader, query), expected) << "query " << i;
  }
}

TEST_F(ReaderTest, ReadsAFileThatNobodyHasOpen) {
  fill({{"a", "", Outcome::ok, 1}});
  EXPECT_THAT(seqs(reader_or_die(folder_.database()), {}), ElementsAre(1));
}

TEST_F(ReaderTest, SaysWhenThereIsNothingToRead) {
  const auto reader = Reader::open(folder_.path() + "/none.db");
  ASSERT_FALSE(reader);
  EXPECT_THAT(reader.error(), testing::HasSubstr(folder_.path() + "/none.db"));
}

TEST_F(ReaderTest, SeesWholeCommitsOnlyWhileTheyAreWritten) {
  const auto store = open_or_die(folder_.database());
  std::atomic<bool> stop = false;
  std::vector<std::thread> threads;
  std::atomic<int> looks = 0;
  for (int i = 0; i < 2; ++i) {
    threads.emplace_back([&] {
      const Reader reader = reader_or_die(folder_.database());
      std::uint64_t last = 0;
      while (!stop) {
        AuditQuery query;
        query.limit = 10;
        const auto rows = reader.audit(query);
        ASSERT_TRUE(rows) << rows.error();
        if (rows->empty()) continue;
        EXPECT_EQ(rows->front().type, "second");  // never the first half of a commit alone
        EXPECT_GE(rows->front().seq, last);
        last = rows->front().seq;
        ++looks;
      }
    });
  }
  for (int i = 0; i < 300 || looks < 50; ++i) {
    Commit commit = commit_of("first");
    commit.records.push_back(record_of("second"));
    ASSERT_TRUE(commit_and_wait(*store, std::move(commit)).ok());
  }
  stop = true;
  for (std::thread& thread : threads) thread.join();
}

TEST_F(ReaderTest, CannotWrite) {
  open_or_die(folder_.database())->close();
  auto database = Database::open(folder_.database(), Database::Mode::read_only, {});
  ASSERT_TRUE(database);
  const auto done = database->run("INSERT INTO settings VALUES('a', 'b')");
  ASSERT_FALSE(done);
  EXPECT_THAT(done.error().text, testing::HasSubstr("readonly"));
}

}  // namespace
}  // namespace bedside::store
