// The short way for what is most of a visit's signaling: offers, answers and candidates.
#pragma once

#include <optional>
#include <string_view>

#include "signaling/message.h"

namespace bedside::signaling {

// Reads one pass over `text` and builds no tree. What it accepts is strict JSON (RFC 8259) in
// ASCII, nested no deeper than kMaxJsonDepth, an object with one `type` of these three and one not
// empty `targetPeerId`, and goes on as it was written; parse_client_message accepts it, too, and
// means the same. Whatever is unusual (other types, escapes in what we read, `requestId`,
// `fromPeerId`, `seq`, members that come twice, numbers that could overflow, other characters than
// ASCII) gives nothing, which says nothing about it: the long way decides.
std::optional<ClientMessage> quick_forward(std::string_view text);

}  // namespace bedside::signaling
