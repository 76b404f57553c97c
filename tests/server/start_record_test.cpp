#include "server/start_record.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <future>
#include <memory>

#include "server/build_identity.h"
#include "store/canonical_reader.h"
#include "tests/server/scratch_folder.h"

namespace bedside::server {
namespace {

using testing::HasSubstr;

constexpr std::array<std::uint8_t, 32> kKey{};

class StartRecord : public testing::Test {
 protected:
  StartRecord() {
    store::Options options;
    options.path = path();
    options.build = running_build().version;
    store_ = std::move(*store::Store::open(std::move(options)));
  }
  std::string path() const { return (folder_.path() / "bedside.db").string(); }
  void write(store::Commit commit) {
    std::promise<bool> written;
    store_->submit(std::move(commit),
                   [&](const store::CommitResult& result) { written.set_value(result.ok()); });
    EXPECT_TRUE(written.get_future().get());
  }
  // The records of a start, which are written.
  std::vector<store::AuditRecord> started() {
    const auto reader = store::Reader::open(path());
    auto made = start_record(trail_, *reader, config_, 0);
    EXPECT_TRUE(made) << made.error();
    std::vector<store::AuditRecord> records = made->records;
    write(std::move(*made));
    return records;
  }

  // What the newest of these records says of the change of a key.
  static std::string change(const std::vector<store::AuditRecord>& records,
                            const std::string& key) {
    const std::string detail = records.back().detail.text();
    const auto parsed = store::CanonicalObject::parse(detail);
    EXPECT_TRUE(parsed) << detail;
    return std::string(parsed->spelled(key));
  }

  ScratchFolder folder_;
  Config config_;
  std::unique_ptr<store::Store> store_;
  AuditTrail trail_{kKey, kKey};
};

TEST_F(StartRecord, OfTheSameExecutableIsNoUpgrade) {
  EXPECT_EQ(started().size(), 1U);
  const auto again = started();
  ASSERT_EQ(again.size(), 1U);
  EXPECT_EQ(again[0].type, "service.start");
  EXPECT_THAT(again[0].detail.text(), HasSubstr(R"("binary":")" + running_build().binary));
  EXPECT_EQ(running_build().binary.size(), 64U);
}

TEST_F(StartRecord, OfAnotherExecutableOrOtherPagesIsAnUpgradeFromThose) {
  ServiceStarted before;
  before.build = running_build();
  before.build.assets = "other pages";
  write(trail_.commit(AdminAction{before}, AuditSource{}));
  const auto pages = started();
  ASSERT_EQ(pages.size(), 2U);
  EXPECT_EQ(pages[1].type, "service.upgrade");
  EXPECT_THAT(pages[1].detail.text(), HasSubstr(R"("from":{"assets":"other pages")"));
  EXPECT_THAT(pages[1].detail.text(), HasSubstr(R"("to":{"assets":")" + running_build().assets));
  EXPECT_EQ(started().size(), 1U);

  before.build = running_build();
  before.build.binary = std::string(64, '0');
  write(trail_.commit(AdminAction{before}, AuditSource{}));
  EXPECT_EQ(started().size(), 2U);
  EXPECT_EQ(started().size(), 1U);
}

TEST_F(StartRecord, WithAnotherConfigurationSaysWhichKeysAreOthers) {
  EXPECT_EQ(started().size(), 1U) << "nothing to compare with";
  EXPECT_EQ(started().size(), 1U);
  config_.signaling.access = Access::open;
  config_.audit.keep_years = 6;
  const auto changed = started();
  ASSERT_EQ(changed.size(), 2U);
  EXPECT_EQ(changed[1].type, "config.changed");
  EXPECT_THAT(change(changed, "signaling.access"), HasSubstr(R"("before":")"));
  EXPECT_THAT(change(changed, "audit.keep_years"), HasSubstr(R"("after":")"));
  EXPECT_EQ(change(changed, "data_dir"), "");
  EXPECT_EQ(started().size(), 1U);
}

TEST_F(StartRecord, KnowsWhatWasChangedWhileItRan) {
  (void)started();
  const auto digest = [&](const std::string& years) {
    return trail_.config_digest("audit.keep_years", years);
  };
  const ConfigChange first{"audit.keep_years", digest("10"), digest("7")};
  const ConfigChange second{"audit.keep_years", digest("7"), digest("6")};
  write(trail_.commit(AdminAction{ConfigChanged{{first}}}, AuditSource{}));
  write(trail_.commit(AdminAction{ConfigChanged{{second}}}, AuditSource{}));
  config_.audit.keep_years = 6;
  EXPECT_EQ(started().size(), 1U);
  config_.audit.keep_years = 10;
  const auto changed = started();
  ASSERT_EQ(changed.size(), 2U);
  EXPECT_THAT(change(changed, "audit.keep_years"), HasSubstr(R"("before":")" + digest("6")));
}

TEST_F(StartRecord, TheCommandLineOnAStoppedServerIsNoCrash) {
  (void)started();
  write(trail_.commit(AdminAction{ServiceStopped{"signal"}}, AuditSource{}));
  write(trail_.commit(AdminAction{AuditVerified{3, "", true, 0, 3}}, AuditSource{}));
  EXPECT_EQ(started()[0].reason, "");
  EXPECT_EQ(started()[0].reason, "after-crash");
  write(trail_.commit(AdminAction{AuditVerified{3, "", true, 0, 3}}, AuditSource{}));
  EXPECT_EQ(started()[0].reason, "after-crash");
}

TEST_F(StartRecord, ManyCommandsAfterACrashDoNotHideIt) {
  EXPECT_EQ(started()[0].reason, "") << "the first one";
  BackupTried made;
  made.ok = true;
  for (int i = 0; i < 70; ++i) write(trail_.commit(AdminAction{made}, AuditSource{}));
  EXPECT_EQ(started()[0].reason, "after-crash");
}

TEST_F(StartRecord, WhatFollowsAnOrderlyStopIsNoCrash) {
  (void)started();
  write(trail_.commit(AdminAction{ServiceStopped{"signal"}}, AuditSource{}));
  store::Commit later;  // of the store itself, once the disk has space again
  later.records.emplace_back().type = "storage.recovered";
  write(std::move(later));
  write(*trail_.data_key_due(std::chrono::hours(24)));
  EXPECT_EQ(started()[0].reason, "");
}

}  // namespace
}  // namespace bedside::server
