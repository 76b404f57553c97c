#pragma once

// The keys of a log in the order in which they signed: each announced by a record, vouched for by
// the one before. Both checks (verify.h, audit_bundle.h) follow them here. One thread at a time.

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "store/checkpoint.h"
#include "store/seal.h"

namespace bedside::store {

class EpochChain {
 public:
  // `genesis`: the first key as it was noted off the host.
  explicit EpochChain(std::optional<PublicKey> genesis) : genesis_(genesis) {}

  // Record `seq` announces the epoch; `before` is the root of the seq - 1 records before it. What
  // is wrong with that, as a sentence.
  [[nodiscard]] std::optional<std::string> announce(const Epoch& epoch, std::uint64_t seq,
                                                    const Hash& before);

  // Why the checkpoint has no value, as the end of a sentence; nothing: it is signed by an epoch
  // that had begun and was not over.
  std::optional<std::string> objection(const Note& note, const Checkpoint& checkpoint) const;

  bool empty() const { return links_.empty(); }
  std::uint64_t size() const { return links_.size(); }
  const Epoch& first() const { return links_.front().epoch; }

 private:
  struct Link {
    Epoch epoch;
    std::uint64_t seq = 0;
  };

  std::optional<PublicKey> genesis_;
  std::vector<Link> links_;  // epoch 1 first
};

}  // namespace bedside::store
