#pragma once

// What whoever asked for a change may keep of its record: the body as it was sealed, its place in
// the log and the proof that the signed checkpoint covers it. As text it is a C2SP tlog-proof,
// whose extra data is the body. Values and functions: any thread.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <tl/expected.hpp>
#include <vector>

#include "store/checkpoint.h"
#include "store/merkle.h"
#include "store/signed_note.h"

namespace bedside::store {

inline constexpr std::size_t kMaxReceipt = std::size_t{48} * 1024;

struct Receipt {
  std::string body;
  std::uint64_t index = 0;  // of the record, which is number index + 1
  std::vector<Hash> proof;  // RFC 6962 §2.1.1
  std::string checkpoint;   // the note

  std::string text() const;
  // Nothing when it is not exactly such a text.
  static std::optional<Receipt> parse(std::string_view text);
};

// The checkpoint of a receipt whose record it covers; who signed it is the caller's question. The
// error is a sentence.
struct ReceiptPromise {
  Note note;
  Checkpoint checkpoint;
  std::uint64_t seq = 0;  // of the record
  Hash leaf{};            // of its body
};
tl::expected<ReceiptPromise, std::string> check_receipt(std::string_view text);

}  // namespace bedside::store
