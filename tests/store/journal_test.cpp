// The journal alone, and as the store uses it on a full disk: what is in it survives a crash, is
// merged once, and nothing that was changed in it goes unnoticed.

#include "store/journal.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cerrno>
#include <fstream>
#include <random>
#include <sstream>

#include "faulty_vfs.h"
#include "store/commit_codec.h"
#include "store_fixture.h"

namespace bedside::store {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;
using Bytes = std::vector<std::uint8_t>;

// No encryption, but longer than what it hides, and enough to see that both directions are used.
Bytes hidden(std::span<const std::uint8_t> bytes) {
  Bytes out(bytes.begin(), bytes.end());
  for (std::uint8_t& byte : out) byte ^= 0x5A;
  out.push_back(7);
  return out;
}

std::optional<Bytes> shown(std::span<const std::uint8_t> bytes) {
  if (bytes.empty() || bytes.back() != 7) return std::nullopt;
  Bytes out = hidden(bytes.first(bytes.size() - 1));
  out.pop_back();
  return out;
}

JournalOptions at(const std::string& path) {
  JournalOptions options;
  options.path = path;
  options.seal = hidden;
  options.open = shown;
  return options;
}

Journal journal_or_die(JournalOptions options) {
  auto opened = Journal::open(std::move(options));
  if (!opened) {
    ADD_FAILURE() << opened.error();
    std::abort();
  }
  return std::move(*opened);
}

std::string text_of(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

void write_text(const std::string& path, const std::string& text) {
  std::ofstream(path, std::ios::binary | std::ios::trunc) << text;
}

std::vector<Bytes> commits_in(const Journal& journal) {
  std::vector<Bytes> commits;
  for (const Journal::Entry& entry : journal.left_over().entries) commits.push_back(entry.commit);
  return commits;
}

class JournalFile : public testing::Test {
 protected:
  const TemporaryFolder folder_;
  const std::string path_ = folder_.path() + "/journal";
  const std::vector<Bytes> commits_{{1, 2, 3}, {}, {255, 0, 10, 13}};
};

TEST_F(JournalFile, GivesBackWhatAFormerProcessLeft) {
  {
    Journal journal = journal_or_die(at(path_));
    EXPECT_EQ(journal.append(std::span(commits_).first(1)).value(), 1U);
    EXPECT_EQ(journal.append(std::span(commits_).subspan(1)).value(), 2U);
    EXPECT_EQ(journal.last(), 3U);
  }
  Journal journal = journal_or_die(at(path_));
  EXPECT_EQ(commits_in(journal), commits_);
  EXPECT_EQ(journal.append(commits_).value(), 4U);
  const std::string id = journal.id();
  ASSERT_TRUE(journal.clear(Journal::fresh_id()));
  EXPECT_NE(journal.id(), id);
  EXPECT_EQ(journal.last(), 0U);
  journal = Journal(journal_or_die(at(folder_.path() + "/other")));
  EXPECT_THAT(commits_in(journal_or_die(at(path_))), IsEmpty());
}

TEST_F(JournalFile, TakesAwayALineThatACrashCut) {
  ASSERT_TRUE(journal_or_die(at(path_)).append(commits_));
  const std::string whole = text_of(path_);
  const std::size_t last_line = whole.rfind('\n', whole.size() - 2) + 1;
  for (std::size_t size = last_line; size < whole.size(); ++size) {
    write_text(path_, whole.substr(0, size));
    Journal journal = journal_or_die(at(path_));
    EXPECT_THAT(journal.left_over().entries, SizeIs(2)) << size;
    EXPECT_EQ(journal.left_over().damage, "") << size;
    EXPECT_EQ(journal.append(std::span(commits_).last(1)).value(), 3U);
    EXPECT_EQ(text_of(path_), whole);  // the chain goes on where it was
  }
}

TEST_F(JournalFile, SetsAFileAsideThatWasChanged) {
  ASSERT_TRUE(journal_or_die(at(path_)).append(commits_));
  const std::string whole = text_of(path_);
  const std::size_t first_line = whole.find('\n') + 1;
  for (std::size_t place = first_line; place < whole.size() - 1; ++place) {
    std::string changed = whole;
    changed[place] = changed[place] == 'x' ? 'y' : 'x';
    write_text(path_, changed);
    const Journal journal = journal_or_die(at(path_));
    ASSERT_THAT(journal.left_over().entries.size(), testing::Lt(3U)) << place;
    ASSERT_EQ(text_of(journal.left_over().damage), changed) << place;
    // What was good before it is still there.
    ASSERT_EQ(text_of(path_), whole.substr(0, text_of(path_).size()));
  }
}

TEST_F(JournalFile, IsOneServersAndPrivate) {
  const Journal journal = journal_or_die(at(path_));
  EXPECT_THAT(Journal::open(at(path_)).error(), HasSubstr("in use by another"));
  EXPECT_EQ(std::filesystem::status(path_).permissions(),
            std::filesystem::perms::owner_read | std::filesystem::perms::owner_write);
  write_text(folder_.path() + "/letter", "Dear Dr. Grace,\n");
  EXPECT_THAT(Journal::open(at(folder_.path() + "/letter")).error(), HasSubstr("no journal"));
  EXPECT_EQ(text_of(folder_.path() + "/letter"), "Dear Dr. Grace,\n");
}

TEST_F(JournalFile, TakesNothingBeyondItsLimit) {
  JournalOptions options = at(path_);
  options.max_bytes = 300;
  Journal journal = journal_or_die(options);
  EXPECT_TRUE(journal.append(std::span(commits_).first(1)));
  const std::string before = text_of(path_);
  EXPECT_FALSE(journal.append(commits_));
  EXPECT_EQ(text_of(path_), before);
  EXPECT_EQ(journal.append(std::span(commits_).first(1)).value(), 2U);
}

// ---- commits as bytes

StampedCommit everything() {
  using std::chrono::milliseconds;
  StampedCommit stamped{
      {}, {std::chrono::microseconds(-7), std::chrono::microseconds(std::int64_t{1} << 40)}};
  stamped.commit.keep = true;
  stamped.commit.changes = {
      RoomCreated{{"r", "\"a\"", milliseconds(1), milliseconds(2), std::nullopt, true}},
      RoomKept{"r", milliseconds(3)},
      RoomLocked{"r", true},
      LinkIssued{{"r", "guest", {1, 2}, milliseconds(4)}},
      LinkDropped{"r", {3}},
      RoomEnded{"r", milliseconds(5), milliseconds(6)},
      RoomForgotten{"r"},
      joined("r", "p",
             "Gr\xC3\xA4"
             "ce\n"),
      ParticipantAttached{"p", milliseconds(7)},
      ParticipantAdmitted{"p"},
      ParticipantDetached{"p", milliseconds(8)},
      ParticipantLeft{"p"},
      AccountInvited{{"b", {20}, "a", milliseconds(21)}, milliseconds(22)},
      AccountCreated{{"a", "hash", "admin", milliseconds(9), milliseconds(23)}, true, true, {1, 2}},
      AccountPasswordSet{"a", "hash2"},
      AccountDisabled{"a", milliseconds(24)},
      AccountEntered{"a"},
      ApiTokenCreated{{"t", "ehr", "rooms", {9}, milliseconds(10), std::nullopt}},
      ApiTokenRevoked{"t"},
      CheckpointWitnessed{{"o", 11, {4}, "note"}, 12},
      HoldSet{{"h", "room", "p", std::chrono::microseconds(15), std::nullopt}},
      HoldCleared{"h"},
      PurgeProposed{{16, 10, "a", std::chrono::microseconds(25)}},
      PurgeWithdrawn{},
      DataKeyCreated{{"2026-11", {17}}},
      DataKeyGivenUp{"2026-11"},
      SettingSet{"k", "v"},
  };
  AuditRecord& record = stamped.commit.records.emplace_back(record_of("room.join", "p"));
  record.outcome = Outcome::aborted;
  record.actor = {"participant", "p", "guest", "token"};
  record.where = {"https", "public", "203.0.113.0/24", "c0", {5, 6}};
  record.request_id = 13;
  record.private_fields.push_back({"display", {18, 19}});
  record.detail.set("role", "guest").set("n", 14);
  return stamped;
}

TEST(CommitCodec, WritesAndReadsEveryChangeAndField) {
  const StampedCommit before = everything();
  ASSERT_EQ(before.commit.changes.size(), std::variant_size_v<Change>);
  const Bytes bytes = encode_commit(before);
  const auto after = decode_commit(bytes);
  ASSERT_TRUE(after);
  EXPECT_EQ(encode_commit(*after), bytes);
  EXPECT_EQ(after->at.wall, before.at.wall);
  EXPECT_TRUE(after->commit.keep);
  EXPECT_FALSE(after->commit.emergency);
  for (std::size_t i = 0; i < before.commit.changes.size(); ++i) {
    EXPECT_EQ(after->commit.changes[i].index(), i);
  }
  EXPECT_EQ(std::get<ParticipantJoined>(after->commit.changes[7]).participant,
            std::get<ParticipantJoined>(before.commit.changes[7]).participant);
  EXPECT_EQ(after->commit.records[0].private_fields[0].ciphertext, (Bytes{18, 19}));
  const Stamp stamp{1, {}, {}, "boot", "build", true};
  EXPECT_EQ(audit_body(after->commit.records[0], stamp),
            audit_body(before.commit.records[0], stamp));
}

TEST(CommitCodec, ReadsNoPartAndNothingMore) {
  Bytes bytes = encode_commit(everything());
  for (std::size_t size = 0; size < bytes.size(); ++size) {
    EXPECT_FALSE(decode_commit(std::span(bytes).first(size))) << size;
  }
  bytes.push_back(0);
  EXPECT_FALSE(decode_commit(bytes));
}

TEST(CommitCodec, SurvivesAnyBytes) {
  std::mt19937 random(20260101);
  const Bytes whole = encode_commit(everything());
  for (int i = 0; i < 2000; ++i) {
    Bytes changed = whole;
    for (int n = 0; n < 3; ++n) {
      changed[random() % changed.size()] = static_cast<std::uint8_t>(random());
    }
    if (const auto read = decode_commit(changed)) {
      EXPECT_TRUE(decode_commit(encode_commit(*read)));
    }
  }
}

// ---- the store with a journal

Commit emergency(const std::string& type) {
  Commit commit = commit_of(type);
  commit.emergency = true;
  return commit;
}

class JournaledStore : public testing::Test {
 protected:
  JournaledStore() { store_ = open_or_die(options(folder_)); }

  Options options(const TemporaryFolder& folder) const {
    Options made;
    made.path = folder.database();
    made.vfs = vfs_.name();
    made.retry_deferred = std::chrono::hours(1);
    made.journal = at(folder.path() + "/journal");
    return made;
  }
  void fill() { vfs_.set_capacity(kNoSpace); }
  // As a killed process leaves it: the files as they are now, in another folder.
  void copy_to(const TemporaryFolder& crashed) const {
    std::filesystem::copy(folder_.path(), crashed.path(),
                          std::filesystem::copy_options::recursive |
                              std::filesystem::copy_options::overwrite_existing);
  }
  static std::vector<Bytes> commits() { return {{1, 2, 3}}; }
  static std::vector<std::string> late(const TemporaryFolder& folder) {
    return RawDatabase(folder.database())
        .column(
            "SELECT type || coalesce(json_extract(CAST(body AS TEXT), '$.late'), '')"
            " FROM audit ORDER BY seq");
  }

  const TemporaryFolder folder_;
  FaultyVfs vfs_;
  std::unique_ptr<Store> store_;
};

TEST_F(JournaledStore, GrantsInAnEmergencyOnlyWhenTheDiskIsFull) {
  EXPECT_EQ(commit_and_wait(*store_, emergency("1")).status, CommitStatus::committed);
  fill();
  EXPECT_EQ(commit_and_wait(*store_, commit_of("2")).status, CommitStatus::full);
  EXPECT_EQ(commit_and_wait(*store_, emergency("3")).status, CommitStatus::journaled);
  EXPECT_EQ(commit_and_wait(*store_, kept("4")).status, CommitStatus::journaled);
  EXPECT_EQ(store_->stats().journaled, 2U);
  vfs_.set_capacity(0);
  EXPECT_TRUE(commit_and_wait(*store_, commit_of("5")).ok());
  EXPECT_THAT(late(folder_), ElementsAre("1", "31", "41", "storage.recovered", "5"));
  EXPECT_THAT(RawDatabase(folder_.database())
                  .value("SELECT CAST(body AS TEXT) FROM audit WHERE type = 'storage.recovered'"),
              HasSubstr(R"("journaled":2,"late":2,"lost":0,"refused":1)"));
  EXPECT_THAT(commits_in(journal_or_die(at([&] {
                store_.reset();
                return folder_.path() + "/journal";
              }()))),
              IsEmpty());
}

TEST_F(JournaledStore, SurvivesACrashWhileTheDiskIsFull) {
  Commit created;
  created.changes = {room_created("r")};
  ASSERT_TRUE(commit_and_wait(*store_, std::move(created)).ok());
  fill();
  Commit join = emergency("room.join");
  join.changes = {joined("r", "p", "Grace")};
  EXPECT_EQ(commit_and_wait(*store_, std::move(join)).status, CommitStatus::journaled);
  EXPECT_EQ(commit_and_wait(*store_, kept("room.leave")).status, CommitStatus::journaled);

  const TemporaryFolder crashed;
  copy_to(crashed);
  vfs_.set_capacity(0);
  const auto restarted = open_or_die(options(crashed));
  EXPECT_THAT(late(crashed), ElementsAre("room.join1", "room.leave1", "storage.recovered"));
  ASSERT_THAT(restarted->load()->participants, SizeIs(1));
  EXPECT_EQ(restarted->load()->participants[0].display_name, "Grace");
  EXPECT_EQ(restarted->stats().deferred, 0U);
  EXPECT_FALSE(restarted->stats().full);
}

TEST_F(JournaledStore, MergesNothingTwice) {
  fill();
  EXPECT_EQ(commit_and_wait(*store_, emergency("1")).status, CommitStatus::journaled);
  const std::string journal = text_of(folder_.path() + "/journal");
  vfs_.set_capacity(0);
  EXPECT_TRUE(commit_and_wait(*store_, commit_of("2")).ok());
  store_.reset();
  write_text(folder_.path() + "/journal", journal);  // died before it emptied the journal
  store_ = open_or_die(options(folder_));
  EXPECT_THAT(late(folder_), ElementsAre("11", "storage.recovered", "2"));
  EXPECT_NE(text_of(folder_.path() + "/journal"), journal);
}

TEST_F(JournaledStore, SaysThatAJournalWasChanged) {
  fill();
  EXPECT_EQ(commit_and_wait(*store_, emergency("1")).status, CommitStatus::journaled);
  EXPECT_EQ(commit_and_wait(*store_, emergency("2")).status, CommitStatus::journaled);
  const TemporaryFolder crashed;
  copy_to(crashed);
  std::string text = text_of(crashed.path() + "/journal");
  text[text.size() - 2] = text[text.size() - 2] == 'A' ? 'B' : 'A';
  write_text(crashed.path() + "/journal", text);
  vfs_.set_capacity(0);
  const auto restarted = open_or_die(options(crashed));
  EXPECT_THAT(late(crashed), ElementsAre("11", "storage.recovered"));
  EXPECT_EQ(RawDatabase(crashed.database())
                .value("SELECT outcome || ' ' || reason FROM audit ORDER BY seq DESC LIMIT 1"),
            "failed journal-damaged");
}

TEST_F(JournaledStore, WritesTheRecordEvenIfTheStateContradictsIt) {
  Commit created;
  created.changes = {room_created("r")};
  ASSERT_TRUE(commit_and_wait(*store_, std::move(created)).ok());
  fill();
  for (const char* type : {"room.join", "room.join.again"}) {
    Commit join = emergency(type);
    join.changes = {joined("r", "p")};
    EXPECT_EQ(commit_and_wait(*store_, std::move(join)).status, CommitStatus::journaled);
  }
  vfs_.set_capacity(0);
  EXPECT_TRUE(commit_and_wait(*store_, commit_of("2")).ok());
  EXPECT_THAT(late(folder_),
              ElementsAre("room.join1", "room.join.again1", "storage.recovered", "2"));
  EXPECT_THAT(store_->load()->participants, SizeIs(1));
  EXPECT_EQ(store_->stats().lost, 0U);
}

TEST_F(JournaledStore, IsNotAnotherDatabasesOrAnOldCopy) {
  fill();
  EXPECT_EQ(commit_and_wait(*store_, emergency("1")).status, CommitStatus::journaled);
  const std::string old = text_of(folder_.path() + "/journal");
  for (const char* type : {"2", "3"}) {
    vfs_.set_capacity(0);
    EXPECT_TRUE(commit_and_wait(*store_, commit_of(type)).ok());
    fill();
    EXPECT_EQ(commit_and_wait(*store_, emergency("e")).status, CommitStatus::journaled);
  }
  vfs_.set_capacity(0);
  store_.reset();
  const auto before = late(folder_);
  write_text(folder_.path() + "/journal", old);
  store_ = open_or_die(options(folder_));
  EXPECT_EQ(late(folder_), before);
  EXPECT_THAT(store_->journal_trouble(), HasSubstr("not the one that this database"));
  EXPECT_EQ(text_of(folder_.path() + "/journal"), old) << "left for whoever has to find out";
}

TEST_F(JournaledStore, TakesOverOneThatItCannotReadAndLosesNothingAfterwards) {
  store_.reset();
  {
    std::filesystem::remove(folder_.path() + "/journal");
    JournalOptions foreign = at(folder_.path() + "/journal");
    foreign.seal = [](std::span<const std::uint8_t> bytes) { return Bytes(bytes.size() + 1, 8); };
    ASSERT_TRUE(journal_or_die(std::move(foreign)).append(commits()));
  }
  store_ = open_or_die(options(folder_));
  EXPECT_THAT(late(folder_), ElementsAre("storage.recovered")) << "it tells of the damage";
  fill();
  EXPECT_EQ(commit_and_wait(*store_, emergency("1")).status, CommitStatus::journaled);
  const TemporaryFolder crashed;
  copy_to(crashed);
  vfs_.set_capacity(0);
  const auto restarted = open_or_die(options(crashed));
  EXPECT_THAT(late(crashed), ElementsAre("storage.recovered", "11", "storage.recovered"));
}

TEST_F(JournaledStore, KeepsACopyOfWhatItDoesNotUnderstand) {
  store_.reset();
  const std::string path = folder_.path() + "/journal";
  {
    Journal journal = journal_or_die(at(path));
    ASSERT_TRUE(journal.append(std::vector<Bytes>{{1, 2, 3}}));  // sealed well, and no commit
  }
  const std::string before = text_of(path);
  store_ = open_or_die(options(folder_));
  EXPECT_EQ(RawDatabase(folder_.database())
                .value("SELECT outcome || ' ' || reason FROM audit ORDER BY seq DESC LIMIT 1"),
            "failed journal-damaged");
  const std::string id = before.substr(before.find("1 ") + 2, 32);
  EXPECT_EQ(text_of(path + ".damaged-" + id), before);
}

TEST_F(JournaledStore, TellsThatItRecoveredAlsoWhenItDiedInBetween) {
  fill();
  EXPECT_EQ(commit_and_wait(*store_, emergency("1")).status, CommitStatus::journaled);
  const std::string journal = text_of(folder_.path() + "/journal");
  vfs_.set_capacity(0);
  store_.reset();
  // All of it is merged, and nothing tells so.
  const std::string id = journal.substr(journal.find("1 ") + 2, 32);
  {
    RawDatabase raw(folder_.database());
    ASSERT_EQ(raw.run("DROP TRIGGER audit_is_not_deleted;"
                      "DELETE FROM audit WHERE type = 'storage.recovered';"
                      "UPDATE settings SET value = '" +
                      id + "' WHERE key = 'journal.current'"),
              "");
  }
  write_text(folder_.path() + "/journal", journal);
  store_ = open_or_die(options(folder_));
  EXPECT_THAT(late(folder_), ElementsAre("11", "storage.recovered"));
}

TEST_F(JournaledStore, KeepsTheBootOfTheProcessThatStampedIt) {
  StampedCommit stamped{emergency("1"),
                        {std::chrono::seconds(9), std::chrono::seconds(7)},
                        "former boot",
                        "former build"};
  store_.reset();
  {
    Journal journal = journal_or_die(at(folder_.path() + "/journal"));
    ASSERT_TRUE(journal.append(std::vector<Bytes>{encode_commit(stamped)}));
  }
  store_ = open_or_die(options(folder_));
  EXPECT_THAT(RawDatabase(folder_.database())
                  .value("SELECT CAST(body AS TEXT) FROM audit WHERE type = '1'"),
              testing::AllOf(HasSubstr(R"("boot_id":"former boot","build":"former build")"),
                             HasSubstr(R"("t_boot_us":7000000)")));
}

TEST(JournalThatBreaks, IsNotUsedAgainAndNothingOfItComesBack) {
  const TemporaryFolder folder;
  const std::string path = folder.path() + "/journal";
  FaultyVfs vfs;
  bool broken = false;
  std::string in_file;
  const auto open_store = [&] {
    Options options;
    options.path = folder.database();
    options.vfs = vfs.name();
    options.retry_deferred = std::chrono::hours(1);
    options.journal = at(path);
    options.journal.write = [&](int file, std::string_view text) -> std::ptrdiff_t {
      const ssize_t done = ::write(file, text.data(), text.size());
      if (!broken) return done;
      in_file = text_of(path);  // all of it reached the file, and the sync failed
      errno = EIO;
      return -1;
    };
    return open_or_die(std::move(options));
  };
  auto store = open_store();
  vfs.set_capacity(kNoSpace);
  broken = true;
  EXPECT_EQ(commit_and_wait(*store, kept("1")).status, CommitStatus::deferred);
  EXPECT_EQ(commit_and_wait(*store, emergency("2")).status, CommitStatus::full);
  EXPECT_FALSE(store->stats().journal);
  broken = false;
  vfs.set_capacity(0);
  EXPECT_TRUE(commit_and_wait(*store, commit_of("3")).ok());
  EXPECT_FALSE(store->stats().journal) << "a sync that failed is not tried again";
  store.reset();
  write_text(path, in_file);  // as if it could not be taken back
  store = open_store();
  EXPECT_THAT(RawDatabase(folder.database()).column("SELECT type FROM audit ORDER BY seq"),
              ElementsAre("1", "storage.recovered", "3"));
}

TEST(JournalThatFails, IsToldAndRefusesEmergencies) {
  const TemporaryFolder folder;
  FaultyVfs vfs;
  Options options;
  options.path = folder.database();
  options.vfs = vfs.name();
  options.retry_deferred = std::chrono::hours(1);
  options.journal = at(folder.path() + "/journal");
  options.journal.max_bytes = 60;  // the title, and nothing more
  const auto store = open_or_die(std::move(options));
  vfs.set_capacity(kNoSpace);
  EXPECT_EQ(commit_and_wait(*store, emergency("1")).status, CommitStatus::full);
  EXPECT_EQ(commit_and_wait(*store, kept("2")).status, CommitStatus::deferred);
  EXPECT_THAT(store->journal_trouble(), HasSubstr("its limit"));
  vfs.set_capacity(0);
  EXPECT_TRUE(commit_and_wait(*store, commit_of("3")).ok());
}

TEST(JournalThatFails, DoesNotKeepTheStoreFromOpening) {
  const TemporaryFolder folder;
  Options options;
  options.path = folder.database();
  options.journal = at(folder.path() + "/not there/journal");
  const auto store = open_or_die(std::move(options));
  EXPECT_THAT(store->journal_trouble(), HasSubstr("cannot open the journal"));
  EXPECT_FALSE(store->stats().journal);
  EXPECT_TRUE(commit_and_wait(*store, commit_of("1")).ok());
}

}  // namespace
}  // namespace bedside::store
