#pragma once

// The witness of another log, and what a log asks one (C2SP tlog-witness, add-checkpoint): for each
// log it remembers the newest checkpoint it has cosigned, and cosigns another one only when the old
// log is its beginning. So a log whose checkpoints it cosigns shows everybody the same records and
// takes none back. Pure: bytes and values; any thread.

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "store/cosignature.h"
#include "store/merkle.h"
#include "store/signed_note.h"

namespace bedside::store {

inline constexpr std::size_t kMaxConsistencyProof = 63;  // lines, tlog-witness

struct AddCheckpoint {
  std::uint64_t old_size = 0;
  std::vector<Hash> proof;
  Note checkpoint;
  TreeHead head;
};

// The body of a request. Nothing when it is not one.
std::optional<AddCheckpoint> parse_add_checkpoint(std::string_view body);
std::string add_checkpoint_body(std::uint64_t old_size, std::span<const Hash> proof,
                                std::string_view checkpoint);

enum class WitnessVerdict : std::uint8_t {
  consistent,    // to be remembered, durably, and then cosigned
  unknown_log,   // 404: no such origin
  not_signed,    // 403: by no key of that origin
  malformed,     // 400: the old size is above the new one
  other_size,    // 409: the log's idea of what was cosigned last is another one
  inconsistent,  // 422, or 409 for the same size: the log has another past than the one cosigned
};

// `known`: what was cosigned last for that origin; nothing yet.
WitnessVerdict judge(const AddCheckpoint& request, std::span<const VerifierKey> logs,
                     const std::optional<TreeHead>& known);

}  // namespace bedside::store
