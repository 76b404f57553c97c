#pragma once

// The words of the audit log for the enums of the cores. They are part of what is sealed and
// exported: a word that was ever written is never changed.
//
// Any thread.

#include <string_view>

#include "server/abuse_counters.h"
#include "signaling/change.h"
#include "turn/event.h"

namespace bedside::server {

std::string_view word(signaling::Role role);
std::string_view word(signaling::Transport transport);
std::string_view word(signaling::LeaveReason reason);
std::string_view word(signaling::EndReason reason);
std::string_view word(turn::CloseReason reason);
std::string_view word(turn::ClientTransport transport);
// The record type under which a count is written.
std::string_view type_of(Abuse kind);
// What is told beside the type; empty: the type says it all.
std::string_view detail_of(Abuse kind);

}  // namespace bedside::server
