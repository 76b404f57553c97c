// What is left of deleted rows: nothing, neither in the file nor in the WAL, within a minute.
#include "store/erasure.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <fstream>
#include <map>
#include <random>
#include <set>
#include <thread>

#include "faulty_vfs.h"
#include "store_fixture.h"
#include "tests/support/seeded_random.h"

namespace bedside::store {
namespace {

using testing_support::SeededRandom;

using std::chrono::minutes;
using ::testing::Contains;
using ::testing::IsEmpty;

// A store whose time the test decides, people who come and go in its rooms, and who of them is
// still written somewhere.
class Visits {
 public:
  explicit Visits(const TemporaryFolder& folder, const std::string& vfs = {})
      : path_(folder.database()) {
    Options options = sealed_options(folder);
    options.vfs = vfs;
    options.clock = [this] { return Clock{now_.load(), now_.load()}; };
    options.on_fatal = [this](const std::string&) { ++fatal_; };
    store_ = open_or_die(std::move(options));
  }

  Store& store() { return *store_; }
  int fatal() const { return fatal_; }

  void open_rooms(int count) {
    Commit commit;
    for (int i = 0; i < count; ++i) {
      RoomRow room{"room" + std::to_string(i), "", std::chrono::milliseconds(1000), {}, {}};
      room.appointment_json = "\"" + name_of("appointment", i) + '"';
      commit.changes.emplace_back(RoomCreated{std::move(room)});
    }
    ASSERT_TRUE(commit_and_wait(*store_, std::move(commit)).ok());
    rooms_ = count;
  }
  // Of one visit each, in no order, with long appointments that are told apart like names.
  void open_visits(SeededRandom& random, int count) {
    Commit commit;
    for (int i = 0; i < count; ++i) {
      const std::string id = std::to_string(random.word());
      RoomRow room{id, "", std::chrono::milliseconds(1000), {}, {}};
      room.appointment_json =
          '"' + name_of("name", ++number_) + std::string(random.below(400), '.') + '"';
      commit.changes.emplace_back(RoomCreated{std::move(room)});
      present_[id] = name_of("name", number_);
    }
    ASSERT_TRUE(commit_and_wait(*store_, std::move(commit)).ok());
  }
  void forget_half(SeededRandom& random) {
    Commit commit;
    std::erase_if(present_, [&](const auto& visit) {
      if (random.one_in(2)) return false;
      commit.changes.emplace_back(RoomForgotten{visit.first});
      return true;
    });
    ASSERT_TRUE(commit_and_wait(*store_, std::move(commit)).ok());
  }
  // Returns the name.
  std::string join(std::uint64_t random) {
    const std::string name = name_of("name", ++number_) + std::string(random % 60, '.');
    Commit commit;
    commit.changes = {joined("room" + std::to_string(random % static_cast<unsigned>(rooms_)),
                             std::to_string(random) + '-' + std::to_string(number_), name)};
    EXPECT_TRUE(commit_and_wait(*store_, commit).ok());
    present_[std::get<ParticipantJoined>(commit.changes[0]).participant.participant_id] =
        name_of("name", number_);
    return name_of("name", number_);
  }
  void leave(std::uint64_t random) {
    const auto who =
        std::next(present_.begin(), static_cast<std::ptrdiff_t>(random % present_.size()));
    Commit commit;
    commit.changes = {ParticipantLeft{who->first}};
    EXPECT_TRUE(commit_and_wait(*store_, std::move(commit)).ok());
    present_.erase(who);
  }
  // So much that pages are split and merged many times over.
  void come_and_go(SeededRandom& random, int times) {
    for (int i = 0; i < times; ++i) {
      const bool more_come = i / 150 % 2 == 0;
      const bool comes = random.word() % 10 < (more_come ? 6 : 4);
      if (comes || present_.empty()) {
        join(random.word());
      } else {
        leave(random.word());
      }
    }
  }
  // What is due then happens after the answer to a commit: eventually() waits for it.
  void pass(std::chrono::microseconds time) {
    now_ = now_.load() + time;
    settle();
  }
  bool eventually(const std::function<bool()>& holds) const {
    const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(30);
    while (!holds()) {
      if (std::chrono::steady_clock::now() > end) return false;
      std::this_thread::yield();
    }
    return true;
  }
  bool wal_is_empty() const { return std::filesystem::file_size(path_ + "-wal") == 0; }
  void settle() { EXPECT_TRUE(commit_and_wait(*store_, commit_of("x")).ok()); }

  std::set<std::string> present() const {
    std::set<std::string> names;
    for (const auto& [id, name] : present_) names.insert(name);
    return names;
  }
  // Every name that is written in the file or the WAL.
  std::set<std::string> written() const {
    std::set<std::string> names;
    for (const char* file : {"", "-wal"}) {
      std::ifstream in(path_ + file, std::ios::binary);
      const std::string content{std::istreambuf_iterator<char>(in), {}};
      for (std::size_t at = content.find(kMark); at != std::string::npos;
           at = content.find(kMark, at + 1)) {
        // A row that is there may have left a piece where it was before; whose it is a piece does
        // not say, but of rows that are gone whole ones would be left, too.
        const std::string name = content.substr(at, name_of("name", 0).size());
        if (name.back() == '>') names.insert(name);
      }
    }
    return names;
  }

 private:
  static constexpr std::string_view kMark = "<name";
  static std::string name_of(const std::string& kind, int number) {
    return '<' + kind + std::to_string(1'000'000 + number) + '>';
  }

  std::string path_;
  std::atomic<std::chrono::microseconds> now_{std::chrono::hours(1000)};
  std::atomic<int> fatal_ = 0;
  std::unique_ptr<Store> store_;
  std::map<std::string, std::string> present_;  // name by participant
  int number_ = 0;
  int rooms_ = 0;
};

class Erasure : public testing::Test {
 protected:
  SeededRandom random_{std::random_device{}()};
  const TemporaryFolder folder_;
  Visits visits_{folder_};
};

TEST_F(Erasure, AfterACleanStopTheFileHasOnlyTheNamesOfWhoIsThere) {
  visits_.open_rooms(40);
  visits_.come_and_go(random_, 500);
  const LoadedState before = visits_.store().load().value();
  visits_.store().close();
  EXPECT_EQ(visits_.written(), visits_.present());
  // And is the same state as it was.
  const auto store = open_or_die(sealed_options(folder_));
  const LoadedState after = store->load().value();
  ASSERT_EQ(after.rooms.size(), 40U);
  ASSERT_EQ(after.participants.size(), before.participants.size());
  for (std::size_t i = 0; i < after.participants.size(); ++i) {
    EXPECT_EQ(after.participants[i].participant_id, before.participants[i].participant_id);
    EXPECT_EQ(after.participants[i].display_name, before.participants[i].display_name);
  }
}

// Nearly always something of them is left beneath what is there, without more ado.
TEST_F(Erasure, PagesThatWereSplitAndMergedKeepNothingOfWhatTheyHad) {
  for (int i = 0; i < 12; ++i) {
    visits_.open_visits(random_, 300);
    visits_.forget_half(random_);
  }
  visits_.store().close();
  EXPECT_EQ(visits_.written(), visits_.present());
}

TEST_F(Erasure, WhileItRunsNamesAreGoneFromFileAndWalWithinAMinute) {
  visits_.open_rooms(40);
  visits_.come_and_go(random_, 600);
  EXPECT_THAT(visits_.written(), testing::SizeIs(testing::Gt(visits_.present().size())));
  visits_.pass(minutes(1));
  EXPECT_TRUE(visits_.eventually([&] { return visits_.written() == visits_.present(); }));
}

// The tables of what is erased refer to each other: that goes on to hold.
TEST_F(Erasure, ARoomThatIsForgottenTakesItsParticipantsAlongAfterwardsToo) {
  visits_.open_rooms(1);
  visits_.join(0);
  visits_.pass(minutes(1));
  ASSERT_TRUE(visits_.eventually([&] { return visits_.wal_is_empty(); }));
  Commit stranger;
  stranger.changes = {joined("no such room", "p")};
  EXPECT_EQ(commit_and_wait(visits_.store(), std::move(stranger)).status, CommitStatus::conflict);
  Commit forgotten;
  forgotten.changes = {RoomForgotten{"room0"}};
  EXPECT_TRUE(commit_and_wait(visits_.store(), std::move(forgotten)).ok());
  EXPECT_THAT(visits_.store().load()->participants, IsEmpty());
}

// An export may read for minutes: nobody waits for it, and the WAL is emptied after it.
TEST_F(Erasure, AReaderInTheWayDelaysItAndNothingElse) {
  visits_.open_rooms(1);
  const std::string gone = visits_.join(0);
  RawDatabase reader(folder_.database());
  ASSERT_EQ(reader.run("BEGIN; SELECT count(*) FROM participants"), "");
  visits_.leave(0);
  visits_.pass(minutes(1));
  EXPECT_THAT(visits_.written(), Contains(gone));
  ASSERT_EQ(reader.run("COMMIT"), "");
  visits_.pass(minutes(1));
  EXPECT_TRUE(visits_.eventually([&] { return visits_.written().empty(); }));
}

class FaultyErasure : public testing::TestWithParam<FaultyVfs::Fault> {};

// Whichever call of it fails: the state is what it was. A full disk is tried again later.
TEST_P(FaultyErasure, ChangesNothingThatWasCommitted) {
  const bool passes = GetParam() == FaultyVfs::Fault::full;
  SeededRandom random(std::random_device{}());
  std::uint64_t nth = 1;
  for (bool struck = true; struck; ++nth) {
    SCOPED_TRACE("call " + std::to_string(nth));
    const TemporaryFolder folder;
    FaultyVfs vfs;
    Visits visits(folder, vfs.name());
    visits.open_rooms(5);
    visits.come_and_go(random, 12);
    visits.settle();
    vfs.fail(GetParam(), nth, false);
    visits.store().close();
    struck = !vfs.armed();
    vfs.heal();
    EXPECT_EQ(visits.fatal(), struck && !passes ? 1 : 0);
    expect_whole(folder.database());
    const auto store = open_or_die(sealed_options(folder));
    std::set<std::string> names;
    const LoadedState state = store->load().value();
    for (const ParticipantRow& each : state.participants) {
      names.insert(each.display_name.substr(0, each.display_name.find('>') + 1));
    }
    EXPECT_EQ(names, visits.present());
    store->close();
    EXPECT_EQ(visits.written(), visits.present());
    expect_whole(folder.database());
    if (testing::Test::HasFailure()) return;
  }
  EXPECT_GT(nth, 3U);
}

// Its connection goes on writing when only space was missing.
TEST(ErasureWithoutSpace, LeavesItsConnectionAsItWas) {
  const TemporaryFolder folder;
  FaultyVfs vfs;
  open_or_die(folder.database())->close();
  auto database = Database::open(folder.database(), Database::Mode::read_write, vfs.name());
  ASSERT_TRUE(database) << database.error().text;
  std::uint64_t nth = 1;
  for (bool struck = true; struck; ++nth) {
    vfs.fail(FaultyVfs::Fault::full, nth, false);
    const auto done = erase_remnants(*database);
    struck = !vfs.armed();
    vfs.heal();
    EXPECT_EQ(done.has_value(), !struck);
    EXPECT_FALSE(database->in_transaction());
    EXPECT_EQ(*database->integer("PRAGMA foreign_keys"), 1);
  }
  EXPECT_GT(nth, 2U);
}

INSTANTIATE_TEST_SUITE_P(EveryCall, FaultyErasure,
                         testing::Values(FaultyVfs::Fault::full, FaultyVfs::Fault::write_error,
                                         FaultyVfs::Fault::sync_error),
                         [](const auto& param) {
                           switch (param.param) {
                             case FaultyVfs::Fault::full:
                               return "none";
                             case FaultyVfs::Fault::write_error:
                               return "write";
                             default:
                               return "sync";
                           }
                         });

}  // namespace
}  // namespace bedside::store
