#pragma once

// What the log promises at one moment: so many records, this root (C2SP tlog-checkpoint). Signed by
// the key of an epoch. Values: any thread.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <tl/expected.hpp>

#include "store/merkle.h"
#include "store/signed_note.h"

namespace bedside::store {

// As text: origin, size, root in base64, then two extension lines of ours, "epoch N" and
// "time MICROSECONDS" (Unix).
struct Checkpoint {
  std::string origin;  // names this log; also the name of its keys
  std::uint64_t size = 0;
  Hash root{};
  std::uint64_t epoch = 0;
  std::int64_t time_us = 0;

  std::string text() const;
  static std::optional<Checkpoint> parse(std::string_view text);
  friend bool operator==(const Checkpoint&, const Checkpoint&) = default;
};

// A note whose text is the checkpoint, signed under its origin.
tl::expected<std::string, std::string> sign_checkpoint(const Checkpoint& checkpoint,
                                                       const SigningKey& key);

// The message by which the key of one epoch vouches for the next (see epoch_keys.h), and for all
// records before the announcement: once it is erased nobody can write them anew.
std::string epoch_message(std::string_view origin, std::uint64_t epoch, const PublicKey& next,
                          std::uint64_t size_before, const Hash& root_before);
std::string epoch_message(std::string_view origin, std::uint64_t epoch, const PublicKey& next,
                          const MerkleEdge& before);

std::string to_hex(std::span<const std::uint8_t> bytes);
// Exactly `out.size()` bytes in lower case; false otherwise.
[[nodiscard]] bool from_hex(std::string_view text, std::span<std::uint8_t> out);

}  // namespace bedside::store
