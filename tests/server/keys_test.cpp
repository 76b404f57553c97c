#include "server/keys.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include "server/private_file.h"
#include "tests/server/scratch_folder.h"

namespace bedside::server {
namespace {

using ::testing::HasSubstr;

mode_t mode_of(const std::filesystem::path& path) {
  struct stat status {};
  EXPECT_EQ(::stat(path.c_str(), &status), 0);
  return status.st_mode & 07777;
}

TEST(Keys, AreMadeOnTheFirstStartForThisUserOnly) {
  const ScratchFolder folder;
  const auto dir = folder.path() / "data" / "keys";
  const auto keys = open_keys(dir, MissingKeys::make);
  ASSERT_TRUE(keys) << keys.error().message;
  EXPECT_EQ(mode_of(dir), 0700U);
  std::size_t files = 0;
  for (const auto& entry : std::filesystem::directory_iterator(dir)) {
    EXPECT_EQ(mode_of(entry.path()), 0400U) << entry.path();
    ++files;
  }
  EXPECT_EQ(files, 3U);  // and no temporary file is left
  EXPECT_NE(keys->turn_participant, keys->pseudonym);
  EXPECT_NE(keys->pseudonym, keys->field);
  EXPECT_NE(keys->field, Key{});
}

TEST(Keys, AreTheSameEverAfter) {
  const ScratchFolder folder;
  const auto first = open_keys(folder.path() / "keys", MissingKeys::make);
  const auto second = open_keys(folder.path() / "keys", MissingKeys::make);
  ASSERT_TRUE(first && second);
  EXPECT_EQ(first->turn_participant, second->turn_participant);
  EXPECT_EQ(first->pseudonym, second->pseudonym);
  EXPECT_EQ(first->field, second->field);
  const auto elsewhere = open_keys(folder.path() / "others", MissingKeys::make);
  ASSERT_TRUE(elsewhere);
  EXPECT_NE(first->field, elsewhere->field);
}

TEST(Keys, AMissingOneIsMadeAndTheOthersAreKept) {
  const ScratchFolder folder;
  const auto first = open_keys(folder.path() / "keys", MissingKeys::make);
  std::filesystem::remove(folder.path() / "keys" / "pseudonym.key");
  const auto second = open_keys(folder.path() / "keys", MissingKeys::make);
  ASSERT_TRUE(first && second);
  EXPECT_EQ(first->field, second->field);
  EXPECT_NE(first->pseudonym, second->pseudonym);
}

TEST(Keys, AKeyThatRecordsWereWrittenWithIsNeverMadeAnew) {
  const ScratchFolder folder;
  const auto dir = folder.path() / "keys";
  ASSERT_TRUE(open_keys(dir, MissingKeys::make));
  ASSERT_TRUE(open_keys(dir, MissingKeys::refuse));
  std::filesystem::remove(dir / "pseudonym.key");
  const auto keys = open_keys(dir, MissingKeys::refuse);
  ASSERT_FALSE(keys);
  EXPECT_THAT(keys.error().message, HasSubstr((dir / "pseudonym.key").string()));
  EXPECT_THAT(keys.error().message, HasSubstr("restore"));
  EXPECT_FALSE(std::filesystem::exists(dir / "pseudonym.key"));
}

TEST(Keys, TheOperatorsOwnKeyIsReadFromItsFileOrTheServiceManager) {
  const ScratchFolder folder;
  EXPECT_EQ(open_wrapping_key("").value(), std::nullopt);
  const auto file = folder.write("audit.key", std::string(32, 'f'), 0400);
  EXPECT_EQ(open_wrapping_key(file).value()->at(0), 'f');
  EXPECT_FALSE(open_wrapping_key(folder.path() / "none")) << "it is never made";
  EXPECT_FALSE(open_wrapping_key(folder.write("open.key", std::string(32, 'o'), 0440)));
  // Readable for the group as an access list makes it look.
  std::filesystem::create_directory(folder.path() / "credentials");
  folder.write("credentials/audit-key", std::string(32, 'c'), 0440);
  ASSERT_EQ(::setenv("CREDENTIALS_DIRECTORY", (folder.path() / "credentials").c_str(), 1), 0);
  EXPECT_EQ(open_wrapping_key(file).value()->at(0), 'c');
  ::unsetenv("CREDENTIALS_DIRECTORY");
}

TEST(Keys, AKeyOthersCanReadIsRefusedWithTheRemedy) {
  const ScratchFolder folder;
  const auto dir = folder.path() / "keys";
  ASSERT_TRUE(open_keys(dir, MissingKeys::make));
  ASSERT_EQ(::chmod((dir / "field.key").c_str(), 0640), 0);
  const auto keys = open_keys(dir, MissingKeys::make);
  ASSERT_FALSE(keys);
  EXPECT_THAT(keys.error().message, HasSubstr((dir / "field.key").string()));
  EXPECT_THAT(keys.error().message, HasSubstr("chmod 400"));
}

TEST(Keys, AFolderOthersCanEnterIsRefused) {
  const ScratchFolder folder;
  const auto dir = folder.path() / "keys";
  ASSERT_TRUE(open_keys(dir, MissingKeys::make));
  ASSERT_EQ(::chmod(dir.c_str(), 0755), 0);
  const auto keys = open_keys(dir, MissingKeys::make);
  ASSERT_FALSE(keys);
  EXPECT_THAT(keys.error().message, HasSubstr("chmod 700"));
}

TEST(Keys, ADamagedKeyIsNeverReplaced) {
  const ScratchFolder folder;
  const auto dir = folder.path() / "keys";
  ASSERT_TRUE(open_keys(dir, MissingKeys::make));
  folder.write("keys/field.key", "short", 0600);
  const auto keys = open_keys(dir, MissingKeys::make);
  ASSERT_FALSE(keys);
  EXPECT_THAT(keys.error().message, HasSubstr("has 5 bytes instead of 32"));
  EXPECT_EQ(folder.read("keys/field.key"), "short");
}

TEST(Keys, AFileInPlaceOfTheFolderIsAClearError) {
  const ScratchFolder folder;
  folder.write("keys", "", 0600);
  const auto keys = open_keys(folder.path() / "keys", MissingKeys::make);
  ASSERT_FALSE(keys);
  EXPECT_THAT(keys.error().message, HasSubstr("Not a directory"));
  EXPECT_THAT(keys.error().message, HasSubstr("user id " + std::to_string(::geteuid())));
}

TEST(PrivateFile, WritingReplacesTheContentAndLeavesNoTemporaryFile) {
  const ScratchFolder folder;
  const auto file = folder.write("f", "old", 0644);
  ASSERT_TRUE(write_file_atomically(file, "new", 0600));
  EXPECT_EQ(folder.read("f"), "new");
  EXPECT_EQ(mode_of(file), 0600U);
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(folder.path()), {}), 1);
}

TEST(PrivateFile, AFailedWriteLeavesTheOldContent) {
  const ScratchFolder folder;
  std::filesystem::create_directory(folder.path() / "d");
  folder.write("d/inside", "kept", 0600);
  // A file cannot replace a folder that is not empty.
  const auto written = write_file_atomically(folder.path() / "d", "new", 0600);
  ASSERT_FALSE(written);
  EXPECT_EQ(folder.read("d/inside"), "kept");
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(folder.path()), {}), 1);
}

TEST(PrivateFile, ReadingKeepsItsLimit) {
  const ScratchFolder folder;
  const auto file = folder.write("f", std::string(100, 'x'), 0600);
  EXPECT_EQ(read_file(file, 100)->size(), 100U);
  const auto more = read_file(file, 99);
  ASSERT_FALSE(more);
  EXPECT_THAT(more.error().what, HasSubstr("larger than the 99 bytes"));
}

TEST(PrivateFile, ASecretIsTheFirstLine) {
  const ScratchFolder folder;
  EXPECT_EQ(*read_secret(folder.write("a", "secret\n", 0600)), "secret");
  EXPECT_EQ(*read_secret(folder.write("b", "secret\r\nsecond\n", 0600)), "secret");
  EXPECT_EQ(*read_secret(folder.write("c", "secret", 0600)), "secret");
  EXPECT_FALSE(read_secret(folder.write("d", "", 0600)));
}

}  // namespace
}  // namespace bedside::server
