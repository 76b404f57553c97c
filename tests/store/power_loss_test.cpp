#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <iostream>
#include <random>

#include "faulty_vfs.h"
#include "store_fixture.h"

namespace bedside::store {
namespace {

// kill -9 leaves the page cache alive; a power cut does not. Here everything that was not synced is
// lost, or reaches the disk in part, in any order and torn at sectors.
class PowerCut {
 public:
  explicit PowerCut(std::mt19937& random) : random_(random) {}

  // What the disk holds afterwards.
  std::vector<std::uint8_t> survivor(const FaultyVfs::FileImage& file) {
    std::vector<std::uint8_t> content = file.durable;
    std::vector<FaultyVfs::Write> writes = file.pending;
    if (random_() % 2 == 0) std::shuffle(writes.begin(), writes.end(), random_);
    const unsigned chance = random_() % 4;  // from "nothing arrived" to "most arrived"
    for (const FaultyVfs::Write& write : writes) {
      if (random_() % 4 >= chance) continue;
      if (write.data.empty()) {
        apply(content, write);
      } else {
        apply_sectors(content, write);
      }
    }
    return content;
  }

 private:
  void apply_sectors(std::vector<std::uint8_t>& content, const FaultyVfs::Write& write) {
    constexpr std::size_t kSector = 512;
    const bool tear = random_() % 2 == 0;
    for (std::size_t at = 0; at < write.data.size(); at += kSector) {
      if (tear && random_() % 2 == 0) continue;
      const std::size_t size = std::min(kSector, write.data.size() - at);
      const auto first = write.data.begin() + static_cast<std::ptrdiff_t>(at);
      apply(content, {write.offset + static_cast<std::int64_t>(at),
                      {first, first + static_cast<std::ptrdiff_t>(size)}});
    }
  }

  std::mt19937& random_;
};

struct Cut {
  FaultyVfs::Image image;
  std::vector<std::uint64_t> acknowledged;  // numbers acknowledged before the cut
  std::map<std::string, std::string> keys;  // the key files, whose own syncs are real ones
  bool happened = false;
};

std::map<std::string, std::string> files_in(const std::string& folder) {
  std::map<std::string, std::string> files;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    std::ifstream in(entry.path(), std::ios::binary);
    files[entry.path().filename().string()] = {std::istreambuf_iterator<char>(in), {}};
  }
  return files;
}

void write_file(const std::filesystem::path& path, const std::string& content) {
  std::ofstream(path, std::ios::binary) << content;
  std::filesystem::permissions(
      path, std::filesystem::perms::owner_read | std::filesystem::perms::owner_write);
}

// `./run power-cuts` does 100,000.
int power_cuts() {
  const char* text = std::getenv("BEDSIDE_POWER_CUTS");
  return text == nullptr ? 60 : std::atoi(text);
}

// A life of 60 commits with a checkpoint at the end; the power fails before change number `nth`.
Cut live_until(const TemporaryFolder& folder, std::uint64_t nth, std::mt19937& random,
               std::uint64_t* changes) {
  FaultyVfs vfs;
  Cut cut;
  std::vector<std::uint64_t> acknowledged;  // store thread
  Options options = sealed_options(folder);
  options.vfs = vfs.name();
  vfs.cut_power_at(nth, [&](const FaultyVfs::Image& image) {
    cut = Cut{image, acknowledged, files_in(folder.keys()), true};
  });
  {
    const auto store = open_or_die(std::move(options));
    for (std::uint64_t i = 0; i < 60; ++i) {
      Commit commit = commit_of("x", std::string(random() % 3000, 'x'));
      commit.changes = {SettingSet{std::to_string(i), "v"}};
      commit.records[0].request_id = i + 1;
      EXPECT_TRUE(store->submit(std::move(commit), [&acknowledged, i](const CommitResult& r) {
        if (r.ok()) acknowledged.push_back(i);
      }));
    }
    store->close();
  }
  if (changes != nullptr) *changes = vfs.changes();
  return cut;
}

TEST(PowerLoss, LosesNoAcknowledgedCommit) {
  const auto seed = std::random_device{}();
  std::cout << "seed " << seed << '\n';
  std::mt19937 random(seed);
  PowerCut power(random);
  std::uint64_t changes = 0;
  {
    const TemporaryFolder folder;
    live_until(folder, 0, random, &changes);
  }
  ASSERT_GT(changes, 50U);
  int with_acknowledged = 0;
  int lives = 0;
  for (int cuts = 0; cuts < power_cuts(); ++lives) {
    ASSERT_LT(lives, 20 * power_cuts());
    const std::uint64_t nth = 1 + random() % changes;
    SCOPED_TRACE("seed " + std::to_string(seed) + ", cut before change " + std::to_string(nth));
    const TemporaryFolder before;
    const Cut cut = live_until(before, nth, random, nullptr);
    if (!cut.happened) continue;  // grouping differs from run to run, so it can be shorter
    ++cuts;
    const TemporaryFolder after;
    Options options = sealed_options(after);
    const std::filesystem::path keys = options.keys;
    for (const auto& [name, content] : cut.keys) write_file(keys / name, content);
    for (const auto& [path, file] : cut.image) {
      const auto bytes = power.survivor(file);
      write_file(keys.parent_path() / std::filesystem::path(path).filename(),
                 {bytes.begin(), bytes.end()});
    }
    const auto store = open_or_die(std::move(options));
    const Reader reader = reader_or_die(after.database());
    for (const std::uint64_t i : cut.acknowledged) {
      ASSERT_TRUE(reader.setting(std::to_string(i)).value().has_value()) << i;
    }
    EXPECT_TRUE(commit_and_wait(*store, commit_of("after")).ok());
    store->close();
    expect_whole(after.database());
    RawDatabase raw(after.database());
    EXPECT_EQ(raw.value("SELECT count(*) FROM audit WHERE type = 'x'"),
              raw.value("SELECT count(*) FROM settings"));
    with_acknowledged += cut.acknowledged.empty() ? 0 : 1;
  }
  EXPECT_GT(with_acknowledged, 5);
  std::cout << power_cuts() << " power cuts in " << lives << " lives, " << with_acknowledged
            << " of them after something was acknowledged\n";
}

}  // namespace
}  // namespace bedside::store
