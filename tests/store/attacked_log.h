#pragma once

// A sealed log as whoever attacks it finds it, and a copy of it in an editor of databases.

#include <array>
#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "sealed_store.h"

namespace bedside::store {

inline std::string number(std::uint64_t value) { return std::to_string(value); }

// As an SQL literal.
inline std::string blob(std::string_view bytes) {
  return "x'" +
         to_hex(std::span(reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size())) + "'";
}

inline void replace_first(std::string& text, const std::string& from, const std::string& to) {
  const std::size_t at = text.find(from);
  ASSERT_NE(at, std::string::npos) << from << " is not in " << text;
  text.replace(at, from.size(), to);
}

// What the attacker knows of the log, all of it, and the key that signs at present.
struct SealedFacts {
  static constexpr std::uint64_t kEpochs = 5;
  static constexpr std::uint64_t kCommit = 8;  // records; each of these has a checkpoint
  static constexpr std::uint64_t kCommits = 14;
  static constexpr std::uint64_t kPerEpoch = kCommit * kCommits + 1;  // the first one announces it
  static constexpr std::uint64_t kRecords = kEpochs * kPerEpoch;
  // An hour passes with each commit, so its checkpoint is kept; no epoch ends by its age.
  static_assert(kCommits * kKeptCheckpointEvery < kEpochLength);

  static constexpr std::uint64_t announced(std::uint64_t epoch) {
    return (epoch - 1) * kPerEpoch + 1;
  }
  static constexpr bool announces(std::uint64_t seq) { return (seq - 1) % kPerEpoch == 0; }
  static constexpr bool in_present_epoch(std::uint64_t seq) { return seq >= announced(kEpochs); }
  bool has_checkpoint(std::uint64_t size) const {
    return std::find(sizes.begin(), sizes.end(), size) != sizes.end();
  }

  std::string file;
  std::vector<Epoch> epochs;
  std::vector<std::uint64_t> sizes;  // of the checkpoints, oldest first
  std::vector<std::string> notes;    // of the same
  std::optional<SigningKey> present;
};

class AttackedLog {
 public:
  explicit AttackedLog(const SealedFacts& facts)
      : facts_(facts), raw_(copy_of(facts.file, folder_.path() + "/copy.db")) {
    run("PRAGMA synchronous=OFF; PRAGMA journal_mode=MEMORY; BEGIN");
    for (const auto& name : raw_.column("SELECT name FROM sqlite_schema WHERE type = 'trigger'")) {
      run("DROP TRIGGER " + name);
    }
    run("COMMIT");
  }
  const SealedFacts& facts() const { return facts_; }
  std::string file() const { return folder_.path() + "/copy.db"; }
  void run(const std::string& sql) { EXPECT_EQ(raw_.run(sql), "") << sql; }
  std::string value(const std::string& sql) { return raw_.value(sql); }
  std::string body(std::uint64_t seq) {
    return value("SELECT body FROM audit WHERE seq = " + number(seq));
  }

  // The record and its column say the same, the hash beside it does not.
  void edit(std::uint64_t seq) { edit_all("seq = " + number(seq)); }
  void edit_all(const std::string& which) {
    run("UPDATE audit SET reason = 'forced', body = CAST(replace(CAST(body AS TEXT), "
        "'\"reason\":\"asked\"', '\"reason\":\"forced\"') AS BLOB) WHERE " +
        which);
  }
  void set_body(std::uint64_t seq, const std::string& body) {
    run("UPDATE audit SET body = " + blob(body) + " WHERE seq = " + number(seq));
  }
  void fit_leaf(std::uint64_t seq) {
    run("UPDATE audit SET leaf = x'" + to_hex(leaf_hash(body(seq))) +
        "' WHERE seq = " + number(seq));
  }
  // Records that have moved say their new number.
  void fit_numbers(const std::string& which, const std::string& old) {
    run("UPDATE audit SET body = CAST(replace(CAST(body AS TEXT), '\"seq\":' || (" + old +
        ") || ',', '\"seq\":' || seq || ',') AS BLOB) WHERE " + which);
  }

  MerkleEdge tree(std::uint64_t size) {
    MerkleEdge tree;
    std::vector<Subtree> ignored;
    for (const auto& text : bodies(size)) tree.append(leaf_hash(text), ignored);
    return tree;
  }
  // What an attacker who can hash but not sign does next.
  MerkleEdge restore_roots() {
    MerkleEdge tree;
    std::vector<Subtree> complete;
    run("BEGIN; DELETE FROM audit_subtree;"
        "UPDATE audit SET leaf = NULL");  // as in a log of before there were any
    for (const auto& text : bodies(INT64_MAX)) tree.append(leaf_hash(text), complete);
    for (const Subtree& each : complete) {
      run("INSERT INTO audit_subtree VALUES(" + number(static_cast<std::uint64_t>(each.level)) +
          "," + number(each.index) + ", x'" + to_hex(each.root) + "')");
    }
    run("COMMIT");
    return tree;
  }
  // And one who can: the only checkpoint left is of what is there now.
  void sign_again(const SigningKey& key, std::uint64_t epoch = SealedFacts::kEpochs) {
    const MerkleEdge tree = restore_roots();
    const Checkpoint checkpoint{facts_.epochs.front().origin, tree.size(), tree.root(), epoch, 1};
    run("DELETE FROM audit_checkpoint");
    run("INSERT INTO audit_checkpoint VALUES(" + number(tree.size()) + ", '" +
        sign_checkpoint(checkpoint, key).value() + "', 0)");
  }
  // As if there had never been more records than that.
  void forget_after(std::uint64_t size) {
    run("DELETE FROM audit WHERE seq > " + number(size));
    run("DELETE FROM audit_checkpoint WHERE size > " + number(size));
    restore_roots();
  }

 private:
  static std::string copy_of(const std::string& log, const std::string& to) {
    std::filesystem::copy_file(log, to);
    return to;
  }
  std::vector<std::string> bodies(std::uint64_t size) {
    return raw_.column("SELECT body FROM audit WHERE seq <= " + number(size) + " ORDER BY seq");
  }

  const SealedFacts& facts_;
  TemporaryFolder folder_;
  RawDatabase raw_;
};

}  // namespace bedside::store
