// The encrypted file of a backup: what goes in comes out, and nothing else does.
#include "server/backup_box.h"

#include <gmock/gmock.h>

#include <filesystem>
#include <fstream>

#include "server/backup_content.h"
#include "store/file_sink.h"
#include "tests/server/scratch_folder.h"

namespace bedside::server {
namespace {

using ::testing::HasSubstr;

const BackupKey& key_pair() {
  static const BackupKey key = BackupKey::generate().value();
  return key;
}

std::string some_bytes(std::size_t size) {
  std::string bytes(size, '\0');
  for (std::size_t i = 0; i < size; ++i) bytes[i] = static_cast<char>(i * 31 + i / 251);
  return bytes;
}

class BackupBox : public ::testing::Test {
 protected:
  std::string file(const std::string& name) const { return (folder.path() / name).string(); }

  // In pieces of odd sizes.
  void seal(const std::string& name, std::string_view content) const {
    auto sink = store::FileSink::create(file(name));
    auto box = BoxWriter::begin(key_pair(), **sink);
    ASSERT_TRUE(box);
    while (!content.empty()) {
      const std::size_t part = std::min<std::size_t>(content.size(), 40'001);
      ASSERT_TRUE(box->add(content.substr(0, part)));
      content.remove_prefix(part);
    }
    ASSERT_TRUE(box->finish());
    ASSERT_TRUE((*sink)->finish());
  }
  tl::expected<std::string, std::string> open(const std::string& name) const {
    auto box = BoxReader::open(file(name));
    if (!box) return tl::unexpected(box.error());
    if (auto unlocked = box->unlock(key_pair()); !unlocked) return tl::unexpected(unlocked.error());
    std::string all;
    while (true) {
      auto piece = box->next();
      if (!piece) return piece;
      if (piece->empty()) return all;
      all += *piece;
    }
  }

  const ScratchFolder folder;
};

TEST_F(BackupBox, GivesBackWhatWasPutIn) {
  for (const std::size_t size : {0U, 1U, 65'535U, 65'536U, 65'537U, 131'072U, 200'000U}) {
    const std::string name = std::to_string(size);
    seal(name, some_bytes(size));
    EXPECT_EQ(open(name).value(), some_bytes(size)) << size;
  }
}

TEST_F(BackupBox, ShowsNothingOfItsContent) {
  seal("box", std::string(100'000, 'a'));
  EXPECT_EQ(folder.read("box").find("aaaaaaaa"), std::string::npos);
  seal("twin", std::string(100'000, 'a'));
  EXPECT_NE(folder.read("box").substr(1000), folder.read("twin").substr(1000)) << "a key each";
}

TEST_F(BackupBox, RefusesEveryChange) {
  seal("box", some_bytes(140'000));
  const std::string whole = folder.read("box");
  const std::size_t body = whole.find('\n', whole.find('\n', whole.find('\n') + 1) + 1) + 1;
  constexpr std::size_t kSealed = kBoxPiece + 16;
  const auto refused = [&](const std::string& content, const std::string& what) {
    folder.write("changed", content, 0600);
    const auto opened = open("changed");
    EXPECT_FALSE(opened) << what;
    EXPECT_FALSE(!opened && opened.error().empty()) << what;
  };
  for (std::size_t at = 0; at < whole.size(); at += at < body + 40 ? 1 : 4099) {
    std::string changed = whole;
    changed[at] = static_cast<char>(changed[at] ^ 1);
    refused(changed, "bit at " + std::to_string(at));
  }
  for (const std::size_t size : {std::size_t{0}, body - 1, body, body + 15, body + kSealed,
                                 body + 2 * kSealed, whole.size() - 1}) {
    refused(whole.substr(0, size), "cut off at " + std::to_string(size));
  }
  refused(whole + "x", "something behind it");
  const std::string first = whole.substr(body, kSealed);
  const std::string second = whole.substr(body + kSealed, kSealed);
  const std::string rest = whole.substr(body + 2 * kSealed);
  refused(whole.substr(0, body) + second + first + rest, "pieces swapped");
  refused(whole.substr(0, body) + first + rest, "a piece left out");
  refused(whole.substr(0, body) + first + first + second + rest, "a piece twice");
}

TEST_F(BackupBox, NamesTheKeyItWasWrittenTo) {
  seal("box", "content");
  auto box = BoxReader::open(file("box"));
  ASSERT_TRUE(box);
  const BackupKey other = BackupKey::generate().value();
  const auto unlocked = box->unlock(other);
  ASSERT_FALSE(unlocked);
  EXPECT_THAT(unlocked.error(), HasSubstr(key_pair().id().substr(0, 16)));
  EXPECT_THAT(unlocked.error(), HasSubstr(other.id().substr(0, 16)));
}

TEST_F(BackupBox, KeysAreFilesOfPemAndNeverOverwritten) {
  const auto secret = folder.path() / "private.pem";
  const auto open = folder.path() / "public.pem";
  ASSERT_TRUE(key_pair().save(secret, open, false));
  EXPECT_EQ(std::filesystem::status(secret).permissions(), std::filesystem::perms::owner_read);
  EXPECT_EQ(BackupKey::load_public(open)->id(), key_pair().id());
  const auto wrapped = BackupKey::load_public(open)->wrap(ContentKey{1, 2, 3});
  EXPECT_EQ(BackupKey::load_private(secret)->unwrap(wrapped), (ContentKey{1, 2, 3}));
  EXPECT_FALSE(key_pair().save(secret, folder.path() / "another.pem", false));
  EXPECT_THAT(BackupKey::load_public(folder.write("no.pem", "no key\n", 0600)).error(),
              HasSubstr("bedside backup key"));
}

TEST(BackupManifest, ReadsWhatItWroteAndNothingElse) {
  BackupManifest made;
  made.version = "0.1.0";
  made.made = std::chrono::seconds(1'795'000'000);
  made.origin = "bedside/audit/00ff";
  made.records = 17;
  made.root = std::string(64, 'a');
  made.keys = {{"field.key", std::string("\0\n\xff", 3)}, {"pseudonym.key", "x"}};
  made.database_bytes = 4096;
  const auto read = BackupManifest::parse(made.text());
  ASSERT_TRUE(read);
  EXPECT_EQ(read->text(), made.text());
  EXPECT_EQ(read->keys, made.keys);
  for (const char* bad :
       {"", "bedside 1\n", "bedside 1\norigin o\nkey ../x.key 00\ndatabase 1\n",
        "bedside 1\norigin o\nkey /x.key 00\ndatabase 1\n",
        "bedside 1\norigin o\nkey x.key 0g\ndatabase 1\n",
        "bedside 1\norigin o\nkey x.key 00\nkey x.key 00\ndatabase 1\n",
        "bedside 1\norigin o\ndatabase 1", "bedside 1\norigin o\ndatabase -1\n",
        "bedside 1\norigin o\ndatabase 1\nmore 1\n", "bedside 1\norigin o\nwhat 1\ndatabase 1\n"}) {
    EXPECT_FALSE(BackupManifest::parse(bad)) << bad;
  }
}

}  // namespace
}  // namespace bedside::server
