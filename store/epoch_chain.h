#pragma once

// The keys of a log in the order in which they signed: each announced by a record, vouched for by
// the one before. Both checks (verify.h, audit_bundle.h) follow them here. One thread at a time.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "store/checkpoint.h"
#include "store/seal.h"
#include "store/verify.h"

namespace bedside::store {

class EpochChain {
 public:
  // `genesis`: the first key as it was noted off the host; `restored`: those noted at restores, or
  // none.
  EpochChain(std::optional<PublicKey> genesis, std::vector<PublicKey> restored)
      : genesis_(genesis), restored_(std::move(restored)) {}

  // Record `seq` announces the epoch; `before` is the root of the seq - 1 records before it. What
  // is wrong with that, as a sentence.
  [[nodiscard]] std::optional<std::string> announce(const Epoch& epoch, std::uint64_t seq,
                                                    const Hash& before);

  // Why the checkpoint has no value, as the end of a sentence; nothing: it is signed by an epoch
  // that had begun and was not over.
  std::optional<std::string> objection(const Note& note, const Checkpoint& checkpoint) const;

  // A checkpoint of the log as it was before a restore, of records that were lost then.
  enum class Lost : std::uint8_t {
    no,          // its records ought to be here
    declared,    // within a declared gap
    undeclared,  // the restore says that less was lost
  };
  Lost lost(const Checkpoint& checkpoint) const;

  // Whether the log had this name, at first or after a restore.
  bool had_name(std::string_view origin) const;

  std::vector<DeclaredGap> gaps() const;
  bool empty() const { return links_.empty(); }
  std::uint64_t size() const { return links_.size(); }
  const Epoch& first() const { return links_.front().epoch; }

 private:
  struct Link {
    Epoch epoch;
    std::uint64_t seq = 0;
  };

  std::optional<std::string> begin_after_restore(const Epoch& epoch, std::uint64_t seq);

  std::optional<PublicKey> genesis_;
  std::vector<PublicKey> restored_;
  std::vector<Link> links_;  // epoch 1 first
};

}  // namespace bedside::store
