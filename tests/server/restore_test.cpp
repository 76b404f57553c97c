// A restore onto a disk that ends in the middle of it.
#include "server/restore.h"

#include <gmock/gmock.h>

#include <future>

#include "server/backup.h"
#include "server/backup_key.h"
#include "server/keys.h"
#include "store/reader.h"
#include "store/store.h"
#include "tests/server/scratch_folder.h"
#include "tests/store/faulty_vfs.h"

namespace bedside::server {
namespace {

using store::FaultyVfs;
using testing::HasSubstr;

class RestoreTest : public testing::Test {
 protected:
  RestoreTest() {
    EXPECT_TRUE(BackupKey::generate()->save(path("private.pem"), path("public.pem"), false));
    std::filesystem::create_directory(path("backups"));
    Config config;
    config.data_dir = path("lost");
    config.backup.folder = path("backups");
    config.backup.public_key = path("public.pem");
    std::filesystem::create_directory(config.data_dir);
    EXPECT_TRUE(open_keys(config.keys_dir(), MissingKeys::make));
    write_records(config);
    const auto made = make_backup(config, [](const char*) {});
    EXPECT_TRUE(made) << made.error();
    if (made) backup_ = made->file;
  }

  std::filesystem::path path(const std::string& name) const { return folder_.path() / name; }

  tl::expected<RestoreDone, std::string> restore_to(const std::string& name,
                                                    const FaultyVfs& vfs) const {
    Config config;
    config.data_dir = path(name);
    RestoreWish wish;
    wish.backup = backup_;
    wish.private_key = path("private.pem");
    wish.vfs = vfs.name();
    return restore_backup(config, wish, [](const char*) {});
  }

  // What whoever starts the server on it would find.
  std::size_t declarations(const std::string& name) const {
    store::AuditQuery query;
    query.type_prefix = "log.restored";
    const auto reader = store::Reader::open(path(name + "/bedside.db").string());
    return reader ? reader->audit(query)->size() : 0;
  }

 private:
  static void write_records(const Config& config) {
    store::Options options;
    options.path = config.database().string();
    options.keys = config.keys_dir().string();
    const auto store = store::Store::open(std::move(options)).value();
    store::Commit commit;
    commit.records.emplace_back().type = "room.created";
    std::promise<bool> written;
    EXPECT_TRUE(store->submit(std::move(commit), [&](const store::CommitResult& result) {
      written.set_value(result.ok());
    }));
    EXPECT_TRUE(written.get_future().get());
    store->close();
  }

  ScratchFolder folder_;
  std::filesystem::path backup_;
};

TEST_F(RestoreTest, SaysThatItIsDoneOnlyWhenTheDeclarationIsInTheDatabase) {
  bool struck = true;
  bool at_the_end = false;
  for (std::uint64_t nth = 1; struck; ++nth) {
    FaultyVfs vfs;
    vfs.fail(FaultyVfs::Fault::full, nth, true);
    const std::string name = "data-" + std::to_string(nth);
    const auto done = restore_to(name, vfs);
    struck = !vfs.armed();
    EXPECT_EQ(declarations(name), done ? 1U : 0U) << "after " << nth << " writes";
    EXPECT_TRUE(done || struck) << done.error();
    if (!done) at_the_end = at_the_end || done.error().find("as a whole") != std::string::npos;
  }
  EXPECT_TRUE(at_the_end) << "the last checkpoint has writes, too";
}

}  // namespace
}  // namespace bedside::server
