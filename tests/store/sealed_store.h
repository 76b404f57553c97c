#pragma once

// A store with a seal, seen from outside, for tests.

#include <algorithm>
#include <atomic>
#include <chrono>
#include <filesystem>
#include <limits>
#include <memory>
#include <string>
#include <vector>

#include "store/seal.h"
#include "store_fixture.h"

namespace bedside::store {

// A sealed store whose clock stands still until told.
class SealedStore {
 public:
  SealedStore() { folder_.make_keys_folder(); }

  void open() { store_ = open_or_die(options()); }
  void close() { store_.reset(); }
  std::string refusal() {
    auto opened = Store::open(options());
    return opened ? std::string() : opened.error().text;
  }
  CommitResult commit(const std::string& type) { return commit_and_wait(*store_, commit_of(type)); }
  Store& store() { return *store_; }

  std::string database() const { return folder_.database(); }
  std::string keys() const { return folder_.keys(); }
  RawDatabase raw() const { return RawDatabase(database()); }
  std::vector<std::string> key_files() const {
    std::vector<std::string> names;
    for (const auto& entry : std::filesystem::directory_iterator(keys())) {
      names.push_back(entry.path().filename().string());
    }
    std::sort(names.begin(), names.end());
    return names;
  }
  Epoch epoch(std::uint64_t number) const {
    RawDatabase raw(database());
    const auto bodies = raw.column("SELECT body FROM audit WHERE type = 'epoch.rotated'");
    return read_epoch(bodies.at(number - 1)).value();
  }
  // The tree of the first records.
  MerkleEdge tree(std::uint64_t size) const {
    MerkleEdge tree;
    std::vector<Subtree> ignored;
    RawDatabase raw(database());
    for (const auto& body : raw.column(
             "SELECT body FROM audit WHERE seq <= " + std::to_string(size) + " ORDER BY seq")) {
      tree.append(leaf_hash(body), ignored);
    }
    return tree;
  }
  // The newest checkpoint, which must be that of all records and signed by its epoch.
  Checkpoint newest() const {
    RawDatabase raw(database());
    const std::string text =
        raw.value("SELECT note FROM audit_checkpoint ORDER BY size DESC LIMIT 1");
    const auto note = parse_note(text);
    if (!note) return {};
    const auto checkpoint = Checkpoint::parse(note->text).value();
    const MerkleEdge tree = this->tree(std::numeric_limits<std::int64_t>::max());
    EXPECT_EQ(checkpoint.size, tree.size());
    EXPECT_EQ(checkpoint.root, tree.root());
    EXPECT_TRUE(is_signed_by(*note, checkpoint.origin, epoch(checkpoint.epoch).key));
    return checkpoint;
  }

  std::chrono::microseconds now() const { return wall_; }
  void pass(std::chrono::microseconds time) { wall_ = wall_.load() + time; }
  // Somebody sets the wall clock; the time since boot goes on.
  void set_clock(std::chrono::microseconds by) { set_by_ = set_by_.load() + by; }

 private:
  Options options() {
    Options options;
    options.path = database();
    options.keys = keys();
    options.clock = [this] {
      const std::chrono::microseconds now = wall_;
      return Clock{now + set_by_.load(), now};
    };
    return options;
  }

  std::atomic<std::chrono::microseconds> wall_{std::chrono::microseconds(1'100'000'000'000'000)};
  std::atomic<std::chrono::microseconds> set_by_{std::chrono::microseconds(0)};
  TemporaryFolder folder_;
  std::unique_ptr<Store> store_;
};

}  // namespace bedside::store
