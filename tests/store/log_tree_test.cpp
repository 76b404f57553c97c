// Proofs from a database against the tree that is computed from all of its bodies.
#include "store/log_tree.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "sealed_store.h"

namespace bedside::store {
namespace {

// Beyond two stored subtrees of 256 and with some leaves left over.
void fill(SealedStore& log, std::uint64_t records) {
  for (std::uint64_t done = 0; done < records;) {
    Commit commit;
    for (int i = 0; i < 50 && done < records; ++i, ++done) {
      commit.records.push_back(record_of("test." + std::to_string(done)));
    }
    ASSERT_TRUE(commit_and_wait(log.store(), std::move(commit)).ok());
  }
}

TEST(LogTree, ProvesThatEveryOlderLogIsTheBeginningOfThisOne) {
  SealedStore log;
  log.open();
  fill(log, 600);
  const Checkpoint now = log.newest();
  const Reader reader = reader_or_die(log.database());
  for (const std::uint64_t old : {0U, 1U, 2U, 255U, 256U, 257U, 511U, 512U, 513U, 600U, 601U}) {
    const auto grown = reader.growth_since(old);
    ASSERT_TRUE(grown) << old << ": " << grown.error();
    EXPECT_EQ(grown->old_root, log.tree(old).root()) << old;
    EXPECT_TRUE(verify_consistency(old, grown->old_root, now.size, now.root, grown->proof)) << old;
  }
  EXPECT_EQ(parse_note(reader.growth_since(1)->checkpoint)->text, now.text());
  EXPECT_FALSE(reader.growth_since(now.size + 1));
}

TEST(LogTree, ProvesEveryRecord) {
  SealedStore log;
  log.open();
  fill(log, 300);
  const Checkpoint now = log.newest();
  const auto bodies = log.raw().column("SELECT body FROM audit ORDER BY seq");
  const auto database = Database::open(log.database(), Database::Mode::read_only, {});
  ASSERT_TRUE(database);
  auto tree = LogTree::open(*database);
  ASSERT_TRUE(tree);
  for (std::uint64_t seq = 1; seq <= now.size; ++seq) {
    const auto proof = tree->inclusion(seq, now.size);
    ASSERT_TRUE(proof) << seq;
    EXPECT_TRUE(verify_inclusion(leaf_hash(bodies[seq - 1]), seq - 1, now.size, *proof, now.root))
        << seq;
  }
  EXPECT_FALSE(tree->inclusion(0, now.size));
  EXPECT_FALSE(tree->inclusion(now.size + 1, now.size));
}

TEST(LogTree, HasNothingToSayAboutALogWithoutASeal) {
  const TemporaryFolder folder;
  const auto store = open_or_die(folder.database());
  ASSERT_TRUE(commit_and_wait(*store, commit_of("test")).ok());
  const Reader reader = reader_or_die(folder.database());
  EXPECT_EQ(reader.newest_checkpoint().value(), std::nullopt);
  EXPECT_FALSE(reader.growth_since(0));
}

}  // namespace
}  // namespace bedside::store
